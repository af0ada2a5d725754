"""Giving a loyalty reward from a step."""

from flowserver.domain.steps import Go
from flowserver.nodes.actions.give_reward import GiveReward

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"reward": 3}]


def test_it_asks_for_the_reward():
    ctx = context()
    assert decide(GiveReward, {"reward": 3}, item(person(cards={1: 0})), ctx) == Go()
    assert [row[1:4] for row in ctx.wishes.events] == [(1, "reward_given", "3")]


def test_without_a_card_it_goes_on():
    ctx = context()
    assert decide(GiveReward, {"reward": 3}, item(), ctx) == Go(skipped="no_loyalty_card")
    assert ctx.wishes.events == []


def test_it_needs_a_reward_and_says_which():
    assert mistakes(GiveReward, {}) == {"reward": ["Choose the reward"]}
    assert GiveReward({"reward": 3}).summary(names) == "Give the reward the reward 3"
