"""Flows that send their contacts to other flows, and take them out of other flows."""

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import Decision
from flowserver.services.engine import engine, events
from flowserver.services.flows import checks, flows
from flowserver.services.people import usage

from .town import a_list, join, live, messages, people, runs, sound, tag, wait


def go(flow_id, key="over", **more):
    return {"key": key, "type": "start_flow", "flow": flow_id, **more}


def settle() -> None:
    for _ in range(100):
        if not engine.batch() + events.match_unmatched():
            return
    raise AssertionError("the chain never ends")


def made(kind, *steps, name="Target", **trigger):
    """A live flow, made as the console does it."""
    flow = flows.create({"name": name, "trigger": {"type": kind, **trigger}, "steps": list(steps or [tag("t")])})
    flows.publish(flow.id)
    return flows.get(flow.id)


def ends(flow) -> list[str | None]:
    return [run.end_reason for run in runs() if run.flow_id == flow.id]


def test_the_contact_goes_over_and_leaves_here(workspace, clock):
    target = made("handed_over", wait("w"))
    list_id = a_list(workspace)
    source = live(workspace, go(target.id), tag("never"), name="Source", list=list_id)
    join(list_id, people(workspace, 2))
    settle()
    assert ends(source) == ["handed_on", "handed_on"] and ends(target) == [None, None]
    assert {run.data["start"] for run in runs() if run.flow_id == target.id} == {"flow"}
    sound()


def test_or_goes_on_here_too(workspace, clock):
    target = made("handed_over", wait("w"))
    list_id = a_list(workspace)
    source = live(workspace, go(target.id, after="go_on"), tag("both"), name="Source", list=list_id)
    join(list_id, people(workspace, 1))
    settle()
    assert (ends(source), ends(target)) == (["finished"], [None])


def test_a_flow_that_starts_some_other_way_can_be_gone_to_and_keeps_its_own_rules(workspace, clock):
    target = made("list_joined", wait("w"), wait={"hours": 1}, scope="any")
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, go(target.id), name="Source", list=list_id, reentry="after_finish")
    join(list_id, ids, key="a")
    settle()
    assert ends(target) == [None]
    clock.forward(hours=1)
    settle()
    clock.forward(days=1)
    settle()
    assert ends(target) == ["finished"]
    join(list_id, ids, key="b")  # its re-entry is once
    settle()
    assert ends(target) == ["finished"]


def test_what_the_starting_point_asks_at_the_end_of_the_wait_is_not_asked_of_those_handed_over(
    workspace, clock, monkeypatch
):
    from flowserver.nodes.triggers.list_joined import ListJoined

    target = made("list_joined", tag("t"), wait={"minutes": 0}, scope="any")
    source = made("list_joined", go(target.id), name="Source", wait={"minutes": 0}, list=a_list(workspace))
    monkeypatch.setattr(ListJoined, "still_holds", lambda self, item: item.data.get("first", False))
    join(source.draft["trigger"]["list"], people(workspace, 1), data={"first": True})
    settle()
    assert ends(target) == ["finished"]


def test_only_the_flow_that_is_named_starts(workspace, clock):
    target, other = made("handed_over"), made("handed_over", name="Other")
    list_id = a_list(workspace)
    live(workspace, go(target.id), name="Source", list=list_id)
    join(list_id, people(workspace, 1))
    settle()
    assert (ends(target), ends(other)) == (["finished"], [])


def test_flows_that_go_to_each_other_stop_at_the_first_that_was_there(workspace, clock):
    one, two = made("handed_over", wait("w"), name="One"), made("handed_over", wait("w"), name="Two")
    for flow, target in ((one, two), (two, one)):
        flows.save_draft(flow.id, {**flow.draft, "steps": [go(target.id), tag("t")]}, flow.draft_number)
        flows.publish(flow.id)
    list_id = a_list(workspace)
    live(workspace, go(one.id), name="Source", list=list_id)
    join(list_id, people(workspace, 1))
    settle()
    assert (ends(one), ends(two)) == (["handed_on"], ["finished"])
    reasons = set(db.session.scalars(sa.select(Decision.reason).where(Decision.outcome == "skipped")))
    assert reasons == {"came_from_there"}


def test_a_chain_of_flows_ends_after_ten(workspace, clock):
    last = made("handed_over", name="Flow 12")
    for n in range(11, -1, -1):
        last = made("handed_over", go(last.id), name=f"Flow {n}")
    list_id = a_list(workspace)
    live(workspace, go(last.id), name="Source", list=list_id)
    join(list_id, people(workspace, 1))
    settle()
    assert sorted(run.chain for run in runs()) == list(range(11))


def test_a_flow_that_is_paused_or_stopped_takes_nobody(workspace, clock):
    target = made("handed_over", wait("w"))
    list_id = a_list(workspace)
    live(workspace, go(target.id), name="Source", list=list_id)
    flows.pause(target.id)
    join(list_id, people(workspace, 1))
    settle()
    assert ends(target) == []


def test_going_to_itself_or_to_one_that_has_ended_is_refused_before_it_goes_live(workspace, clock):
    flow = flows.create({"name": "F", "trigger": {"type": "handed_over"}, "steps": [tag("t")]})
    flows.save_draft(flow.id, {**flow.draft, "steps": [go(flow.id)]}, flow.draft_number)
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert error.value.messages == {"steps[0].flow": ["A flow cannot start or leave itself: choose another flow"]}
    target = made("handed_over")
    flow = flows.save_draft(flow.id, {**flow.draft, "steps": [go(target.id)]}, flow.draft_number)
    flows.stop(target.id)
    found = [str(one.text) for one in checks.findings(flow.draft, flow) if one.kind == "fix"]
    assert found == ["This flow has ended or was deleted. Choose another one"]


def test_a_draft_that_another_flow_goes_to_is_not_deleted(workspace, clock):
    target = flows.create({"name": "Target", "trigger": {"type": "handed_over"}, "steps": []})
    made("list_joined", go("Target"), name="Source", scope="any")
    with pytest.raises(usage.InUse):
        flows.delete(target.id)
    with pytest.raises(Conflict):
        flows.resume(target.id)


# --- leaving -----------------------------------------------------------------------------------------------


def test_a_flow_takes_its_contacts_out_of_another_wherever_they_stand(workspace, clock):
    ids, list_id, other = people(workspace, 3), a_list(workspace), a_list(workspace, "Other")
    target = live(workspace, wait("w"), name="Target", list=other)
    live(workspace, {"key": "out", "type": "leave_flow", "flow": target.id}, tag("t"), name="Source", list=list_id)
    join(other, ids[:2])
    settle()
    join(list_id, ids[1:])
    settle()
    assert {run.contact_id: run.end_reason for run in runs() if run.flow_id == target.id} == {
        ids[0]: None,
        ids[1]: "left_by_flow",
    }
    assert [row.reason for row in messages()] == []
    said = db.session.execute(sa.select(Decision.step, Decision.outcome).where(Decision.reason == "left_by_flow")).all()
    assert said == [("w", "left")]
    sound()
