"""Contacts: the people who get messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging, problems
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import contacts as schemas
from flowserver.blueprints.say import say
from flowserver.domain.consent import CHANNELS, column
from flowserver.errors import Invalid
from flowserver.services.people import browse, contacts, intake, why
from flowserver.text import N_

resource = Resource("Contacts", 10, "People who get messages, with their tags, lists and consent.", part="contacts")

ONE = f"/contacts/{ID % 'contact_id'}"
EXAMPLE = {
    "id": 7,
    "email": "ada@example.com",
    "phone": "+393331234567",
    "external_id": "shop-1042",
    "first_name": "Ada",
    "last_name": "Rossi",
    "locale": "it",
    "fields": {"city": "Roma"},
    "score": 0,
    "tags": ["customer"],
    "lists": [{"id": 1, "name": "Newsletter"}],
    "consent": {"email": "given", "sms": "none", "web_push": "none", "mobile_push": "none", "ads": "none"},
    "status": "active",
    "source": "api",
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
    "last_activity_at": None,
}
CONSENT = {
    "id": 3,
    "channel": "sms",
    "state": "given",
    "at": "2026-05-04T09:00:00Z",
    "source": "till in Rome",
    "words": "Yes, send me offers by SMS",
}


def show(row: Any, page: browse.Page) -> dict[str, Any]:
    """A contact as the API shows it."""
    return {
        "id": row.id,
        "email": row.email,
        "phone": row.phone,
        "external_id": row.external_id,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "locale": row.locale,
        "fields": row.fields,
        "score": row.score,
        "tags": page.tags[row.id],
        "lists": [{"id": id, "name": name} for id, name in page.lists[row.id]],
        "consent": {channel: getattr(row, column(channel)) for channel in CHANNELS},
        "status": row.status,
        "source": row.source,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "last_activity_at": row.last_activity_at,
    }


def one(contact_id: int) -> dict[str, Any]:
    """A contact of the present client. Raises ``NotFound``."""
    page = browse.contact(contact_id)
    return show(page.rows[0], page)


@resource.reads(
    "/contacts",
    query=schemas.ContactQuery,
    shows=schemas.ContactPage,
    example={"data": [EXAMPLE], "next": "YWZ0ZXI6Nw"},
)
def list_contacts(query: dict[str, Any]) -> Any:
    """List contacts.

    Filters narrow the list together. To keep a copy up to date, ask for `updated_since` the moment the last round
    began.
    """
    addresses: dict[str, str] = {key: query[key] for key in ("email", "phone", "external_id") if key in query}
    wanted = query.get("list")
    page = browse.contacts(
        query["cursor"],
        query["limit"],
        addresses=addresses,
        list=int(wanted) if wanted and wanted.isdecimal() and len(wanted) < 19 else wanted,
        tag=query.get("tag", ""),
        status=query.get("status", ""),
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, lambda row: show(row, page))


@resource.writes(
    "POST",
    "/contacts",
    takes=schemas.ContactIn,
    body_example={
        "email": "ada@example.com",
        "first_name": "Ada",
        "external_id": "shop-1042",
        "tags": ["customer"],
        "lists": ["Newsletter"],
        "consent": {"email": "given"},
        "consent_source": "checkout",
    },
    shows=schemas.Contact,
    example=EXAMPLE,
    status=201,
    also={200: "The contact was there and is changed."},
    tagged=True,
)
def save_contact(body: Mapping[str, Any]) -> Any:
    """Create or update a contact.

    The contact is found by `external_id`, then `email`, then `phone`; nobody found means a new one (201). Only keys that
    are sent change. People are never merged: an address that belongs to another contact is refused. Joining a list,
    a new tag and a changed field start the flows that listen to them.
    """
    contact_id, new = intake.save(body)
    where = {"Location": url_for(".get_contact", contact_id=contact_id)} if new else {}
    return Answer(one(contact_id), 201 if new else 200, where)


@resource.writes(
    "POST",
    "/contacts/bulk",
    takes=schemas.ContactsIn,
    body_example={"contacts": [{"email": "ada@example.com", "lists": [1]}, {"email": "not an address"}]},
    shows=schemas.Outcomes,
    example={
        "data": [
            {"index": 0, "result": "created", "id": 7, "errors": {}},
            {
                "index": 1,
                "result": "refused",
                "id": None,
                "errors": {"email": ["Enter an e-mail address like name@example.com"]},
            },
        ],
        "created": 1,
        "updated": 0,
        "refused": 1,
    },
)
def save_contacts(body: Mapping[str, Any]) -> Any:
    """Create or update up to 1,000 contacts.

    Each is taken or refused on its own; the answer has one result per contact, in order. Flows start as they do for a
    single contact.
    """
    outcomes = intake.save_many(body["contacts"])
    data = [
        {"index": place, "result": found.result, "id": found.id, "errors": problems.by_path(found.errors)}
        for place, found in enumerate(outcomes)
    ]
    return {
        "data": data,
        **{word: sum(row["result"] == word for row in data) for word in ("created", "updated", "refused")},
    }


@resource.reads(ONE, shows=schemas.Contact, example=EXAMPLE, tagged=True)
def get_contact(contact_id: int) -> Any:
    """Get a contact."""
    return one(contact_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.ContactValues,
    body_example={"first_name": "Ada", "fields": {"city": "Milano"}, "phone": None},
    shows=schemas.Contact,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_contact(contact_id: int, body: Mapping[str, Any]) -> Any:
    """Change a contact.

    Only keys that are sent change; null or empty text clears a value. Tags, lists and consent have addresses of their
    own.
    """
    unchanged("contact", contact_id, lambda: one(contact_id))
    contacts.update(contact_id, body)
    return one(contact_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_contact(contact_id: int) -> None:
    """Delete a contact.

    The contact leaves all flows, what was planned for it is not sent, and everything known about it is erased. Totals
    in reports stay.
    """
    unchanged("contact", contact_id, lambda: one(contact_id))
    contacts.delete(contact_id)


# --- tags and lists --------------------------------------------------------------------------------------


@resource.writes(
    "POST",
    f"{ONE}/tags",
    takes=schemas.TagsIn,
    body_example={"tags": ["customer", "vip"]},
    shows=schemas.Contact,
    example=EXAMPLE,
    tagged=True,
)
def add_tags(contact_id: int, body: Mapping[str, Any]) -> Any:
    """Put tags on a contact.

    Tags that do not exist yet are made. Only tags the contact did not have start flows.
    """
    intake.add_tags(contact_id, body["tags"])
    return one(contact_id)


@resource.writes("DELETE", f"{ONE}/tags/<path:tag>", status=204)
def remove_tag(contact_id: int, tag: str) -> None:
    """Take a tag off a contact."""
    intake.remove_tag(contact_id, tag)


@resource.writes(
    "POST",
    f"{ONE}/lists",
    takes=schemas.JoinIn,
    body_example={"list": "Newsletter"},
    shows=schemas.Contact,
    example=EXAMPLE,
    tagged=True,
)
def join_list(contact_id: int, body: Mapping[str, Any]) -> Any:
    """Put a contact on a list.

    A contact that is on the list already stays there, and no flow starts.
    """
    intake.join_list(contact_id, body["list"])
    return one(contact_id)


@resource.writes("DELETE", f"{ONE}/lists/{ID % 'list_id'}", status=204)
def leave_list(contact_id: int, list_id: int) -> None:
    """Take a contact off a list."""
    intake.leave_list(contact_id, list_id)


# --- consent ---------------------------------------------------------------------------------------------


def _show_consent(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "channel": row.channel,
        "state": row.state,
        "at": row.at,
        "source": row.source,
        "words": row.words,
    }


@resource.reads(
    f"{ONE}/consents",
    query=paging.PageQuery,
    shows=schemas.ConsentPage,
    example={"data": [CONSENT], "next": None},
)
def list_consents(contact_id: int, query: dict[str, Any]) -> Any:
    """List a contact's changes of consent, with their proof."""
    return paging.page(browse.consents(contact_id, query["cursor"], query["limit"]), _show_consent)


