"""Many contacts that programs send in at once, written set by set: a few statements, however many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import consent, importing
from flowserver.domain.importing import ADDRESSES, Person
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Consent, Contact, ContactTag, Membership, Suppression
from flowserver.services.engine import bulk
from flowserver.services.people import consents, crowd, tags
from flowserver.text import N_

HELD = (
    "id",
    "email",
    "phone",
    "external_id",
    "first_name",
    "last_name",
    "locale",
    "fields",
    *consent.COLUMNS,
)
_C = Contact.__table__.c


@dataclass(frozen=True)
class Arrival:
    """One contact that was sent in, checked: values, lists to join, tags to put on, consent with its proof."""

    values: Mapping[str, Any]
    list_ids: Sequence[int]
    tags: Sequence[str]
    consent: Mapping[str, str]
    consent_source: str
    consent_words: str


@dataclass(frozen=True)
class Taken:
    """What became of one contact of a bulk request."""

    id: int | None
    result: str  # created, updated, refused
    errors: Mapping[str, Any] = field(default_factory=dict)


class _Hard(Exception):
    """These are better written one by one: somebody comes twice, an address changes hands, or is saved just now."""


def write(chunk: Sequence[Arrival | Invalid], source: str) -> list[Taken] | None:
    """Write a chunk in the caller's transaction, one outcome each; ``None`` when it must be done one by one."""
    try:
        with db.session.begin_nested():
            return _write(chunk, source)
    except (_Hard, IntegrityError):
        return None


def _write(chunk: Sequence[Arrival | Invalid], source: str) -> list[Taken]:
    arrivals = [one for one in chunk if isinstance(one, Arrival)]
    if any(arrival.values.get(key, "") is None for arrival in arrivals for key in ADDRESSES):
        raise _Hard
    register = importing.Register(_known(arrivals))
    found = [_decide(one, register) for one in chunk]
    people = [person for person, _new in found if isinstance(person, Person)]
    if len(set(people)) < len(people) or any(_moves(person) for person in people):
        raise _Hard
    writer = _Writer(source)
    writer.contacts(register.people)
    met = [(one, person) for one, (person, _new) in zip(chunk, found, strict=True) if isinstance(person, Person)]
    writer.consents(met)
    writer.update(register.people)
    writer.tags(met)
    writer.join(met)
    crowd.write_events(writer.facts)
    return [_outcome(person, new) for person, new in found]


def _decide(one: Arrival | Invalid, register: importing.Register) -> tuple[Person | Invalid, bool]:
    if isinstance(one, Invalid):
        return one, False
    try:
        return register.take(importing.Row(0, [], values=dict(one.values)))
    except Invalid as error:
        return (_NOBODY if importing.NO_ADDRESS in error.messages.get("_", ()) else error), False


_NOBODY = Invalid({"email": [N_("Enter an e-mail address or a phone number")]})


def _moves(person: Person) -> bool:
    """Whether somebody known gets another address, so that the old one is free for the next in line."""
    return person.id is not None and any(person.changed.get(key, (None, None))[0] for key in ADDRESSES)


def _outcome(person: Person | Invalid, new: bool) -> Taken:
    if isinstance(person, Invalid):
        return Taken(None, "refused", person.messages)
    return Taken(person.id, "created" if new else "updated")


def _known(arrivals: Sequence[Arrival]) -> list[Person]:
    """The contacts any of these may mean, locked in the order of their ids."""
    ids: set[int] = set()
    connection, mine = db.session.connection(), _C.workspace_id == extensions.current_workspace()
    for key in ADDRESSES:  # one index each; an OR over three indexes is slow on SQLite
        wanted = sorted({arrival.values[key] for arrival in arrivals if arrival.values.get(key)})
        ids.update(connection.scalars(sa.select(_C.id).where(mine, _C[key].in_(wanted))) if wanted else ())
    query = sa.select(*(_C[name] for name in HELD)).where(mine, _C.id.in_(sorted(ids))).order_by(_C.id)
    return [Person(**row._mapping) for row in connection.execute(query.with_for_update())] if ids else []


