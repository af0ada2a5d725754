"""Rows written in bulk are the rows that come back, whatever stands in them, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowserver.models import Message
from flowserver.services.engine import bulk

AT = datetime(2026, 5, 4, 9, 0, 0, 123, tzinfo=UTC)
COLUMNS = (
    *("workspace_id", "key", "kind", "channel", "class", "connection_id", "priority", "contact_id", "address"),
    *("step", "visit", "content", "state", "reason", "attempts", "planned_at", "due_at"),
)
M = Message.__table__.c
WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["", "\\N", "\\.", "a\tb", "a\\nb\n", "\r\n", "{1,2}", '"quoted"', "'", "%s", "NULL", "é漢😀"]
)
FACTS = st.none() | st.dictionaries(WORDS, WORDS | st.none() | st.booleans() | st.integers(-(2**60), 2**60), max_size=3)


def row(n, *, address="a@b.example", content=None, reason=None, contact=None, due=AT):
    fixed = ("flow", "email", "marketing", 1, 5)
    return (1, f"key:{n}", *fixed, contact, address, "step", 1, content, "planned", reason, 0, AT, due)


def stored(db, *names):
    query = sa.select(*(M[name] for name in names)).order_by(M.key)
    return [tuple(found) for found in db.session.connection().execute(query)]


@pytest.mark.parametrize("write", [bulk.insert, bulk.insert_new])
@given(st.lists(st.tuples(WORDS, FACTS, st.none() | WORDS, st.none() | st.integers(0, 2**40)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_inserted_comes_back(db, write, values):
    rows = [row(n, address=a, content=c, reason=r, contact=k) for n, (a, c, r, k) in enumerate(values)]
    write(db.session.connection(), "message", COLUMNS, rows)
    found = stored(db, "address", "content", "reason", "contact_id", "planned_at")
    db.session.rollback()
    assert found == [(a, c, r, k, AT) for a, c, r, k in values]


def test_many_new_rows_leave_those_out_that_are_there(db):
    connection = db.session.connection()
    rows = [row(n, address=f"c{n}\\@x.example", content={"n": n}) for n in range(200)]
    bulk.insert(connection, "message", COLUMNS, rows[:100])
    assert bulk.insert_new(connection, "message", COLUMNS, rows) == 100
    assert sorted(stored(db, "address")) == sorted((r[8],) for r in rows)


@given(st.lists(st.tuples(WORDS, FACTS, st.none() | WORDS, st.integers(0, 10**6)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_updated_comes_back(db, values):
    connection = db.session.connection()
    bulk.insert(connection, "message", COLUMNS, [row(n) for n in range(len(values))])
    ids = [found[0] for found in stored(db, "id")]
    columns = ("address", "content", "reason", "due_at", "attempts")
    wanted = [(a, c, r, AT + timedelta(seconds=s), s % 7) for a, c, r, s in values]
    changes = [(id_, *new) for id_, new in zip(ids, wanted, strict=True)]
    assert bulk.update(connection, "message", columns, changes) == len(values)
    found = stored(db, *columns)
    db.session.rollback()
    assert found == wanted


def test_many_alike_are_updated_together_and_the_fence_holds(db):
    connection = db.session.connection()
    bulk.insert(connection, "message", COLUMNS, [row(n, contact=n % 2) for n in range(300)])
    ids = [found[0] for found in stored(db, "id")]
    later = AT + timedelta(days=1)
    changes = [(id_, "skipped" if id_ % 3 else "failed", later, None) for id_ in ids]
    assert bulk.update(connection, "message", ("state", "due_at", "reason"), changes, where="contact_id = 1") == 150
    for id_, contact, state, due in stored(db, "id", "contact_id", "state", "due_at"):
        assert (state, due) == (("skipped" if id_ % 3 else "failed", later) if contact else ("planned", AT))


def test_texts_and_ids_are_looked_up_whatever_they_hold(db):
    connection = db.session.connection()
    addresses = ["a@b.example", 'we"ird\\', "é漢😀", "", "plain"]
    bulk.insert(connection, "message", COLUMNS, [row(n, address=a) for n, a in enumerate(addresses)])
    query = sa.select(M.address).where(bulk.texts_named(M.address)).order_by(M.key)
    assert list(connection.scalars(query, {"texts": addresses[:4]})) == addresses[:4]
    assert list(connection.scalars(query, {"texts": []})) == []
    ids = [found[0] for found in stored(db, "id")]
    assert list(connection.scalars(sa.select(M.id).where(bulk.ids_in(M.id, ids[1:3])).order_by(M.id))) == ids[1:3]
    assert list(connection.scalars(sa.select(M.id).where(bulk.ids_in(M.id, [])))) == []
