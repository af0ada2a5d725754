"""A flow that starts at one moment for everyone on a list: who enters, who does not, and what goes wrong."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import current_app

from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Alert, ContactList, Flow, FlowStart, FlowStartContact, FlowVersion, Membership
from flowserver.services.engine import audience, engine, starts, ticks, timetable
from flowserver.services.flows import checks, drafts, flows, hand_starts
from flowserver.services.people import contacts, lists, segments, usage

from . import town
from .town import people, runs, sound, tag, wait

T = datetime(2026, 5, 6, 7, 0, tzinfo=UTC)  # 09:00 in Rome, two days after the tests begin


def a_list(workspace, members=()) -> int:
    """A list whose members joined it just now, on the tests' clock."""
    list_id = town.a_list(workspace, members=members)
    db.session.execute(sa.update(Membership).values(joined_at=town.clock.now()))
    db.session.commit()
    return list_id


def christmas(list_id, *steps, live=True, **trigger) -> Flow:
    """A flow for that moment, made and published as the console does it."""
    flow = flows.create(
        {
            "name": "Christmas",
            "trigger": {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "list": list_id, **trigger},
            "steps": list(steps or [tag("t")]),
        }
    )
    if live:
        flows.publish(flow.id)
    return flows.get(flow.id)


def go(clock, queue, moment=T):
    """The clock looks at a moment, and everything it rings for is done."""
    clock.now = moment
    queue.rings.clear()
    ticks.tick(clock.now)
    queue.drain()


def alerts() -> list[str]:
    return list(db.session.scalars(sa.select(Alert.kind).where(Alert.resolved_at.is_(None)).order_by(Alert.id)))


def state(flow) -> str:
    return flows.get(flow.id).state


# --- the moment --------------------------------------------------------------------------------------------


def test_everyone_on_the_list_starts_at_that_moment_and_nobody_before(workspace, clock, queue):
    ids = people(workspace, 3)
    flow = christmas(a_list(workspace, members=ids[:2]), wait("w"))
    assert flow.starts_at == T and flow.draft["trigger"]["zone"] == "Europe/Rome"
    go(clock, queue, T - timedelta(seconds=1))
    assert runs() == []
    go(clock, queue)
    assert [(run.contact_id, run.triggered_at, run.entered_at) for run in runs()] == [(one, T, T) for one in ids[:2]]
    assert flows.get(flow.id).starts_at is None
    for _ in range(3):
        go(clock, queue, clock.now + timedelta(seconds=10))
    assert len(runs()) == 2


def test_it_is_the_wall_clock_of_its_own_zone_even_after_the_client_moves(workspace, clock, queue):
    ids = people(workspace, 1)
    flow = christmas(a_list(workspace, members=ids))
    workspace.time_zone = "America/New_York"
    db.session.commit()
    go(clock, queue)
    assert len(runs()) == 1 and state(flow) == "active"
    other = flows.create(
        {
            "name": "There",
            "trigger": {
                "type": "fixed_date",
                "date": "2026-05-07",
                "time": "09:00",
                "list": flow.draft["trigger"]["list"],
            },
        }
    )
    flows.publish(other.id)
    assert flows.get(other.id).starts_at == datetime(2026, 5, 7, 13, 0, tzinfo=UTC)


def test_those_who_join_after_it_do_not_enter_and_those_who_left_before_do_not_either(workspace, clock, queue):
    stays, left, late = people(workspace, 3)
    list_id = a_list(workspace, members=[stays, left])
    christmas(list_id, wait("w"))
    lists.leave(list_id, [left])
    clock.now = T + timedelta(minutes=5)  # the server was busy: the late one joined before it looked
    lists.join(list_id, [late])
    go(clock, queue, clock.now)
    assert [run.contact_id for run in runs()] == [stays]
    lists.join(list_id, [left])
    go(clock, queue, clock.now + timedelta(minutes=1))
    assert [run.contact_id for run in runs()] == [stays]


def test_when_its_runs_have_ended_it_is_completed(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)), wait("w", hours=1))
    go(clock, queue)
    go(clock, queue, T + timedelta(minutes=30))
    assert state(flow) == "active"
    go(clock, queue, T + timedelta(hours=1))
    go(clock, queue, T + timedelta(hours=1, seconds=10))
    assert state(flow) == "completed"
    with pytest.raises(Conflict):
        flows.pause(flow.id)
    with pytest.raises(Conflict):
        drafts.add(flow.id, "wait", ("", ""))
    assert flows.duplicate(flow.id).state == "draft"


