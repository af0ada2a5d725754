"""Starting with a conversion, and its being undone."""

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.conversion import Conversion

from ..kit import NOW, mistakes, names

SAMPLES = [{"rule": 4}, {"rule": "First order"}]


def test_it_admits_conversions_of_its_rule_and_no_other():
    trigger = Conversion(Conversion.load({"rule": 4}))
    assert trigger.admits(Fact("converted", NOW, "4", {"conversion": 9}))
    assert not trigger.admits(Fact("converted", NOW, "44", {"conversion": 9}))


def test_undoing_takes_back_the_start_it_caused_and_no_other():
    trigger = Conversion(Conversion.load({"rule": 4}))
    assert trigger.revokes(Fact("conversion_undone", NOW, "4", {"conversion": 9}), {"conversion": 9})
    assert not trigger.revokes(Fact("conversion_undone", NOW, "4", {"conversion": 9}), {"conversion": 8})
    assert not trigger.revokes(Fact("conversion_undone", NOW, "4", None), {})


def test_a_rule_must_be_chosen():
    assert mistakes(Conversion, {}) == {"rule": ["Choose the conversion rule"]}
    assert mistakes(Conversion, {"rule": 0}) == {"rule": ["Choose one"]}


def test_the_wizards_defaults():
    assert (Conversion.reentry, Conversion.cooldown, Conversion.offers_existing) == ("after_finish", None, False)


def test_it_says_how_the_flow_starts():
    assert Conversion({"rule": 4}).sentence(names) == "When a contact completes the conversion_rule 4"
    assert Conversion({}).sentence(names) == "When a contact completes …"