@resource.writes(
    "POST",
    f"{ONE}/consents",
    takes=schemas.ConsentIn,
    body_example={"channel": "sms", "state": "given", "source": "till in Rome", "words": "Yes, send me offers by SMS"},
    shows=schemas.Contact,
    example=EXAMPLE,
    tagged=True,
)
def change_consent(contact_id: int, body: Mapping[str, Any]) -> Any:
    """Write down that a contact gave or withdrew consent.

    Marketing goes only to those who gave it. Giving it again keeps the newer words as proof.
    """
    intake.consent(
        contact_id,
        body["channel"],
        body["state"],
        source=body.get("source", ""),
        words=body.get("words", ""),
        at=body.get("at"),
    )
    return one(contact_id)


# --- why -------------------------------------------------------------------------------------------------


@resource.reads(
    f"{ONE}/why",
    query=schemas.WhyQuery,
    shows=schemas.Why,
    example={
        "kind": "warn",
        "title": "This e-mail was not sent",
        "text": "",
        "at": "2026-05-04T09:10:00Z",
        "checks": [
            {"state": "ok", "title": "Has an e-mail address", "text": "ada@example.com", "at": None},
            {"state": "bad", "title": "Has consent for e-mails", "text": "Nobody ever gave it", "at": None},
        ],
    },
    tagged=True,
)
def explain_message(contact_id: int, query: Mapping[str, Any]) -> Any:
    """Explain why a contact got a message, or did not.

    Ask for a `message`, or for the `step` of a `flow` that never reached the contact. The answer lists the checks in
    the order they are made, up to the one that said no, in the language of `Accept-Language`.
    """
    contact = contacts.get(contact_id)
    found = why.explain(contact, _question(query))
    return {
        "kind": found.kind,
        "title": say(found.title),
        "text": say(found.text),
        "at": found.at,
        "checks": [
            {"state": one.state, "title": say(one.title), "text": say(one.text), "at": one.at} for one in found.checks
        ],
    }


def _question(query: Mapping[str, Any]) -> str:
    if "message" in query:
        return str(query["message"])
    if "flow" in query and "step" in query:
        return f"{query['flow']}:{query['step']}"
    raise Invalid({"message": [N_("Name a message, or a flow and a step")]})
