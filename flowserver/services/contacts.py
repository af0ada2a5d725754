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
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactTag, Field, Membership, Workspace
from flowserver.services import crowd, events
from flowserver.text import N_, Text

ADDRESSES = ("email", "phone", "external_id")
OTHERS = {
    "email": N_("This e-mail address belongs to another contact"),
    "phone": N_("This phone number belongs to another contact"),
    "external_id": N_("This external ID belongs to another contact"),
}


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
        sa.select(Workspace.country, Workspace.locale).where(Workspace.id == workspace_id)
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such client"))
    fields = db.session.scalars(sa.select(Field).order_by(Field.label)).all()
    specs = {field.key: people.Spec(field.key, field.label, field.type, tuple(field.choices)) for field in fields}
    return Book(workspace_id, specs, people.Customs.of(row.country if country is None else country, row.locale))


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
    holders = {key: _holder(key, values[key]) for key in ADDRESSES if values.get(key)}
    order = [holders[key] for key in ("external_id", "email", "phone") if holders.get(key)]
    if not order:
        return None
    found = order[0]
    mistakes = {key: [OTHERS[key]] for key, holder in holders.items() if holder is not None and holder is not found}
    if holders.get("external_id") is not found:
        mistakes.update(_not_the_same(found, values, by_email=holders.get("email") is found))
    if mistakes:
        raise Invalid(mistakes)
    return found


def _holder(key: str, value: str) -> Contact | None:
    query = sa.select(Contact).where(getattr(Contact, key) == value).with_for_update()
    return db.session.scalar(query.execution_options(populate_existing=True))


def _not_the_same(found: Contact, values: Mapping[str, Any], by_email: bool) -> dict[str, list[str]]:
    """Somebody found by e-mail or phone is not meant when a stronger id is there and differs."""
    if values.get("external_id") and found.external_id:
        key = "email" if by_email else "phone"
        return {key: [OTHERS[key]]}
    if not by_email and values.get("email") and found.email:
        return {"phone": [OTHERS["phone"]]}
    return {}


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
    events.record(contact.id, "contact_created", at=contact.created_at, data={"source": contact.source}, chain=chain)
    for key, value in _facts(contact).items():
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
