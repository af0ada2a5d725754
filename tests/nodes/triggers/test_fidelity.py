"""A loyalty card is created, gets points, or a reward."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.fidelity import Fidelity

from ..kit import NOW, mistakes, names

SAMPLES = [
    {"event": "card"},
    {"event": "points"},
    {"event": "points", "programme": 3, "least": 10},
    {"event": "points", "passes": 100},
    {"event": "reward", "programme": 3},
]


def admits(settings, type, subject="3", **data):
    return Fidelity(Fidelity.load(settings)).admits(Fact(type, NOW, subject, data))


def test_each_event_starts_its_own_kind_only():
    for settings, type in (("card", "card_created"), ("points", "points_assigned"), ("reward", "reward_assigned")):
        for other in ("card_created", "points_assigned", "reward_assigned", "reward_collected", "points_reversed"):
            assert admits({"event": settings}, other, points=5, balance=5) == (other == type)


def test_zero_or_negative_points_start_nothing():
    assert not admits({"event": "points"}, "points_assigned", points=0, balance=10)
    assert not admits({"event": "points"}, "points_assigned", points=-5, balance=10)
    assert not admits({"event": "points"}, "points_assigned")
    assert not admits({"event": "points"}, "points_assigned", points="many", balance=None)


def test_one_programme_means_that_one():
    assert admits({"event": "card", "programme": 3}, "card_created", "3")
    assert not admits({"event": "card", "programme": 3}, "card_created", "33")


def test_a_minimum_counts_the_points_given_at_once():
    assert admits({"event": "points", "least": 10}, "points_assigned", points=10, balance=10)
    assert not admits({"event": "points", "least": 10}, "points_assigned", points=9, balance=900)


def test_the_balance_must_pass_the_number_with_these_points():
    for points, balance, starts in ((5, 100, True), (50, 120, True), (5, 99, False), (5, 105, False), (5, 104, True)):
        assert admits({"event": "points", "passes": 100}, "points_assigned", points=points, balance=balance) == starts


def test_only_the_very_points_or_reward_that_began_a_start_undo_it():
    def revokes(type, event, data):
        return Fidelity({"event": "points"}).revokes(Fact(type, NOW, "3", event), data)

    assert revokes("points_reversed", {"movement": 7, "points": -5}, {"movement": 7, "points": 5})
    assert not revokes("points_reversed", {"movement": 8}, {"movement": 7})
    assert not revokes("points_reversed", {}, {})
    assert not revokes("points_reversed", None, {"grant": 7})
    assert revokes("reward_withdrawn", {"grant": 7}, {"grant": 7})
    assert not revokes("reward_withdrawn", {"grant": 7, "movement": 1}, {"grant": 8, "movement": 1})


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"event": ["Choose what happens to the card"]}),
        ({"event": "stolen"}, {"event": ["Choose what happens to the card"]}),
        ({"event": "card", "least": 5}, {"least": ["A number of points goes with “gets points” only"]}),
        ({"event": "reward", "passes": 5}, {"passes": ["A number of points goes with “gets points” only"]}),
        ({"event": "points", "least": 0}, {"least": ["Enter a number of points above 0"]}),
        ({"event": "points", "passes": -1}, {"passes": ["Enter a number of points above 0"]}),
        ({"event": "points", "least": "1.5"}, {"least": ["Enter a whole number"]}),
        ({"event": "points", "passes": 2_000_000}, {"passes": ["Use a number between -1,000,000 and 1,000,000"]}),
        ({"event": "points", "programme": ""}, {"programme": ["Choose one"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Fidelity, raw) == wrong


def test_the_form_sends_numbers_only_with_points():
    data = {"event": "card", "programme": "", "least": "5", "passes": ""}
    assert Fidelity.Form(data=data).to_settings() == {"event": "card"}
    assert Fidelity.Form(data={**data, "event": "points"}).to_settings() == {"event": "points", "least": "5"}


def test_the_wizards_defaults():
    assert (Fidelity.reentry, Fidelity.offers_existing, Fidelity.group) == ("after_finish", False, "shop")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"event": "card"}, "When a contact gets a loyalty card"),
        ({"event": "points"}, "When a contact gets points on the loyalty card"),
        (
            {"event": "points", "least": 5, "programme": 3},
            "When a contact gets at least 5 points on the loyalty card of the programme 3",
        ),
        ({"event": "points", "passes": 100}, "When a contact reaches 100 points on the loyalty card"),
        ({"event": "card", "passes": "100"}, "When a contact gets a loyalty card"),
        ({"event": "reward", "programme": 3}, "When a contact gets a loyalty reward of the programme 3"),
        ({}, "When a contact gets points on the loyalty card"),
    ],
)
def test_it_says_how_the_flow_starts(settings, words):
    assert Fidelity(settings).sentence(names) == words


def test_the_sentence_tells_both_numbers():
    both = Fidelity({"event": "points", "least": 5, "passes": 100})
    assert both.sentence(names) == (
        "When a contact gets at least 5 points on the loyalty card and reaches 100 with them"
    )
