"""Has used a coupon of a campaign."""

from flowserver.nodes.conditions.coupon_used import CouponUsed

from ..kit import holds, mistakes, names, person

SAMPLES = [{"campaign": 3}]


def test_it_knows_who_used_one_of_that_campaign():
    assert holds(CouponUsed, {"campaign": 3}, person(coupons={3, 5}))
    assert not holds(CouponUsed, {"campaign": 3}, person(coupons={5}))


def test_it_needs_a_campaign():
    assert mistakes(CouponUsed, {}) == {"campaign": ["Choose the coupon campaign"]}
    assert "campaign" in mistakes(CouponUsed, {"campaign": 0})
    assert CouponUsed({"campaign": 3}).question(names) == "Has used a coupon of “the coupon_campaign 3”?"
