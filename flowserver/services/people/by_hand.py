"""What staff change about a contact by hand: everything on the form at once, consent, score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from flowserver.domain import people
from flowserver.domain.consent import ADDRESSES, CHANNELS, STATES
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Membership
from flowserver.services.people import consents, contacts, lists, scores, tags
from flowserver.text import N_

SOURCE = "by hand"


def save(
    contact_id: int | None, values: Mapping[str, Any], list_ids: Sequence[int], tag_words: str
) -> tuple[Contact, bool]:
    """Add or change a contact with its lists and tags in one transaction; ``(contact, whether it is new)``.

    ``values`` as :func:`contacts.upsert` takes them; ``list_ids`` and ``tag_words`` (comma-separated) are what the
    contact shall have afterwards. Without an id a person whom the addresses name already is changed, not doubled,
    and keeps lists, tags and whatever was left empty. Raises :class:`Invalid` by field.
    """
    wanted = _tags(tag_words)
    try:
        contact, new = _save(contact_id, values, list_ids, wanted)
    except Invalid:
        db.session.rollback()  # half a contact must not linger while the page is drawn again
        raise
    db.session.commit()
    return contact, new


def _save(
    contact_id: int | None, values: Mapping[str, Any], list_ids: Sequence[int], wanted: set[str]
) -> tuple[Contact, bool]:
    if contact_id is None:
        contact, new = contacts.upsert(_filled(values), source=SOURCE, commit=False)
    else:
        contact, new = contacts.update(contact_id, values, commit=False), False
    have_lists, have_tags = _has(contact.id)
    for list_id in sorted({*list_ids} - have_lists):
        _join(list_id, contact.id)
    tags.add([contact.id], sorted(wanted - have_tags), commit=False)
    if contact_id is not None:
        for list_id in have_lists - {*list_ids}:
            lists.leave(list_id, [contact.id], commit=False)
        for name in have_tags - wanted:
            tags.remove([contact.id], name, commit=False)
    return contact, new


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, without what was left empty: an empty box of "Add" says nothing about a person we know."""
    own = {key: value for key, value in values.get("fields", {}).items() if value not in ("", None)}
    core = {key: value for key, value in values.items() if key != "fields" and value not in ("", None)}
    return {**core, **({"fields": own} if own else {})}


def _tags(words: str) -> set[str]:
    try:
        return {people.tag(word) for word in words.replace(";", ",").split(",") if people.clean(word)}
    except Invalid as error:
        raise Invalid({"tags": error.messages["_"]}) from None


def _join(list_id: int, contact_id: int) -> None:
    try:
        lists.join(list_id, [contact_id], commit=False)
    except NotFound:
        raise Invalid({"lists": [N_("Choose lists that exist")]}) from None


def _has(contact_id: int) -> tuple[set[int], set[str]]:
    on = set(db.session.scalars(sa.select(Membership.list_id).where(Membership.contact_id == contact_id)))
    return on, set(contacts.lists_and_tags([contact_id])[1][contact_id])


def consent(contact_id: int, channel: str, state: str, words: str) -> None:
    """Note that a contact agreed or withdrew, told to staff in person. Raises :class:`Invalid` by field.

    Agreeing needs the words and the occasion: they are the proof.
    """
    mistakes: dict[str, Any] = {}
    if channel not in CHANNELS:
        mistakes["channel"] = [N_("Choose the channel")]
    if state not in STATES:
        mistakes["state"] = [N_("Choose whether the contact agreed or withdrew")]
    proof = people.clean(words)
    if state == "given" and not proof:
        mistakes["words"] = [N_("Write where and how the contact agreed")]
    if len(proof) > 2000:
        mistakes["words"] = [N_("Use 2,000 characters at most")]
    if mistakes:
        raise Invalid(mistakes)
    contact = contacts.get(contact_id)
    address = ADDRESSES.get(channel)
    if state == "given" and address and not getattr(contact, address):
        raise Conflict(N_("The contact has no address for this channel"))
    consents.change(contact, channel, state, source=SOURCE, words=proof)
    db.session.commit()


def score(contact_id: int, points: str, reason: str) -> int:
    """Give or take points by hand; the new total. Raises :class:`Invalid` by field."""
    contacts.get(contact_id)
    text = people.clean(points).replace("−", "-")
    number = int(text) if text.lstrip("+-").isdecimal() and len(text) < 10 else 0
    total = scores.change(contact_id, number, people.line(reason, 120))
    db.session.commit()
    return total
