"""One event, or any."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.event_checked_in import EventCheckedIn

from ..kit import NOW, mistakes, names

SAMPLES = [{}, {"event": "Wine tasting"}]


@pytest.mark.parametrize(
    ("wanted", "event", "answer"),
    [("", "Anything", True), ("Wine tasting", " WINE TASTING ", True), ("Wine tasting", "Wine tasting 2", False)],
)
def test_it_admits_the_event_by_its_name(wanted, event, answer):
    assert EventCheckedIn(EventCheckedIn.load({"event": wanted})).admits(Fact("event_checked_in", NOW, event)) is answer


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(EventCheckedIn, {"event": "x" * 121}) == {"event": ["Use 120 characters at most"]}
    assert mistakes(EventCheckedIn, {"event": 5, "day": 1}) == {
        "event": ["This cannot be used here"],
        "day": ["Unknown setting"],
    }


def test_it_says_how_the_flow_starts():
    assert EventCheckedIn({}).sentence(names) == "When a contact checks in at an event"
    assert EventCheckedIn({"event": "Expo"}).sentence(names) == "When a contact checks in at Expo"