def test_an_empty_list_completes_with_nobody_and_an_alert(workspace, clock, queue):
    flow = christmas(a_list(workspace))
    go(clock, queue)
    assert alerts() == ["flow_empty"] and runs() == []
    go(clock, queue, T + timedelta(seconds=10))
    assert state(flow) == "completed"


# --- late and missed ---------------------------------------------------------------------------------------


def test_a_server_that_was_down_starts_it_up_to_a_day_late(workspace, clock, queue):
    christmas(a_list(workspace, members=people(workspace, 2)), wait("w"))
    go(clock, queue, T + timedelta(hours=24))
    assert {(run.triggered_at, run.entered_at) for run in runs()} == {(T, T + timedelta(hours=24))}
    assert alerts() == []


def test_after_more_than_a_day_it_is_missed_and_the_owner_is_told(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    go(clock, queue, T + timedelta(hours=24, seconds=10))
    assert runs() == [] and alerts() == ["flow_missed"]
    flow = flows.get(flow.id)
    assert (flow.state, flow.starts_at) == ("active", None)
    assert "should have started on 2026-05-06 09:00" in flow.broken
    drafts.update_trigger(flow.id, {**flow.draft["trigger"], "date": "2026-06-01"})  # it has not begun: another date
    flows.publish(flow.id)
    assert flows.get(flow.id).broken == "" and alerts() == []
    go(clock, queue, datetime(2026, 6, 1, 7, 0, tzinfo=UTC))
    assert len(runs()) == 2


def test_resumed_after_the_date_it_is_missed_and_says_so(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    flows.pause(flow.id)
    go(clock, queue, T + timedelta(minutes=1))
    assert runs() == []
    with pytest.raises(Conflict, match="2026-05-06 09:00 passed while nobody could enter"):
        flows.resume(flow.id)
    assert alerts() == ["flow_missed"] and state(flow) == "paused"
    drafts.update_trigger(flow.id, {**flow.draft["trigger"], "date": "2026-05-08"})
    flows.publish(flow.id)
    assert flows.resume(flow.id).starts_at == T + timedelta(days=2)
    go(clock, queue, T + timedelta(days=2))
    assert len(runs()) == 2


def test_resumed_in_time_it_starts_as_if_nothing_had_been(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    flows.pause(flow.id)
    clock.forward(days=1)
    flows.resume(flow.id)
    go(clock, queue)
    assert len(runs()) == 2


def test_while_the_engine_has_paused_it_people_enter_and_wait(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    flow.state, flow.pause_mode, flow.pause_reason = "paused", "hold", "a step failed"
    db.session.commit()
    go(clock, queue)
    assert [run.held for run in runs()] == [True, True]


def test_a_closed_door_lets_nobody_in_and_opened_after_the_date_it_is_missed(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    flows.close(flow.id)
    go(clock, queue)
    assert runs() == []
    with pytest.raises(Conflict, match="passed while nobody could enter"):
        flows.close(flow.id, False)


def test_a_stopped_flow_starts_nobody(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)))
    flows.stop(flow.id)
    go(clock, queue)
    assert runs() == [] and flows.get(flow.id).starts_at is None


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"date": "2026-05-03"}, "trigger.date", "The date must be in the future. 3 May 2026 has passed"),
        ({"date": "2026-05-04", "time": "10:59"}, "trigger.time", "The time must be in the future. 10:59 has passed"),
        ({"date": "2027-02-30"}, "trigger.date", "2027-02-30 is not in the calendar. Choose another date"),
        (
            {"date": "2027-03-28", "time": "02:15"},
            "trigger.time",
            "On 28 March 2027 the clocks in Europe/Rome skip 02:15. Choose another time",
        ),
        ({"list": "No such list"}, "trigger.list", "There is no list “No such list” in this client"),
        ({"list": None}, "trigger.list", "Choose who should get the messages"),
    ],
)
def test_what_cannot_be_is_refused_in_words(workspace, clock, change, path, words):
    trigger = {key: value for key, value in {"list": a_list(workspace), **change}.items() if value is not None}
    with pytest.raises(Invalid) as error:
        flows.create({"name": "C", "trigger": {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", **trigger}})
    assert error.value.messages[path] == [words]


def test_a_time_that_is_there_twice_is_the_first(workspace, clock):
    flow = christmas(a_list(workspace), date="2026-10-25", time="02:30")
    assert flow.starts_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_date_that_passed_before_going_live_is_refused_then(workspace, clock):
    flow = christmas(a_list(workspace), live=False)
    clock.now = T
    words = "The time must be in the future. 09:00 has passed"
    assert [str(one.text) for one in checks.findings(flow.draft, flow) if one.kind == "fix"] == [words]
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert error.value.messages == {"trigger.time": [words]}
    drafts.add(flow.id, "wait", ("", ""))  # the draft can still be worked on
    other = {**flow.draft, "steps": [tag("other")]}
    flows.save_draft(flow.id, other, flows.get(flow.id).draft_number)


def test_once_it_has_begun_another_date_is_refused_and_steps_are_not(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 1)), wait("w"))
    go(clock, queue)
    later = {**flow.draft["trigger"], "date": "2026-07-01"}
    with pytest.raises(Conflict, match="Duplicate the flow"):
        drafts.update_trigger(flow.id, later)
    with pytest.raises(Conflict, match="Duplicate the flow"):
        flows.save_draft(flow.id, {**flow.draft, "trigger": later}, flows.get(flow.id).draft_number)
    drafts.add(flow.id, "end", ("w", ""))
    flows.publish(flow.id)
    go(clock, queue, T + timedelta(days=1))
    assert [run.end_reason for run in runs()] == ["finished"]


def test_an_old_draft_or_an_old_version_does_not_fire_a_second_time(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)), wait("w"))
    drafts.update_trigger(flow.id, {**flow.draft["trigger"], "date": "2026-05-07"})
    go(clock, queue)
    assert len(runs()) == 2
    with pytest.raises(Conflict, match="Duplicate the flow"):
        flows.publish(flow.id)
    go(clock, queue, T + timedelta(days=1))
    assert len(runs()) == 2


