"""An amount spent: crossing it, in a rolling window of days."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.spend_threshold import SpendThreshold

from ..kit import NOW, mistakes, names

SAMPLES = [{"amount": 300, "days": 90}, {"amount": 49.9, "days": 1}]


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [(0, 300, True), (299.99, 300, True), (250, 350, True), (300, 350, False), (0, 299.99, False), (0, 0, False)],
)
def test_it_admits_who_crosses_the_amount_and_nobody_who_is_above_or_below_it(before, after, answer):
    trigger = SpendThreshold(SpendThreshold.load({"amount": 300, "days": "90"}))
    told = {"spent": {"90": {"before": before, "after": after}, "30": {"before": 0, "after": 1000}}}
    assert trigger.admits(Fact("spend_changed", NOW, "", told)) is answer


def test_totals_of_other_windows_say_nothing():
    trigger = SpendThreshold(SpendThreshold.load({"amount": 300, "days": 90}))
    for data in (None, {}, {"spent": {}}, {"spent": {"30": {"before": 0, "after": 900}}}):
        assert trigger.admits(Fact("spend_changed", NOW, "", data)) is False


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"amount": ["Enter the amount to be reached"], "days": ["Enter 1 to 365 days"]}),
        (
            {"amount": 0, "days": 0},
            {"amount": ["Enter an amount above 0 and up to 1,000,000,000"], "days": ["Enter 1 to 365 days"]},
        ),
        ({"amount": 5, "days": 366}, {"days": ["Enter 1 to 365 days"]}),
        ({"amount": 5, "days": "many"}, {"days": ["Enter 1 to 365 days"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(SpendThreshold, raw) == wrong


def test_it_says_how_the_flow_starts():
    words = "When a contact has bought for 300 within 90 days"
    assert SpendThreshold({"amount": 300, "days": 90}).sentence(names) == words
