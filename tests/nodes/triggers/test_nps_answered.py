"""Answers to "would you recommend us", by band."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.nps_answered import BANDS, NpsAnswered

from ..kit import NOW, mistakes, names

SAMPLES = [{}, *({"band": band} for band in BANDS)]


@pytest.mark.parametrize("score", range(11))
def test_every_answer_belongs_to_exactly_one_band_and_to_any(score):
    fact = Fact("nps_answered", NOW, str(score), {"score": score})
    admitted = [band for band in BANDS if NpsAnswered({"band": band}).admits(fact)]
    assert admitted == ["any", "critics" if score <= 6 else "passives" if score <= 8 else "promoters"]


def test_an_answer_without_a_score_starts_nothing():
    for data in (None, {}, {"score": "9"}, {"score": None}):
        assert NpsAnswered({"band": "any"}).admits(Fact("nps_answered", NOW, "", data)) is False


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(NpsAnswered, {"band": "happy"}) == {"band": ["Choose which answers start the flow"]}


def test_it_says_how_the_flow_starts():
    words = "When a contact would recommend you and answers 9 or 10"
    assert NpsAnswered({"band": "promoters"}).sentence(names) == words
