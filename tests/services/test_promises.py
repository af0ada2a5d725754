"""The engine's promises. Each test tries to break one on purpose."""

from __future__ import annotations

import gc
import sys
import threading
import time
import tracemalloc
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import clock as time_now
from flowserver import extensions
from flowserver.domain import context as contexts
from flowserver.domain import planner
from flowserver.domain.steps import LOADED, Go, Item, Park
from flowserver.domain.steps import Contact as Person
from flowserver.extensions import db
from flowserver.models import (
    Alert,
    Contact,
    ContactTag,
    Decision,
    Enrollment,
    Event,
    Field,
    Flow,
    FlowVersion,
    Membership,
    Message,
    ScoreEntry,
    Suppression,
    Tag,
    Workspace,
)
from flowserver.nodes.actions.add_tag import AddTag
from flowserver.nodes.actions.send_email import SendEmail
from flowserver.services.engine import bulk, engine, enrollment, events, facts, flow_state, leaving, ticks, versions

from .town import (
    MAIL,
    SMS,
    Worker,
    a_list,
    client,
    join,
    ledger,
    live,
    messages,
    people,
    runs,
    sound,
    tag,
    wait,
)

DAY = timedelta(days=1)
OPENED = {"type": "wait_for_event", "event": "email_opened", "of": "mail", "at_most": {"days": 2}}
PURCHASE = {"type": "wait_for_event", "event": "purchase", "at_most": {"days": 2}}


def only_postgresql() -> None:
    if not bulk.is_postgres(db.session.connection()):
        pytest.skip("SQLite has one writer: there is nothing to interleave")


def drain() -> int:
    """Everything that is due now, carried on; nothing may go round for ever."""
    moved = 0
    for _ in range(200):
        count = engine.batch()
        moved += count
        if not count:
            return moved
    raise AssertionError("the engine never comes to rest")


# --- 1. Nobody is lost -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"due_at": True, "ended_at": True, "end_reason": "finished"},
        {"due_at": True, "ended_at": True},
        {"due_at": True, "end_reason": "finished"},
        {"ended_at": True},
        {"end_reason": "finished"},
    ],
)
def test_an_enrollment_is_live_or_ended_and_never_neither(db, workspace, clock, given):
    values = {name: clock.now if value is True else value for name, value in given.items()}
    row = {"workspace_id": workspace.id, "flow_id": 1, "version_id": 1, "contact_id": 1, "event_key": "x"}
    db.session.add(Enrollment(**row, triggered_at=clock.now, **values))
    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()
    db.session.rollback()


def test_a_live_enrollment_cannot_lose_its_due_time(workspace, clock):
    ids = people(workspace, 1)
    live(workspace, wait("w"), list=a_list(workspace))
    join(a_list(workspace, "Other"), ids)
    join(1, ids)
    db.session.execute(sa.text("DELETE FROM enrollment"))
    flow = live(workspace, wait("w"), name="Other flow", list=1)
    join(1, ids)
    with pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.update(Enrollment).where(Enrollment.flow_id == flow.id).values(due_at=None))
    db.session.rollback()


def test_everybody_ends_whatever_the_flow_does(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 40)
    for n, one in enumerate(db.session.scalars(sa.select(Contact).order_by(Contact.id))):
        one.phone = one.phone if n % 2 else None
        one.email_consent = "given" if n % 3 else "none"
    db.session.commit()
    live(
        workspace,
        {"key": "mail", **MAIL},
        {"key": "opened", **OPENED, "then": [tag("yes")], "else": [{"key": "sms", **SMS}]},
        {"key": "until", "type": "wait", "until": {"weekday": "sunday", "time": "02:30"}},
        {
            "key": "phone",
            "type": "if_else",
            "if": {"type": "has_phone"},
            "then": [{"key": "e", "type": "end"}],
            "else": [],
        },
        {"key": "bought", **PURCHASE, "then": [], "else": [tag("no")]},
        list=list_id,
    )
    join(list_id, ids)
    for _ in range(15):
        drain()
        sound()
        clock.forward(days=1)
        db.session.execute(
            sa.update(Message).where(Message.state == "planned").values(state="accepted", accepted_at=clock.now)
        )
        db.session.commit()
    assert {run.end_reason for run in runs()} == {"finished", "end_step"}
    assert len(runs()) == 40


# --- 2. Nothing is sent twice ----------------------------------------------------------------------------


