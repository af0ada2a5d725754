"""The contact has collected a loyalty reward: the one that started this flow, or one you choose."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text


class RewardCollected(Condition):
    """Without a reward it asks about the one that started the flow; in a flow that another event started, about any."""

    name = "reward_collected"
    title = N_("Has collected a reward")
    icon = "card"
    needs = frozenset({"loyalty"})

    class Settings(base.Settings):
        reward = Ref("reward")

    class Form(NodeForm):
        reward = ChoiceOf(N_("Reward"), source="reward", none=N_("The reward that started this flow, or any"))

    def holds(self, item: Item, ctx: Context) -> bool:
        reward, grant = self.settings.get("reward"), item.data.get("grant")
        collected = item.contact.rewards
        if reward is not None:
            return reward in collected.values()
        return grant in collected if grant is not None else bool(collected)

    def question(self, names: Names) -> Text:
        reward = self.settings.get("reward")
        if reward is None:
            return N_("Has collected the reward?")
        return Text("Has collected the reward “%(reward)s”?", reward=names("reward", reward))
