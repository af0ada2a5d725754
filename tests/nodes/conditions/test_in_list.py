"""Is on a list."""

from flowserver.nodes.conditions.in_list import InList

from ..kit import holds, mistakes, names, person

SAMPLES = [{"list": 12}]


def test_it_knows_members():
    assert holds(InList, {"list": 12}, person(lists={3, 12}))
    assert not holds(InList, {"list": 12}, person(lists={3}))


def test_it_needs_a_list():
    assert mistakes(InList, {}) == {"list": ["Choose the list"]}
    assert "list" in mistakes(InList, {"list": 0})
    assert InList({"list": 12}).question(names) == "Is on the list “the list 12”?"
