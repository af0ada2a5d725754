"""Who would have started while a person had paused a flow: counted before it goes on, and let in when somebody asks."""

from __future__ import annotations

import pytest

from flowserver.extensions import db
from flowserver.models import Event, Flow
from flowserver.nodes.triggers.field_value import FieldValue
from flowserver.services.engine import engine, enrollment, events, flow_state, missed, ticks
from flowserver.services.flows import flows

from .town import a_list, client, join, live, people, runs, sound, tag, wait


@pytest.fixture
def paused(workspace, clock):
    """A flow of a list that a person has paused, and the list."""
    list_id = a_list(workspace)
    flow = live(workspace, wait("w"), tag("t"), list=list_id)
    clock.forward(hours=1)
    flows.pause(flow.id, "freeze")
    clock.forward(hours=1)
    return flow, list_id


def go_on(flow, clock, let_in: bool = True) -> int:
    """Resume; the clock's look some seconds later does the rest. How many entered."""
    flows.resume(flow.id, let_in=let_in)
    clock.forward(seconds=10)
    found = sum(missed.let_in(one) for one in missed.pending())
    db.session.expire_all()
    return found


def test_they_are_counted_and_start_only_when_somebody_asks(workspace, paused, clock):
    flow, list_id = paused
    crowd = people(workspace, 3)
    join(list_id, crowd)
    assert runs() == [] and flows.would_have_started(flow) == (3, True)
    assert go_on(flow, clock) == 3
    assert [run.contact_id for run in runs()] == crowd
    assert flows.get(flow.id).missed_until is None and missed.pending() == []
    sound()


def test_without_the_tick_nobody_enters(workspace, paused, clock):
    flow, list_id = paused
    join(list_id, people(workspace, 3))
    assert go_on(flow, clock, let_in=False) == 0
    assert runs() == [] and flows.get(flow.id).missed_since is None


def test_what_happened_before_the_pause_or_elsewhere_starts_nobody(workspace, clock):
    list_id, other = a_list(workspace), a_list(workspace, "Other")
    flow = live(workspace, wait("w"), list=list_id)
    early, late, away = people(workspace, 3)
    join(list_id, [early])
    clock.forward(hours=1)
    flows.pause(flow.id)
    clock.forward(hours=1)
    join(other, [away])
    stranger = client("other")
    events.record(people(stranger, 1)[0], "list_joined", subject=str(list_id))
    join(list_id, [late], at=clock.now)
    assert flows.would_have_started(flow) == (1, True)
    assert go_on(flow, clock) == 1
    assert [run.contact_id for run in runs()] == [early, late]


def test_the_waiting_time_counts_from_what_happened(workspace, clock):
    flow = live(workspace, tag("t"), wait={"hours": 3})
    clock.forward(hours=1)
    flows.pause(flow.id)
    clock.forward(hours=1)
    moment = clock.now
    events.record(people(workspace, 1)[0], "contact_created")
    db.session.commit()
    clock.forward(hours=1)
    go_on(flow, clock)
    (run,) = runs()
    assert run.triggered_at == moment and (run.due_at - moment).total_seconds() == 3 * 3600


def test_a_start_that_was_undone_meanwhile_starts_nobody(workspace, clock):
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma"}
    flow = live(workspace, wait("w"), **trigger)
    clock.forward(hours=1)
    flows.pause(flow.id)
    clock.forward(hours=1)
    stays, leaves = people(workspace, 2)
    for one, values in ((stays, [("", "Roma")]), (leaves, [("", "Roma"), ("Roma", "Milano")])):
        for old, new in values:
            clock.forward(seconds=1)
            events.record(one, "field_changed", subject="city", data={"old": old, "new": new})
    db.session.commit()
    assert flows.would_have_started(flow) == (1, True)
    go_on(flow, clock)
    assert [run.contact_id for run in runs()] == [stays]


def test_a_start_that_was_undone_in_a_later_piece_ends(workspace, clock, monkeypatch):
    monkeypatch.setattr(missed, "WINDOW", 1)
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma"}
    flow = live(workspace, wait("w"), **trigger)
    clock.forward(hours=1)
    flows.pause(flow.id)
    one = people(workspace, 1)[0]
    for old, new in (("", "Roma"), ("Roma", "Milano")):
        clock.forward(minutes=1)
        events.record(one, "field_changed", subject="city", data={"old": old, "new": new})
        db.session.commit()
    go_on(flow, clock)
    assert [run.end_reason for run in runs()] == ["start_undone"]


def test_an_odd_event_undoes_nothing_and_stops_nobody(workspace, clock, monkeypatch):
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma"}
    flow = live(workspace, wait("w"), **trigger)
    clock.forward(hours=1)
    flows.pause(flow.id)
    one = people(workspace, 1)[0]
    for old, new in (("", "Roma"), ("Roma", "Milano")):
        clock.forward(minutes=1)
        events.record(one, "field_changed", subject="city", data={"old": old, "new": new})
    db.session.commit()
    monkeypatch.setattr(FieldValue, "revokes", lambda self, event, data: 1 / 0)
    go_on(flow, clock)
    assert [run.contact_id for run in runs()] == [one]


