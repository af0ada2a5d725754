"""The questions asked once a second, and by every batch, find their rows through an index however many rows there are.

On SQLite a partial index serves only a query that repeats its condition word for word, so this is easily lost.
PostgreSQL understands what a condition means, but prefers other ways through tables as small as here.
"""

import pytest
import sqlalchemy as sa

from flowserver import clock
from flowserver.models import Enrollment, Event, Flow, FlowStart, Message
from flowserver.services.engine import engine
from flowserver.services.messages import leases
from flowserver.services.shop import coupons

E, M, V = Enrollment.__table__.c, Message.__table__.c, Event.__table__.c
F, S = Flow.__table__.c, FlowStart.__table__.c


def plan(db, statement, given) -> str:
    """How the database answers a statement."""
    connection = db.session.connection()
    seen = []

    @sa.event.listens_for(connection, "before_cursor_execute", retval=True)
    def explain(conn, cursor, sql, parameters, context, many):
        word = "EXPLAIN" if conn.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        seen.append((f"{word} {sql}", parameters))
        return sql, parameters

    connection.execute(statement, given)
    sa.event.remove(connection, "before_cursor_execute", explain)
    cursor = connection.connection.cursor()
    cursor.execute(*seen[0])
    return "\n".join(str(row[-1]) for row in cursor.fetchall())


def _due(now):
    return sa.select(E.id).where(E.due_at <= now, ~E.held).limit(1)


def _held(_):
    return sa.select(E.id).where(E.flow_id == 5, E.held)


def _unmatched(_):
    return sa.select(V.id).where(~V.matched).limit(1)


def _leased(_):
    return sa.select(M.id).where(M.lease_id == 5, M.state == "claimed")


def _reported(_):
    return sa.select(M.id).where(M.connection_id == 1, M.provider_ref == "abc")


def _moment(now):
    return sa.select(F.id).where(F.starts_at <= now)


def _crowd(_):
    return sa.select(S.id).where(S.done_at.is_(None))


@pytest.mark.parametrize(
    ("index", "question"),
    [
        ("ix_enrollment_due", _due),
        ("ix_enrollment_held", _held),
        ("ix_event_unmatched", _unmatched),
        ("ix_message_lease", _leased),
        ("ix_message_ref", _reported),
        ("ix_flow_starts", _moment),
        ("ix_flow_start_undone", _crowd),
        ("ix_coupon_expiry", coupons.run_out),
    ],
)
def test_a_question_is_answered_by_its_index(db, index, question):
    found = plan(db, question(clock.now()), {})
    assert index in found or db.engine.dialect.name == "postgresql"


def test_a_batch_claims_in_the_order_of_the_index(db):
    if db.engine.dialect.name == "sqlite":
        found = plan(db, engine._CLAIM, {"now": clock.now(), "most": 10})
        assert "ix_enrollment_due" in found and "TEMP B-TREE" not in found


def test_a_lease_claims_through_the_outbox_index(db):
    found = plan(db, leases._CLAIM, {"connection": 1, "now": clock.now(), "most": 10, "lease": 1})
    assert "ix_message_planned" in found or db.engine.dialect.name == "postgresql"
