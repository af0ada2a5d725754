"""Schemas of events, purchases and carts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.domain.reported import LONGEST_ID, check_word
from flowserver.errors import Invalid
from flowserver.text import N_

MOST_AT_ONCE = 1000
RESULTS = ("accepted", "repeated", "refused")
STATES = ("open", "abandoned", "emptied", "bought")


class WhoIn(fields.Input):
    """Whose event it is: found by id, external_id, email, phone, in this order."""

    id = fields.Id(metadata={"description": "Id of the contact here."})
    external_id = fields.Text(120, allow_none=True, metadata={"description": "Your own id of this person."})
    email = fields.Text(320, allow_none=True)
    phone = fields.Text(60, allow_none=True)


class EventIn(fields.Input):
    """One event of a contact."""

    type = fields.Text(
        60,
        least=1,
        required=True,
        metadata={
            "description": "One of purchase, refund, cart_updated, event_registered, event_checked_in,"
            " document_requested, document_downloaded, app_installed, nps_answered, or a word of your own."
        },
    )
    contact = fields.Part(WhoIn, required=True, metadata={"description": "Whose event it is."})
    occurred_at = fields.Instant(metadata={"description": "When it happened, with its zone; now unless given."})
    id = fields.Text(
        LONGEST_ID,
        least=1,
        metadata={"description": "Your id of this event: the same id again is the same event and changes nothing."},
    )
    properties = fields.Thing(
        metadata={"description": "What it brings, 16 KB at most; messages show it as {{ event.<name> }}."}
    )

    def handle_error(self, error: ma.ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """What is wrong elsewhere does not hide a wrong type, which is otherwise looked at when all else could be read."""
        word = data.get("type") if isinstance(data, Mapping) else None
        if isinstance(word, str) and isinstance(error.messages, dict) and "type" not in error.messages:
            try:
                check_word(word)
            except Invalid as wrong:
                error.messages["type"] = wrong.messages["_"]


# --- read by hand ------------------------------------------------------------------------------------------

_EVENT = {"type", "contact", "occurred_at", "id", "properties"}
_WHO = {"id": 0, "external_id": 120, "email": 320, "phone": 60}


def usual(raw: Any) -> dict[str, Any] | None:
    """An event as its schema would load it, read by hand; ``None`` where only the schema can tell.

    The schema stays the truth: whatever comes through here comes through the schema the same (a test compares them).
    """
    if not isinstance(raw, dict) or not raw.keys() <= _EVENT:
        return None
    type_, who, id = raw.get("type"), raw.get("contact"), raw.get("id")
    plain = (
        isinstance(type_, str)
        and 0 < len(type_) <= 60
        and isinstance(who, dict)
        and all(key in _WHO and _is_address(key, value) for key, value in who.items())
        and (("id" not in raw) or (isinstance(id, str) and 0 < len(id) <= LONGEST_ID))
        and isinstance(raw.get("properties", {}), dict)
    )
    if not plain or "occurred_at" not in raw:
        return raw if plain else None
    at = _moment(raw["occurred_at"])
    return None if at is None else {**raw, "occurred_at": at}


def _is_address(key: str, value: Any) -> bool:
    if key == "id":
        return type(value) is int and 1 <= value <= fields.BIGGEST_ID
    return isinstance(value, str) and len(value) <= _WHO[key]


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found.astimezone(UTC) if found.tzinfo is not None and 1970 < found.year < 2200 else None


class Each(fields.Each):
    """Events, each taken or refused on its own; what is usual is read by hand."""

    def _one(self, raw: Any) -> Any:
        found = usual(raw)
        return super()._one(raw) if found is None else found


class EventsIn(EventIn):
    """One event, or up to 1,000 in `events`."""

    type = fields.Text(60, least=1, metadata=EventIn._declared_fields["type"].metadata)
    contact = fields.Part(WhoIn, metadata={"description": "Whose event it is."})
    events = Each(
        fields.Part(EventIn),
        MOST_AT_ONCE,
        metadata={"description": "Many events instead of one; each is taken or refused on its own."},
    )

    @ma.validates_schema(pass_original=True, skip_on_field_errors=False)
    def _one_or_many(self, data: Any, original: Any, **_: Any) -> None:
        """What must be there of one event; nothing beside many."""
        given = set(original) if isinstance(original, Mapping) else set()
        if "events" in given:
            beside = sorted(given & set(EventIn._declared_fields))
            mistakes = {key: [N_("Leave this out where you send events")] for key in beside}
        else:
            mistakes = {name: [N_("Fill this in")] for name in ("type", "contact") if name not in given}
        if mistakes:
            raise ma.ValidationError(mistakes)


class EventQuery(paging.PageQuery):
    """Which events."""

    contact = fields.Count(metadata={"description": "Id of a contact."})
    type = fields.Text(60, metadata={"description": "The word for what happened.", "example": "purchase"})
    since = fields.Instant(
        metadata={"description": "Happened at or after this moment.", "example": "2026-05-04T09:00:00Z"}
    )


class RecordedEvent(fields.Shown):
    """Something that happened to a contact."""

    id = plain.Integer()
    type = plain.String()
    subject = plain.String(metadata={"description": "What it is about: a list, a tag, an order."})
    contact_id = plain.Integer()
    event_id = plain.String(allow_none=True, metadata={"description": "Your id of it, where you gave one."})
    occurred_at = plain.DateTime()
    properties = plain.Dict()


class EventPage(fields.Shown):
    """A page of events."""

    data = plain.List(plain.Nested(RecordedEvent))
    next = plain.String(allow_none=True)


class ReportedEvent(fields.Shown):
    """What became of one event."""

    index = plain.Integer(metadata={"description": "Its place in the request, from 0."})
    result = plain.String(metadata={"enum": list(RESULTS), "description": "repeated: it was known already."})
    contact_id = plain.Integer(allow_none=True)
    new_contact = plain.Boolean(metadata={"description": "The contact was made for it, without consent."})
    errors = plain.Dict(keys=plain.String(), values=plain.List(plain.String()))


class ReportedEvents(fields.Shown):
    """What became of the events."""

    data = plain.List(plain.Nested(ReportedEvent))
    accepted = plain.Integer()
    repeated = plain.Integer()
    refused = plain.Integer()


class PurchaseQuery(paging.SyncQuery):
    """Which purchases."""

    contact = fields.Count(metadata={"description": "Id of a contact."})
    order = fields.Text(LONGEST_ID, metadata={"description": "Number of an order.", "example": "A-1042"})
    since = fields.Instant(
        metadata={"description": "Happened at or after this moment.", "example": "2026-05-04T09:00:00Z"}
    )


class Purchase(fields.Shown):
    """An order that was paid."""

    id = plain.Integer()
    contact_id = plain.Integer(allow_none=True, metadata={"description": "null: the contact was deleted."})
    order = plain.String()
    amount = plain.Float()
    refunded = plain.Float(metadata={"description": "How much of it was given back."})
    currency = plain.String()
    cart = plain.String(allow_none=True)
    items = plain.List(plain.Dict())
    occurred_at = plain.DateTime()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class PurchasePage(fields.Shown):
    """A page of purchases."""

    data = plain.List(plain.Nested(Purchase))
    next = plain.String(allow_none=True)


class CartQuery(paging.SyncQuery):
    """Which carts."""

    contact = fields.Count(metadata={"description": "Id of a contact."})
    state = fields.Word(STATES)
    cart = fields.Text(LONGEST_ID, metadata={"description": "Your own id of a cart.", "example": "c-77"})


class Cart(fields.Shown):
    """A cart as it was reported last."""

    id = plain.Integer()
    contact_id = plain.Integer()
    cart = plain.String(metadata={"description": "Your own id of it."})
    state = plain.String(
        metadata={"enum": list(STATES), "description": "abandoned: nobody touched it for an hour, and nobody bought."}
    )
    amount = plain.Float(allow_none=True)
    currency = plain.String()
    url = plain.String()
    items = plain.List(plain.Dict())
    updated_at = plain.DateTime()
    abandoned_at = plain.DateTime(allow_none=True)
    created_at = plain.DateTime()


class CartPage(fields.Shown):
    """A page of carts."""

    data = plain.List(plain.Nested(Cart))
    next = plain.String(allow_none=True)
