"""Starting with a visit to a site: any page, one page, a minimum stay."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.site_visit import SiteVisit

from ..kit import NOW, mistakes, names

PAGE = "https://shop.example/coffee/*"
SAMPLES = [
    {"monitor": 3, "scope": "any"},
    {"monitor": 3},
    {"monitor": 3, "scope": "page", "url": PAGE},
    {"monitor": 3, "url": PAGE, "stay": 20},
]


def admits(settings, url="https://shop.example/", type="page_visited", subject="3", **data):
    given = {"url": url, "first": True, "stay": 0, **data}
    return SiteVisit(SiteVisit.load({"monitor": 3, **settings})).admits(Fact(type, NOW, subject, given))


def test_any_page_means_the_first_of_a_visit():
    assert admits({})
    assert not admits({}, first=False)
    assert not admits({}, subject="33")
    assert not admits({}, type="page_stayed", stay=20, stay_before=0)


def test_one_page_means_that_page_whenever_in_the_visit():
    assert admits({"url": PAGE}, "https://www.shop.example/coffee/dark/?a=1", first=False)
    assert not admits({"url": PAGE}, "https://shop.example/tea")
    assert not admits({"url": PAGE}, "https://shop.example/coffee/dark", subject="4")


def test_a_minimum_stay_is_reached_once():
    stayed = {"type": "page_stayed", "first": True}
    assert admits({"stay": 20}, **stayed, stay=20, stay_before=0)
    assert admits({"stay": 20}, **stayed, stay=60, stay_before=10)
    assert not admits({"stay": 20}, **stayed, stay=10, stay_before=0)
    assert not admits({"stay": 20}, **stayed, stay=60, stay_before=20)
    assert not admits({"stay": 20})


def test_a_star_alone_is_any_page():
    assert SiteVisit.load({"monitor": 3, "scope": "page", "url": " * "}) == {"monitor": 3, "scope": "any"}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"monitor": ["Choose the site"]}),
        ({"monitor": ""}, {"monitor": ["Choose one"]}),
        ({"monitor": 3, "scope": "page"}, {"url": ["Enter the address of the page"]}),
        ({"monitor": 3, "scope": "any", "url": PAGE}, {"url": ["Choose “one page” to name an address"]}),
        ({"monitor": 3, "scope": "some"}, {"scope": ["Choose any page or one page"]}),
        ({"monitor": 3, "stay": 0}, {"stay": ["Enter 1 to 3,600 seconds"]}),
        ({"monitor": 3, "stay": 3601}, {"stay": ["Enter 1 to 3,600 seconds"]}),
        ({"monitor": 3, "stay": "1.5"}, {"stay": ["Enter a whole number"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(SiteVisit, raw) == wrong


@pytest.mark.parametrize("url", ["/coffee", "coffee", "//shop.example/coffee", "javascript:alert(1)", "https://"])
def test_a_relative_or_javascript_url_is_refused(url):
    assert list(mistakes(SiteVisit, {"monitor": 3, "scope": "page", "url": url})) == ["url"]


def test_the_form_tries_an_address_and_says_why_not():
    def tried(url, address):
        return SiteVisit.Form(data={"scope": "page", "url": url, "address": address}).tried("address")

    assert tried(PAGE, "https://shop.example/coffee/dark") == (
        True,
        "Yes, a visit to this address would start the flow",
    )
    assert tried(PAGE, "https://shop.example/tea") == (False, "No. Its path is /tea, not /coffee/*")
    assert tried("/coffee", "https://shop.example/") == (
        False,
        "Enter the whole address, from https:// on, like https://shop.example/coffee",
    )


def test_the_form_sends_an_address_only_with_one_page():
    data = {"monitor": 3, "scope": "any", "url": PAGE, "address": PAGE, "stay": " 20 "}
    assert SiteVisit.Form(data=data).to_settings() == {"monitor": 3, "scope": "any", "stay": "20"}


def test_the_wizards_defaults():
    assert (SiteVisit.reentry, SiteVisit.cooldown, SiteVisit.offers_existing) == ("after_finish", {"hours": 24}, False)


def test_it_says_how_the_flow_starts():
    assert SiteVisit({"monitor": 3}).sentence(names) == "When a known contact visits the monitor 3"
    assert SiteVisit({"scope": "page", "url": PAGE}).sentence(names) == f"When a known contact visits {PAGE}"
    assert SiteVisit({"scope": "page"}).sentence(names) == "When a known contact visits …"
    assert (
        SiteVisit({"monitor": 3, "stay": 20}).sentence(names)
        == "When a known contact visits the monitor 3 for 20 seconds"
    )
