"""Joining any list, or one."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.list_joined import ListJoined

from ..kit import NOW, mistakes, names

SAMPLES = [{"scope": "any"}, {"scope": "list", "list": 12}, {"list": 12}]


def admits(settings, type, subject=""):
    return ListJoined(ListJoined.load(settings)).admits(Fact(type, NOW, subject))


def test_any_means_new_in_the_address_book_once_for_ever():
    assert admits({"scope": "any"}, "contact_created")
    assert not admits({"scope": "any"}, "list_joined", "12")


def test_list_means_that_list_and_no_other():
    assert admits({"list": 12}, "list_joined", "12")
    assert not admits({"list": 12}, "list_joined", "1")
    assert not admits({"list": 12}, "list_joined", "123")
    assert not admits({"list": 12}, "contact_created")


def test_those_who_already_match_are_its_members_or_everybody():
    assert ListJoined(ListJoined.load({"list": 12})).existing() == {"list": 12}
    assert ListJoined(ListJoined.load({"scope": "any"})).existing() == {"all": True}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"scope": "list"}, {"list": ["Choose the list"]}),
        ({"scope": "any", "list": 12}, {"list": ["Choose “one list” to name a list"]}),
        ({"scope": "some"}, {"scope": ["Choose any list or one list"]}),
        ({"scope": "list", "list": ""}, {"list": ["Choose one"]}),
        ({"scope": "list", "list": -1}, {"list": ["Choose one"]}),
        ({"scope": "list", "list": True}, {"list": ["Choose one"]}),
        ({"scope": "list", "list": 12, "form": 3}, {"form": ["Unknown setting"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(ListJoined, raw) == wrong


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ({"scope": "any", "list": 12}, {"scope": "any"}),  # the page still holds the list chosen before
        ({"scope": "list", "list": 12}, {"scope": "list", "list": 12}),
        ({"scope": "list", "list": ""}, {"scope": "list"}),
        ({"scope": None}, {"scope": ""}),
    ],
)
def test_the_form_sends_a_list_only_with_one_list(data, settings):
    assert ListJoined.Form(data=data).to_settings() == settings


def test_the_wizards_defaults():
    assert (ListJoined.reentry, dict(ListJoined.default_wait), ListJoined.offers_existing) == (
        "once",
        {"minutes": 10},
        True,
    )
    assert ListJoined.include_existing is False


def test_it_says_how_the_flow_starts():
    assert ListJoined({"scope": "any"}).sentence(names) == "When a contact joins the address book"
    assert ListJoined({"scope": "list", "list": 12}).sentence(names) == "When a contact joins the list the list 12"
    assert ListJoined({"scope": "list"}).sentence(names) == "When a contact joins the list …"
