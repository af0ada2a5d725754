"""Has met a conversion rule."""

from flowserver.nodes.conditions.conversion_done import ConversionDone

from ..kit import holds, mistakes, names, person

SAMPLES = [{"rule": 3}]


def test_it_knows_who_met_that_rule():
    assert holds(ConversionDone, {"rule": 3}, person(converted=frozenset({3, 5})))
    assert not holds(ConversionDone, {"rule": 3}, person(converted=frozenset({5})))
    assert not holds(ConversionDone, {"rule": 3}, person())


def test_it_needs_a_rule():
    assert mistakes(ConversionDone, {}) == {"rule": ["Choose the conversion rule"]}
    assert ConversionDone({"rule": 3}).question(names) == "Has completed “the conversion_rule 3”?"
