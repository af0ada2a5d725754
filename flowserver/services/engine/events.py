"""Facts about contacts: recorded once, matched to the flows that listen, heard by those who wait for them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from flowserver import clock, jobqueue, registry
from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Event
from flowserver.services.engine import bulk, enrollment, facts, leaving

COLUMNS = ("workspace_id", "contact_id", "type", "subject", "key", "at", "data", "chain", "origin", "matched")
_E = Enrollment.__table__.c
CHUNK = 500


@dataclass(slots=True)
class NewEvent:
    """An event about to be recorded. ``message`` is (enrollment id, step) where it is about a flow's message."""

    workspace_id: int
    contact_id: int
    type: str
    subject: str = ""
    key: str = ""
    at: datetime | None = None
    data: Mapping[str, Any] | None = None
    chain: int = 0
    origin: int | None = None
    message: tuple[int, str] | None = None


def record(
    contact_id: int,
    type: str,
    *,
    subject: str = "",
    key: str | None = None,
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
    chain: int = 0,
    origin: int | None = None,
    message: tuple[int, str] | None = None,
) -> bool:
    """Record one event inside the caller's transaction (the caller commits).

    Enrolls the contact into live flows that listen and wakes enrollments that wait for it, all in the same
    transaction. ``key`` makes a repetition harmless: returns ``False`` when it was seen before. The contact exists.
    """
    c = Contact.__table__.c
    workspace_id = db.session.execute(sa.select(c.workspace_id).where(c.id == contact_id)).scalar_one()
    event = NewEvent(workspace_id, contact_id, type, subject, key or "", at, data, chain, origin, message)
    return bool(record_many([event]))


def record_many(events: Sequence[NewEvent], locked: bool = False) -> list[NewEvent]:
    """Record events with one statement; returns those that are new. The caller commits.

    Their contacts are locked until then, in id order: so an advance that is just parking one of them is waited for,
    and its wait is heard; and two events at once cannot both find that the contact has not been in a flow yet.
    Events of contacts that do not exist (any more) are left out. ``locked``: the caller has locked them all already.
    """
    if not events:
        return []
    db.session.flush()
    ids = {event.contact_id for event in events}
    there = ids if locked else lock_contacts(ids)
    now = clock.now()
    fresh = _insert([event for event in events if event.contact_id in there], now)
    _follow(fresh, now)
    return fresh


def _follow(fresh: Sequence[NewEvent], now: datetime) -> None:
    """What follows from new events, in the transaction that wrote them. Their contacts are locked."""
    if not fresh:
        return
    runs = leaving.live({event.contact_id for event in fresh})
    leaving.follow(fresh, runs, now)
    enrollment.match(fresh, now)
    wake_waiting([event for event in fresh if event.contact_id in {run.contact_id for run in runs if run.awaits}], now)
    for listens_to, react in reactions():
        concerned = [event for event in fresh if event.type in listens_to]
        if concerned:
            react(concerned, now)


@cache
def reactions() -> tuple[tuple[frozenset[str], Callable[[Sequence[NewEvent], datetime], None]], ...]:
    """What else follows from events: ``(LISTENS_TO, react)`` of every file in ``services/reactions/``."""
    found = registry.modules("flowserver.services.reactions")
    return tuple((module.LISTENS_TO, module.react) for module in found)