def test_a_version_of_another_date_does_not_come_back_once_it_has_begun(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)), wait("w"), date="2026-05-07")
    drafts.update_trigger(flow.id, {**flow.draft["trigger"], "date": "2026-05-06"})
    flows.publish(flow.id)
    go(clock, queue)
    with pytest.raises(Conflict, match="Duplicate the flow"):
        flows.undo_publish(flow.id)
    go(clock, queue, T + timedelta(days=1))
    assert len(runs()) == 2


def test_new_steps_between_the_moment_and_the_clocks_look_lose_nobody(workspace, clock, queue):
    flow = christmas(a_list(workspace, members=people(workspace, 2)), wait("w"))
    drafts.add(flow.id, "end", ("w", ""))
    clock.now = T + timedelta(seconds=5)
    with pytest.raises(Invalid, match="passed"):  # the moment of a draft must be to come
        flows.publish(flow.id)
    go(clock, queue, T + timedelta(seconds=10))
    assert len(runs()) == 2
    flows.publish(flow.id)
    go(clock, queue, T + timedelta(seconds=20))
    assert len(runs()) == 2


def test_who_leaves_between_the_moment_and_the_clocks_look_still_enters(workspace, clock, queue):
    left_before, leaves, stays = people(workspace, 3)
    list_id = a_list(workspace, members=[left_before, leaves, stays])
    christmas(list_id, wait("w"))
    clock.now = T - timedelta(seconds=1)
    lists.leave(list_id, [left_before])
    clock.now = T + timedelta(minutes=5)
    lists.leave(list_id, [leaves])
    go(clock, queue, T + timedelta(minutes=6))
    assert sorted((run.contact_id, run.triggered_at) for run in runs()) == [(leaves, T), (stays, T)]
    go(clock, queue, T + timedelta(minutes=7))
    assert len(runs()) == 2


def test_a_list_in_use_is_not_deleted_and_one_that_is_gone_blocks_going_live(workspace, clock):
    list_id = a_list(workspace)
    flow = christmas(list_id, live=False)
    with pytest.raises(usage.InUse):
        lists.delete(list_id, "keep")
    db.session.execute(sa.delete(ContactList).where(ContactList.id == list_id))
    db.session.commit()
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert error.value.messages == {"trigger.list": ["The list was deleted. Choose another one"]}
    with pytest.raises(NotFound):
        flows.publish(flow.id + 1)


def test_a_broken_flow_keeps_nobody_on_its_list(workspace, clock, queue):
    leaves, stays = people(workspace, 2)
    list_id = a_list(workspace, members=[leaves, stays])
    flow = christmas(list_id)
    broken = {**flow.draft, "steps": [{"key": "gone", "type": "a step of another release"}]}
    db.session.execute(sa.update(FlowVersion).where(FlowVersion.id == flow.version_id).values(definition=broken))
    db.session.commit()
    current_app.extensions["versions"].clear()
    clock.now = T + timedelta(seconds=1)
    assert lists.leave(list_id, [leaves]) == 1
    assert list(db.session.scalars(sa.select(Membership.contact_id))) == [stays]
    go(clock, queue, clock.now)
    assert (runs(), state(flow)) == ([], "paused")


