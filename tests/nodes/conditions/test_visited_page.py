"""Looked at a tracked site within some days."""

from datetime import timedelta

import pytest

from flowserver.nodes.conditions.visited_page import VisitedPage

from ..kit import NOW, holds, mistakes, names, person

PAGE = "https://shop.example/coffee/*"
SAMPLES = [{"monitor": 3}, {"monitor": 3, "url": PAGE, "days": 7}]
SEEN = {(3, "https://shop.example/coffee/dark?a=1"): NOW - timedelta(days=7), (4, "https://b.example/"): NOW}


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"monitor": 3}, True),
        ({"monitor": 3, "days": 7}, True),
        ({"monitor": 3, "days": 6}, False),
        ({"monitor": 5}, False),
        ({"monitor": 3, "url": PAGE}, True),
        ({"monitor": 3, "url": "https://shop.example/tea"}, False),
        ({"monitor": 4, "url": PAGE}, False),
        ({"monitor": 3, "url": "*"}, True),
        ({"monitor": 3, "url": " "}, True),
    ],
)
def test_it_knows_who_saw_which_page_and_when(settings, answer):
    assert holds(VisitedPage, settings, person(pages=SEEN)) is answer
    assert not holds(VisitedPage, settings, person())


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"monitor": ["Choose the site"]}),
        ({"monitor": 3, "days": 0}, {"days": ["Enter 1 to 180 days"]}),
        ({"monitor": 3, "days": 181}, {"days": ["Enter 1 to 180 days"]}),
        ({"monitor": 3, "days": "x"}, {"days": ["Enter a whole number"]}),
    ],
)
def test_bad_settings_are_refused_at_their_field(raw, wrong):
    assert mistakes(VisitedPage, raw) == wrong


def test_a_relative_or_javascript_url_is_refused():
    for url in ("/coffee", "javascript:alert(1)"):
        assert list(mistakes(VisitedPage, {"monitor": 3, "url": url})) == ["url"]


def test_it_asks_in_words():
    assert VisitedPage({"monitor": 3}).question(names) == "Visited the monitor 3 within 30 days?"
    assert VisitedPage({"url": PAGE, "days": 7}).question(names) == f"Visited {PAGE} within 7 days?"
