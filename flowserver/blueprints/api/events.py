"""Events: what other systems report about contacts, and everything that was recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from flask import g, request

from flowserver.blueprints.api import paging, problems
from flowserver.blueprints.api.body import json_object
from flowserver.blueprints.api.kit import CLIENT, ID, Resource, respond, secret_sent
from flowserver.blueprints.api.schemas import events as schemas
from flowserver.services.people import reported, together

resource = Resource(
    "Events", 90, "What happens to contacts: reported by your systems, and recorded by flowserver.", part="events"
)

EXAMPLE = {
    "id": 812,
    "type": "purchase",
    "subject": "A-1042",
    "contact_id": 7,
    "event_id": None,
    "occurred_at": "2026-05-04T09:00:00Z",
    "properties": {"order": "A-1042", "amount": 49.5, "currency": "EUR"},
}


def show(row: Any) -> dict[str, Any]:
    """An event as the API shows it."""
    return {
        "id": row.id,
        "type": row.type,
        "subject": row.subject,
        "contact_id": row.contact_id,
        "event_id": row.key.removeprefix("api:") if row.key.startswith("api:") else None,
        "occurred_at": row.at,
        "properties": {name: value for name, value in (row.data or {}).items() if name != "chain"},
    }


# --- the short way -----------------------------------------------------------------------------------------

FEW_BYTES = 64 * 1024


def _shortcut(view: Callable[..., Any]) -> Callable[..., Any]:
    """Take a single event of a known key together with those that come at the same moment."""

    @wraps(view)
    def found(*args: Any, **kwargs: Any) -> Any:
        taken = _together()
        return view(*args, **kwargs) if taken is None else respond(answer([taken]))

    return found


def _together() -> reported.Taken | None:
    special = "Idempotency-Key" in request.headers or CLIENT in request.headers
    if special or not 0 < (request.content_length or 0) <= FEW_BYTES:
        return None
    secret = secret_sent()
    door = together.door(secret) if secret else None
    if door is None:
        g.new_key = secret
        return None
    raw = schemas.usual(json_object())
    return None if raw is None else together.take(door, raw)


# --- reporting ---------------------------------------------------------------------------------------------


@resource.writes(
    "POST",
    "/events",
    shortcut=_shortcut,
    takes=schemas.EventsIn,
    body_example={
        "type": "purchase",
        "contact": {"email": "ada@example.com", "external_id": "shop-1042"},
        "occurred_at": "2026-05-04T09:00:00Z",
        "properties": {
            "order": "A-1042",
            "amount": 49.5,
            "currency": "EUR",
            "items": [{"sku": "mug", "name": "Mug", "category": "Kitchen", "price": 16.5, "quantity": 3}],
        },
    },
    shows=schemas.ReportedEvents,
    example={
        "data": [{"index": 0, "result": "accepted", "contact_id": 7, "new_contact": False, "errors": {}}],
        "accepted": 1,
        "repeated": 0,
        "refused": 0,
    },
)
def report_events(body: Mapping[str, Any]) -> Any:
    """Report one event, or up to 1,000 in `events`.

    The contact is found by `id`, `external_id`, `email`, `phone`, in this order; an unknown address makes a new contact
    without consent, and an address that belongs to somebody else is refused. An `id` makes a repetition harmless: the same
    id again changes nothing and is answered as `repeated`; a purchase goes by its `order`. Of `events` each is taken or
    refused on its own; a single event that is refused answers 422. What happened more than seven days ago is kept as
    history and starts no flow.

    What the types bring in `properties`, beside names of your own:

    * `purchase`: `order`, `amount`, and perhaps `currency`, `items`, `cart`. `refund`: `order`, and `amount` unless all
      of it is given back.
    * `cart_updated`: `cart`, and perhaps `items` (none: it was emptied), `amount`, `currency`, `url`. A cart nobody
      touches or buys for 60 minutes is abandoned.
    * `event_registered`, `event_checked_in`: `event`, and perhaps `starts_at`, `ends_at`, `place`, `url`.
    * `document_requested`, `document_downloaded`: `document`, and perhaps `url`.
    * `app_installed`: perhaps `app`, `platform`. `nps_answered`: `score` from 0 to 10, and perhaps `comment`.

    Items have `sku`, `name`, `category`, `price`, `quantity`, `url`, `image`, as far as you know them. Every other word
    is a custom event, which can start flows, too.
    """
    if "events" in body:
        return answer(reported.take_many(body["events"]))
    taken = reported.take(body)
    if g.get("new_key") and not g.caller.agency:
        together.remember(g.new_key, g.caller.key_id)
    return answer([taken])


def answer(outcomes: Sequence[reported.Taken]) -> dict[str, Any]:
    """One result an event, and how many there are of each."""
    data = [
        {
            "index": place,
            "result": found.result,
            "contact_id": found.contact_id,
            "new_contact": found.new_contact,
            "errors": problems.by_path(found.errors) if found.errors else {},
        }
        for place, found in enumerate(outcomes)
    ]
    return {"data": data, **{word: sum(row["result"] == word for row in data) for word in schemas.RESULTS}}


@resource.reads(
    "/events",
    query=schemas.EventQuery,
    shows=schemas.EventPage,
    example={"data": [EXAMPLE], "next": "YWZ0ZXI6ODEy"},
)
def list_events(query: Mapping[str, Any]) -> Any:
    """List events, of a contact, of a type or of all.

    They come in the order they were recorded, those flowserver records itself, too.
    """
    page = reported.listed(
        query["cursor"],
        query["limit"],
        contact_id=query.get("contact"),
        type_=query.get("type", ""),
        since=query.get("since"),
    )
    return paging.page(page, show)


@resource.reads(f"/events/{ID % 'record_id'}", shows=schemas.RecordedEvent, example=EXAMPLE, tagged=True)
def get_event(record_id: int) -> Any:
    """Get an event by the id a list shows."""
    return show(reported.event(record_id))
