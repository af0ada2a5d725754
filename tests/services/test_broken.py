"""What a flow refers to is deleted, switched off or over: going live is refused, and a live flow shows it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from flowserver.errors import Broken, Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import ContactList, Flow
from flowserver.services.engine import ticks
from flowserver.services.flows import flows
from flowserver.services.loyalty import programmes
from flowserver.services.people import lists
from flowserver.services.shop import coupon_campaigns
from flowserver.services.site import conversions

from .town import a_list, tag


def draft(trigger: dict, *steps: dict, name: str = "F") -> Flow:
    given = {"name": name, "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": list(steps) or [tag("t")]}
    return flows.create(given)


def broken(flow: Flow) -> str:
    db.session.expire_all()
    return flows.get(flow.id).broken


@pytest.fixture
def coffee(workspace):
    """A loyalty programme and its reward."""
    programme = programmes.create({"name": "Lume Club", "amount_per_point": "1", "code": "qr"})
    return programmes.create_reward(
        programme.id, {"title": "A coffee", "points": 10, "automatic": True, "active": True}
    )


def test_a_deleted_list_blocks_going_live_and_the_draft_shows_it_until_it_is_changed(workspace):
    list_id = a_list(workspace)
    flow = draft({"type": "list_joined", "list": list_id})
    db.session.delete(db.session.get(ContactList, list_id))
    db.session.commit()
    with pytest.raises(Broken) as error:
        flows.publish(flow.id)
    assert error.value.status == 409 and set(error.value.messages) == {"trigger.list"}
    assert broken(flow) == "The list was deleted. Choose another one"


def test_other_mistakes_are_not_broken(workspace):
    flow = draft({"type": "list_joined"}, {"key": "mail", "type": "send_email", "subject": "", "body": []})
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert error.value.status == 422 and broken(flow) == ""


def test_what_is_used_is_not_deleted(workspace):
    list_id = a_list(workspace)
    draft({"type": "list_joined", "list": list_id})
    with pytest.raises(Conflict):
        lists.delete(list_id, "keep")


def test_a_reward_that_is_switched_off_blocks_going_live_and_shows_on_live_flows(coffee):
    flow = draft({"type": "fidelity", "event": "points"}, {"key": "r", "type": "give_reward", "reward": coffee.id})
    flows.publish(flow.id)
    programmes.update_reward(coffee.id, {"active": False})
    assert broken(flow) == "The reward A coffee is switched off"
    late = draft(
        {"type": "fidelity", "event": "points"}, {"key": "r", "type": "give_reward", "reward": coffee.id}, name="G"
    )
    with pytest.raises(Broken):
        flows.publish(late.id)
    programmes.update_reward(coffee.id, {"active": True})
    assert broken(flow) == ""
    flows.publish(late.id)
    assert broken(late) == ""


def test_a_coupon_campaign_that_is_over_blocks_going_live_and_shows_on_live_flows(workspace, clock):
    beans = coupon_campaigns.create({"name": "Summer beans", "value": "15 %"})
    flow = draft({"type": "coupon", "campaign": beans.id, "event": "used"})
    flows.publish(flow.id)
    coupon_campaigns.update(beans.id, {"ends_on": clock.now.date() - timedelta(days=1)})
    assert broken(flow) == "The coupon campaign Summer beans is over"
    with pytest.raises(Broken):
        flows.publish(draft({"type": "coupon", "campaign": beans.id, "event": "used"}, name="G").id)
    coupon_campaigns.update(beans.id, {"ends_on": date(2030, 1, 1)})
    assert broken(flow) == ""


def test_a_pool_without_codes_is_a_mistake_and_not_a_loss(workspace):
    pool = coupon_campaigns.create({"name": "Pool", "value": "15 %", "codes": "pool"})
    with pytest.raises(Invalid) as error:
        flows.publish(draft({"type": "coupon", "campaign": pool.id, "event": "used"}).id)
    assert error.value.status == 422


def test_a_flow_that_is_stopped_shows_on_those_that_hand_over_to_it(workspace):
    target = draft({"type": "handed_over"}, name="Target")
    flows.publish(target.id)
    source = draft({"type": "list_joined"}, {"key": "go", "type": "start_flow", "flow": target.id})
    flows.publish(source.id)
    flows.stop(target.id)
    assert broken(source) == "This flow has ended or was deleted. Choose another one"
    assert broken(target) == ""


def test_what_is_over_may_still_be_asked_about(workspace, clock, coffee):
    beans = coupon_campaigns.create({"name": "Beans", "value": "15 %", "ends_on": clock.now.date()})
    rule = {"any": [{"type": "coupon_used", "campaign": beans.id}, {"type": "reward_collected", "reward": coffee.id}]}
    ask = {"key": "ask", "type": "if_else", "if": rule, "then": [tag("yes")], "else": []}
    asks = draft({"type": "list_joined"}, ask)
    flows.publish(asks.id)
    programmes.update_reward(coffee.id, {"active": False})
    coupon_campaigns.update(beans.id, {"ends_on": clock.now.date() - timedelta(days=1)})
    assert broken(asks) == ""
    flows.publish(draft({"type": "list_joined"}, ask, name="G").id)


def test_a_coupon_campaign_shows_on_its_flows_when_its_last_day_has_passed(workspace, clock):
    beans = coupon_campaigns.create({"name": "Beans", "value": "15 %", "ends_on": clock.now.date()})
    flow = draft({"type": "list_joined"}, {"key": "c", "type": "assign_coupon", "campaign": beans.id})
    flows.publish(flow.id)
    for days, words in ((0, ""), (1, "The coupon campaign Beans is over"), (0, "The coupon campaign Beans is over")):
        clock.now += timedelta(days=days)
        ticks.tick(clock.now.replace(minute=0, second=0))
        assert broken(flow) == words


def test_a_rule_that_is_switched_off_shows_on_flows_that_record_it(workspace):
    call = conversions.create({"name": "Call", "source": "manual", "each_time": True})
    flow = draft({"type": "list_joined"}, {"key": "r", "type": "record_conversion", "rule": call.id})
    flows.publish(flow.id)
    conversions.update(call.id, {**conversions.shown(call), "enabled": False})
    assert broken(flow) == "The conversion rule Call is switched off"
    conversions.update(call.id, {**conversions.shown(conversions.get(call.id)), "enabled": True})
    assert broken(flow) == ""
