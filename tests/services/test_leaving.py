"""Who leaves a flow before its end: its goal and its exit."""

from __future__ import annotations

import pytest

from flowserver.extensions import db
from flowserver.models import Connection
from flowserver.services.engine import engine, events
from flowserver.services.messages import deliveries

from .conftest import use
from .town import MAIL, a_list, join, ledger, live, messages, people, runs, wait

BOUGHT = {"goal": {"event": "purchase", "within": {"days": 30}, "label": "bought"}}


def finish() -> None:
    while engine.batch():
        pass


def happen(contact_id: int, type: str = "purchase", **more) -> None:
    events.record(contact_id, type, **more)
    db.session.commit()


def test_whoever_reaches_the_goal_leaves_at_once_with_its_label(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, wait("w", days=3), {"key": "mail", **MAIL}, list=list_id, ends=BOUGHT)
    join(list_id, ids)
    finish()
    happen(ids[0])
    assert [(run.end_reason, run.label, run.outcome) for run in runs()] == [
        ("goal", "bought", "positive"),
        (None, None, None),
    ]
    assert any({"w", "left", "goal"} <= set(row) for row in ledger())
    clock.forward(days=3)
    finish()
    assert [message.contact_id for message in messages()] == [ids[1]]


def test_a_purchase_a_second_before_the_mail_leaves_stops_it(workspace, clock, sink):
    use(sink)
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, {"key": "mail", **MAIL}, wait("w", days=3), list=list_id, ends=BOUGHT)
    join(list_id, ids)
    finish()  # both mails are planned
    happen(ids[0])
    connection = db.session.query(Connection).filter_by(channel="email").one()
    deliveries.deliver(connection.id)
    assert [(message.state, message.reason) for message in messages()] == [("skipped", "goal"), ("accepted", None)]
    assert len(sink.mails) == 1


def test_a_goal_is_watched_for_its_time_only(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w", days=60), list=list_id, ends=BOUGHT)
    join(list_id, ids)
    finish()
    clock.forward(days=31)
    happen(ids[0])
    assert runs()[0].end_reason is None


def test_one_who_waits_to_start_has_reached_the_goal_too_and_may_enter_again(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w", days=3), list=list_id, wait={"hours": 1}, ends=BOUGHT)
    join(list_id, ids)
    happen(ids[0])
    assert runs()[0].end_reason == "goal"
    join(list_id, ids)
    assert [run.end_reason for run in runs()] == ["goal", None]


def test_what_happened_before_or_started_the_flow_is_not_its_goal(workspace, clock):
    target, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w", days=3), list=target, ends={"goal": {"type": "list_joined", "list": target}})
    before = clock.now
    clock.forward(hours=1)
    join(target, ids)
    finish()
    happen(ids[0], "list_joined", subject=str(target), at=before)
    assert runs()[0].end_reason is None


def test_a_starting_point_serves_as_goal_and_as_exit(workspace, clock):
    start, bought, left = (a_list(workspace, name) for name in ("Start", "Bought", "Left"))
    ids = people(workspace, 3)
    ends = {
        "goal": {"type": "list_joined", "list": bought},
        "exit": {"type": "list_joined", "list": left, "outcome": "negative"},
    }
    live(workspace, wait("w", days=3), list=start, ends=ends)
    join(start, ids)
    finish()
    join(bought, ids[:1])
    join(left, ids[1:2])
    assert [(run.end_reason, run.outcome) for run in runs()] == [
        ("goal", "positive"),
        ("exit", "negative"),
        (None, None),
    ]


def test_an_event_of_ones_own_serves_as_goal(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    ends = {"goal": {"type": "custom_event", "event": "test_drive_booked"}}
    live(workspace, wait("w", days=3), list=list_id, ends=ends)
    join(list_id, ids)
    finish()
    happen(ids[0], "brochure_seen")
    assert runs()[0].end_reason is None
    happen(ids[0], "test_drive_booked")
    assert runs()[0].end_reason == "goal"


def test_a_goal_that_another_flow_reaches_is_heard(workspace, clock, queue):
    first, second = a_list(workspace, "First"), a_list(workspace, "Second")
    ids = people(workspace, 1)
    live(workspace, wait("w", days=9), name="Long", list=first, ends={"goal": {"type": "list_joined", "list": second}})
    join(first, ids)
    finish()
    live(workspace, {"key": "in", "type": "join_list", "list": second}, name="Short", list=a_list(workspace, "Third"))
    events.record(ids[0], "list_joined", subject=str(runs()[0].id))  # something else
    db.session.commit()
    third = db.session.execute(db.text("SELECT id FROM contact_list WHERE name = 'Third'")).scalar_one()
    join(third, ids)
    finish()
    events.match_unmatched()
    assert [run.end_reason for run in runs()] == ["goal", "finished"]


@pytest.mark.parametrize(
    ("goal", "path"),
    [
        ({}, "goal"),
        ("purchase", "goal"),
        ({"event": "purchase", "type": "list_joined"}, "goal.event"),
        ({"event": "Not a word"}, "goal.event"),
        ({"event": "purchase", "amount": 3}, "goal.amount"),
        ({"event": "purchase", "within": {"days": 999}}, "goal.within"),
        ({"event": "purchase", "outcome": "splendid"}, "goal.outcome"),
        ({"event": "purchase", "label": "x" * 61}, "goal.label"),
        ({"type": "nothing"}, "goal.type"),
        ({"type": "list_joined", "scope": "list"}, "goal.list"),
    ],
)
def test_a_goal_that_makes_no_sense_is_named(goal, path):
    from flowserver.domain import definition
    from flowserver.nodes import catalogue

    raw = {"name": "x", "trigger": {"type": "list_joined"}, "goal": goal, "steps": []}
    found = definition.compile(raw, catalogue.triggers(), catalogue.actions(), lenient=True)
    assert set(found.mistakes) == {path}, found.mistakes
