"""Has a loyalty card with so many points."""

from flowserver.nodes.conditions.card_points import CardPoints

from ..kit import holds, mistakes, names, person

SAMPLES = [{"points": 10}, {"points": 0, "programme": 3}]


def test_it_compares_the_best_card_or_that_of_one_programme():
    one = person(cards={3: 10, 4: 50})
    assert holds(CardPoints, {"points": 50}, one) and not holds(CardPoints, {"points": 51}, one)
    assert holds(CardPoints, {"points": 10, "programme": 3}, one)
    assert not holds(CardPoints, {"points": 11, "programme": 3}, one)


def test_without_a_card_the_answer_is_no_even_for_0_points():
    assert not holds(CardPoints, {"points": 0})
    assert not holds(CardPoints, {"points": 0, "programme": 3}, person(cards={4: 50}))
    assert holds(CardPoints, {"points": 0, "programme": 4}, person(cards={4: 0}))


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(CardPoints, {}) == {"points": ["Enter a whole number"]}
    assert mistakes(CardPoints, {"points": -1}) == {"points": ["Enter 0, to ask for a card only, or a number above it"]}


def test_it_says_what_it_asks():
    assert CardPoints({"points": 10}).question(names) == "Has at least 10 points on a loyalty card?"
    assert CardPoints({"points": 10, "programme": 3}).question(names) == (
        "Has at least 10 points on the card of “the programme 3”?"
    )