class _Writer:
    """Collects what is to be told about the people it writes."""

    def __init__(self, source: str):
        self.source, self.now = source[:40], clock.now()
        self.workspace_id = extensions.current_workspace()
        self.facts: list[dict[str, Any]] = []

    def contacts(self, persons: Sequence[Person]) -> None:
        """Insert those who are new."""
        new = [person for person in persons if person.id is None]
        common = {"created_at": self.now, "status": "active", "score": 0, "source": self.source}
        values = [{key: value for key, value in self._values(one).items() if key not in consent.COLUMNS} for one in new]
        rows = [{**each, **common} for each in values]
        made = crowd.insert_new(Contact, rows, ("id", "email", "phone"))
        if len(made) < len(new):
            raise _Hard
        ids = {email or phone: id for id, email, phone in made}
        for person in new:
            person.id = ids[person.email or person.phone]
            self._tell(person, "contact_created", data={"source": self.source, "filled": person.filled()})
            self._tell_fields(person, created=True)
            person.changed.clear()

    def update(self, persons: Sequence[Person]) -> None:
        """Write those who were known, or are new and agreed to something, and changed."""
        changed = [person for person in persons if person.changed]
        columns = [name for name in HELD if name != "id"]
        rows = [(one.id, *(self._values(one)[name] for name in columns), self.now) for one in changed]
        bulk.update(db.session.connection(), "contact", (*columns, "updated_at"), rows)
        for person in changed:
            self._tell_fields(person)

    def consents(self, met: Sequence[tuple[Any, Person]]) -> None:
        """Keep what was agreed to and taken back, as ``services/people/consents.py`` does for one."""
        proof, lifted = [], []
        for arrival, person in met:
            for channel, state in arrival.consent.items():
                name = consent.column(channel)
                old = getattr(person, name)
                if old == state == "withdrawn":
                    continue
                words = (arrival.consent_source[:80], arrival.consent_words)
                proof.append((self.workspace_id, person.id, channel, state, self.now, *words, self.now))
                if state == "given" and channel in consent.ADDRESSES:
                    lifted.append((channel, getattr(person, consent.ADDRESSES[channel])))
                if old != state:
                    setattr(person, name, state)
                    person.changed[name] = (old, state)
                    data = {"channel": channel, "old": old, "new": state, "source": arrival.consent_source[:80]}
                    self._tell(person, "consent_changed", channel, data)
        columns = ("workspace_id", "contact_id", "channel", "state", "at", "source", "words", "created_at")
        bulk.insert(db.session.connection(), Consent.__tablename__, columns, proof)
        self._lift(lifted)

    def _lift(self, given: Sequence[tuple[str, str | None]]) -> None:
        for channel in consent.ADDRESSES:
            addresses = [address for one, address in given if one == channel and address]
            if addresses:
                lifted = sa.delete(Suppression).where(
                    Suppression.channel == channel,
                    Suppression.address.in_(addresses),
                    Suppression.reason.in_(consents.LIFTED_BY_CONSENT),
                )
                db.session.execute(lifted.execution_options(synchronize_session=False))

    def tags(self, met: Sequence[tuple[Any, Person]]) -> None:
        """Put tags on, making new ones as needed."""
        wanted = dict.fromkeys((name, person.id) for arrival, person in met for name in arrival.tags)
        if not wanted:
            return
        ids = tags.ids(sorted({name for name, _contact in wanted}))
        names = {id: name for name, id in ids.items()}
        rows = [
            {"tag_id": ids[name], "contact_id": id, "workspace_id": self.workspace_id, "added_at": self.now}
            for name, id in wanted
        ]
        by_id = {person.id: person for _arrival, person in met}
        for tag_id, contact_id in crowd.insert_new(ContactTag, rows, ("tag_id", "contact_id")):
            self._tell(by_id[contact_id], "tag_added", names[tag_id])

    def join(self, met: Sequence[tuple[Any, Person]]) -> None:
        """Put people on their lists."""
        wanted = dict.fromkeys((list_id, person.id) for arrival, person in met for list_id in arrival.list_ids)
        rows = [
            {"list_id": list_id, "contact_id": id, "workspace_id": self.workspace_id, "joined_at": self.now}
            for list_id, id in wanted
        ]
        by_id = {person.id: person for _arrival, person in met}
        for list_id, contact_id in crowd.insert_new(Membership, rows, ("list_id", "contact_id")):
            self._tell(by_id[contact_id], "list_joined", str(list_id))

    def _values(self, person: Person) -> dict[str, Any]:
        values = {name: getattr(person, name) for name in HELD if name != "id"}
        kept = {key: value for key, value in person.fields.items() if value is not None}
        return {"workspace_id": self.workspace_id, **values, "fields": kept, "updated_at": self.now}

    def _tell_fields(self, person: Person, created: bool = False) -> None:
        for key, (old, new) in person.changed.items():
            if not key.endswith("_consent") and not (created and new in (None, "")):
                data = {"old": old, "new": new, **({"created": True} if created else {})}
                self._tell(person, "field_changed", key, data)

    def _tell(self, person: Person, kind: str, subject: str = "", data: Mapping[str, Any] | None = None) -> None:
        common = {"at": self.now, "chain": 0, "origin": None}
        self.facts.append({"contact_id": person.id, "type": kind, "subject": subject, "data": data, **common})
