"""Changes to a draft through the service: cleaned, recorded, undone; nobody's text is lost."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver.domain import definition
from flowserver.errors import Conflict, Invalid
from flowserver.models import FlowEdit
from flowserver.services.flows import drafts, flows


@pytest.fixture
def flow(db, workspace, bob):
    """A draft with one e-mail."""
    return flows.create(
        {
            "name": "F",
            "trigger": {"type": "list_joined", "scope": "any"},
            "steps": [{"key": "hello", "type": "send_email", "subject": "Hi", "body": [{"type": "text", "text": "x"}]}],
        },
        bob.id,
    )


def edits(db, flow):
    return list(db.session.scalars(sa.select(FlowEdit).where(FlowEdit.flow_id == flow.id).order_by(FlowEdit.id)))


def test_a_new_step_begins_with_its_usual_settings(flow):
    wait = drafts.add(flow.id, "wait", ("hello", ""))
    ask = drafts.add(flow.id, "wait_for_event", (wait, ""))
    steps = flows.get(flow.id).draft["steps"]
    assert steps[1]["for"] == {"days": 1}
    assert (steps[2]["of"], steps[2]["at_most"]) == ("hello", {"days": 2})
    assert steps[2]["key"] == ask


def test_unknown_kinds_are_refused(flow):
    with pytest.raises(Invalid):
        drafts.add(flow.id, "teleport", ("", ""))


def test_settings_are_cleaned_and_refused_by_name(flow):
    key = drafts.add(flow.id, "add_tag", ("", ""))
    drafts.update(flow.id, key, {"tag": "  VIP   guest "})
    assert flows.get(flow.id).draft["steps"][0]["tag"] == "vip guest"
    with pytest.raises(Invalid) as refused:
        drafts.update(flow.id, key, {"tag": ""})
    assert "tag" in refused.value.messages
    with pytest.raises(Invalid) as refused:
        drafts.update(flow.id, key, {"tag": "x", "rocket": 1})
    assert "rocket" in refused.value.messages


def test_a_list_that_does_not_exist_is_refused(flow):
    key = drafts.add(flow.id, "join_list", ("", ""))
    with pytest.raises(Invalid) as refused:
        drafts.update(flow.id, key, {"list": 99})
    assert "list" in refused.value.messages


def test_every_change_is_recorded_and_undo_restores(flow, db, bob, clock):
    start = flows.get(flow.id).draft
    key = drafts.add(flow.id, "change_score", ("hello", ""), bob.id)
    clock.forward(minutes=11)
    drafts.update(flow.id, key, {"points": 5}, bob.id)
    drafts.step_up(flow.id, key, bob.id)
    drafts.duplicate(flow.id, key, bob.id)
    drafts.delete(flow.id, "hello", bob.id)
    assert [edit.what.split(" ")[0] for edit in edits(db, flow)] == [
        "Added",
        "Changed",
        "Moved",
        "Duplicated",
        "Deleted",
    ]
    drafts.undo(flow.id, edits(db, flow)[-1].id, bob.id)
    assert "hello" in definition.keys(flows.get(flow.id).draft)
    drafts.undo(flow.id, edits(db, flow)[0].id, bob.id)
    assert flows.get(flow.id).draft == start
    drafts.undo(flow.id, edits(db, flow)[-1].id, bob.id)  # the undo itself can be undone
    assert key in definition.keys(flows.get(flow.id).draft)


def test_writing_on_at_one_step_is_one_entry(flow, db, bob, alice, clock):
    key = drafts.add(flow.id, "add_tag", ("", ""), bob.id)
    for tag in ("a", "b", "c"):
        drafts.update(flow.id, key, {"tag": tag}, bob.id)
    assert len(edits(db, flow)) == 2
    assert edits(db, flow)[1].after["steps"][0]["tag"] == "c" and "tag" not in edits(db, flow)[1].before["steps"][0]
    drafts.update(flow.id, key, {"tag": "d"}, alice.id)
    clock.forward(minutes=11)
    drafts.update(flow.id, key, {"tag": "e"}, alice.id)
    assert len(edits(db, flow)) == 4


def test_what_changes_nothing_is_not_recorded(flow, db):
    step = definition.own_settings(flow.draft["steps"][0])
    number = flow.draft_number
    assert drafts.update(flow.id, "hello", step) is None
    assert drafts.step_up(flow.id, "hello") is None
    assert (edits(db, flow), flows.get(flow.id).draft_number) == ([], number)


def test_somebody_elses_change_of_the_same_step_is_a_conflict(flow):
    seen = drafts.print_of(flow.draft["steps"][0])
    drafts.update(flow.id, "hello", {"subject": "Theirs"})
    with pytest.raises(Conflict):
        drafts.update(flow.id, "hello", {"subject": "Mine"}, seen=seen)
    drafts.add(flow.id, "add_tag", ("", ""))  # a change elsewhere is none
    drafts.update(flow.id, "hello", {"subject": "Mine"}, seen=drafts.print_of(flows.get(flow.id).draft["steps"][-1]))


def test_a_copy_asks_about_its_own_copies(flow):
    branch = drafts.add(flow.id, "if_else", ("hello", ""))
    inner = drafts.add(flow.id, "send_email", (branch, "then"))
    ask = drafts.add(flow.id, "wait_for_event", (inner, ""))
    drafts.update(flow.id, ask, {"event": "email_opened", "of": inner, "at_most": {"days": 1}})
    new = drafts.duplicate(flow.id, branch)
    steps = flows.get(flow.id).draft["steps"]
    copy = next(step for step in steps if step["key"] == new)
    assert copy["then"][1]["of"] == copy["then"][0]["key"] != inner


def test_discarding_goes_back_to_what_is_live(flow, workspace):
    with pytest.raises(Conflict):
        drafts.discard(flow.id)
    flows.publish(flow.id)
    drafts.delete(flow.id, "hello")
    assert flows.get(flow.id).draft_changed
    drafts.discard(flow.id)
    assert not flows.get(flow.id).draft_changed
    assert definition.keys(flows.get(flow.id).draft) == ["hello"]


def test_a_flow_that_ended_is_not_changed(flow):
    flows.publish(flow.id)
    flows.stop(flow.id)
    with pytest.raises(Conflict):
        drafts.delete(flow.id, "hello")


def test_the_starting_point_is_fixed_once_the_flow_was_live(flow):
    flows.publish(flow.id)
    with pytest.raises(Conflict):
        drafts.update_trigger(flow.id, {"type": "other"})
    drafts.update_trigger(flow.id, {"type": "list_joined", "scope": "any", "wait": {"days": 2}})
    assert flows.get(flow.id).draft["trigger"]["wait"] == {"days": 2}
    with pytest.raises(Invalid) as refused:
        drafts.update_trigger(flow.id, {"type": "list_joined", "scope": "any", "wait": {"days": -1}})
    assert "wait" in refused.value.messages
