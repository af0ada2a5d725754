"""Giving a coupon as a step of a flow."""

from types import SimpleNamespace

import pytest

from flowserver.domain.coupons import Taken
from flowserver.domain.steps import Go
from flowserver.nodes.actions.assign_coupon import AssignCoupon

from ..kit import context, item, mistakes, names, person

SAMPLES = [{"campaign": 3}, {"campaign": "Spring beans"}]
BEANS = SimpleNamespace(id=3, name="Spring beans", value="15 %")


def give(people: int, codes: list[str]):
    """The items, the outcomes and the context after the step met a campaign with so many codes."""
    ctx = context(take=lambda client, campaign, count: [Taken(None, code, BEANS, {}, "2026-06-03") for code in codes])
    items = [item(person(n + 1)) for n in range(people)]
    return items, AssignCoupon(AssignCoupon.load({"campaign": 3})).execute(items, ctx), ctx


def test_each_contact_gets_a_code_that_messages_can_show():
    items, outcomes, ctx = give(2, ["A", "B"])
    assert outcomes == [Go(facts={"code": "A"}), Go(facts={"code": "B"})]
    assert items[0].data == {"coupon": "A", "coupon_value": "15 %", "coupon_until": "2026-06-03"}
    assert [(taken.code, contact, run) for taken, contact, run in ctx.wishes.coupons] == [("A", 1, 10), ("B", 2, 20)]
    assert [row[2:4] for row in ctx.wishes.events] == [("coupon_issued", "3")] * 2


def test_who_finds_no_code_goes_on_without_one():
    items, outcomes, ctx = give(3, ["A"])
    assert outcomes[1:] == [Go(skipped="no_coupon")] * 2
    assert items[1].data == {} and ctx.wishes.without == {3: 2}


def test_without_anything_behind_it_everybody_gets_a_sample():
    one = item()
    outcomes = AssignCoupon(AssignCoupon.load({"campaign": 3})).execute([one], context())
    assert outcomes == [Go(facts={"code": "SAMPLE-CODE"})] and one.data["coupon"] == "SAMPLE-CODE"


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"campaign": ["Choose the coupon campaign"]}),
        ({"campaign": ""}, {"campaign": ["Choose one"]}),
        ({"campaign": 3, "code": "X"}, {"code": ["Unknown setting"]}),
    ],
)
def test_settings_that_do_not_do_are_refused_at_their_field(raw, wrong):
    assert mistakes(AssignCoupon, raw) == wrong


def test_it_says_what_it_does_and_what_it_causes():
    assert AssignCoupon({"campaign": 3}).summary(names) == "Give a coupon of the coupon_campaign 3"
    assert AssignCoupon({"campaign": 3}).causes() == (("coupon_issued", "3"),)
