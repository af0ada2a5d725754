"""A contact gets a tag, by hand, by a program or by another flow. Getting a tag it has already is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger
from flowserver.nodes.conditions.has_tag import TagName
from flowserver.text import N_, Text


class TagAdded(Trigger):
    name = "tag_added"
    title = N_("Tag added")
    icon = "tag"
    listens_to = ("tag_added",)
    offers_existing = True

    class Settings(base.Settings):
        tag = TagName(required=True)

    class Form(NodeForm):
        tag = wtforms.StringField(
            N_("Tag"),
            description=N_("Capital letters make no difference."),
            render_kw={"maxlength": 60, "autocomplete": "off"},
        )

    def admits(self, event: Fact) -> bool:
        return event.subject == self.settings["tag"]

    def existing(self) -> Mapping[str, Any]:
        return {"tag": self.settings["tag"]}

    def sentence(self, names: Names) -> Text:
        return Text("When a contact gets the tag %(tag)s", tag=self.settings.get("tag") or "…")
