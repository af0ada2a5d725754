"""Contacts: who they are, how they come in, change and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.domain.importing import ADDRESSES, OTHERS, whose
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import (
    Cart,
    Contact,
    ContactList,
    ContactTag,
    Conversion,
    Decision,
    Engagement,
    Enrollment,
    Event,
    Field,
    Membership,
    Message,
    PageView,
    Purchase,
    Signup,
    Tag,
    Visit,
    Visitor,
    Workspace,
)
from flowserver.services.engine import events
from flowserver.services.people import crowd
from flowserver.text import N_


@dataclass(frozen=True)
class Book:
    """What reading values of one client needs: whose they are, its custom fields, its customs."""

    workspace_id: int
    specs: Mapping[str, people.Spec]
    customs: people.Customs

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Checked values of a contact. Raises :class:`Invalid` by field."""
        return people.contact_values(values, self.specs, self.customs)


def book(country: str | None = None) -> Book:
    """The address book of the current workspace; ``country`` overrides the client's for phone numbers and dates."""
    workspace_id = extensions.current_workspace() or 0
    row = db.session.execute(
        sa.select(Workspace.country, Workspace.locale, Workspace.time_zone).where(Workspace.id == workspace_id)
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such client"))
    fields = db.session.scalars(sa.select(Field).order_by(Field.label)).all()
    specs = {field.key: people.Spec(field.key, field.label, field.type, tuple(field.choices)) for field in fields}
    customs = people.Customs.of(row.country if country is None else country, row.locale, row.time_zone)
    return Book(workspace_id, specs, customs)


# --- finding -------------------------------------------------------------------------------------------


def get(contact_id: int) -> Contact:
    """The contact with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Contact).where(Contact.id == contact_id))
    if found is None:
        raise NotFound(N_("There is no such contact"))
    return found


def match(values: Mapping[str, Any]) -> Contact | None:
    """Whose values these are: by external id, then e-mail, then phone. Takes checked values; locks the row.

    Raises :class:`Invalid` where an address belongs to someone else: people are never merged silently.
    """
    found: Contact | None = whose(values, {key: _holder(key, values[key]) for key in ADDRESSES if values.get(key)})
    return found


def _holder(key: str, value: str) -> Contact | None:
    query = sa.select(Contact).where(getattr(Contact, key) == value).with_for_update()
    return db.session.scalar(query.execution_options(populate_existing=True))


# --- making and changing ---------------------------------------------------------------------------------


def upsert(
    values: Mapping[str, Any], *, source: str, silent: bool = False, chain: int = 0, commit: bool = True
) -> tuple[Contact, bool]:
    """Make the contact these values describe, or change the one they belong to; ``(contact, whether it is new)``.

    ``values``: e-mail, phone, external_id, first_name, last_name, locale, ``fields`` by key; only keys that are given
    change, empty ones clear. ``source`` says where they came from. ``silent`` raises no events (imports). Raises
    :class:`Invalid` by field, also when an address belongs to someone else.
    """
    checked = book().read(values)
    contact, new = put(checked, source=source, silent=silent, chain=chain)
    if commit:
        db.session.commit()
    return contact, new


def put(checked: Mapping[str, Any], *, source: str, silent: bool = False, chain: int = 0) -> tuple[Contact, bool]:
    """:func:`upsert` for values that were checked, inside the caller's transaction."""
    found = match(checked)
    if found is None:
        made = _insert(checked, source)
        if made is not None:
            _tell_new(made, silent, chain)
            return made, True
        found = match(checked)  # somebody was quicker; now it is a change
        if found is None:
            raise Invalid({"_": [N_("Two changes came at once. Save again")]})
    _change(found, checked, silent, chain)
    return found, False


def _insert(checked: Mapping[str, Any], source: str) -> Contact | None:
    if not checked.get("email") and not checked.get("phone"):
        raise Invalid({"email": [N_("Enter an e-mail address or a phone number")]})
    now = clock.now()
    row = {
        "workspace_id": extensions.current_workspace(),
        "email": None,
        "phone": None,
        "external_id": None,
        "first_name": "",
        "last_name": "",
        "locale": "",
        **{key: value for key, value in checked.items() if key != "fields"},
        "fields": {key: value for key, value in checked.get("fields", {}).items() if value is not None},
        "score": 0,
        "email_consent": "none",
        "sms_consent": "none",
        "status": "active",
        "source": source[:40],
        "created_at": now,
        "updated_at": now,
    }
    made = crowd.insert_new(Contact, [row], ("id",))
    return get(made[0][0]) if made else None


def _tell_new(contact: Contact, silent: bool, chain: int) -> None:
    if silent:
        return
    facts = _facts(contact)
    data = {"source": contact.source, "filled": sorted(facts)}
    events.record(contact.id, "contact_created", at=contact.created_at, data=data, chain=chain)
    for key, value in facts.items():
        _tell_field(contact, key, None, value, chain, created=True)


def _facts(contact: Contact) -> dict[str, Any]:
    """What a field trigger can listen to, where it is filled."""
    core = {key: getattr(contact, key) for key in people.TEXTS}
    return {key: value for key, value in {**core, **contact.fields}.items() if value not in (None, "")}


def update(contact_id: int, values: Mapping[str, Any], *, silent: bool = False, commit: bool = True) -> Contact:
    """Change the given keys of a contact (as :func:`upsert` reads them). Raises :class:`NotFound`, :class:`Invalid`."""
    checked = book().read(values)
    contact = db.session.scalar(sa.select(Contact).where(Contact.id == contact_id).with_for_update())
    if contact is None:
        raise NotFound(N_("There is no such contact"))
    taken = {key: _holder(key, checked[key]) for key in ADDRESSES if checked.get(key)}
    mistakes = {key: [OTHERS[key]] for key, holder in taken.items() if holder is not None and holder.id != contact.id}
    if mistakes:
        raise Invalid(mistakes)
    _change(contact, checked, silent, 0)
    if commit:
        db.session.commit()
    return contact


def _change(contact: Contact, checked: Mapping[str, Any], silent: bool, chain: int) -> None:
    """Write what differs and tell it, field by field."""
    before = {key: getattr(contact, key) for key in people.TEXTS}
    changes = {key: value for key, value in checked.items() if key != "fields" and value != before[key]}
    fields = {key: value for key, value in checked.get("fields", {}).items() if value != contact.fields.get(key)}
    if not changes and not fields:
        return
    if not {**before, **changes}["email"] and not {**before, **changes}["phone"]:
        raise Invalid({"email": [N_("Enter an e-mail address or a phone number")]})
    told = [(key, before[key] or None, value) for key, value in changes.items()]
    told += [(key, contact.fields.get(key), value) for key, value in fields.items()]
    kept = {**contact.fields, **fields}
    for key, value in changes.items():
        setattr(contact, key, value)
    contact.fields = {key: value for key, value in kept.items() if value is not None}
    if "email" in changes and contact.status == "bounced":
        contact.status = "active"  # the address that bounced is gone
    contact.updated_at = clock.now()
    try:
        with db.session.begin_nested():
            db.session.flush()
    except IntegrityError:  # another request took the address between our look and our write
        taken = next((key for key in ADDRESSES if key in changes), "_")
        raise Invalid({taken: [OTHERS.get(taken, N_("Two changes came at once. Save again"))]}) from None
    for key, old, new in () if silent else told:
        _tell_field(contact, key, old, new, chain)


def _tell_field(contact: Contact, key: str, old: Any, new: Any, chain: int, created: bool = False) -> None:
    data = {"old": old, "new": new, **({"created": True} if created else {})}
    events.record(contact.id, "field_changed", subject=key, at=contact.updated_at, data=data, chain=chain)


# --- searching -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """Which contacts a list shows. Empty parts do not narrow it."""

    q: str = ""  # words of name, e-mail, phone or external id; all must be found
    list_id: int | None = None
    tag: str = ""
    consent: str = ""  # email, sms: given; no_email, no_sms: not given
    status: str = ""  # active, suppressed, bounced
    updated_since: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Some contacts, newest first, and the ids to go on from."""

    items: list[Contact]
    older: int | None  # ask for ids below this one for the next page
    newer: int | None  # ask for ids above this one for the page before


def search(wanted: Filter, *, limit: int = 50, older: int | None = None, newer: int | None = None) -> Page:
    """One page of contacts, newest first: those below the id ``older``, or the ones just above ``newer``."""
    query = sa.select(Contact).where(*_conditions(wanted)).limit(limit + 1)
    if newer is not None:
        found = list(db.session.scalars(query.where(Contact.id > newer).order_by(Contact.id)))
        items = found[:limit][::-1]
        return Page(items, items[-1].id if items else None, items[0].id if len(found) > limit else None)
    if older is not None:
        query = query.where(Contact.id < older)
    found = list(db.session.scalars(query.order_by(Contact.id.desc())))
    items = found[:limit]
    more = items[-1].id if len(found) > limit else None
    return Page(items, more, items[0].id if older is not None and items else None)


def count(wanted: Filter, most: int = 10_000) -> int:
    """How many contacts match, counted up to ``most + 1``."""
    matching = sa.select(Contact.id).where(*_conditions(wanted)).limit(most + 1).subquery()
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(matching)) or 0)


def after(wanted: Filter, last: int, size: int = 1000) -> list[Contact]:
    """The next matching contacts whose id is above ``last``, oldest first: for going through all of them in chunks."""
    query = sa.select(Contact).where(*_conditions(wanted), Contact.id > last).order_by(Contact.id).limit(size)
    return list(db.session.scalars(query))


def words(q: str) -> list[sa.ColumnElement[bool]]:
    """Conditions on contacts: each of these words is found in a name, an address or an id."""
    return [_word(word) for word in people.clean(q).split()[:6]]


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    found = words(wanted.q)
    if wanted.list_id:
        members = sa.select(Membership.contact_id).where(Membership.list_id == wanted.list_id)
        found.append(Contact.id.in_(members))
    if wanted.tag:
        tagged = sa.select(ContactTag.contact_id).join(Tag, Tag.id == ContactTag.tag_id).where(Tag.name == wanted.tag)
        found.append(Contact.id.in_(tagged))
    if wanted.consent:
        column = Contact.sms_consent if wanted.consent.endswith("sms") else Contact.email_consent
        found.append(column != "given" if wanted.consent.startswith("no_") else column == "given")
    if wanted.status:
        found.append(Contact.status == wanted.status)
    if wanted.updated_since:
        found.append(Contact.updated_at >= wanted.updated_since)
    return found


def _word(word: str) -> sa.ColumnElement[bool]:
    """A word found in a name, address or id. SQLite folds ASCII letters only, so other spellings are asked for, too."""
    spellings = {word, word.lower(), word.capitalize()}
    texts = (Contact.first_name, Contact.last_name, Contact.email, Contact.external_id)
    found = [column.icontains(spelling, autoescape=True) for column in texts for spelling in spellings]
    digits = "".join(char for char in word if char.isdecimal())
    if len(digits) >= 3 and not any(char.isalpha() for char in word):
        found.append(Contact.phone.contains(digits.lstrip("0") or digits))
    return sa.or_(*found)


def lists_and_tags(contact_ids: Sequence[int]) -> tuple[dict[int, list[tuple[int, str]]], dict[int, list[str]]]:
    """``({contact: [(list id, name)]}, {contact: [tag]})`` of some contacts, in two queries."""
    lists: dict[int, list[tuple[int, str]]] = {one: [] for one in contact_ids}
    tags: dict[int, list[str]] = {one: [] for one in contact_ids}
    on = (
        sa.select(Membership.contact_id, ContactList.id, ContactList.name)
        .join(ContactList, ContactList.id == Membership.list_id)
        .where(Membership.contact_id.in_(contact_ids))
        .order_by(ContactList.name)
    )
    for contact_id, list_id, name in db.session.execute(on):
        lists[contact_id].append((list_id, name))
    has = (
        sa.select(ContactTag.contact_id, Tag.name)
        .join(Tag, Tag.id == ContactTag.tag_id)
        .where(ContactTag.contact_id.in_(contact_ids))
        .order_by(Tag.name)
    )
    for contact_id, name in db.session.execute(has):
        tags[contact_id].append(name)
    return lists, tags


# --- deleting --------------------------------------------------------------------------------------------


def delete(contact_id: int) -> None:
    """Erase a contact for good. Raises :class:`NotFound`. See :func:`erase` for what stays."""
    get(contact_id)
    erase([contact_id])
    db.session.commit()


def erase(contact_ids: Sequence[int]) -> None:
    """Erase contacts, in the caller's transaction.

    They leave their flows, what was planned for them is not sent, and every address, answer and piece of evidence
    about them goes. Rows without a person stay, so that reports keep their totals; so does an address on the
    suppression list, because it is there to stop messages.
    """
    now = clock.now()
    addresses = db.session.execute(sa.select(Contact.email, Contact.phone).where(Contact.id.in_(contact_ids))).all()
    emails = [row.email for row in addresses if row.email]
    runs = sa.select(Enrollment.id).where(Enrollment.contact_id.in_(contact_ids))
    mine = Message.contact_id.in_(contact_ids)
    for statement in (
        sa.delete(Visitor).where(Visitor.contact_id.in_(contact_ids)),  # first, as a visit locks them: visitor, contact
        sa.delete(PageView).where(PageView.contact_id.in_(contact_ids)),
        sa.delete(Visit).where(Visit.contact_id.in_(contact_ids)),
        sa.update(Conversion)
        .where(Conversion.contact_id.in_(contact_ids))
        .values(contact_id=None, dedupe_key="", url=""),
        sa.update(Enrollment)
        .where(Enrollment.contact_id.in_(contact_ids), Enrollment.due_at.is_not(None))
        .values(due_at=None, ended_at=now, end_reason="contact_deleted", awaits=None, held=False),
        sa.update(Enrollment).where(Enrollment.contact_id.in_(contact_ids)).values(data=None),
        sa.update(Decision).where(Decision.enrollment_id.in_(runs)).values(facts=None),
        sa.update(Message).where(mine, Message.state == "planned").values(state="skipped", reason="deleted"),
        sa.update(Message).where(mine).values(address="", content=None),
        sa.update(Engagement).where(Engagement.contact_id.in_(contact_ids)).values(evidence=None, url=None),
        sa.update(Event).where(Event.contact_id.in_(contact_ids)).values(data=None),
        sa.update(Purchase).where(Purchase.contact_id.in_(contact_ids)).values(contact_id=None, items=[], cart_id=""),
        sa.delete(Cart).where(Cart.contact_id.in_(contact_ids)),
        sa.delete(Signup).where(sa.or_(Signup.contact_id.in_(contact_ids), Signup.email.in_(emails))),
        sa.delete(Contact).where(Contact.id.in_(contact_ids)),
    ):
        db.session.execute(statement.execution_options(synchronize_session=False))
    db.session.expire_all()
