"""A field of a contact comes to hold a value, when the contact is added or later. Saving the same value again starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger, ValueField, ValueOf, length
from flowserver.nodes.conditions.field_compares import ALONE, compare, present, value_of
from flowserver.text import N_, Text

OPERATORS = {
    "equals": N_("becomes"),
    "not_equals": N_("becomes something other than"),
    "contains": N_("comes to contain"),
    "less": N_("becomes less than"),
    "more": N_("becomes more than"),
    "is_set": N_("is filled in"),
    "is_empty": N_("is empty"),
    "changed": N_("changes at all"),
}
_SENTENCES = {
    "equals": N_("When %(field)s of a contact becomes %(value)s"),
    "not_equals": N_("When %(field)s of a contact becomes something other than %(value)s"),
    "contains": N_("When %(field)s of a contact comes to contain %(value)s"),
    "less": N_("When %(field)s of a contact becomes less than %(value)s"),
    "more": N_("When %(field)s of a contact becomes more than %(value)s"),
    "is_set": N_("When %(field)s of a contact is filled in"),
    "is_empty": N_("When %(field)s of a contact is empty"),
    "changed": N_("When %(field)s of a contact changes"),
}
_NO_VALUE = (*ALONE, "changed")


class FieldValue(Trigger):
    """Fires on the change from not matching to matching; a contact that comes in matching counts, too."""

    name = "field_value"
    title = N_("Field value")
    icon = "field"
    group = "contact"
    listens_to = ("field_changed", "contact_created")
    revoked_by = ("field_changed",)
    offers_existing = True
    include_existing = True

    class Settings(base.Settings):
        field = Ref("field", required=True, error_messages={"required": N_("Choose the field")})
        operator = fields.String(
            load_default="equals", validate=validate.OneOf(list(OPERATORS), error=N_("Choose how to compare"))
        )
        value = ValueOf(how="operator")
        leave = fields.Boolean(load_default=False)  # whoever no longer matches leaves, wherever it stands

        @ma.validates_schema
        def _value_where_needed(self, data: Mapping[str, Any], **_: Any) -> None:
            value, needed = data.get("value"), data.get("operator") not in _NO_VALUE
            if needed and (value is None or not str(value).strip()):
                raise ma.ValidationError(N_("Enter the value"), "value")
            if not needed and value is not None:
                raise ma.ValidationError(N_("This comparison needs no value: leave it out"), "value")
            length(500, "value")(value)
            if data.get("leave") and data.get("operator") == "changed":
                raise ma.ValidationError(N_("A change has no end: nobody can leave when it no longer matches"), "leave")

    class Form(NodeForm):
        shows = {
            "value": "operator=equals|not_equals|contains|less|more",
            "leave": "operator=" + "|".join(name for name in OPERATORS if name != "changed"),
        }
        field = ChoiceOf(N_("Field"), source="field", render_kw={"data-refresh": "type"})
        operator = wtforms.SelectField(
            N_("What happens to it"), choices=OPERATORS, default="equals", render_kw={"data-refresh": "type"}
        )
        value = ValueField(
            N_("Value"), description=N_("Capital letters and spaces around it make no difference in a text.")
        )

        leave = wtforms.SelectField(
            N_("When the field changes again and no longer matches"),
            choices={"": N_("The contact goes on"), "yes": N_("The contact leaves")},
        )

        def to_settings(self) -> dict[str, Any]:
            settings = super().to_settings()
            if settings.get("operator") in _NO_VALUE:
                settings.pop("value", None)
            leaves = settings.pop("leave", "") and settings.get("operator") != "changed"
            return {**settings, "leave": True} if leaves else settings

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            return {**super().from_settings(settings), "leave": "yes" if settings.get("leave") else ""}

    def admits(self, event: Fact) -> bool:
        data = event.data or {}
        if event.type == "contact_created":  # what is filled has events of its own
            empty = "filled" in data and self.settings["field"] not in data["filled"]
            return empty and self.settings["operator"] == "is_empty"
        if event.subject != self.settings["field"] or not {"old", "new"} <= set(data):
            return False
        if self.settings["operator"] == "changed":
            return not data.get("created") and present(data["old"]) != present(data["new"])
        return self._matches(data["new"]) and (bool(data.get("created")) or not self._matches(data["old"]))

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        changed_away = event.subject == self.settings["field"] and "new" in (event.data or {})
        return changed_away and not self._matches((event.data or {})["new"])

    def lasting(self) -> bool:
        return bool(self.settings.get("leave"))

    def still_holds(self, item: Item) -> bool:
        return self._matches(value_of(item.contact, self.settings["field"]))

    def _matches(self, value: Any) -> bool:
        operator = self.settings["operator"]
        return operator == "changed" or compare(present(value), operator, self.settings.get("value"))

    def existing(self) -> Mapping[str, Any]:
        if self.settings["operator"] == "changed":
            return {"nobody": True}
        return {"field": {name: self.settings.get(name) for name in ("field", "operator", "value")}}

    def sentence(self, names: Names) -> Text:
        operator = self.settings.get("operator")
        operator = operator if operator in _SENTENCES else "equals"
        value = self.settings.get("value", "…")
        shown = {True: N_("yes"), False: N_("no")}[value] if isinstance(value, bool) else value
        field = names("field", self.settings.get("field"))
        given = {"field": field} if operator in _NO_VALUE else {"field": field, "value": shown}
        return Text(_SENTENCES[operator].msgid, **given)
