"""Has collected a loyalty reward."""

from flowserver.nodes.conditions.reward_collected import RewardCollected

from ..kit import holds, names, person

SAMPLES = [{"reward": 3}]
HAPPY = person(rewards={70: 3})


def test_it_asks_about_the_reward_that_started_the_flow():
    assert holds(RewardCollected, {}, HAPPY, data={"grant": 70})
    assert not holds(RewardCollected, {}, HAPPY, data={"grant": 71})


def test_it_asks_about_any_reward_where_another_event_started_the_flow():
    assert holds(RewardCollected, {}, HAPPY) and not holds(RewardCollected, {})


def test_it_asks_about_one_reward_whatever_started_the_flow():
    assert holds(RewardCollected, {"reward": 3}, HAPPY, data={"grant": 71})
    assert not holds(RewardCollected, {"reward": 4}, HAPPY, data={"grant": 70})


def test_it_says_what_it_asks():
    assert RewardCollected({}).question(names) == "Has collected the reward?"
    assert RewardCollected({"reward": 3}).question(names) == "Has collected the reward “the reward 3”?"
