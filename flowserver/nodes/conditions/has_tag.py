"""The contact has a tag."""

from __future__ import annotations

import wtforms
from marshmallow import fields

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import Condition, Names, NodeForm
from flowserver.text import N_, Text


class TagName(fields.String):
    """A tag's name: trimmed, lower case, 1 to 60 characters."""

    def _deserialize(self, value, attr, data, **kwargs):  # type: ignore[no-untyped-def]
        name = " ".join(super()._deserialize(value, attr, data, **kwargs).split()).lower()
        if not 1 <= len(name) <= 60:
            raise self.make_error("tag")
        return name

    default_error_messages = {
        "tag": N_("Enter a tag of up to 60 characters"),
        "required": N_("Enter a tag"),
        "invalid": N_("Enter a tag"),
    }


class HasTag(Condition):
    name = "has_tag"
    title = N_("Has a tag")
    icon = "tag"
    needs = frozenset({"tags"})

    class Settings(base.Settings):
        tag = TagName(required=True)

    class Form(NodeForm):
        tag = wtforms.StringField(N_("Tag"))

    def holds(self, item: Item, ctx: Context) -> bool:
        return self.settings["tag"] in item.contact.tags

    def question(self, names: Names) -> Text:
        return Text("Has the tag “%(tag)s”?", tag=self.settings.get("tag", ""))
