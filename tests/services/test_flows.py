"""Making flows, going live, pausing, stopping, putting away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.models import ContactList, Enrollment, FlowVersion
from flowserver.services.flows import drafts, flows


@pytest.fixture
def newsletter(db, workspace):
    """The list Newsletter."""
    found = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(found)
    db.session.commit()
    return found


def welcome(newsletter, **more):
    """A small sound definition."""
    return {
        "name": "Welcome",
        "trigger": {"type": "list_joined", "list": newsletter.id, "wait": {"minutes": 10}},
        "steps": [
            {"key": "hello", "type": "send_email", "subject": "Hello", "body": [{"type": "text", "text": "Hi"}]},
            {"key": "pause", "type": "wait", "for": {"days": 1}},
        ],
        **more,
    }


def test_it_makes_a_draft_with_names_as_ids(newsletter):
    flow = flows.create({**welcome(newsletter), "trigger": {"type": "list_joined", "list": "newsletter"}})
    assert flow.state == "draft"
    assert flow.draft["trigger"]["list"] == newsletter.id


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"trigger": {"type": "list_joined", "list": "Nobody"}}, "trigger.list"),
        ({"trigger": {"type": "list_joined", "list": 999}}, "trigger.list"),
        ({"trigger": {"type": "list_joined", "scope": "list"}}, "trigger.list"),
        ({"trigger": {"type": "moon"}}, "trigger.type"),
        ({"steps": [{"key": "a", "type": "wait", "for": {"days": 1}}] * 2}, "steps[1].key"),
        ({"steps": [{"key": "a", "type": "fly"}]}, "steps[0].type"),
    ],
)
def test_it_refuses_and_names_the_place(newsletter, change, path):
    with pytest.raises(Invalid) as refused:
        flows.create({**welcome(newsletter), **change})
    assert path in refused.value.messages


@pytest.mark.parametrize("levels", [30, 300, 3000])
def test_a_flow_nested_without_end_gets_an_answer(newsletter, levels):
    steps = [{"key": "deepest", "type": "add_tag", "tag": "x"}]
    for n in range(levels):
        steps = [{"key": f"q{n}", "type": "if_else", "if": {"type": "has_phone"}, "then": steps}]
    with pytest.raises(Invalid):
        flows.create(welcome(newsletter, steps=steps))


@pytest.mark.parametrize("wait", [{"days": -1}, {"days": 366}, {"days": "x"}, {"days": 1, "hours": 1}, {}])
def test_it_refuses_waits_below_zero_and_over_a_year(newsletter, wait):
    with pytest.raises(Invalid) as refused:
        flows.create(welcome(newsletter, trigger={"type": "list_joined", "list": newsletter.id, "wait": wait}))
    assert "trigger.wait" in refused.value.messages


def test_names_are_unique_whatever_their_case(newsletter):
    flows.create(welcome(newsletter))
    with pytest.raises(Invalid) as refused:
        flows.create(welcome(newsletter, name="WELCOME"))
    assert "name" in refused.value.messages


def test_a_draft_may_hold_unfinished_steps(newsletter):
    flow = flows.create(welcome(newsletter, steps=[{"key": "ask", "type": "if_else"}]))
    with pytest.raises(Invalid) as refused:
        flows.publish(flow.id)
    assert any(path.startswith("steps[0]") for path in refused.value.messages)


def test_going_live_makes_a_version_that_never_changes(newsletter, clock):
    flow = flows.create(welcome(newsletter))
    version = flows.publish(flow.id)
    assert (version.number, flow.state, flow.activated_at) == (1, "active", clock.now)
    drafts.update(flow.id, "pause", {"for": {"days": 3}})
    assert flows.live_version(flow).definition["steps"][1]["for"] == {"days": 1}
    assert flow.draft_changed
    assert flows.publish(flow.id).number == 2
    with pytest.raises(Conflict):
        flows.publish(flow.id)


def test_the_first_going_live_can_let_in_those_who_match(newsletter, queue):
    flow = flows.create(welcome(newsletter))
    assert flows.would_start(flow).contacts == 0
    flows.publish(flow.id, include_existing=True)
    assert ("enroll", flow.id) in queue.rings
    assert flow.existing_after == 0


def test_a_deleted_list_blocks_going_live(newsletter, db):
    flow = flows.create(welcome(newsletter))
    db.session.delete(newsletter)
    db.session.commit()
    with pytest.raises(Invalid) as refused:
        flows.publish(flow.id)
    assert "trigger.list" in refused.value.messages


def test_a_client_without_a_sender_blocks_going_live(newsletter, workspace, db):
    workspace.sender_email = ""
    db.session.commit()
    flow = flows.create(welcome(newsletter))
    with pytest.raises(Invalid) as refused:
        flows.publish(flow.id)
    assert "client.sender_email" in refused.value.messages


def test_saving_over_somebody_elses_draft_is_refused(newsletter):
    flow = flows.create(welcome(newsletter))
    flows.save_draft(flow.id, welcome(newsletter, steps=[]), flow.draft_number)
    with pytest.raises(Conflict):
        flows.save_draft(flow.id, welcome(newsletter), 1)


def inside(db, flow, clock):
    """One contact who waits in the flow."""
    enrollment = Enrollment(
        workspace_id=flow.workspace_id, flow_id=flow.id, version_id=flow.version_id, contact_id=1, event_key="e1",
        step="pause", parked_at=clock.now, due_at=clock.now, triggered_at=clock.now,
    )  # fmt: skip
    db.session.add(enrollment)
    db.session.commit()
    return enrollment


def test_pausing_holds_people_and_resuming_shifts_their_waits(newsletter, db, clock):
    flow = flows.create(welcome(newsletter))
    flows.publish(flow.id)
    waiting = inside(db, flow, clock)
    due = waiting.due_at
    flows.pause(flow.id, "freeze")
    db.session.refresh(waiting)
    assert waiting.held and flow.state == "paused"
    clock.forward(days=2)
    flows.resume(flow.id)
    db.session.refresh(waiting)
    assert not waiting.held and (waiting.due_at - due).days == 2
    assert (flow.state, flow.paused_at, flow.pause_mode) == ("active", None, "")


def test_stopping_ends_everybody_for_good(newsletter, db, clock):
    flow = flows.create(welcome(newsletter))
    flows.publish(flow.id)
    waiting = inside(db, flow, clock)
    flows.stop(flow.id)
    db.session.refresh(waiting)
    assert (waiting.due_at, waiting.end_reason) == (None, "flow_stopped")
    for again in (flows.pause, flows.resume, flows.stop, flows.publish, flows.close):
        with pytest.raises(Conflict):
            again(flow.id)


def test_what_was_live_is_archived_not_deleted(newsletter):
    flow = flows.create(welcome(newsletter))
    flows.publish(flow.id)
    with pytest.raises(Conflict):
        flows.delete(flow.id)
    with pytest.raises(Conflict):
        flows.archive(flow.id)
    flows.stop(flow.id)
    assert flows.archive(flow.id).archived_at
    draft = flows.duplicate(flow.id)
    assert (draft.name, draft.state, draft.version_id) == ("Welcome 2", "draft", None)
    assert flows.delete(draft.id) == "Welcome 2"
    with pytest.raises(NotFound):
        flows.get(draft.id)


def test_publishing_writes_nothing_when_it_is_refused(newsletter, db):
    flow = flows.create(welcome(newsletter, steps=[{"key": "a", "type": "send_sms"}]))
    with pytest.raises(Invalid):
        flows.publish(flow.id)
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FlowVersion)) == 0


def test_a_new_name_alone_need_not_go_live_and_can_be_undone(newsletter, db):
    flow = flows.create(welcome(newsletter))
    flows.publish(flow.id)
    flows.rename(flow.id, "Hello")
    assert (flow.name, flow.draft["name"], flow.draft_changed) == ("Hello", "Hello", False)
    edit = drafts.history(flow.id)[0]
    assert drafts.undo(flow.id, edit.id) is not None
    assert flow.name == "Welcome"
    assert drafts.undo(flow.id, edit.id) is None


def test_two_people_who_take_one_name_at_once(newsletter, monkeypatch):
    flows.create(welcome(newsletter))
    real = flows._taken
    monkeypatch.setattr(flows, "_taken", lambda name, but=None: {})
    other = flows.create(welcome(newsletter, name="Other"))
    answers = iter([{}, real("Welcome")])
    monkeypatch.setattr(flows, "_taken", lambda name, but=None: next(answers))
    with pytest.raises(Invalid):
        flows.rename(other.id, "Welcome")