def heard(workspace_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """Event types of each client that a live flow or a reaction would hear: others need not be written in bulk."""
    always = frozenset().union(*(listens_to for listens_to, _ in reactions()))
    found = facts.heard(workspace_ids)
    return {workspace_id: found[workspace_id] | always for workspace_id in workspace_ids}


def keep(events: Sequence[NewEvent]) -> list[NewEvent]:
    """Record events that happened long ago, as history: they start nothing. Returns the new ones; the caller commits."""
    return _insert(events, clock.now())


def known(key: str | None) -> bool:
    """Whether an event with this key of the present client is recorded."""
    return key is not None and db.session.scalar(sa.select(Event.id).where(Event.key == key)) is not None


def fresh_key() -> str:
    """A key nobody else has."""
    return uuid.uuid4().hex


def disown(contact_id: int, keys: Collection[str]) -> None:
    """What these events told of a contact turned out not to be so: they, and the runs they started, stay as history, but
    it may happen in truth. The caller commits.
    """
    e = Event.__table__.c
    for key in keys:
        other = f"false:{uuid.uuid4().hex}"
        false = sa.update(Event.__table__).where(e.contact_id == contact_id, e.key == key)
        db.session.connection().execute(false.values(key=other))
        begun = sa.update(Enrollment.__table__).where(_E.contact_id == contact_id, _E.event_key == key)
        db.session.connection().execute(begun.values(event_key=other))


def lock_contacts(ids: Collection[int], skip_locked: bool = False) -> set[int]:
    """Lock contacts in id order until the transaction ends; returns those that exist (and were free)."""
    c = Contact.__table__.c
    query = sa.select(c.id).where(bulk.ids_in(c.id, ids)).order_by(c.id)
    return set(db.session.connection().scalars(query.with_for_update(key_share=True, skip_locked=skip_locked)))


def _insert(events: Sequence[NewEvent], now: datetime) -> list[NewEvent]:
    """Write events, leave out those whose key is taken; returns the new ones. Those without a key get one nobody has."""
    for event in events:
        event.key = event.key[:120] or uuid.uuid4().hex
        event.at = event.at or now
    rows = [
        (e.workspace_id, e.contact_id, e.type, e.subject, e.key, e.at, e.data, e.chain, e.origin, True) for e in events
    ]
    written = set(
        bulk.insert_returning(db.session.connection(), Event.__table__, COLUMNS, rows, ("workspace_id", "key"))
    )
    fresh: dict[tuple[int, str], NewEvent] = {}
    for event in events:
        if (event.workspace_id, event.key) in written:
            fresh.setdefault((event.workspace_id, event.key), event)
    return list(fresh.values())


def wake_waiting(events: Sequence[NewEvent], now: datetime) -> None:
    """Make enrollments that wait for one of these events due at once. Their contacts are locked.

    A wait that was cut short is no longer a length of time: a pause of the flow does not move it.
    """
    waiting: dict[tuple[Any, str], set[int]] = defaultdict(set)
    for event in events:
        waiting[_E.contact_id, event.type].add(event.contact_id)
        if event.message:
            waiting[_E.id, f"{event.type}:{event.message[1]}"].add(event.message[0])
    woken = 0
    for (column, awaited), ids in waiting.items():
        where = sa.and_(bulk.ids_in(column, ids), _E.awaits == awaited, _E.due_at > now)
        change = sa.update(Enrollment.__table__).where(where).values(due_at=now, due_kind="absolute")
        woken += db.session.connection().execute(change).rowcount
    if woken:
        jobqueue.wake_after_commit(db.session, "advance")


def match_unmatched(most: int = CHUNK) -> int:
    """Match events that were written in bulk; each is matched in the transaction that marks it. Commits.

    Returns how many; those whose contact somebody else is just changing wait for the next look.
    """
    t = Event.__table__.c
    query = sa.select(Event.__table__).where(~t.matched).order_by(t.id).limit(most).with_for_update(skip_locked=True)
    rows = db.session.connection().execute(query).all()
    contacts = {row.contact_id for row in rows}
    mine = lock_contacts(contacts, skip_locked=True)
    gone = contacts - mine - _existing(contacts - mine)
    now = clock.now()
    events = [
        NewEvent(r.workspace_id, r.contact_id, r.type, r.subject, r.key, r.at, r.data, r.chain, r.origin)
        for r in rows
        if r.contact_id in mine
    ]
    _follow(events, now)
    done = [row.id for row in rows if row.contact_id in mine | gone]
    db.session.execute(sa.update(Event.__table__).where(bulk.ids_in(t.id, done)).values(matched=True))
    db.session.commit()
    return len(done)


def _existing(ids: Collection[int]) -> set[int]:
    c = Contact.__table__.c
    return set(db.session.connection().scalars(sa.select(c.id).where(bulk.ids_in(c.id, ids)))) if ids else set()
