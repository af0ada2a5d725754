"""Fields of the API's schemas: strict about types, with our own words for what is wrong.

Unlike marshmallow's own, they take a value of exactly one type (no ``"12"`` for 12, no 1 for true), and their
messages stay translatable. Query parameters, which are all text, have their own: :class:`Count`, :class:`Flag`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from flowserver.errors import Invalid
from flowserver.text import N_
from flowserver.text import Text as Said

BIGGEST_ID = 2**63 - 1
LONGEST = 10_000  # characters of any text that has no smaller limit of its own


class Input(ma.Schema):
    """What comes in. Unknown keys are refused, so that a typing error is found."""

    class Meta:
        unknown = ma.RAISE

    error_messages = {"unknown": N_("We do not know this"), "type": N_("Send a JSON object")}


class Shown(ma.Schema):
    """What goes out: only described with it, never built. Every key is always there."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = True


class Words:
    """Messages of a field, kept as they are so that they can be translated."""

    default_error_messages: dict[str, Any] = {"required": N_("Fill this in"), "null": N_("This cannot be null")}
    error_messages: dict[str, Any]

    def make_error(self, key: str, **kwargs: Any) -> ma.ValidationError:
        """The message behind ``key``, unformatted."""
        return ma.ValidationError(self.error_messages[key])


class Length(validate.Length):
    """A text of so many characters, or a list of so many entries."""

    def __call__(self, value: Any) -> Any:
        if self.min and len(value) < self.min:
            raise ma.ValidationError(N_("Fill this in"))
        if self.max is not None and len(value) > self.max:
            words = N_("Use at most %(most)s characters") if isinstance(value, str) else N_("Send at most %(most)s")
            raise ma.ValidationError(Said(words.msgid, most=self.max))
        return value


class Range(validate.Range):
    """A number between two others, both included."""

    def __call__(self, value: Any) -> Any:
        if not self.min <= value <= self.max:  # type: ignore[operator]
            text = Said("Write a number from %(least)s to %(most)s", least=self.min, most=self.max)
            raise ma.ValidationError(text)
        return value


class Among(validate.OneOf):
    """One of a few words."""

    def __call__(self, value: Any) -> Any:
        if value not in self.choices:
            raise ma.ValidationError(Said("Choose one of: %(choices)s", choices=", ".join(map(str, self.choices))))
        return value


class Text(Words, fields.String):
    """Text of ``least`` to ``most`` characters."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Write text"), "invalid_utf8": N_("Write text")}

    def __init__(self, most: int = LONGEST, least: int = 0, **kwargs: Any):
        checks = [*kwargs.pop("validate", []), Length(min=least or None, max=most)]
        super().__init__(validate=checks, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in found:  # PostgreSQL keeps no text with it
            raise ma.ValidationError(N_("Leave out the character NUL"))
        return found


class Word(Text):
    """One word of a closed vocabulary."""

    def __init__(self, choices: Sequence[str], **kwargs: Any):
        super().__init__(validate=[Among(choices)], **kwargs)


class Whole(Words, fields.Integer):
    """A whole number between two others."""

    default_error_messages: dict[str, Any] = {
        "invalid": N_("Write a whole number"),
        "too_large": N_("Write a smaller number"),
    }

    def __init__(self, least: int = -BIGGEST_ID, most: int = BIGGEST_ID, **kwargs: Any):
        super().__init__(strict=True, validate=[Range(min=least, max=most)], **kwargs)


class Id(Whole):
    """The id of an object."""

    def __init__(self, **kwargs: Any):
        super().__init__(1, BIGGEST_ID, **kwargs)


class Count(Words, fields.Integer):
    """A whole number in the address."""

    default_error_messages: dict[str, Any] = {
        "invalid": N_("Write a whole number"),
        "too_large": N_("Write a smaller number"),
    }

    def __init__(self, least: int = 1, most: int = BIGGEST_ID, **kwargs: Any):
        super().__init__(validate=[Range(min=least, max=most)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"-?\d{1,20}", str(value), re.ASCII):
            raise self.make_error("invalid")
        return int(value)


class YesNo(Words, fields.Boolean):
    """``true`` or ``false``."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Write true or false")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Flag(YesNo):
    """``true`` or ``false`` in the address."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        return super()._deserialize({"true": True, "false": False}.get(value, value), attr, data, **kwargs)


class Instant(Words, fields.DateTime):
    """A moment with its zone, as in ISO 8601; always UTC afterwards."""

    default_error_messages: dict[str, Any] = {
        "invalid": N_("Write a moment with its zone, like 2026-05-04T09:00:00Z"),
        "range": N_("Write a moment between the years 1970 and 2200"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:  # a + in an address means a space; RFC 3339 allows small letters
            found = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", value[:40]).upper())
        except (AttributeError, TypeError, ValueError):
            raise self.make_error("invalid") from None
        if found.tzinfo is None:
            raise self.make_error("invalid")
        if not 1970 <= found.year <= 2200:
            raise self.make_error("range")
        return found.astimezone(UTC)


class Reference(Words, fields.Field[Any]):
    """An object of the client: its id, or its name."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Write an id or a name")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | str:
        number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= BIGGEST_ID
        if not number and not (isinstance(value, str) and 1 <= len(value) <= 200):
            raise self.make_error("invalid")
        return value


class Thing(Words, fields.Dict):
    """A JSON object whose content a service checks."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Send a JSON object")}


class Some(Words, fields.List):
    """A list of at most so many."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Send a list")}

    def __init__(self, inner: fields.Field[Any], most: int, **kwargs: Any):
        super().__init__(inner, validate=[Length(max=most)], **kwargs)


class Part(Words, fields.Nested):
    """An object inside another."""

    default_error_messages: dict[str, Any] = {"type": N_("Send a JSON object")}


class Each(Some):
    """A list whose entries are taken or refused each on its own: a bad one becomes an :class:`Invalid`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return [self._one(raw) for raw in value]

    def _one(self, raw: Any) -> Any:
        try:
            return self.inner.deserialize(raw)
        except ma.ValidationError as error:
            return Invalid(error.normalized_messages())


class Anything(Words, fields.Raw):
    """Any JSON value."""
