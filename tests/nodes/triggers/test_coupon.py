"""Using a coupon, getting one, letting one expire."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.coupon import Coupon

from ..kit import NOW, mistakes, names

SAMPLES = [
    {"campaign": 3, "event": "used"},
    {"campaign": 3, "event": "issued"},
    {"campaign": "Spring beans", "event": "expired"},
]
TYPES = {"used": "coupon_redeemed", "issued": "coupon_issued", "expired": "coupon_expired"}


def trigger(event="used", campaign=3):
    return Coupon(Coupon.load({"campaign": campaign, "event": event}))


@pytest.mark.parametrize("event", TYPES)
def test_it_admits_what_it_was_asked_for_and_nothing_else(event):
    admitted = {name for name, type_ in TYPES.items() if trigger(event).admits(Fact(type_, NOW, "3"))}
    assert admitted == {event}
    assert not trigger(event).admits(Fact(TYPES[event], NOW, "33"))
    assert not trigger(event).admits(Fact("coupon_voided", NOW, "3"))


def test_a_use_that_is_taken_back_undoes_its_own_start_only():
    void = Fact("coupon_voided", NOW, "3", {"code": "A", "redemption": 7})
    assert trigger().revokes(void, {"code": "A", "redemption": 7})
    assert not trigger().revokes(void, {"code": "A", "redemption": 8})
    assert not trigger().revokes(Fact("coupon_voided", NOW, "3", {"code": "A"}), {"code": "A", "redemption": 7})


def test_a_code_made_void_undoes_the_start_of_getting_it():
    void = Fact("coupon_voided", NOW, "3", {"code": "A"})
    assert trigger("issued").revokes(void, {"code": "A"})
    assert not trigger("issued").revokes(void, {"code": "B"})
    assert not trigger("issued").revokes(Fact("coupon_voided", NOW, "3", {"code": "A", "redemption": 7}), {"code": "A"})
    assert not trigger("expired").revokes(void, {"code": "A"})


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"event": "used"}, {"campaign": ["Choose the coupon campaign"]}),
        ({"campaign": "", "event": "used"}, {"campaign": ["Choose one"]}),
        ({"campaign": 3}, {"event": ["Choose what happens to the coupon"]}),
        ({"campaign": 3, "event": "eaten"}, {"event": ["Choose what happens to the coupon"]}),
        ({"campaign": 3, "event": "used", "list": 1}, {"list": ["Unknown setting"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Coupon, raw) == wrong


def test_the_wizards_defaults():
    assert (Coupon.reentry, dict(Coupon.default_wait), Coupon.offers_existing) == ("after_finish", {"hours": 1}, False)
    assert Coupon.Form().event.data == "used"


def test_it_says_how_the_flow_starts():
    assert trigger().sentence(names) == "When a contact uses a coupon of the coupon_campaign 3"
    assert trigger("issued").sentence(names) == "When a contact gets a coupon of the coupon_campaign 3"
    assert Coupon({}).sentence(names) == "When a contact uses a coupon of …"