def test_who_leaves_after_it_and_before_their_chunk_still_enters_who_joins_does_not(workspace, clock, queue):
    ids = people(workspace, 6)
    first, gone, leaves, stays, late, later = ids
    list_id = a_list(workspace, members=[first, gone, leaves, stays])
    flow = christmas(list_id, wait("w"))
    clock.now = T
    timetable.fire(flow.id)
    (start,) = db.session.scalars(sa.select(FlowStart.id))
    starts.work(start, seconds=0, chunk=1)
    assert [run.contact_id for run in runs()] == [first]
    clock.now = T + timedelta(seconds=2)
    lists.leave(list_id, [leaves])
    lists.join(list_id, [late])
    contacts.delete(gone)
    starts.work(start, chunk=2)
    assert sorted(run.contact_id for run in runs()) == [first, leaves, stays]
    lists.join(list_id, [later])
    starts.work(start)
    assert len(runs()) == 3
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FlowStartContact.__table__)) == 0


def test_who_is_taken_off_by_a_step_or_with_the_list_still_enters(workspace, clock, queue):
    stepped, kept = people(workspace, 2)
    list_id = a_list(workspace, members=[stepped, kept])
    flow = town.live(workspace, wait("w"), list=town.a_list(workspace, "Other"))
    row = hand_starts.begin(flow.id, hand_starts.group(list=list_id), key="k")
    clock.now += timedelta(seconds=2)
    by_step = town.live(workspace, {"key": "off", "type": "leave_list", "list": list_id}, name="Off")
    town.events.record(stepped, "contact_created")
    db.session.commit()
    engine.batch()
    flows.stop(by_step.id)
    assert lists.delete(list_id, "keep")
    starts.work(row.id)
    assert sorted(run.contact_id for run in runs() if run.flow_id == flow.id) == [stepped, kept]


def test_a_stopped_flow_forgets_who_left(workspace, clock, queue):
    (leaves,) = people(workspace, 1)
    list_id = a_list(workspace, members=[leaves])
    flow = town.live(workspace, wait("w"))
    row = hand_starts.begin(flow.id, hand_starts.group(list=list_id), key="k")
    clock.now += timedelta(seconds=2)
    lists.leave(list_id, [leaves])
    flows.stop(flow.id)
    assert starts.work(row.id) == 0 and runs() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FlowStartContact.__table__)) == 0


def test_nobody_is_written_down_who_was_not_on_the_list_or_has_had_their_turn(workspace, clock, queue):
    first, second, late = people(workspace, 3)
    list_id = a_list(workspace, members=[first, second])
    flow = town.live(workspace, wait("w"))
    row = hand_starts.begin(flow.id, hand_starts.group(list=list_id), key="k")
    starts.work(row.id, seconds=0, chunk=1)
    clock.now += timedelta(seconds=2)
    lists.join(list_id, [late])
    lists.leave(list_id, [first, late])
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FlowStartContact.__table__)) == 0
    starts.work(row.id)
    assert [run.contact_id for run in runs()] == [first, second]


def test_who_leaves_a_list_that_is_started_by_hand_still_enters(workspace, clock, queue):
    leaves, stays, late = people(workspace, 3)
    list_id = a_list(workspace, members=[leaves, stays])
    flow = town.live(workspace, wait("w"))
    row = hand_starts.begin(flow.id, hand_starts.group(list=list_id), key="k")
    clock.now += timedelta(seconds=2)
    lists.leave(list_id, [leaves])
    lists.join(list_id, [late])
    starts.work(row.id)
    assert sorted(run.contact_id for run in runs()) == [leaves, stays]
    assert hand_starts.begin(flow.id, hand_starts.group(list=list_id), key="k").id == row.id


# --- in chunks, once ---------------------------------------------------------------------------------------


def test_it_goes_on_where_it_stopped_and_doubles_nobody(workspace, clock, queue, monkeypatch):
    ids = people(workspace, 10)
    flow = christmas(a_list(workspace, members=ids), wait("w"))
    clock.now = T
    timetable.fire(flow.id)
    (start,) = db.session.scalars(sa.select(FlowStart.id))
    original, calls = starts.enrollment.enroll_crowd, []

    def dying(*args):
        calls.append(args[0])
        if len(calls) == 3:
            raise ZeroDivisionError
        return original(*args)

    monkeypatch.setattr(starts.enrollment, "enroll_crowd", dying)
    monkeypatch.setattr(starts, "LEAST", 3)
    monkeypatch.setattr(starts, "MOST", 3)
    with pytest.raises(ZeroDivisionError):
        starts.work(start, chunk=3)
    db.session.rollback()
    sound()
    assert len(runs()) == 6
    ticks.tick(clock.now)
    assert ("start", start) in queue.rings
    queue.drain()
    assert sorted(run.contact_id for run in runs()) == ids


