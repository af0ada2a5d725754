"""What becomes of the people inside when the next version of a flow goes live, and going back to the one before."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import Enrollment, FlowMove
from flowserver.services.engine import engine
from flowserver.services.flows import flows, moving
from flowserver.services.people import contacts, timeline

from .town import MAIL, a_list, join, ledger, messages, people, runs, sound, tag, wait

COLUMNS = [column.name for column in Enrollment.__table__.columns]
ASK = {
    "key": "ask",
    "type": "wait_for_event",
    "event": "purchase",
    "at_most": {"days": 2},
    "then": [tag("bought")],
    "else": [tag("not-bought")],
}


def mail(key, subject="Hello"):
    return {**MAIL, "key": key, "subject": subject}


class Welcome:
    """A live flow with people in it, whose next version can be written."""

    def __init__(self, workspace, steps, count=1, start_wait=None):
        self.workspace, self.list_id = workspace, a_list(workspace)
        made = flows.create(self.definition(steps, start_wait))
        self.id, self.first = made.id, flows.publish(made.id)
        self.join(count)

    def definition(self, steps, start_wait=None):
        trigger = {"type": "list_joined", "list": self.list_id, "wait": start_wait or {"minutes": 0}}
        return {"name": "Welcome", "trigger": trigger, "steps": list(steps)}

    def join(self, count):
        join(self.list_id, people(self.workspace, count))
        go_on()

    def draft(self, *steps, start_wait=None):
        flows.save_draft(self.id, self.definition(steps, start_wait), flows.get(self.id).draft_number)

    def next(self, *steps, people="move", at=None, start_wait=None):
        self.draft(*steps, start_wait=start_wait)
        return flows.publish(self.id, people=moving.Choice(people, at or {}))

    def impact(self):
        return moving.impact(flows.get(self.id))


@pytest.fixture
def welcome(workspace, clock):
    def make(*steps, count=1, start_wait=None):
        return Welcome(workspace, steps, count, start_wait)

    return make


def go_on():
    while engine.batch():
        pass


def one():
    """The only run, as it stands at this moment."""
    (found,) = runs()
    return SimpleNamespace(**{name: getattr(found, name) for name in COLUMNS})


def test_people_keep_their_place_and_get_what_comes_after_it_from_the_new_version(welcome, clock):
    flow = welcome(wait("w"), mail("m", "Old"))
    before = one()
    version = flow.next(mail("inserted", "Never"), wait("w"), mail("m", "New"))
    after = one()
    assert (after.version_id, after.step, after.due_at) == (version.id, "w", before.due_at)
    clock.forward(days=2)
    go_on()
    assert [(row.step, row.version_id) for row in messages()] == [("m", version.id)]
    sound()


def test_or_finish_the_version_they_entered(welcome, clock):
    flow = welcome(wait("w"), mail("m", "Old"))
    flow.next(wait("w"), mail("m", "New"), people="finish")
    clock.forward(days=2)
    go_on()
    assert [row.version_id for row in messages()] == [flow.first.id]


def test_or_leave(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), mail("m", "New"), people="leave")
    assert (one().end_reason, one().due_at) == ("new_version", None)
    assert ledger()[-1][4:6] == ("left", "new_version")
    sound()


def test_it_can_be_said_for_each_step(welcome, clock):
    flow = welcome(wait("w1"), wait("w2"), mail("m"))
    clock.forward(days=1, minutes=1)
    go_on()
    flow.join(1)
    version = flow.next(wait("w1"), wait("w2"), mail("m", "New"), people="finish", at={"w1": "move"})
    assert [(row.step, row.version_id) for row in runs()] == [("w2", flow.first.id), ("w1", version.id)]


def test_texts_alone_move_people_and_more_lets_them_finish_unless_somebody_says_otherwise(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.draft(wait("w"), mail("m", "New"))
    assert flow.impact().usual == "move"
    moved = flows.publish(flow.id)
    assert one().version_id == moved.id
    flow.draft(wait("w", days=3), mail("m", "New"))
    assert flow.impact().usual == "finish"
    flows.publish(flow.id)
    assert one().version_id == moved.id


@pytest.mark.parametrize(("days", "left"), [(3, 2), (1, 0)])
def test_time_served_counts_when_a_wait_changes(welcome, clock, days, left):
    flow = welcome(wait("w", days=2), mail("m"))
    began = one().parked_at
    clock.forward(days=1)
    flow.next(wait("w", days=days), mail("m"))
    assert one().due_at == began + timedelta(days=days)
    go_on()
    assert len(messages()) == (0 if left else 1), "a shorter wait lets go at once"


def test_a_pause_stays_added_to_a_wait_that_changes(welcome, clock):
    flow = welcome(wait("w", days=2), mail("m"))
    began = one().parked_at
    flows.pause(flow.id, "freeze")
    clock.forward(days=5)
    flows.resume(flow.id)
    flow.next(wait("w", days=3), mail("m"))
    assert one().due_at - (began + timedelta(days=8)) < timedelta(seconds=1)


def test_a_wait_until_an_hour_is_worked_out_anew_from_when_it_began(welcome, clock):
    flow = welcome(wait("w", days=2), mail("m"))
    flow.next({"key": "w", "type": "wait", "until": {"time": "09:00"}}, mail("m"))
    found = one()
    local = found.due_at.astimezone(moving.timetable.zone_of(found.workspace_id))
    assert (local.hour, local.minute, found.due_kind) == (9, 0, "absolute")
    assert timedelta(0) < found.due_at - found.parked_at <= timedelta(days=1)


def test_the_wait_before_the_start_changes_too(welcome, clock):
    flow = welcome(tag("t"), start_wait={"hours": 4})
    before = one()
    flow.next(tag("t"), mail("m"), start_wait={"hours": 1})
    assert (one().step, one().due_at) == ("", before.due_at - timedelta(hours=3))


def test_a_changed_question_is_asked_anew_and_hears_what_came_meanwhile(welcome, clock):
    flow = welcome(ASK)
    began = one().parked_at
    flow.next({**ASK, "at_most": {"days": 5}})
    go_on()
    assert (one().step, one().due_at, one().awaits) == ("ask", began + timedelta(days=5), "purchase")


def test_whose_step_is_gone_goes_on_with_what_came_after_it(welcome, clock):
    flow = welcome(wait("w1"), wait("w2"), mail("m"))
    flow.draft(mail("new"), wait("w2"), mail("m"))
    (group,) = flow.impact().groups
    assert (group.landing.key, group.landing.step, group.fits, group.leaves) == ("w1", "w2", 1, 0)
    flow.next(mail("new"), wait("w2"), mail("m"))
    go_on()
    assert (one().step, one().parked_at) == ("w2", clock.now)
    assert messages() == [], "a step inserted behind them does not run"


def test_out_of_a_path_that_is_gone_they_go_on_after_it(welcome, clock):
    flow = welcome({**ASK, "else": [wait("inner"), tag("not-bought")]}, wait("after"))
    clock.forward(days=3)
    go_on()
    assert one().step == "inner"
    flow.next(tag("t"), wait("after"))
    go_on()
    assert one().step == "after"


def test_where_nothing_is_left_of_it_they_leave(welcome):
    flow = welcome(tag("t"), wait("w"))
    flow.draft(tag("t"), tag("u"))
    assert flow.impact().leaves == 1
    flow.next(tag("t"), tag("u"))
    assert one().end_reason == "step_removed"
    sound()


def test_nobody_gets_a_message_twice_when_steps_change_places(welcome, clock):
    flow = welcome(mail("m"), wait("w"), tag("t"))
    flow.draft(wait("w"), mail("m"), tag("t"))
    (group,) = flow.impact().groups
    assert (group.again, group.fits) == (1, 0)
    flow.next(wait("w"), mail("m"), tag("t"))
    assert one().version_id == flow.first.id, "whoever would is left in the version they entered"
    clock.forward(days=2)
    go_on()
    assert [row.step for row in messages()] == ["m"] and one().end_reason == "finished"
    sound()


def test_nor_when_a_step_that_was_taken_out_comes_back_further_down(welcome, clock):
    flow = welcome(mail("m"), wait("w"), tag("t"))
    second = flow.next(wait("w"), tag("t"))
    assert one().version_id == second.id
    flow.next(wait("w"), mail("m"), tag("t"))
    assert one().version_id == second.id
    clock.forward(days=2)
    go_on()
    assert len(messages()) == 1
    sound()


def test_another_type_under_the_same_key_is_another_step(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.next({**ASK, "key": "w"}, mail("m"))
    go_on()
    assert one().end_reason == "finished" and [row.step for row in messages()] == ["m"]


def test_people_of_all_earlier_versions_are_taken_along(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), mail("m", "Two"), people="finish")
    flow.join(1)
    flow.draft(wait("w"), mail("m", "Three"))
    assert [group.version.number for group in flow.impact().groups] == [1, 2]
    third = flow.next(wait("w"), mail("m", "Three"))
    assert {row.version_id for row in runs()} == {third.id}


def test_a_shorter_wait_says_how_many_go_on_at_once(welcome, clock):
    flow = welcome(wait("w", days=2), mail("m"), count=2)
    clock.forward(days=1, hours=1)
    flow.join(1)
    flow.draft(wait("w", days=1), mail("m"))
    (group,) = flow.impact().groups
    assert (group.contacts, group.at_once) == (3, 2)


def test_in_a_paused_flow_they_stay_held_and_are_moved_all_the_same(welcome, clock):
    flow = welcome(wait("w"), mail("m"))
    flows.pause(flow.id, "freeze")
    version = flow.next(wait("w"), mail("m", "New"))
    assert (one().held, one().version_id) == (True, version.id)


def test_every_move_stands_in_the_history_of_the_contact(welcome, clock):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), mail("m", "New"))
    assert ledger()[-1][1:] == ("w", 1, ledger()[-1][3], "moved", "new_version", '{"from":1,"to":2}')
    second = flows.live_version(flows.get(flow.id))
    shown = [str(entry.text) for entry in timeline.of(one().contact_id).entries if "Entered" in str(entry.title)]
    assert shown and shown[0].startswith("Version 1.")
    clock.forward(minutes=5)
    first, _ = flows.undo_publish(flow.id)
    assert ledger()[-1][4:] == ("moved", "version_undone", '{"from":2,"to":1}')
    assert flows.live_since(first) == (clock.now, None) and flows.live_since(second)[0] < clock.now


@pytest.mark.parametrize(
    ("all", "steps", "path"),
    [("jump", {}, "people"), ("move", {"w": "jump"}, "people_at.w"), ("move", {"never": "move"}, "people_at.never")],
)
def test_a_choice_that_is_none_is_refused(welcome, all, steps, path):
    flow = welcome(wait("w"), mail("m"))
    with pytest.raises(Invalid) as refused:
        moving.checked(flows.get(flow.id), all, steps)
    assert path in refused.value.messages


# --- going back ------------------------------------------------------------------------------------------


def test_undoing_puts_everybody_back_where_they_stood(welcome, clock):
    flow = welcome(wait("w1", days=2), wait("w2"), mail("m"))
    before = one()
    flow.next(wait("w2"), mail("m", "New"))
    assert one().step == "w2"
    version, count = flows.undo_publish(flow.id)
    after = one()
    assert (version.number, count) == (1, 1)
    for name in ("version_id", "step", "parked_at", "due_at", "due_kind", "awaits"):
        assert getattr(after, name) == getattr(before, name), name
    row = flows.get(flow.id)
    assert (row.version_id, row.draft_changed) == (flow.first.id, True)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FlowMove.__table__)) == 0
    assert flows.versions(flow.id)[0].undone_at is not None


def test_undoing_brings_back_those_who_left_because_of_it(welcome, clock):
    flow = welcome(wait("w"), mail("m"), count=2)
    flow.next(tag("t"), people="leave")
    assert {row.end_reason for row in runs()} == {"new_version"}
    assert flows.undo_publish(flow.id)[1] == 2
    assert {(row.step, row.end_reason) for row in runs()} == {("w", None)}
    clock.forward(days=2)
    go_on()
    assert len(messages()) == 2
    sound()


def test_whoever_was_erased_meanwhile_does_not_come_back(welcome):
    flow = welcome(wait("w"), mail("m"), count=2)
    flow.next(tag("t"), people="leave")
    contacts.delete(runs()[0].contact_id)
    assert flows.undo_publish(flow.id)[1] == 1
    assert [row.end_reason for row in runs()] == ["new_version", None]
    sound()


def test_whoever_walked_on_meanwhile_finishes_the_version_they_are_in(welcome, clock):
    flow = welcome(wait("w1"), wait("w2"), mail("m"))
    version = flow.next(wait("w1"), wait("w2"), mail("m", "New"))
    clock.forward(days=1, minutes=1)
    go_on()
    assert flows.undo_publish(flow.id)[1] == 0
    assert (one().step, one().version_id) == ("w2", version.id)


def test_a_message_planned_meanwhile_is_not_planned_again(welcome, clock):
    flow = welcome(wait("w"), mail("m"), wait("w2"))
    flow.next(mail("early"), wait("w"), mail("m", "New"), wait("w2"))
    clock.forward(days=1, minutes=1)
    go_on()
    flows.undo_publish(flow.id)
    clock.forward(days=9)
    go_on()
    assert [row.step for row in messages()] == ["m"]
    sound()


def test_the_next_version_after_an_undone_one_has_a_number_of_its_own(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), mail("m", "Two"))
    flows.undo_publish(flow.id)
    assert flow.next(wait("w"), mail("m", "Three")).number == 3
    assert flows.undo_publish(flow.id)[0].number == 1
    with pytest.raises(Conflict, match="no version before"):
        flows.undo_publish(flow.id)


def test_a_version_that_needs_something_gone_cannot_come_back(welcome, workspace):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), tag("t"))
    workspace.sender_email = ""
    db.session.commit()
    with pytest.raises(Conflict, match="cannot go live again"):
        flows.undo_publish(flow.id)


def test_a_stopped_flow_cannot_go_back(welcome):
    flow = welcome(wait("w"), mail("m"))
    flow.next(wait("w"), mail("m", "Two"))
    flows.stop(flow.id)
    with pytest.raises(Conflict):
        flows.undo_publish(flow.id)
