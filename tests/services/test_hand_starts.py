"""Contacts that are started by hand: one, some, a list, a segment; once, by the flow's own rules."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, FlowStart, Membership
from flowserver.services.engine import engine, starts, ticks
from flowserver.services.flows import flows, hand_starts, options
from flowserver.services.people import lists, segments

from . import town
from .town import people, runs, tag, wait


def a_list(workspace, members=()) -> int:
    """A list whose members joined it just now, on the tests' clock."""
    list_id = town.a_list(workspace, members=members)
    db.session.execute(sa.update(Membership).values(joined_at=town.clock.now()))
    db.session.commit()
    return list_id


def made(*steps, kind="manual_start", name="Flow", **trigger):
    flow = flows.create({"name": name, "trigger": {"type": kind, **trigger}, "steps": list(steps or [wait("w")])})
    flows.publish(flow.id)
    return flows.get(flow.id)


def test_one_contact_enters_at_once(workspace, clock):
    (one,) = people(workspace, 1)
    row = hand_starts.begin(made().id, hand_starts.some([one]))
    assert (row.entered, row.done_at is not None) == (1, True)
    assert [(run.contact_id, run.due_at, run.data) for run in runs()] == [(one, clock.now, {"start": "hand"})]
    engine.advance()
    assert runs()[0].step == "w"


def test_a_list_enters_by_a_job_and_those_who_join_later_do_not(workspace, clock, queue):
    ids = people(workspace, 5)
    list_id = a_list(workspace, members=ids[:4])
    row = hand_starts.begin(made().id, hand_starts.group(list=list_id))
    assert runs() == [] and row.done_at is None
    clock.forward(seconds=1)
    lists.join(list_id, ids[4:])
    queue.drain()
    assert [run.contact_id for run in runs()] == ids[:4]
    assert hand_starts.get(row.flow_id, row.id).entered == 4


def test_a_segment_enters_too(workspace, clock, queue):
    ada, _bob = people(workspace, 1, first_name="Ada", created_at=clock.now)[0], people(workspace, 1)
    segments.create("Adas", {"type": "field_compares", "field": "first_name", "value": "Ada"})
    flow = made()
    rule = hand_starts.group(segment="Adas")
    assert hand_starts.reach(flow, rule) == hand_starts.Reach(1, 1)
    hand_starts.begin(flow.id, rule)
    queue.drain()
    assert [run.contact_id for run in runs()] == [ada]


def test_the_head_count_leaves_out_whom_the_flow_keeps_out(workspace, clock, queue):
    ids = people(workspace, 3)
    flow, list_id = made(), a_list(workspace, members=ids)
    hand_starts.begin(flow.id, hand_starts.some(ids[:1]))
    rule = hand_starts.group(list=list_id)
    assert hand_starts.reach(flow, rule) == hand_starts.Reach(3, 2)
    assert hand_starts.begin(flow.id, rule).entered == 0
    queue.drain()
    assert sorted(run.contact_id for run in runs()) == ids


def test_who_has_left_may_be_started_again_or_once_only_as_the_flow_says(workspace, clock):
    (one,) = people(workspace, 1)
    again = made(tag("t"), name="Again")
    once = made(tag("t"), name="Once", reentry="once")
    cooled = made(tag("t"), name="Cooled", cooldown={"days": 2})
    counts = []
    for _ in range(3):
        counts.append([hand_starts.begin(flow.id, hand_starts.some([one])).entered for flow in (again, once, cooled)])
        engine.advance()
        clock.forward(days=1)
    assert counts == [[1, 1, 1], [1, 0, 0], [1, 0, 1]]


def test_ten_entries_a_day_are_enough(workspace, clock):
    (one,) = people(workspace, 1)
    flow = made(tag("t"))
    entered = 0
    for _ in range(12):
        entered += hand_starts.begin(flow.id, hand_starts.some([one])).entered
        engine.advance()
        clock.forward(minutes=1)
    assert entered == 10


def test_the_same_key_again_starts_nobody_twice(workspace, clock):
    ids = people(workspace, 2)
    flow = made(tag("t"))
    first = hand_starts.begin(flow.id, hand_starts.some(ids), by="api", key="order-7")
    engine.advance()
    again = hand_starts.begin(flow.id, hand_starts.some(ids[::-1]), by="api", key="order-7")
    assert first.id == again.id and len(runs()) == 2
    with pytest.raises(Conflict, match="Use another key"):
        hand_starts.begin(flow.id, hand_starts.some(ids[:1]), by="api", key="order-7")
    assert hand_starts.begin(flow.id, hand_starts.some(ids), by="api", key="order-8").entered == 2


