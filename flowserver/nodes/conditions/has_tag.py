"""The contact has a tag."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import people
from flowserver.domain.steps import Context, Item
from flowserver.errors import Invalid, flat
from flowserver.nodes import base
from flowserver.nodes.base import Condition, Names, NodeForm
from flowserver.text import N_, Text


class TagName(fields.String):
    """A tag's name as the address book keeps it: trimmed, lower case, 1 to 60 characters, no commas."""

    default_error_messages = {"required": N_("Enter a tag"), "null": N_("Enter a tag"), "invalid": N_("Enter a tag")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return people.tag(super()._deserialize(value, attr, data, **kwargs))
        except Invalid as error:
            raise ma.ValidationError(flat(error.messages)) from None


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
