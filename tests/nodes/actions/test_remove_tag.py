"""Taking a tag off."""

from flowserver.domain.steps import Go
from flowserver.nodes.actions.add_tag import AddTag
from flowserver.nodes.actions.remove_tag import RemoveTag

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"tag": "vip"}]


def test_it_takes_the_tag_off():
    ctx, one = context(), item(person(tags={"vip"}))
    assert decide(RemoveTag, {"tag": "VIP"}, one, ctx) == Go()
    assert one.contact.tags == set()
    assert ctx.wishes.tags == {(1, 1, "vip"): False}


def test_a_tag_that_is_not_there_is_passed_by():
    ctx = context()
    assert decide(RemoveTag, {"tag": "vip"}, item(), ctx) == Go(skipped="had_none")
    assert not ctx.wishes.tags


def test_what_is_added_after_it_was_taken_off_stays_on():
    ctx, one = context(), item(person(tags={"vip"}))
    decide(RemoveTag, {"tag": "vip"}, one, ctx)
    decide(AddTag, {"tag": "vip"}, one, ctx)
    assert ctx.wishes.tags == {(1, 1, "vip"): True}


def test_it_needs_a_tag():
    assert mistakes(RemoveTag, {}) == {"tag": ["Enter a tag"]}
    assert RemoveTag({"tag": "vip"}).summary(names) == "Remove the tag “vip”"
