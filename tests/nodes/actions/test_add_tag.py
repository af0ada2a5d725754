"""Adding a tag."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.add_tag import AddTag

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"tag": "vip"}, {"tag": "Żółty kot"}]


def test_it_puts_the_tag_on_and_says_so():
    ctx, one = context(), item(person(tags={"old"}))
    assert decide(AddTag, {"tag": "VIP  guest "}, one, ctx) == Go()
    assert one.contact.tags == {"old", "vip guest"}
    assert ctx.wishes.tags == {(1, 1, "vip guest"): True}
    assert [(row[2], row[3]) for row in ctx.wishes.events] == [("tag_added", "vip guest")]


def test_a_tag_that_is_there_is_no_news():
    ctx = context()
    assert decide(AddTag, {"tag": "vip"}, item(person(tags={"vip"})), ctx) == Go(skipped="had_it")
    assert not ctx.wishes.tags and not ctx.wishes.events


@pytest.mark.parametrize("raw", ["", "   ", "x" * 61, 5, None, ["a"], "a,b", "<script>alert(1)</script>"])
def test_bad_tags_are_refused(raw):
    assert "tag" in mistakes(AddTag, {"tag": raw})


def test_it_says_which_tag():
    assert AddTag({"tag": "vip"}).summary(names) == "Add the tag “vip”"
