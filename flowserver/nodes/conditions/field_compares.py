"""A field of the contact compares to a value. A missing value answers no to everything but "is empty"."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import people
from flowserver.domain.steps import Contact, Context, Item
from flowserver.errors import Invalid
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref, ValueField, ValueOf, length
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


_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def value_of(contact: Contact, key: str) -> Any:
    """The value of a core or custom field; ``None`` where there is none."""
    return present(getattr(contact, key) if key in CORE else contact.fields.get(key))


def present(value: Any) -> Any:
    """A value as it counts: blank text is none."""
    return None if isinstance(value, str) and not value.strip() else value


def fold(value: Any) -> str:
    """Text as compared: trimmed, NFC, without case."""
    return _folded(value if type(value) is str else str(value))


@lru_cache(4096)  # contacts of a batch share most values: plans, countries, words from a choice
def _folded(text: str) -> str:
    text = text.strip()
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def number(value: Any) -> Decimal | None:
    """A number, typed as one or as text with a decimal point or comma; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        return Decimal(str(value))
    text = str(value).strip()
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def compare(value: Any, operator: str, wanted: Any) -> bool:
    """Whether ``value`` compares as ``operator`` says, in the type of ``value``; a missing one is only ever "is_empty".

    Text compares whole, trimmed, NFC, without case; "less" and "more" need two numbers or two dates.
    """
    if operator in ALONE:
        return (value is None) == (operator == "is_empty")
    if value is None:
        return False
    if operator == "contains":
        return fold(wanted) in fold(value)
    if operator in ("less", "more"):
        return _in_order(wanted, value) if operator == "more" else _in_order(value, wanted)
    return _equal(value, wanted) == (operator == "equals")


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool):
        return fold(wanted) in (_YES if value else _NO)
    if isinstance(value, int | float):
        return number(value) == number(wanted) is not None
    return fold(value) == fold(wanted)


_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def _in_order(less: Any, more: Any) -> bool:
    low, high = number(less), number(more)
    if low is not None and high is not None:
        return low < high
    first, second = str(less).strip(), str(more).strip()
    return bool(_DATE.fullmatch(first) and _DATE.fullmatch(second) and first < second)


def fit(spec: people.Spec, operator: str, raw: Any, customs: people.Customs) -> Any:
    """A value to compare a field with, in the type of the field; of type ``core``: the fields everybody has.

    Raises :class:`Invalid`: under ``value`` what the field does not take, under ``operator`` a comparison it does not
    know.
    """
    if operator in ("less", "more") and spec.type not in ("number", "date"):
        raise Invalid({"operator": [N_("Only a number or a date can be less or more than something")]})
    if operator == "contains" and spec.type not in ("text", "choice", "core"):
        raise Invalid({"operator": [N_("Only text can contain something")]})
    try:
        if operator == "contains":
            return people.line(raw, people.TEXT_LENGTH)
        if spec.type == "core":
            return people.contact_text(spec.key, raw, customs)
        return people.value(spec.type, raw, spec.choices, customs)
    except Invalid as error:
        raise Invalid({"value": error.messages["_"]}) from None


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
        value = ValueOf(how="operator")

        @ma.validates_schema
        def _value_where_needed(self, data: Mapping[str, Any], **_: Any) -> None:
            value = data.get("value")
            if data.get("operator") not in ALONE and (value is None or not str(value).strip()):
                raise ma.ValidationError(N_("Enter the value to compare with"), "value")
            length(500, "value")(value)

    class Form(NodeForm):
        shows = {"value": "operator=equals|not_equals|contains|less|more"}
        field = ChoiceOf(N_("Field"), source="field", render_kw={"data-refresh": "type"})
        operator = wtforms.SelectField(N_("Comparison"), choices=dict(OPERATORS))
        value = ValueField(N_("Value"))

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
        sentence = _SENTENCES[self.settings.get("operator") or "equals"]
        return Text(
            sentence.msgid,
            field=names("field", self.settings.get("field")),
            value=self.settings.get("value", ""),
        )
