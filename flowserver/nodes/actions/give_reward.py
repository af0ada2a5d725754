"""Give a loyalty reward to the contact's card, once its points are reached. Without such a card nothing happens."""

from __future__ import annotations

from collections.abc import Sequence

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class GiveReward(Action):
    name = "give_reward"
    title = N_("Loyalty reward")
    icon = "card"
    group = "contact"
    needs = frozenset({"loyalty"})
    reasons = {"no_loyalty_card": N_("There is no loyalty card that works")}

    class Settings(base.Settings):
        reward = Ref("reward", required=True, error_messages={"required": N_("Choose the reward")})

    class Form(NodeForm):
        reward = ChoiceOf(
            N_("Reward"),
            source="reward",
            description=N_("The card must have its points: make it a reward of 0 points to give it to everybody."),
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [self._give(item, ctx) for item in batch]

    def _give(self, item: Item, ctx: Context) -> Outcome:
        if not item.contact.cards:
            return Go(skipped="no_loyalty_card")
        ctx.emit(item, "reward_given", str(self.settings["reward"]))
        return Go()

    def summary(self, names: Names) -> Text:
        return Text("Give the reward %(reward)s", reward=names("reward", self.settings.get("reward")))