def test_one_row_per_intended_message(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "mail", **MAIL}, list=list_id)
    join(list_id, ids)
    drain()
    (row,) = messages()
    copy = {name: getattr(row, name) for name in Message.__mapper__.columns.keys() if name != "id"}  # noqa: SIM118
    db.session.add(Message(**copy))
    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()
    db.session.rollback()


def test_a_step_that_would_send_again_pauses_the_flow_instead(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 3)
    flow = live(workspace, {"key": "mail", **MAIL}, wait("w"), list=list_id)
    other = live(workspace, wait("o"), name="Other", list=list_id)
    join(list_id, ids)
    drain()
    back = sa.update(Enrollment).where(Enrollment.flow_id == flow.id)  # somebody puts them before the mail again
    db.session.execute(back.values(step="mail", parked_at=None, due_at=clock.now))
    db.session.commit()
    drain()
    assert len(messages()) == 3
    assert db.session.get(Flow, flow.id).state == "paused"
    assert [(run.held, run.due_at is not None) for run in runs(Enrollment.flow_id == flow.id)] == [(True, True)] * 3
    clock.forward(days=1)
    drain()
    assert {run.end_reason for run in runs(Enrollment.flow_id == other.id)} == {"finished"}


# --- 3. The database is the truth, the queue is a bell ---------------------------------------------------


def test_when_every_ring_is_lost_the_clock_finds_the_work(workspace, queue, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    second = a_list(workspace, "Second")
    live(workspace, {"key": "move", "type": "join_list", "list": second}, {"key": "mail", **MAIL}, list=list_id)
    live(workspace, tag("welcomed"), name="Next", list=second)
    join(list_id, ids)
    for _ in range(6):
        queue.rings.clear()  # FLUSHALL
        ticks.tick(time_now.now())
        queue.rings = [ring for ring in queue.rings if ring[0] in ("advance", "match")]
        queue.drain()
    assert [run.end_reason for run in runs()] == ["finished"] * 4
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ContactTag)) == 2
    queue.rings.clear()
    ticks.tick(time_now.now())
    assert not [ring for ring in queue.rings if ring[0] in ("advance", "match")]


def test_two_clocks_do_no_harm(workspace, queue, clock):
    list_id, ids = a_list(workspace), people(workspace, 3)
    live(workspace, {"key": "mail", **MAIL}, list=list_id)
    join(list_id, ids)
    for _ in range(2):
        ticks.tick(time_now.now())
        ticks.tick(time_now.now())
        queue.rings = [ring for ring in queue.rings if ring[0] == "advance"] * 3
        queue.drain()
    assert len(messages()) == 3


