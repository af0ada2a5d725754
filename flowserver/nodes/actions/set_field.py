"""Set, clear or count up a field of the contact, or note today's date in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import people
from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref, ValueOf, length
from flowserver.nodes.conditions.field_compares import value_of
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text

NAMES = {"first_name": 120, "last_name": 120, "locale": 8}  # core fields a flow may write, and their room
ADDRESSES = ("email", "phone", "external_id")
WAYS = ("value", "clear", "add", "today")


def _is_meant(way: str, given: Any) -> bool:
    """Whether a setting asks for something: 0 and no are values, an empty answer and "do not clear" are nothing."""
    return given is True if way in ("clear", "today") else given is not None and given != ""


class SetField(Action):
    name = "set_field"
    title = N_("Update a field")
    icon = "field"
    group = "contact"
    needs = frozenset({"fields"})
    reasons = {
        "not_a_number": N_("The field holds no number"),
        "wrong_type": N_("The value does not fit the field"),
    }

    class Settings(base.Settings):
        field = Ref("field", required=True, error_messages={"required": N_("Choose the field")})
        value = ValueOf()
        clear = fields.Boolean()
        add = WholeNumber()
        today = fields.Boolean()

        @ma.validates_schema
        def _one_way(self, data: Mapping[str, Any], **_: Any) -> None:
            if sum(_is_meant(way, data.get(way)) for way in WAYS) != 1:
                raise ma.ValidationError(
                    N_("Enter the new value, or choose to clear, count up or note the date"), "value"
                )
            if data["field"] in ADDRESSES:
                raise ma.ValidationError(N_("A flow cannot change addresses: choose another field"), "field")
            if data["field"] in NAMES and data.get("add") is not None:
                raise ma.ValidationError(N_("Only a field for numbers can be counted up"), "field")

        @ma.validates_schema
        def _fits(self, data: Mapping[str, Any], **_: Any) -> None:
            length(NAMES.get(data["field"], people.TEXT_LENGTH), "value")(data.get("value"))

    class Form(NodeForm):
        asks = {"add": "value", "clear": "way", "today": "way"}
        shows = {"value": "way=value|add"}

        field = ChoiceOf(N_("Field"), source="field")
        way = wtforms.RadioField(
            N_("What to do"),
            choices={
                "value": N_("Set a value"),
                "clear": N_("Clear it"),
                "add": N_("Add a number"),
                "today": N_("Note today's date"),
            },
            default="value",
        )
        value = wtforms.StringField(N_("Value or number"))

        def to_settings(self) -> dict[str, Any]:
            way = self.way.data or "value"
            typed = (self.value.data or "").strip()
            return {way: typed if way in ("value", "add") else True, "field": self.field.data}

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            way = next((way for way in WAYS if way in settings), "value")
            return {
                "field": settings.get("field"),
                "way": way,
                "value": settings.get(way) if way in ("value", "add") else "",
            }

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        today = ctx.now.astimezone(ctx.zone).date().isoformat()
        return [self._write(item, ctx, today) for item in batch]

    def _write(self, item: Item, ctx: Context, today: str) -> Outcome:
        key = self.settings["field"]
        value: Any = self.settings.get("value")
        if self.settings.get("today"):
            value = today
        elif self.settings.get("add") is not None:
            old = value_of(item.contact, key)
            if not isinstance(old, int | float | None) or isinstance(old, bool):
                return Go(skipped="not_a_number")
            value = (old or 0) + self.settings["add"]
        if key in NAMES:
            ctx.change_contact(item, **{key: "" if value is None else str(value)})
            return Go()
        return Go(skipped=None if ctx.change_contact(item, fields={key: value}) else "wrong_type")

    def summary(self, names: Names) -> Text:
        field = names("field", self.settings.get("field"))
        if self.settings.get("clear"):
            return Text("Clear %(field)s", field=field)
        if self.settings.get("today"):
            return Text("Note today's date in %(field)s", field=field)
        if self.settings.get("add") is not None:
            return Text("Add %(n)s to %(field)s", n=self.settings["add"], field=field)
        return Text("Set %(field)s to “%(value)s”", field=field, value=self.settings.get("value", ""))
