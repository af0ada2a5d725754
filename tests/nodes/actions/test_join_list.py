"""Adding to a list."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.join_list import JoinList

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"list": 12}]


def test_it_adds_the_contact_and_other_flows_hear_of_it():
    ctx, one = context(), item(data={"chain": [3]})
    assert decide(JoinList, {"list": 12}, one, ctx) == Go()
    assert one.contact.lists == {12} and ctx.wishes.lists == {(1, 1, 12): True}
    (event,) = ctx.wishes.events
    assert (event[2], event[3], event[6], event[7], event[8]) == ("list_joined", "12", {"chain": [3, 7]}, 2, 7)


def test_a_member_joins_nothing():
    ctx = context()
    assert decide(JoinList, {"list": 12}, item(person(lists={12})), ctx) == Go(skipped="was_on_it")
    assert not ctx.wishes.events


@pytest.mark.parametrize("raw", [None, "", "  ", 0, -1, 1.5, True, [], {"id": 1}, "x" * 121])
def test_it_needs_a_list(raw):
    assert "list" in mistakes(JoinList, {"list": raw})


def test_without_a_list_it_says_what_to_do():
    assert mistakes(JoinList, {}) == {"list": ["Choose the list"]}
    assert JoinList({"list": 12}).summary(names) == "Add to the list “the list 12”"


def test_a_name_is_a_reference_too():
    assert JoinList.load({"list": " Newsletter "}) == {"list": "Newsletter"}
