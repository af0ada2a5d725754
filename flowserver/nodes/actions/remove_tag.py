"""Take a tag off the contact."""

from __future__ import annotations

from collections.abc import Sequence

import wtforms

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm
from flowserver.nodes.conditions.has_tag import TagName
from flowserver.text import N_, Text


class RemoveTag(Action):
    name = "remove_tag"
    title = N_("Remove a tag")
    icon = "tag"
    group = "contact"
    needs = frozenset({"tags"})
    reasons = {"had_none": N_("Did not have the tag")}

    class Settings(base.Settings):
        tag = TagName(required=True)

    class Form(NodeForm):
        tag = wtforms.StringField(N_("Tag"))

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        tag = self.settings["tag"]
        return [Go(skipped=None if ctx.remove_tag(item, tag) else "had_none") for item in batch]

    def summary(self, names: Names) -> Text:
        return Text("Remove the tag “%(tag)s”", tag=self.settings.get("tag", ""))