def test_a_flow_that_starts_by_something_else_can_be_started_by_hand_and_its_wait_counts(workspace, clock):
    (one,) = people(workspace, 1)
    flow = made(kind="list_joined", scope="any", wait={"hours": 2})
    hand_starts.begin(flow.id, hand_starts.some([one]))
    assert runs()[0].due_at == clock.now + timedelta(hours=2)


def test_a_flow_nobody_can_enter_is_refused(workspace, clock, queue):
    (one,) = people(workspace, 1)
    rule = hand_starts.some([one])
    draft = flows.create({"name": "Draft", "trigger": {"type": "manual_start"}, "steps": []})
    paused, closed, stopped = made(name="A"), made(name="B"), made(name="C")
    flows.pause(paused.id)
    flows.close(closed.id)
    flows.stop(stopped.id)
    dated = made(kind="fixed_date", name="D", date="2026-06-01", time="09:00", list=a_list(workspace))
    for flow in (draft, paused, closed, stopped, dated):
        with pytest.raises(Conflict):
            hand_starts.begin(flow.id, rule)
    with pytest.raises(NotFound):
        hand_starts.begin(10**9, rule)
    assert runs() == [] and [name for _, name in hand_starts.choices()] == []


def test_what_was_asked_for_before_a_pause_goes_on_after_it_and_not_after_a_stop(workspace, clock, queue):
    ids = people(workspace, 2)
    list_id = a_list(workspace, members=ids)
    paused, stopped = made(name="A"), made(name="B")
    for flow, act in ((paused, flows.pause), (stopped, flows.stop)):
        hand_starts.begin(flow.id, hand_starts.group(list=list_id))
        act(flow.id)
    queue.drain()
    assert runs() == []
    flows.resume(paused.id)
    ticks.tick(clock.now)
    queue.drain()
    assert [run.flow_id for run in runs()] == [paused.id] * 2
    assert starts.undone() == []


def test_contacts_lists_and_segments_that_are_not_there_are_refused_in_words(workspace, clock):
    (one,) = people(workspace, 1, external_id="K-1")
    other = town.client("other")
    (theirs,) = people(other, 1)
    for call, messages in (
        (lambda: hand_starts.some([]), {"contacts": ["Name at least one contact"]}),
        (lambda: hand_starts.some([one, theirs]), {"contacts": {1: ["There is no such contact"]}}),
        (lambda: hand_starts.group(list="Nope"), {"list": ["There is no list “Nope” in this client"]}),
        (lambda: hand_starts.group(segment=7), {"segment": ["The segment was deleted. Choose another one"]}),
        (lambda: hand_starts.one(" "), {"contact": ["Enter an e-mail address, mobile number or customer number"]}),
        (lambda: hand_starts.one("x@y.example"), {"contact": ["There is no contact with x@y.example"]}),
    ):
        with pytest.raises(Invalid) as error:
            call()
        assert error.value.messages == messages
    email = db.session.get(Contact, one).email
    assert hand_starts.one(email.upper()) == hand_starts.one("K-1") == one


def test_it_says_whom_a_start_was_for(workspace, clock):
    list_id, names = a_list(workspace), options.namer()
    said = [
        hand_starts.meant(rule, names)
        for rule in (hand_starts.group(list=list_id), {"contacts": [1]}, {"contacts": [1, 2]}, {"idle": {}})
    ]
    assert said == ["Everybody on Newsletter", "One contact", "2 contacts", "Contacts whose day it was"]


def test_a_job_that_is_killed_is_rung_for_again(workspace, clock, queue, monkeypatch):
    ids = people(workspace, 5)
    monkeypatch.setattr(starts, "MOST", 2)
    monkeypatch.setattr(starts, "LEAST", 2)
    row = hand_starts.begin(made().id, hand_starts.group(list=a_list(workspace, members=ids)))
    assert starts.work(row.id, seconds=0, chunk=2) == 2
    queue.rings.clear()
    ticks.tick(clock.now)
    assert queue.rings.count(("start", row.id)) == 1
    queue.drain()
    assert sorted(run.contact_id for run in runs()) == ids
    assert db.session.scalar(sa.select(FlowStart.entered)) == 5
