"""Taking off a list."""

from flowserver.domain.steps import Go
from flowserver.nodes.actions.join_list import JoinList
from flowserver.nodes.actions.leave_list import LeaveList

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"list": 12}]


def test_it_takes_the_contact_off():
    ctx, one = context(), item(person(lists={3, 12}))
    assert decide(LeaveList, {"list": 12}, one, ctx) == Go()
    assert one.contact.lists == {3} and ctx.wishes.lists == {(1, 1, 12): False}


def test_who_is_not_on_it_is_passed_by():
    assert decide(LeaveList, {"list": 12}, item()) == Go(skipped="was_not_on_it")


def test_leaving_and_joining_again_in_one_go_ends_on_the_list():
    ctx, one = context(), item(person(lists={12}))
    decide(LeaveList, {"list": 12}, one, ctx)
    decide(JoinList, {"list": 12}, one, ctx)
    assert ctx.wishes.lists == {(1, 1, 12): True}


def test_it_needs_a_list():
    assert mistakes(LeaveList, {}) == {"list": ["Choose the list"]}
    assert LeaveList({}).summary(names) == "Remove from the list “…”"
