"""What programs send in: contacts with their tags, lists and consent in one transaction; forms that name a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Form
from flowserver.services.people import browse, consents, contacts, crowd, crowded, forms, lists, scores, tags
from flowserver.services.people.crowded import Arrival, Taken
from flowserver.text import N_

CHUNK = 250  # contacts of a bulk request written in one transaction, set by set
Lists = Mapping[int | str, int | None]  # reference → id, None where there is no such list
FEW = 25  # the same, one by one


def save(values: Mapping[str, Any], *, source: str = "api") -> tuple[int, bool]:
    """Make the contact these values describe, or change the one they belong to; ``(id, whether it is new)``.

    ``values`` as :func:`flowserver.services.people.contacts.upsert` takes them, and ``tags`` (names, made as needed),
    ``lists`` (ids or names), ``consent`` (``{channel: given | withdrawn}``) with ``consent_source`` and
    ``consent_words``. Tags and lists are added to those there are. Raises :class:`Invalid` by path.
    """
    found = _write(_check(values, contacts.book(), _lists([values])), source)
    db.session.commit()
    return found


def save_many(rows: Sequence[Mapping[str, Any] | Invalid], *, source: str = "api") -> list[Taken]:
    """:func:`save` for many, one outcome each, in order; a row that is refused does not stop the others.

    A row that could not even be read stands in ``rows`` as its error. A few start their flows at once, many as soon as
    the match job comes to them. Commits chunk by chunk, so that nobody waits long for the database.
    """
    book, known = contacts.book(), _lists([row for row in rows if not isinstance(row, Invalid)])
    db.session.commit()  # what follows takes a while before it writes: let others write meanwhile
    outcomes: list[Taken] = []
    for start in range(0, len(rows), CHUNK):
        chunk = [_checked(row, book, known) for row in rows[start : start + CHUNK]]
        taken = crowded.write(chunk, source) if len(rows) > crowd.AT_ONCE else None
        if taken is None:
            taken = _one_by_one(chunk, source)
        outcomes += taken
        db.session.commit()
    return outcomes


def _lists(rows: Sequence[Mapping[str, Any]]) -> Lists:
    """The lists that any of these rows name."""
    wanted = list(dict.fromkeys(reference for row in rows for reference in row.get("lists") or ()))
    return dict(zip(wanted, browse.list_ids(wanted), strict=True))


def _checked(row: Mapping[str, Any] | Invalid, book: contacts.Book, known: Lists) -> Arrival | Invalid:
    try:
        return row if isinstance(row, Invalid) else _check(row, book, known)
    except Invalid as error:
        return error


def _one_by_one(chunk: Sequence[Arrival | Invalid], source: str) -> list[Taken]:
    outcomes = []
    for place, arrival in enumerate(chunk, 1):
        outcomes.append(_take(arrival, source))
        if place % FEW == 0:
            db.session.commit()
    return outcomes


def _take(arrival: Arrival | Invalid, source: str) -> Taken:
    try:
        if isinstance(arrival, Invalid):
            raise arrival
        with db.session.begin_nested():
            contact_id, new = _write(arrival, source)
    except Invalid as error:
        return Taken(None, "refused", error.messages)
    return Taken(contact_id, "created" if new else "updated")


def _check(values: Mapping[str, Any], book: contacts.Book, known: Lists) -> Arrival:
    mistakes: dict[str, Any] = {}
    read: Mapping[str, Any] = {}
    try:
        read = book.read(values)
    except Invalid as error:
        mistakes.update(error.messages)
    wanted = values.get("lists") or []
    for place, reference in enumerate(wanted):
        if known[reference] is None:
            mistakes[f"lists[{place}]"] = [browse.no_list(reference)]
    names = _tags(values.get("tags") or [], mistakes)
    if mistakes:
        raise Invalid(mistakes)
    return Arrival(
        read,
        [found for reference in wanted if (found := known[reference]) is not None],
        names,
        values.get("consent") or {},
        values.get("consent_source") or "API",
        values.get("consent_words") or "",
    )


def _tags(raw: Sequence[str], mistakes: dict[str, Any]) -> list[str]:
    names = []
    for place, one in enumerate(raw):
        try:
            names.append(people.tag(one))
        except Invalid as error:
            mistakes[f"tags[{place}]"] = error.messages["_"]
    return names


def _write(checked: Arrival, source: str) -> tuple[int, bool]:
    contact, new = contacts.put(checked.values, source=source)
    for channel, state in checked.consent.items():
        consents.change(contact, channel, state, source=checked.consent_source, words=checked.consent_words)
    contact_id = contact.id
    if checked.tags:
        tags.add([contact_id], checked.tags, commit=False)
    for list_id in checked.list_ids:
        lists.join(list_id, [contact_id], commit=False)
    return contact_id, new


# --- one thing at a time -----------------------------------------------------------------------------------


def add_tags(contact_id: int, names: Sequence[str]) -> None:
    """Put tags on a contact. Raises :class:`NotFound`, :class:`Invalid` by path."""
    mistakes: dict[str, Any] = {}
    wanted = _tags(names, mistakes)
    if mistakes:
        raise Invalid(mistakes)
    contacts.get(contact_id)
    tags.add([contact_id], wanted)


def remove_tag(contact_id: int, name: str) -> None:
    """Take a tag off a contact. Raises :class:`NotFound` when the contact does not have it."""
    contacts.get(contact_id)
    try:
        gone = tags.remove([contact_id], name)
    except Invalid:
        gone = 0
    if not gone:
        raise NotFound(N_("The contact does not have this tag"))


def join_list(contact_id: int, reference: int | str) -> None:
    """Put a contact on a list, given by id or name. Raises :class:`NotFound`, :class:`Invalid` for an unknown list."""
    contacts.get(contact_id)
    found = browse.list_ids([reference])[0]
    if found is None:
        raise Invalid({"list": [browse.no_list(reference)]})
    lists.join(found, [contact_id])


def leave_list(contact_id: int, list_id: int) -> None:
    """Take a contact off a list. Raises :class:`NotFound` when it is not on it."""
    contacts.get(contact_id)
    if not lists.leave(list_id, [contact_id]):
        raise NotFound(N_("The contact is not on this list"))


def consent(contact_id: int, channel: str, state: str, *, source: str, words: str, at: datetime | None) -> None:
    """Write down that a contact gave or withdrew consent. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Contact).where(Contact.id == contact_id).with_for_update())
    if found is None:
        raise NotFound(N_("There is no such contact"))
    consents.change(found, channel, state, source=source or "API", words=words, at=at)
    db.session.commit()


def points(contact_id: int, points: int, reason: str) -> int:
    """Add points to a contact's score; the new total. Raises :class:`NotFound`, :class:`Invalid` by field."""
    contacts.get(contact_id)
    total = scores.change(contact_id, points, people.line(reason, 120))
    db.session.commit()
    return total


# --- forms -------------------------------------------------------------------------------------------------


def make_form(values: Mapping[str, Any]) -> int:
    """Make a form whose ``list`` is an id or a name; its id. Raises :class:`Invalid` by path."""
    return _with_list(values, forms.create)


def change_form(form_id: int, values: Mapping[str, Any]) -> int:
    """Change the given keys of a form. Raises :class:`NotFound`, :class:`Invalid` by path."""
    return _with_list(values, lambda known: forms.update(form_id, known))


def _with_list(values: Mapping[str, Any], write: Callable[[Mapping[str, Any]], Form]) -> int:
    known = dict(values)
    if "list" in known:
        known["list_id"] = browse.list_ids([known.pop("list")])[0] or 0  # no list has it, so it is named as a mistake
    try:
        return write(known).id
    except Invalid as error:
        raise Invalid({{"list_id": "list"}.get(key, key): texts for key, texts in error.messages.items()}) from None
