"""A field of the contact compares to a value. A missing value answers no to everything but "is empty"."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Contact, Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text

CORE = ("first_name", "last_name", "email", "phone", "external_id", "locale")
OPERATORS = [
    ("equals", N_("is")),
    ("not_equals", N_("is not")),
    ("contains", N_("contains")),
    ("less", N_("is less than")),
    ("more", N_("is more than")),
    ("is_set", N_("is filled in")),
    ("is_empty", N_("is empty")),
]
_SENTENCES = {
    "equals": N_("%(field)s is “%(value)s”?"),
    "not_equals": N_("%(field)s is not “%(value)s”?"),
    "contains": N_("%(field)s contains “%(value)s”?"),
    "less": N_("%(field)s is less than %(value)s?"),
    "more": N_("%(field)s is more than %(value)s?"),
    "is_set": N_("%(field)s is filled in?"),
    "is_empty": N_("%(field)s is empty?"),
}
ALONE = ("is_set", "is_empty")


def value_of(contact: Contact, key: str) -> Any:
    """The value of a core or custom field; ``None`` where there is none."""
    found = getattr(contact, key) if key in CORE else contact.fields.get(key)
    return None if found == "" else found


def fold(text: Any) -> str:
    """Text as compared: trimmed, NFC, without case."""
    return unicodedata.normalize("NFC", str(text).strip()).casefold()


def alike(value: Any, wanted: Any) -> tuple[Any, Any]:
    """Both in the type of the contact's value: number, date (ISO text compares), yes/no, folded text."""
    if isinstance(value, bool):
        return value, fold(wanted) in ("true", "yes", "1", "on")
    if isinstance(value, int | float):
        return float(value), float(str(wanted).replace(",", "."))
    return fold(value), fold(wanted)


def compare(value: Any, operator: str, wanted: Any) -> bool:
    """Whether ``value`` compares as ``operator`` says; a missing value is only ever "is_empty"."""
    if operator in ALONE:
        return (value is None) == (operator == "is_empty")
    if value is None:
        return False
    try:
        left, right = alike(value, wanted)
    except ValueError:  # a number against a word: not equal, not less, not more
        return operator == "not_equals"
    if operator == "contains":
        return str(right) in str(left)
    if operator in ("less", "more") and isinstance(left, str) and not _is_date(left):
        try:
            left, right = float(left), float(right)
        except ValueError:
            return False
    return {"equals": left == right, "not_equals": left != right, "less": left < right, "more": left > right}[operator]


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


class FieldCompares(Condition):
    name = "field_compares"
    title = N_("A field has a value")
    icon = "field"

    class Settings(base.Settings):
        field = Ref("field", required=True, error_messages={"required": N_("Choose the field")})
        operator = fields.String(
            load_default="equals",
            validate=validate.OneOf([name for name, _ in OPERATORS], error=N_("Choose how to compare")),
        )
        value = fields.Raw()

        @ma.validates_schema
        def _value_where_needed(self, data: Mapping[str, Any], **_: Any) -> None:
            if data.get("operator") not in ALONE and data.get("value") in (None, ""):
                raise ma.ValidationError(N_("Enter the value to compare with"), "value")
            if not isinstance(data.get("value"), str | int | float | bool | None) or len(str(data.get("value"))) > 500:
                raise ma.ValidationError(N_("Use 500 characters at most"), "value")

    class Form(NodeForm):
        field = ChoiceOf(N_("Field"), source="field")
        operator = wtforms.SelectField(N_("Comparison"), choices=dict(OPERATORS))
        value = wtforms.StringField(N_("Value"))

        def to_settings(self) -> dict[str, Any]:
            settings = super().to_settings()
            if settings.get("operator") in ALONE:
                settings.pop("value", None)
            return settings

    def holds(self, item: Item, ctx: Context) -> bool:
        return compare(
            value_of(item.contact, self.settings["field"]),
            self.settings["operator"],
            self.settings.get("value"),
        )

    def facts(self, item: Item) -> Mapping[str, Any]:
        value = value_of(item.contact, self.settings["field"])
        shown = value if not isinstance(value, str) or len(value) <= 60 else value[:59] + "…"
        return {self.settings["field"]: shown}

    def question(self, names: Names) -> Text:
        sentence = _SENTENCES[self.settings.get("operator", "equals")]
        return Text(
            sentence.msgid,
            field=names("field", self.settings.get("field")),
            value=self.settings.get("value", ""),
        )
