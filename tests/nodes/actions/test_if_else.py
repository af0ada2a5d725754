"""One of two ways, decided at the moment."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.if_else import IfElse

from ..kit import context, decide, item, mistakes, names, person

PHONE = {"type": "has_phone"}
VIP = {"type": "has_tag", "tag": "vip"}
ROME = {"type": "field_compares", "field": "city", "operator": "equals", "value": "Rome"}
SAMPLES = [
    {"if": PHONE},
    {"if": {"all": [PHONE, VIP]}},
    {"if": {"any": [VIP, {"not": ROME}]}},
    {"if": {"all": [{"any": [PHONE, VIP]}, ROME]}},
    {"if": {"not": {"type": "email_opened", "of": "welcome"}}},
]


@pytest.mark.parametrize(
    ("rule", "contact", "port"),
    [
        (PHONE, person(), "then"),
        (PHONE, person(phone=None), "else"),
        ({"not": PHONE}, person(phone=None), "then"),
        ({"all": [PHONE, VIP]}, person(tags={"vip"}), "then"),
        ({"all": [PHONE, VIP]}, person(), "else"),
        ({"any": [PHONE, VIP]}, person(), "then"),
        ({"any": [{"not": PHONE}, VIP]}, person(), "else"),
        ({"all": [{"any": [VIP, ROME]}, PHONE]}, person(fields={"city": "rome"}), "then"),
        ({"not": {"all": [PHONE, VIP]}}, person(), "then"),
    ],
)
def test_it_goes_the_way_the_rule_says(rule, contact, port):
    assert decide(IfElse, {"if": rule}, item(contact)).port == port


def test_it_writes_down_what_decided():
    outcome = decide(IfElse, {"if": {"all": [ROME, {"type": "score_compares", "points": 5}]}}, item(person(score=7)))
    assert outcome == Go("else", facts={"city": None, "score": 7})


def test_it_needs_what_its_conditions_need():
    assert IfElse(IfElse.load({"if": {"any": [VIP, {"type": "in_list", "list": 3}]}})).needs == {"tags", "lists"}
    assert IfElse({}).needs == frozenset()


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        (None, ["Choose what to ask"]),
        ({}, ["Choose what to ask"]),
        ("has_phone", ["Choose what to ask"]),
        ({"type": "has_wings"}, {"type": ["There is no condition “has_wings”"]}),
        ({"type": ["has_phone"]}, {"type": ["There is no condition “['has_phone']”"]}),
        ({"tag": "vip"}, {"type": ["There is no condition “”"]}),
        ({"type": "has_tag"}, {"tag": ["Enter a tag"]}),
        ({"type": "has_phone", "of": "x"}, {"of": ["Unknown setting"]}),
        ({"all": []}, {"all": ["Ask 1 to 10 things"]}),
        ({"all": PHONE}, {"all": ["Ask 1 to 10 things"]}),
        ({"any": [PHONE] * 11}, {"any": ["Ask 1 to 10 things"]}),
        ({"all": [PHONE], "any": [VIP]}, ["Name one of all, any and not, and nothing beside it"]),
        ({"all": [PHONE], "type": "has_tag"}, ["Name one of all, any and not, and nothing beside it"]),
        ({"all": [{"any": [{"not": PHONE}]}]}, {"all": {0: {"any": {0: ["Conditions can be grouped once"]}}}}),
        (
            {"any": [{"type": "has_wings"}, PHONE, {"not": {"type": "has_tag", "tag": ""}}]},
            {"any": {0: {"type": ["There is no condition “has_wings”"]}, 2: {"not": {"tag": ["Write the tag"]}}}},
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_its_place(rule, wrong):
    assert mistakes(IfElse, {"if": rule}) == {"if": wrong}


def test_without_a_rule_it_cannot_go_live():
    assert "if" in mistakes(IfElse, {})


def test_it_asks_its_question():
    assert IfElse({"if": PHONE}).summary(names) == "Has a mobile number?"
    assert IfElse({"if": {"not": PHONE}}).summary(names) == "Not: Has a mobile number?"
    assert IfElse({"if": {"all": [PHONE, VIP, ROME]}}).summary(names) == "Has a mobile number? And 2 more"
    assert IfElse({"if": {"any": [PHONE, VIP]}}).summary(names) == "Has a mobile number? Or 1 more"
    assert IfElse({"if": {"any": [PHONE]}}).summary(names) == "Has a mobile number?"
    assert IfElse({}).summary(names) == "If / else"


def test_it_hands_on_the_problems_of_its_conditions():
    node = IfElse(IfElse.load({"if": {"any": [PHONE, {"type": "email_clicked", "of": "gone"}]}}))
    assert [(problem.kind, problem.field) for problem in node.problems([])] == [("fix", "of")]


def test_a_sum_of_no_people_is_fine():
    assert IfElse(IfElse.load({"if": PHONE})).execute([], context()) == []
