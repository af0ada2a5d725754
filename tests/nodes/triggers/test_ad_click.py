"""Starting with a landing by an advertisement."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.ad_click import AdClick

from ..kit import NOW, mistakes, names

SAMPLES = [
    {"monitor": 3},
    {"monitor": 3, "network": "google"},
    {"monitor": 3, "network": "utm", "campaign": "Spring", "source": "newsletter"},
]


def admits(settings, subject="3", type="page_visited", **data):
    return AdClick(AdClick.load({"monitor": 3, **settings})).admits(Fact(type, NOW, subject, data))


def test_an_ad_is_known_by_what_it_hangs_on_the_address():
    for data in ({"gclid": "x"}, {"fbclid": "x"}, {"msclkid": "x"}, {"utm_medium": "CPC"}, {"utm_medium": "display"}):
        assert admits({}, **data), data
    for data in ({}, {"utm_medium": "email"}, {"utm_source": "news"}, {"gclid": ""}):
        assert not admits({}, **data), data
    assert not admits({}, subject="4", gclid="x")


def test_one_network_means_that_one():
    assert admits({"network": "google"}, gclid="x") and not admits({"network": "google"}, fbclid="x")
    assert admits({"network": "meta"}, fbclid="x") and admits({"network": "microsoft"}, msclkid="x")
    assert admits({"network": "utm"}, utm_source="news") and not admits({"network": "utm"}, gclid="x")


def test_campaign_and_source_are_compared_without_case():
    settings = {"network": "utm", "campaign": "Spring", "source": "News"}
    assert admits(settings, utm_source="news", utm_campaign="SPRING ")
    assert not admits(settings, utm_source="news") and not admits(settings, utm_source="x", utm_campaign="spring")


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"monitor": ["Choose the site"]}),
        ({"monitor": 3, "network": "radio"}, {"network": ["Choose the kind of ad"]}),
        ({"monitor": 3, "campaign": "x" * 121}, {"campaign": ["Use 120 characters at most"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(AdClick, raw) == wrong


def test_the_wizards_defaults():
    assert (AdClick.reentry, AdClick.cooldown) == ("after_finish", {"hours": 24})


def test_it_says_how_the_flow_starts():
    assert AdClick({"monitor": 3}).sentence(names) == "When a known contact comes to the monitor 3 by an advertisement"
    assert (
        AdClick({"monitor": 3, "network": "google"}).sentence(names)
        == "When a known contact comes to the monitor 3 by a Google ad"
    )
