"""Started by hand or over the API."""

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.manual_start import ManualStart

from ..kit import NOW, mistakes, names

SAMPLES = [{}]


def test_nothing_that_happens_starts_it():
    assert ManualStart.listens_to == () and ManualStart.by_hand
    assert not ManualStart({}).admits(Fact("list_joined", NOW, "7"))


def test_it_asks_nothing():
    assert mistakes(ManualStart, {"list": 3}) == {"list": ["Unknown setting"]}


def test_it_says_how_the_flow_starts():
    assert ManualStart({}).sentence(names) == "When somebody starts a contact or a group by hand"
