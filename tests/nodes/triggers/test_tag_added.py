"""Getting a tag."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.tag_added import TagAdded

from ..kit import NOW, mistakes, names

SAMPLES = [{"tag": "vip"}]


def test_it_is_that_tag_and_no_other():
    one = TagAdded(TagAdded.load({"tag": " VIP "}))
    assert one.admits(Fact("tag_added", NOW, "vip")) and not one.admits(Fact("tag_added", NOW, "vip2"))
    assert one.existing() == {"tag": "vip"} and TagAdded.reentry == "once" and not TagAdded.include_existing


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, ["Enter a tag"]),
        ({"tag": " "}, ["Write the tag"]),
        ({"tag": "a,b"}, ["Write a tag without commas"]),
        ({"tag": 5}, ["Enter a tag"]),
    ],
)
def test_bad_answers_are_refused(raw, wrong):
    assert mistakes(TagAdded, raw) == {"tag": wrong}


def test_it_says_how_the_flow_starts():
    assert TagAdded({"tag": "vip"}).sentence(names) == "When a contact gets the tag vip"