# --- 4. One bad contact ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["first", "middle", "last", "alone"])
def test_one_bad_contact_never_stops_or_repeats_the_batch(workspace, clock, monkeypatch, where):
    list_id, ids = a_list(workspace), people(workspace, 1 if where == "alone" else 9)
    bad = {"first": ids[0], "middle": ids[len(ids) // 2], "last": ids[-1], "alone": ids[0]}[where]
    plan = SendEmail.execute

    def execute(self, batch, ctx):
        if bad in [item.contact.id for item in batch]:
            raise ZeroDivisionError("a bug in a node")
        return plan(self, batch, ctx)

    monkeypatch.setattr(SendEmail, "execute", execute)
    live(workspace, {"key": "mail", **MAIL}, list=list_id)
    join(list_id, ids)
    drain()
    ends = {run.contact_id: run.end_reason for run in runs()}
    assert ends == {one: "failed" if one == bad else "finished" for one in ids}
    assert sorted(row.contact_id for row in messages()) == sorted(set(ids) - {bad})
    (failed,) = [row for row in ledger() if row[4] == "failed"]
    assert (failed[0], failed[5]) == (bad, "ZeroDivisionError")


def test_a_value_the_database_refuses_harms_one_contact_only(workspace, clock, monkeypatch):
    list_id, ids = a_list(workspace), people(workspace, 5)
    bad = ids[2]

    def execute(self, batch, ctx):
        for item in batch:
            ctx.change_contact(item, first_name=object() if item.contact.id == bad else "Ada")
        return [Go()] * len(batch)

    monkeypatch.setattr(AddTag, "execute", execute)
    live(workspace, tag("t"), list=list_id)
    join(list_id, ids)
    drain()
    assert {run.contact_id: run.end_reason for run in runs()}[bad] == "failed"
    names = db.session.scalars(sa.select(Contact.first_name).order_by(Contact.id)).all()
    assert sorted(names) == ["", "Ada", "Ada", "Ada", "Ada"]


def test_a_step_that_fails_for_many_pauses_the_flow_and_loses_nobody_else(workspace, clock, monkeypatch):
    list_id, ids = a_list(workspace), people(workspace, 20)
    monkeypatch.setattr(AddTag, "execute", lambda self, batch, ctx: 1 / 0)
    flow = live(workspace, tag("t"), list=list_id)
    join(list_id, ids)
    drain()
    ends = [run.end_reason for run in runs()]
    assert (ends.count("failed"), ends.count(None)) == (engine.FAILURES_THAT_PAUSE, 15)
    row = db.session.get(Flow, flow.id)
    assert (row.state, row.pause_mode) == ("paused", "hold") and row.pause_reason
    assert db.session.scalars(sa.select(Alert.kind)).all() == ["flow_paused"]


@pytest.mark.parametrize("error", ["deadlock", "gone"])
def test_trouble_of_the_database_is_nobodys_fault(workspace, clock, monkeypatch, error):
    list_id, ids = a_list(workspace), people(workspace, 4)
    live(workspace, tag("t"), list=list_id)
    join(list_id, ids)
    write, calls = engine.write, []
    if bulk.is_postgres(db.session.connection()):
        import psycopg.errors as raw

        trouble = (
            raw.DeadlockDetected("deadlock detected") if error == "deadlock" else raw.OperationalError("server closed")
        )
    else:
        import sqlite3

        trouble = sqlite3.OperationalError("database is locked" if error == "deadlock" else "disk I/O error")

    def failing(*args):
        calls.append(1)
        raise trouble if error == "deadlock" else sa.exc.OperationalError("…", {}, trouble)

    monkeypatch.setattr(engine, "write", failing)
    with pytest.raises(type(trouble) if error == "deadlock" else sa.exc.OperationalError):
        engine.batch()
    db.session.rollback()
    assert calls == [1]  # no halving: that would only repeat it
    assert all(run.due_at is not None and not run.held for run in runs())
    monkeypatch.setattr(engine, "write", write)
    assert drain() == 4
    assert {run.end_reason for run in runs()} == {"finished"}


def test_a_version_this_release_cannot_read_pauses_its_flow_alone(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 3)
    broken = live(workspace, wait("w"), name="Broken", list=list_id)
    sane = live(workspace, wait("w"), tag("t"), name="Sane", list=list_id)
    join(list_id, ids)
    drain()
    version = db.session.get(FlowVersion, broken.version_id)
    version.definition = {**version.definition, "steps": [{"key": "w", "type": "teleport"}]}
    db.session.commit()
    versions.current_app.extensions.pop("versions")
    clock.forward(days=1)
    drain()
    assert {run.end_reason for run in runs(Enrollment.flow_id == sane.id)} == {"finished"}
    assert all(run.held and run.due_at for run in runs(Enrollment.flow_id == broken.id))
    assert "cannot read" in db.session.get(Flow, broken.id).pause_reason
    new = people(workspace, 1)
    join(list_id, new)  # whoever signs up meanwhile notices nothing
    assert len(runs(Enrollment.contact_id == new[0])) == 1


def test_a_trigger_that_fails_over_an_odd_event_lets_nobody_in_and_harms_nobody(workspace, clock, monkeypatch):
    from flowserver.nodes.triggers.list_joined import ListJoined

    ids = people(workspace, 1)
    live(workspace, tag("t"))
    monkeypatch.setattr(ListJoined, "admits", lambda self, event: 1 / 0)
    assert events.record(ids[0], "contact_created")
    db.session.commit()
    assert runs() == []


# --- 5. Same input, same result --------------------------------------------------------------------------

MIXED = (
    tag("first"),
    {
        "key": "phone",
        "type": "if_else",
        "if": {"type": "has_phone"},
        "then": [{"key": "sms", **SMS}],
        "else": [{"key": "mail", **MAIL}],
    },
    {"key": "points", "type": "change_score", "points": 5},
    wait("w", hours=30),
    {
        "key": "scored",
        "type": "if_else",
        "if": {"any": [{"type": "score_compares", "points": 10}, {"type": "has_tag", "tag": "vip"}]},
        "then": [{"key": "second", **MAIL}],
    },
    {"key": "e", "type": "end", "label": "done", "outcome": "neutral"},
)


def mixed_crowd(workspace) -> list[int]:
    ids = people(workspace, 60)
    for n, one in enumerate(db.session.scalars(sa.select(Contact).order_by(Contact.id))):
        one.phone = one.phone if n % 3 else None
        one.sms_consent = "given" if n % 4 else "withdrawn"
        one.score = n % 7
    db.session.commit()
    return ids


def replay(workspace_id: int, clock, size: int) -> list[tuple]:
    """The same people through the same flow from the same moment; the ledger with contacts by their place."""
    start = clock.now
    for model in (Decision, Message, Enrollment, Event, ScoreEntry, ContactTag, Tag, FlowVersion, Flow, Contact):
        db.session.connection().execute(model.__table__.delete())
    db.session.commit()
    db.session.expunge_all()
    workspace = db.session.get(Workspace, workspace_id)
    ids = mixed_crowd(workspace)
    live(workspace, *MIXED)
    for one in ids:
        events.record(one, "contact_created")
    db.session.commit()
    for _ in range(4):
        while engine.batch(size):
            pass
        clock.forward(hours=12)
    clock.now = start
    place = {one: n for n, one in enumerate(ids)}
    return [(place[row[0]], *row[1:]) for row in ledger()]


def test_the_same_input_gives_the_same_ledger_whatever_the_batches(workspace, clock):
    workspace.cap_day = 1
    db.session.commit()
    clock.forward(hours=11)  # quiet hours begin soon
    own = workspace.id
    first = replay(own, clock, 1000)
    assert len(first) > 400
    assert {row[4] for row in first} >= {"entered", "next", "then", "else", "waits", "held", "skipped", "left"}
    assert replay(own, clock, 1000) == first
    assert replay(own, clock, 7) == first


def of_each(rows: list[tuple]) -> dict[int, list[tuple]]:
    """The rows of each enrollment in their order: who is due at the same moment comes in any order."""
    return {own: [row for row in rows if row[1] == own] for own in {row[1] for row in rows}}


def test_a_walk_in_memory_gives_the_rows_production_writes(workspace, clock):
    ids = mixed_crowd(workspace)
    flow = live(workspace, *MIXED)
    for one in ids:
        events.record(one, "contact_created")
    db.session.commit()
    names = [name for name in Person.__dataclass_fields__ if name not in LOADED]
    items = [
        Item(run.id, Person(**{name: getattr(one, name) for name in names}), flow.id)
        for run, one in zip(runs(), db.session.scalars(sa.select(Contact).order_by(Contact.id)), strict=True)
    ]
    ways = {"email": 1, "sms": 2}
    (client_row,) = facts.clients({workspace.id}).values()
    ways.update(client_row.connections)
    context = contexts.BatchContext(
        now=clock.now,
        client=client_row,
        flow_id=flow.id,
        version_id=flow.version_id,
        wishes=contexts.Wishes(),
        suppressed=set(),
        recent={},
    )
    places = planner.walk(engine.compiled(flow.version_id), items, context)
    drain()
    written = [
        tuple(row)
        for row in db.session.execute(
            sa.select(*(Decision.__table__.c[n] for n in contexts.DECISION_COLUMNS)).order_by(Decision.id)
        )
    ]
    assert of_each(written) == of_each(context.wishes.decisions)
    planned = [
        tuple(row)
        for row in db.session.execute(
            sa.select(*(Message.__table__.c[n] for n in contexts.MESSAGE_COLUMNS)).order_by(Message.id)
        )
    ]
    assert of_each(planned) == of_each(context.wishes.messages)
    stand = {run.id: (run.step, run.due_at, run.end_reason) for run in runs()}
    assert stand == {place.enrollment_id: (place.step, place.due_at, place.end_reason) for place in places}


def test_no_node_asks_for_the_time_or_for_chance(workspace):
    from flowserver import registry

    for package in ("flowserver.nodes", "flowserver.domain"):
        for module in registry.modules(package):
            assert not {"random", "secrets", "time", "clock", "uuid"} & {
                name for name, value in vars(module).items() if type(value).__name__ == "module"
            }, module.__name__


# --- 6. Memory is flat -----------------------------------------------------------------------------------


def crowd(workspace, count: int) -> None:
    now = time_now.now()
    columns = ("workspace_id", "email", "first_name", "last_name", "fields", "score", "email_consent", "sms_consent")
    columns += ("status", "locale", "source", "created_at", "updated_at")
    for start in range(0, count, 5000):
        rows = [
            (workspace.id, f"m{n}@x.example", "Ada", "", {}, 0, "given", "none", "active", "", "", now, now)
            for n in range(start, min(start + 5000, count))
        ]
        bulk.insert(db.session.connection(), "contact", columns, rows)
        db.session.commit()


def peak_of(work) -> int:
    """The most memory Python held while ``work()`` ran, in bytes, beyond what it held before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_twenty_thousand_people_take_no_more_memory_than_two_thousand(workspace, clock):
    crowd(workspace, 20_000)
    flow = live(workspace, tag("t"), {"key": "mail", **MAIL}, wait("w"), include_existing=True)
    flow.existing_after = 0
    db.session.commit()
    enroll = peak_of(lambda: enrollment.enroll_existing(flow.id))
    assert enroll < 5_000_000
    engine.batch()  # caches are filled
    first = peak_of(engine.batch)
    before = sys.getallocatedblocks()
    for _ in range(16):
        assert engine.batch() == engine.BATCH
    gc.collect()
    assert sys.getallocatedblocks() - before < 5_000  # 16,000 people later nothing is kept of any of them
    last = peak_of(drain)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 20_000
    assert last < 1.3 * first + 500_000, (last, first)


# --- 7. A flood stops itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Park, "again"])
def test_a_flow_that_runs_away_is_paused_before_it_goes_on(workspace, clock, monkeypatch, outcome):
    list_id, ids = a_list(workspace), people(workspace, 6)
    flow = live(workspace, tag("a"), tag("b"), list=list_id)
    other = live(workspace, {"key": "mail", **MAIL}, name="Other", list=list_id)
    if outcome is Park:
        monkeypatch.setattr(AddTag, "execute", lambda self, batch, ctx: [Park(ctx.now)] * len(batch))
    else:
        engine.compiled(flow.version_id).steps["b"].ports["next"] = "a"
    join(list_id, ids)
    assert drain() < 50
    row = db.session.get(Flow, flow.id)
    assert (row.state, row.pause_mode) == ("paused", "hold")
    assert "came round twice" in row.pause_reason
    assert db.session.scalars(sa.select(Alert.text)).one().startswith("“%(flow)s” is paused")
    assert all(run.held and run.due_at is not None for run in runs(Enrollment.flow_id == flow.id))
    assert {run.end_reason for run in runs(Enrollment.flow_id == other.id)} == {"finished"}


def test_even_a_flow_paused_with_skip_cannot_run_away(workspace, clock, monkeypatch):
    list_id, ids = a_list(workspace), people(workspace, 2)
    flow = live(workspace, tag("a"), list=list_id)
    join(list_id, ids)
    flow.state, flow.pause_mode, flow.paused_at = "paused", "skip", clock.now
    db.session.commit()
    monkeypatch.setattr(AddTag, "execute", lambda self, batch, ctx: [Park(ctx.now)] * len(batch))
    drain()
    row = db.session.get(Flow, flow.id)
    assert (row.state, row.pause_mode) == ("paused", "hold")


def test_while_the_engine_has_paused_a_flow_people_enter_and_wait(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    flow = live(workspace, tag("a"), list=list_id)
    flow_state.pause_by_engine(flow.id, "failing")
    join(list_id, ids)
    drain()
    assert [(run.step, run.held) for run in runs()] == [("", True)] * 2
    row = db.session.get(Flow, flow.id)
    row.state, row.pause_reason = "active", ""
    db.session.commit()
    flow_state.release(flow.id)
    drain()
    assert {run.end_reason for run in runs()} == {"finished"}


# --- two clients, every statement ------------------------------------------------------------------------


def test_two_clients_with_the_same_words_never_touch(workspace, clock):
    """The same addresses, tags, fields and lists on both sides, advanced in one batch."""
    kino = client(
        "kino", time_zone="Asia/Tokyo", cap_day=1, notify_email="kino@agency.example", quiet_from="", quiet_until=""
    )
    workspace.notify_email = "lume@agency.example"
    db.session.commit()
    flows, ids = {}, {}
    for one in (workspace, kino):
        with extensions.workspace(one.id):
            ids[one.id] = people(one, 3, email=None)
            for n, contact in enumerate(db.session.scalars(sa.select(Contact).order_by(Contact.id))):
                contact.email = f"same{n}@x.example"
            db.session.add(
                Field(workspace_id=one.id, key="n", label="N", type="number" if one is kino else "text", choices=[])
            )
            list_id, target = a_list(one), a_list(one, "Target")
            flows[one.id] = live(
                one,
                tag("t", "vip"),
                {"key": "f", "type": "set_field", "field": "n", "value": "7"},
                {"key": "l", "type": "join_list", "list": target},
                {"key": "p", "type": "change_score", "points": 3},
                {"key": "note", "type": "notify_team", "to": [], "subject": "Hi", "text": "Hi"},
                {"key": "mail", **MAIL},
                {"key": "again", **MAIL},
                {"key": "sms", **SMS},
                {"key": "buy", **PURCHASE, "then": [tag("bought")], "else": []},
                list=list_id,
            )
    db.session.add(Suppression(workspace_id=kino.id, channel="email", address="same0@x.example", reason="by_hand"))
    db.session.commit()
    night = clock.forward(hours=12)  # 23:00 in Rome
    for one in (workspace, kino):
        with extensions.workspace(one.id):
            join(flows[one.id].draft["trigger"]["list"], ids[one.id])
    assert engine.batch() == 6

    def of(model, column="contact_id"):
        table = model.__table__
        rows = db.session.connection().execute(sa.select(table.c[column], table.c.workspace_id))
        return {(contact, owner) for contact, owner in rows}

    everyone = {(contact, owner) for owner, some in ids.items() for contact in some}
    for model in (Enrollment, Message, Event, ScoreEntry, ContactTag):
        assert of(model) == everyone, model.__name__
    assert of(Membership) == everyone
    tags = db.session.connection().execute(sa.select(Tag.__table__.c.workspace_id, Tag.__table__.c.name)).all()
    assert sorted(tags) == sorted([(workspace.id, "vip"), (kino.id, "vip")])
    own = sa.select(Tag.__table__.c.workspace_id, ContactTag.__table__.c.workspace_id).join_from(
        Tag.__table__, ContactTag.__table__, Tag.__table__.c.id == ContactTag.__table__.c.tag_id
    )
    assert all(a == b for a, b in db.session.connection().execute(own))
    decided = db.session.connection().execute(
        sa.select(Decision.__table__.c.workspace_id, Enrollment.__table__.c.workspace_id).join_from(
            Decision.__table__, Enrollment.__table__, Decision.__table__.c.enrollment_id == Enrollment.__table__.c.id
        )
    )
    assert all(a == b for a, b in decided)

    planned = {(row.contact_id, row.step): row for row in messages()}
    first = {one.id: ids[one.id][0] for one in (workspace, kino)}
    assert planned[first[workspace.id], "mail"].state == "planned"
    assert planned[first[kino.id], "mail"].reason == "suppressed"  # kino's list, not Lume's
    assert {row.address for row in messages(Message.kind == "team", Message.workspace_id == kino.id)} == {
        "kino@agency.example"
    }
    assert {row.address for row in messages(Message.kind == "team", Message.workspace_id == workspace.id)} == {
        "lume@agency.example"
    }
    connections = {(row.workspace_id, row.channel): row.connection_id for row in messages()}
    assert len(set(connections.values())) == len(connections)
    stand = {run.contact_id: run.step for run in runs()}
    assert {stand[one] for one in ids[workspace.id]} == {"sms"}  # Lume's quiet hours
    assert {stand[one] for one in ids[kino.id][1:]} == {"again"}  # kino's limit
    fields = dict(db.session.connection().execute(sa.select(Contact.__table__.c.id, Contact.__table__.c.fields)).all())
    assert {fields[one]["n"] for one in ids[workspace.id]} == {"7"} and {fields[one]["n"] for one in ids[kino.id]} == {
        7
    }

    clock.forward(days=2)
    drain()
    with extensions.workspace(kino.id):
        events.record(ids[kino.id][1], "purchase", at=time_now.now())
        db.session.commit()
    drain()
    bought = {run.contact_id for run in runs() if run.end_reason == "finished"}
    assert bought & set(ids[workspace.id]) == set()
    assert ids[kino.id][1] in bought
    assert night


def test_an_event_starts_and_wakes_only_at_its_own_client(workspace, clock):
    kino = client("kino")
    with extensions.workspace(kino.id):
        theirs = people(kino, 1)
        live(kino, wait("w"), name="Theirs")
    ours = people(workspace, 1)
    live(workspace, wait("w"), name="Ours")
    events.record(ours[0], "contact_created", key="same-key")
    db.session.commit()
    with extensions.workspace(kino.id):
        assert events.record(theirs[0], "contact_created", key="same-key")  # keys are each client's own
        db.session.commit()
    assert [(run.workspace_id, run.contact_id) for run in runs()] == [(workspace.id, ours[0]), (kino.id, theirs[0])]
    assert enrollment.count_existing(engine.compiled(runs()[0].version_id), workspace.id).contacts == 1
    assert leaving.cancel(theirs, "contact_deleted") == 1
    assert [run.end_reason for run in runs()] == [None, "contact_deleted"]


def test_those_who_already_match_are_only_the_clients_own(workspace, clock):
    kino = client("kino")
    with extensions.workspace(kino.id):
        people(kino, 5)
    ours = people(workspace, 2)
    flow = live(workspace, wait("w"), include_existing=True)
    flow.existing_after = 0
    db.session.commit()
    assert enrollment.enroll_existing(flow.id, chunk=3) == 2
    assert [run.contact_id for run in runs()] == ours


# --- two at once -----------------------------------------------------------------------------------------


def test_two_workers_at_once_never_plan_twice_and_the_limit_holds(app, workspace, clock, monkeypatch):
    """Three flows start with the same people, two workers carry them, one mail a day is allowed."""
    workspace.cap_day = 1
    list_id, ids = a_list(workspace), people(workspace, 300)
    for name in ("One", "Two", "Three"):
        live(workspace, tag(name.lower()), {"key": "mail", **MAIL}, wait("w"), name=name, list=list_id)
    join(list_id, ids)
    db.session.remove()
    start = threading.Barrier(2)
    both, size = [], 40

    def work() -> int:
        start.wait(20)
        moved, idle = 0, 0
        while idle < 5:
            count = engine.batch(size)
            moved += count
            idle = 0 if count else idle + 1
            time.sleep(0 if count else 0.02)
        return moved

    both = [Worker(app, work), Worker(app, work)]
    moved = [worker.result() for worker in both]
    assert sum(moved) == 900  # nobody was carried twice
    assert len(messages()) == 300
    per_contact = [row.contact_id for row in messages()]
    assert len(set(per_contact)) == 300  # one each, the other two are held
    assert sum(run.step == "mail" for run in runs()) == 600
    assert db.session.connection().scalar(sa.select(sa.func.count()).select_from(ContactTag)) == 900
    sound()


def waiting_for_a_lock(seconds: float = 20) -> None:
    """Until some session of this PostgreSQL waits for another."""
    ends = time.monotonic() + seconds
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while time.monotonic() < ends:
            if connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


class Halfway:
    """Stops a function in another thread right before it begins, until the test lets it go on."""

    def __init__(self, monkeypatch, module, name):
        self.reached, self.go = threading.Event(), threading.Event()
        original = getattr(module, name)
        main = threading.get_ident()

        def stopped(*args, **kwargs):
            if threading.get_ident() != main:
                self.reached.set()
                assert self.go.wait(30), "the test forgot to let it go"
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, stopped)


@pytest.mark.parametrize("kind", ["email_opened", "purchase"])
def test_an_event_that_comes_while_an_advance_is_parking_is_not_missed(app, workspace, clock, monkeypatch, kind):
    only_postgresql()
    list_id, ids = a_list(workspace), people(workspace, 1)
    step = OPENED if kind == "email_opened" else PURCHASE
    live(
        workspace,
        {"key": "mail", **MAIL},
        wait("w"),
        {"key": "wait", **step, "then": [tag("yes")], "else": []},
        list=list_id,
    )
    join(list_id, ids)
    drain()
    (mail,) = messages()
    mail.state, mail.accepted_at = "accepted", clock.now
    db.session.commit()
    clock.forward(days=1)
    halfway = Halfway(monkeypatch, engine, "write")
    parking = Worker(app, engine.batch)
    assert halfway.reached.wait(20)  # it has read messages and events, and is about to park
    clock.forward(seconds=1)

    def happen():
        with extensions.workspace(workspace.id):
            if kind == "email_opened":
                db.session.execute(sa.update(Message).values(opened_at=time_now.now()))
                events.record(ids[0], kind, message=(mail.enrollment_id, "mail"))
            else:
                events.record(ids[0], kind)
            db.session.commit()

    happening = Worker(app, happen)
    waiting_for_a_lock()
    halfway.go.set()
    assert parking.result() == 1
    happening.result()
    (run,) = runs()
    assert run.step == "wait" and run.due_at <= clock.now
    drain()
    assert runs()[0].end_reason == "finished"
    assert [row[4] for row in ledger() if row[1] == "wait"] == ["waits", "then"]


@pytest.mark.parametrize("kind", ["email_opened", "purchase"])
def test_an_event_that_is_not_committed_yet_keeps_its_contact_from_being_carried_past_it(
    app, workspace, clock, monkeypatch, kind
):
    only_postgresql()
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, wait("w"), tag("t"), list=list_id)
    join(list_id, ids)
    drain()
    clock.forward(days=1)
    halfway = Halfway(monkeypatch, events, "wake_waiting")

    def happen():
        with extensions.workspace(workspace.id):
            events.record(ids[0], kind)
            db.session.commit()

    happening = Worker(app, happen)
    assert halfway.reached.wait(20)
    assert drain() == 1  # the other one; nobody waits for anybody
    halfway.go.set()
    happening.result()
    assert drain() == 1


def test_two_events_at_once_start_one_run_even_when_it_is_over_in_between(app, workspace, clock, monkeypatch):
    only_postgresql()
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id)  # "once", and over in one go
    halfway = Halfway(monkeypatch, bulk, "insert_new")

    def happen():
        with extensions.workspace(workspace.id):
            events.record(ids[0], "list_joined", subject=str(list_id))
            db.session.commit()

    first = Worker(app, happen)
    assert halfway.reached.wait(20)  # the first has found that the contact was never in the flow
    second = Worker(app, happen)
    waiting_for_a_lock()
    halfway.go.set()
    first.result()
    second.result()
    drain()
    assert len(runs()) == 1


def test_an_event_while_those_who_already_match_enter_starts_one_run(app, workspace, clock, monkeypatch):
    only_postgresql()
    list_id, ids = a_list(workspace), people(workspace, 3)
    db.session.add_all(Membership(list_id=list_id, contact_id=one, workspace_id=workspace.id) for one in ids)
    flow = live(workspace, tag("t"), list=list_id, include_existing=True)
    flow.existing_after = 0
    db.session.commit()
    halfway = Halfway(monkeypatch, enrollment, "barred")

    def happen():
        with extensions.workspace(workspace.id):
            events.record(ids[1], "list_joined", subject=str(list_id))
            db.session.commit()

    event = Worker(app, happen)
    assert halfway.reached.wait(20)
    entering = Worker(app, lambda: enrollment.enroll_existing(flow.id))
    waiting_for_a_lock()
    halfway.go.set()
    event.result()
    assert entering.result() == 2
    drain()
    assert sorted(run.contact_id for run in runs()) == ids


def test_a_worker_that_comes_late_to_a_failure_does_nothing(workspace, clock):
    """Between a failed batch and the marking of the one at fault another worker may carry it on."""
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w"), list=list_id)
    join(list_id, ids)
    drain()
    (run,) = runs()
    engine._fail(clock.now, run.id, ZeroDivisionError())
    assert runs()[0].end_reason is None


def test_many_at_once_keep_every_promise(app, workspace, clock):
    """Events, the match job, advancing and letting in those who match, all at the same time."""
    list_id, ids = a_list(workspace), people(workspace, 60)
    db.session.add_all(Membership(list_id=list_id, contact_id=one, workspace_id=workspace.id) for one in ids)
    once = live(workspace, tag("once"), {"key": "m", **MAIL}, name="Once", list=list_id, include_existing=True)
    again = live(workspace, tag("again"), name="Again", list=list_id, reentry="after_finish")
    live(workspace, {"key": "buy", **PURCHASE, "then": [], "else": []}, name="Buyers", list=list_id)
    once.existing_after = 0
    db.session.commit()
    workspace_id, once_id, again_id = workspace.id, once.id, again.id
    db.session.remove()
    stop = threading.Event()

    def happen(offset: int):
        with extensions.workspace(workspace_id):
            for n in range(60):
                one = ids[(n * 7 + offset) % 60]
                events.record(one, "list_joined", subject=str(list_id))
                events.record(one, "purchase", key=f"order-{one}")
                db.session.commit()

    def advance():
        while not stop.is_set():
            if not engine.batch(20):
                time.sleep(0.01)
        return drain()

    def match():
        while not stop.is_set():
            if not events.match_unmatched(10):
                time.sleep(0.01)

    helpers = [Worker(app, advance), Worker(app, advance), Worker(app, match), Worker(app, match)]
    sources = [Worker(app, lambda offset=offset: happen(offset)) for offset in (0, 3, 31)]
    entering = Worker(app, lambda: enrollment.enroll_existing(once_id, chunk=7))
    for one in (*sources, entering):
        one.result(120)
    stop.set()
    for one in helpers:
        one.result(120)
    while drain() + events.match_unmatched():
        pass
    sound()
    assert sorted(run.contact_id for run in runs(Enrollment.flow_id == once_id)) == ids  # each once, whoever came first
    assert len(messages()) == 60
    assert {run.end_reason for run in runs(Enrollment.flow_id == again_id)} == {"finished"}
    count = sa.select(sa.func.count()).where(Event.__table__.c.type == "purchase")
    assert db.session.connection().scalar(count) == 60
