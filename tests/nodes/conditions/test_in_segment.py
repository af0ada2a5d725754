"""Being in a segment."""

import pytest

from flowserver.domain import rules
from flowserver.nodes import catalogue
from flowserver.nodes.conditions.in_segment import InSegment

from ..kit import context, item, mistakes, names, person

SAMPLES = [{"segment": 12}, {"segment": "Customers"}]


def test_its_rule_is_asked_at_that_moment():
    ctx = context()
    ctx.segments = {12: rules.parse({"type": "has_tag", "tag": "vip"}, catalogue.of_contacts())}
    condition, one = InSegment({"segment": 12}), item(person())
    assert not condition.holds(one, ctx)
    one.contact.tags.add("vip")
    assert condition.holds(one, ctx)


def test_nobody_is_in_a_segment_that_is_gone():
    assert not InSegment({"segment": 13}).holds(item(), context())


def test_it_asks_for_its_segment_and_for_no_other():
    assert InSegment({"segment": 12}).needs == {"segment:12"}
    assert InSegment({}).needs == frozenset()


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"segment": ["Choose the segment"]}),
        ({"segment": ""}, {"segment": ["Choose one"]}),
        ({"segment": -3}, {"segment": ["Choose one"]}),
    ],
)
def test_bad_answers_are_refused(raw, wrong):
    assert mistakes(InSegment, raw) == wrong


def test_a_segment_cannot_ask_about_a_segment_or_about_a_run():
    known = catalogue.of_contacts()
    assert not {"in_segment", "email_opened", "email_clicked"} & set(known)
    assert {"has_tag", "in_list", "field_compares", "score_compares"} <= set(known)


def test_it_says_what_it_asks():
    assert InSegment({"segment": 12}).question(names) == "Is in the segment “the segment 12”?"
