"""Another flow sends its contacts here."""

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.handed_over import HandedOver

from ..kit import NOW, mistakes, names

SAMPLES = [{}]


def test_whoever_is_handed_over_is_meant():
    assert HandedOver({}).admits(Fact("handed_over", NOW, "7"))


def test_it_asks_nothing():
    assert mistakes(HandedOver, {"flow": 3}) == {"flow": ["Unknown setting"]}


def test_it_says_how_the_flow_starts():
    assert HandedOver({}).sentence(names) == "When another flow hands a contact over"
