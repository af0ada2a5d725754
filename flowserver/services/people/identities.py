"""Whose event is it: found by external id, then e-mail, then phone; nobody found becomes a new contact without consent.

Set by set: a few statements, however many they are. Known people are never changed, but for addresses they lacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.domain.importing import ADDRESSES, OTHERS, Person, Register, whose
from flowserver.errors import Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services.engine import bulk
from flowserver.services.engine.events import NewEvent
from flowserver.services.people import crowd
from flowserver.text import N_

TRIES = 3  # somebody else may make the same person between our look and our write
_C = Contact.__table__.c
_HELD = (_C.id, *(_C[name] for name in ADDRESSES))
_MINE = _C.workspace_id == sa.bindparam("workspace")
_BY = {key: sa.select(*_HELD).where(_MINE, bulk.texts_named(_C[key])).order_by(_C.id) for key in ADDRESSES}
_LOCKED_BY = {key: query.with_for_update(key_share=True) for key, query in _BY.items()}
_LOCKED = sa.select(*_HELD).where(bulk.ids_named(_C.id), _MINE).order_by(_C.id).with_for_update(key_share=True)

Who = Mapping[str, Any]
"""Some of ``id``, ``email``, ``phone`` and ``external_id``, checked."""


@dataclass(slots=True)
class Found:
    """The id of each that was asked for, or why there is none; which are new; what is to be told about them."""

    ids: list[int | Invalid]
    made: set[int] = field(default_factory=set)
    facts: list[NewEvent] = field(default_factory=list)


def resolve(wanted: Sequence[Who], *, source: str = "api") -> Found:
    """The contacts of the present client these mean, locked until the transaction ends. The caller commits.

    ``facts`` are for the caller to record. Raises :class:`Conflict` when others make the same people again and again.
    """
    for _ in range(TRIES):
        found = _write(*_meet_all(wanted), source)
        if found is not None:
            return found
    raise Conflict(N_("Two changes came at once. Send it again"))


def resolve_known(wanted: Sequence[Who], *, source: str = "api") -> Found | None:
    """:func:`resolve` where nobody new must be made for it; else ``None``, and nothing is written."""
    register, met = _meet_all(wanted)
    return None if any(person.id is None for person in register.people) else _write(register, met, source)


def _meet_all(wanted: Sequence[Who]) -> tuple[Register, list[Person | Invalid]]:
    register = Register(_known(wanted))
    by_id = {person.id: person for person in register.people}
    return register, [_meet(register, by_id, one) for one in wanted]


def _known(wanted: Sequence[Who]) -> list[Person]:
    """The contacts any of these may mean, locked in the order of their ids."""
    connection, mine = db.session.connection(), {"workspace": extensions.current_workspace()}
    asked = {key: texts for key in ADDRESSES if (texts := {one[key] for one in wanted if one.get(key)})}
    ids = {one["id"] for one in wanted if one.get("id")}
    if len(asked) == 1 and not ids:  # one statement finds and locks
        key, texts = next(iter(asked.items()))
        return [Person(*row) for row in connection.execute(_LOCKED_BY[key], {**mine, "texts": texts})]
    for key, texts in asked.items():
        ids.update(row.id for row in connection.execute(_BY[key], {**mine, "texts": texts}))
    return [Person(*row) for row in connection.execute(_LOCKED, {**mine, "ids": ids})] if ids else []


def _holders(register: Register, one: Who) -> dict[str, Person | None]:
    return {key: register.by[key].get(one[key]) for key in ADDRESSES if one.get(key)}


def _meet(register: Register, by_id: Mapping[int | None, Person], one: Who) -> Person | Invalid:
    """The person meant; somebody new is put into the register, somebody known gets the addresses it lacks."""
    try:
        holders = _holders(register, one)
        person = _named(by_id.get(one["id"]), holders) if "id" in one else whose(one, holders)
    except Invalid as error:
        return Invalid({"contact": error.messages})
    if person is None and not one.get("email") and not one.get("phone"):
        return _NOBODY
    if person is None:
        person = Person(None, None, None, None)
        register.people.append(person)
    for key in ADDRESSES:
        if one.get(key) and not getattr(person, key):
            setattr(person, key, one[key])
            person.changed[key] = (None, one[key])
            register.by[key][one[key]] = person
    return person


_NOBODY = Invalid(
    {
        "contact": {
            "external_id": [
                N_("There is no contact with this external ID. Name an e-mail address or phone number, too")
            ]
        }
    }
)


def _named(person: Person | None, holders: Mapping[str, Person | None]) -> Person:
    if person is None:
        raise Invalid({"id": [N_("There is no such contact")]})
    others = {key: [OTHERS[key]] for key, holder in holders.items() if holder not in (None, person)}
    if others:
        raise Invalid(others)
    return person


# --- writing -----------------------------------------------------------------------------------------------


def _write(register: Register, met: Sequence[Person | Invalid], source: str) -> Found | None:
    """Insert those who are new, complete those who lacked an address; ``None`` when somebody was quicker."""
    changed = [person for person in register.people if person.changed]
    found = Found([])
    if changed:
        try:
            with db.session.begin_nested():
                found.made = _insert([person for person in changed if person.id is None], source)
                _complete([person for person in changed if person.id not in found.made])
        except (_Quicker, sa.exc.IntegrityError):
            return None
        found.facts = _facts(changed, found.made, source)
    found.ids = [one if isinstance(one, Invalid) else one.id or 0 for one in met]
    return found


class _Quicker(Exception):
    """Somebody else made one of these people in this moment."""


def _insert(new: Sequence[Person], source: str) -> set[int]:
    """Always in the same order, so that two requests with the same people do not wait for each other in a ring."""
    if not new:
        return set()
    now = clock.now()
    common: dict[str, Any] = {
        "workspace_id": extensions.current_workspace(), "first_name": "", "last_name": "", "locale": "", "fields": {},
        "score": 0, "email_consent": "none", "sms_consent": "none", "status": "active", "source": source[:40],
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    ordered = sorted(new, key=lambda one: (one.email or "", one.phone or ""))
    rows = [{**common, **{key: getattr(one, key) for key in ADDRESSES}} for one in ordered]
    made = crowd.insert_new(Contact, rows, ("id", "email", "phone"))
    if len(made) < len(new):
        raise _Quicker
    ids = {email or phone: id for id, email, phone in made}
    for person in new:
        person.id = ids[person.email or person.phone]
    return set(ids.values())


def _complete(known: Sequence[Person]) -> None:
    """Write the addresses that known people lacked."""
    rows = [(person.id, *(getattr(person, key) for key in ADDRESSES), clock.now()) for person in known]
    bulk.update(db.session.connection(), "contact", (*ADDRESSES, "updated_at"), rows)


def _facts(changed: Sequence[Person], made: set[int], source: str) -> list[NewEvent]:
    """What is to be told: who came into the address book, which addresses were filled in."""
    now, workspace_id = clock.now(), extensions.current_workspace() or 0
    facts = []
    for person in changed:
        id, new = person.id or 0, person.id in made
        if new:
            told = {"source": source, "filled": person.filled()}
            facts.append(NewEvent(workspace_id, id, "contact_created", at=now, data=told))
        for key, (old, value) in person.changed.items():
            data = {"old": old, "new": value, **({"created": True} if new else {})}
            facts.append(NewEvent(workspace_id, id, "field_changed", key, at=now, data=data))
    return facts