def test_two_clocks_and_two_jobs_at_once_start_nobody_twice(workspace, clock, queue):
    ids = people(workspace, 9)
    flow = christmas(a_list(workspace, members=ids), wait("w"))
    clock.now = T
    for _ in range(2):
        ticks.tick(clock.now)
    assert timetable.fire(flow.id) == 1 and timetable.fire(flow.id) == 0
    (start,) = db.session.scalars(sa.select(FlowStart.id))
    queue.rings = [("moment", flow.id), ("start", start)] * 3
    queue.drain()
    assert sorted(run.contact_id for run in runs()) == ids
    assert [row.entered for row in db.session.scalars(sa.select(FlowStart))] == [9]


def test_a_pause_in_the_middle_keeps_the_rest_until_it_goes_on(workspace, clock, queue):
    ids = people(workspace, 4)
    flow = christmas(a_list(workspace, members=ids), wait("w"))
    clock.now = T
    timetable.fire(flow.id)
    flows.pause(flow.id)
    queue.drain()
    assert runs() == []
    flows.resume(flow.id)
    go(clock, queue, T + timedelta(minutes=1))
    assert sorted(run.contact_id for run in runs()) == ids


def test_another_clients_members_do_not_enter(workspace, clock, queue):
    other = town.client("other")
    theirs, ours = people(other, 1), people(workspace, 1)
    list_id = a_list(workspace, members=ours)
    db.session.add(Membership(list_id=list_id, contact_id=theirs[0], workspace_id=other.id, joined_at=clock.now))
    db.session.commit()
    christmas(list_id, wait("w"))
    go(clock, queue)
    assert [run.contact_id for run in runs()] == ours


def test_one_who_is_deleted_between_the_moment_and_the_first_step_is_not_lost_sight_of(workspace, clock, queue):
    ids = people(workspace, 2)
    christmas(a_list(workspace, members=ids), wait("w"))
    clock.now = T
    ticks.tick(clock.now)
    queue.drain()
    assert engine.batch() == 0
    sound()


# --- segments ----------------------------------------------------------------------------------------------


def test_everyone_in_a_segment_starts_and_who_became_a_contact_later_does_not(workspace, clock, queue):
    ada, _bob = people(workspace, 2, created_at=clock.now)
    db.session.get(town.Contact, ada).first_name = "Ada"
    db.session.commit()
    segment = segments.create("Adas", {"type": "field_compares", "field": "first_name", "value": "Ada"})
    flow = flows.create(
        {
            "name": "Christmas",
            "trigger": {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "segment": "Adas"},
            "steps": [wait("w")],
        }
    )
    flows.publish(flow.id)
    clock.now = T + timedelta(minutes=1)
    people(workspace, 1, first_name="Ada", created_at=clock.now)
    go(clock, queue, clock.now)
    assert [run.contact_id for run in runs()] == [ada]
    with pytest.raises(usage.InUse):
        segments.delete(segment.id)


def test_an_empty_segment_completes_with_nobody_and_an_alert(workspace, clock, queue):
    people(workspace, 2, created_at=clock.now)
    segments.create("Adas", {"type": "field_compares", "field": "first_name", "value": "Ada"})
    trigger = {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "segment": "Adas"}
    flow = flows.create({"name": "Christmas", "trigger": trigger, "steps": [tag("t")]})
    flows.publish(flow.id)
    go(clock, queue)
    go(clock, queue, T + timedelta(seconds=10))
    assert (alerts(), state(flow)) == (["flow_empty"], "completed")


def test_a_segment_is_asked_chunk_by_chunk(workspace, clock, queue, monkeypatch):
    ids = people(workspace, 7, first_name="Ada", created_at=clock.now)
    monkeypatch.setattr(audience, "AT_ONCE", 3)
    segments.create("Adas", {"type": "field_compares", "field": "first_name", "value": "Ada"})
    trigger = {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "segment": "Adas"}
    flow = flows.create({"name": "Christmas", "trigger": trigger, "steps": [wait("w")]})
    flows.publish(flow.id)
    go(clock, queue)
    assert [run.contact_id for run in runs()] == ids