def test_those_another_flow_handed_over_are_let_in_and_its_own_starting_point_has_no_say(workspace, clock):
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma"}
    flow = live(workspace, wait("w"), **trigger)
    clock.forward(hours=1)
    flows.pause(flow.id)
    one = people(workspace, 1)[0]
    clock.forward(minutes=1)
    events.record(one, "handed_over", subject=str(flow.id), data={"start": "flow"})
    clock.forward(minutes=1)
    events.record(one, "field_changed", subject="city", data={"old": "Roma", "new": "Milano"})
    db.session.commit()
    assert flows.would_have_started(flow) == (1, True)
    go_on(flow, clock)
    assert [(run.contact_id, run.end_reason) for run in runs()] == [(one, None)]


def test_a_goal_that_was_reached_meanwhile_ends_the_run(workspace, clock):
    goal = {"goal": {"event": "purchase", "label": "bought"}}
    list_id = a_list(workspace)
    flow = live(workspace, wait("w"), ends=goal, list=list_id)
    clock.forward(hours=1)
    flows.pause(flow.id)
    one = people(workspace, 1)[0]
    clock.forward(minutes=1)
    join(list_id, [one])
    clock.forward(minutes=1)
    events.record(one, "purchase", subject="A-1")
    db.session.commit()
    go_on(flow, clock)
    assert [run.end_reason for run in runs()] == ["goal"]


def test_once_is_once_and_a_start_is_never_doubled(workspace, paused, clock):
    flow, list_id = paused
    crowd = people(workspace, 2)
    join(list_id, crowd)
    join(list_id, crowd[:1])  # left and joined again
    flows.resume(flow.id, let_in=True)
    join(list_id, crowd[:1])  # and again, now that the flow is live
    clock.forward(seconds=10)
    assert len(runs()) == 1
    missed.let_in(flow.id)
    missed.let_in(flow.id)
    assert sorted(run.contact_id for run in runs()) == crowd
    sound()


def test_it_goes_on_where_it_was_killed(workspace, paused, clock, monkeypatch):
    monkeypatch.setattr(missed, "WINDOW", 2)
    flow, list_id = paused
    crowd = people(workspace, 5)
    join(list_id, crowd)
    flows.resume(flow.id, let_in=True)
    clock.forward(seconds=10)
    enter, turns = enrollment.enter, iter(range(9))

    def killed(*given):
        if next(turns) == 1:
            raise KeyboardInterrupt
        return enter(*given)

    monkeypatch.setattr(enrollment, "enter", killed)
    with pytest.raises(KeyboardInterrupt):
        missed.let_in(flow.id)
    db.session.rollback()
    assert 0 < len(runs()) < 5
    missed.let_in(flow.id)
    assert [run.contact_id for run in runs()] == crowd


def test_a_flow_that_is_paused_again_meanwhile_waits_for_the_next_time(workspace, paused, clock):
    flow, list_id = paused
    join(list_id, people(workspace, 2))
    flows.resume(flow.id, let_in=True)
    flow_state.release(flow.id)
    flows.pause(flow.id)
    clock.forward(minutes=1)
    assert missed.pending() == [] and missed.let_in(flow.id) == 0
    assert go_on(flow, clock, let_in=False) == 2  # what was asked for the first time holds


def test_the_clock_rings_for_them_some_seconds_after_the_flow_went_on(workspace, paused, clock, queue):
    flow, list_id = paused
    join(list_id, people(workspace, 1))
    flows.resume(flow.id, let_in=True)
    assert missed.pending() == []  # somebody may still see it paused
    clock.forward(seconds=60 - clock.now.second)
    ticks.tick(clock.now)
    queue.drain()
    assert len(runs()) == 1


def test_a_page_counts_so_many_and_says_that_there_may_be_more(workspace, paused, monkeypatch):
    monkeypatch.setattr(missed, "WINDOW", 1)
    monkeypatch.setattr(missed, "LOOKS", 2)
    flow, list_id = paused
    join(list_id, people(workspace, 3))
    assert flows.would_have_started(flow) == (2, False)


def test_where_the_engine_paused_a_flow_people_went_on_entering(workspace, clock):
    list_id = a_list(workspace)
    flow = live(workspace, wait("w"), list=list_id)
    flow_state.pause_by_engine(flow.id, "failing")
    join(list_id, people(workspace, 1))
    assert len(runs()) == 1 and flows.would_have_started(db.session.get(Flow, flow.id)) == (0, True)
    assert go_on(flow, clock) == 0 and engine.batch() == 1


def test_erased_contacts_do_not_come_back(workspace, paused, clock):
    flow, list_id = paused
    one, two = people(workspace, 2)
    join(list_id, [one, two])
    db.session.connection().execute(
        Event.__table__.update().where(Event.__table__.c.contact_id == one).values(contact_id=99_999)
    )
    db.session.commit()
    assert go_on(flow, clock) == 1
    assert [run.contact_id for run in runs()] == [two]
