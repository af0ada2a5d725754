"""Recording a conversion from a step."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.record_conversion import RecordConversion

from ..kit import context, decide, item, mistakes, names

SAMPLES = [{"rule": 4}, {"rule": "Done", "amount": "12.50"}]


def asked(settings):
    ctx = context()
    assert decide(RecordConversion, settings, item(), ctx) == Go()
    ((_, contact, type, subject, _, _, data, *_),) = ctx.wishes.events
    return contact, type, subject, {key: value for key, value in data.items() if key != "chain"}


def test_it_asks_for_a_conversion_of_its_rule():
    assert asked({"rule": 4}) == (1, "conversion_recorded", "4", {})
    assert asked({"rule": 4, "amount": "12,50"}) == (1, "conversion_recorded", "4", {"cents": 1250})
    assert asked({"rule": 4, "amount": 0}) == (1, "conversion_recorded", "4", {"cents": 0})


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"rule": ["Choose the conversion rule"]}),
        ({"rule": 4, "amount": -1}, {"amount": ["The amount cannot be less than 0"]}),
        ({"rule": 4, "amount": "1.234"}, {"amount": ["Write an amount like 12.50"]}),
        ({"rule": 4, "amount": "much"}, {"amount": ["Write an amount like 12.50"]}),
        ({"rule": 4, "amount": True}, {"amount": ["Write an amount like 12.50"]}),
    ],
)
def test_bad_settings_are_refused_at_their_field(raw, wrong):
    assert mistakes(RecordConversion, raw) == wrong


def test_it_says_what_it_does_and_what_it_makes_happen():
    step = RecordConversion({"rule": 4})
    assert step.summary(names) == "Record the conversion the manual_rule 4"
    assert step.causes() == (("converted", "4"),)
