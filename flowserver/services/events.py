"""Facts about contacts: recorded once, matched to the flows that listen, heard by those who wait for them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Event
from flowserver.services import bulk, enrollment

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
    transaction. ``key`` makes a repetition harmless: returns ``False`` when it was seen before.
    """
    workspace_id = db.session.execute(
        sa.select(Contact.__table__.c.workspace_id).where(Contact.__table__.c.id == contact_id)
    ).scalar_one()
    event = NewEvent(workspace_id, contact_id, type, subject, key or "", at, data, chain, origin, message)
    return bool(record_many([event]))


def record_many(events: Sequence[NewEvent]) -> list[NewEvent]:
    """Record events with one statement; returns those that are new. The caller commits."""
    if not events:
        return []
    db.session.flush()
    now = clock.now()
    fresh = _fresh(events)
    rows = [
        (e.workspace_id, e.contact_id, e.type, e.subject, e.key, e.at or now, e.data, e.chain, e.origin, True)
        for e in fresh
    ]
    bulk.insert_new(db.session.connection(), "event", COLUMNS, rows)
    enrollment.match(fresh, now)
    wake_waiting(fresh, now)
    return fresh


def _fresh(events: Sequence[NewEvent]) -> list[NewEvent]:
    """Events whose key is new; those without one get one that nobody else has."""
    for event in events:
        event.key = event.key[:120] or uuid.uuid4().hex
    t = Event.__table__.c
    seen: set[tuple[int, str]] = set()
    for workspace_id in {event.workspace_id for event in events}:
        keys = [event.key for event in events if event.workspace_id == workspace_id]
        query = sa.select(t.key).where(t.workspace_id == workspace_id, t.key.in_(keys))
        seen |= {(workspace_id, key) for key in db.session.connection().scalars(query)}
    fresh = []
    for event in events:
        if (event.workspace_id, event.key) not in seen:
            seen.add((event.workspace_id, event.key))
            fresh.append(event)
    return fresh


def wake_waiting(events: Sequence[NewEvent], now: datetime) -> None:
    """Make enrollments that wait for one of these events due at once.

    The condition stands in the SET, not in the WHERE: on PostgreSQL the update then waits for an advance that is
    just parking the enrollment, and decides on the row it finally finds. So an event is never missed.
    """
    table = Enrollment.__table__
    woken = 0
    for event in events:
        if event.message:
            enrollment_id, step = event.message
            where, awaited = _E.id == enrollment_id, f"{event.type}:{step}"
        else:
            where, awaited = _E.contact_id == event.contact_id, event.type
        due = sa.case((sa.and_(_E.awaits == awaited, _E.due_at > now), now), else_=_E.due_at)
        woken += (
            db.session.connection()
            .execute(sa.update(table).where(where, _E.due_at.is_not(None)).values(due_at=due))
            .rowcount
        )
    if woken:
        jobqueue.wake_after_commit(db.session, "advance")


def match_unmatched(most: int = CHUNK) -> int:
    """Match events the engine wrote in bulk; each is matched in the transaction that marks it. Returns how many. Commits."""
    t = Event.__table__.c
    query = sa.select(Event.__table__).where(~t.matched).order_by(t.id).limit(most).with_for_update(skip_locked=True)
    rows = db.session.connection().execute(query).all()
    events = [
        NewEvent(r.workspace_id, r.contact_id, r.type, r.subject, r.key, r.at, r.data, r.chain, r.origin) for r in rows
    ]
    now = clock.now()
    enrollment.match(events, now)
    wake_waiting(events, now)
    db.session.execute(
        sa.update(Event.__table__).where(bulk.ids_in(t.id, [row.id for row in rows])).values(matched=True)
    )
    db.session.commit()
    return len(rows)
