"""Has a tag."""

from flowserver.nodes.conditions.has_tag import HasTag

from ..kit import holds, mistakes, names, person

SAMPLES = [{"tag": "vip"}]


def test_case_and_space_do_not_matter():
    assert holds(HasTag, {"tag": "  VIP  Guest "}, person(tags={"vip guest"}))
    assert not holds(HasTag, {"tag": "vip"}, person(tags={"vip guest"}))
    assert not holds(HasTag, {"tag": "vip"}, person())


def test_it_needs_a_tag():
    assert mistakes(HasTag, {}) == {"tag": ["Enter a tag"]}
    assert mistakes(HasTag, {"tag": None}) == {"tag": ["Enter a tag"]}
    assert HasTag({"tag": "vip"}).question(names) == "Has the tag “vip”?"
