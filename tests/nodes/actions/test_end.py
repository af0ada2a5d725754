"""The end of a path."""

from flowserver.domain.steps import Leave
from flowserver.nodes.actions.end import End

from ..kit import decide, item, mistakes, names

SAMPLES = [
    {"label": "welcomed", "outcome": "positive"},
    {"outcome": "neutral"},
    {"label": "lost", "outcome": "negative"},
]


def test_it_ends_the_run_with_the_authors_words():
    assert decide(End, SAMPLES[0], item()) == Leave("end_step", "welcomed", "positive")
    assert decide(End, {}, item()) == Leave("end_step", None, None)


def test_bad_answers_are_refused():
    assert mistakes(End, {"outcome": "great"}) == {"outcome": ["Choose positive, neutral or negative"]}
    assert mistakes(End, {"label": "x" * 61}) == {"label": ["Use 60 characters at most"]}


def test_it_says_the_label():
    assert End({"label": "welcomed"}).summary(names) == "Leave the flow: welcomed"
    assert End({}).summary(names) == "Leave the flow"
