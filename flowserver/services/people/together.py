"""Single events that come at the same moment: written in one transaction, each answered after its commit.

Whoever finds nobody at work takes all who wait, writes them, commits once and wakes them; who comes meanwhile waits for
the next turn. One who comes alone waits for nobody: a turn gathers others only while several come at once. The keys are checked in the same transaction, so
one that was revoked a moment ago opens nothing.

This is the short way, for what is usual. Whatever is not (a key seen for the first time, an event that is refused, a
database that is busy) is left to the long way, which says what is wrong.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog
from flask import current_app

from flowserver import clock, extensions
from flowserver.domain import people, scopes
from flowserver.domain import reported as rules
from flowserver.domain.reported import House, Report
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import ApiKey, Workspace
from flowserver.services.accounts import api_keys
from flowserver.services.engine import bulk
from flowserver.services.people import reported
from flowserver.services.people.reported import Taken

log = structlog.get_logger()

MOST = 64  # events of one turn
GATHERS = 0.003  # seconds a turn waits for others where the last one was not alone: many requests, fewer turns
MOST_KEYS = 1000
_K, _W = ApiKey.__table__.c, Workspace.__table__.c
_DOORS = (
    sa.select(_K.id, _K.workspace_id, _K.scopes, _K.last_used_at, _W.country, _W.locale)
    .select_from(ApiKey.__table__.join(Workspace.__table__, _W.id == _K.workspace_id))
    .where(bulk.ids_named(_K.id), _K.revoked_at.is_(None), _W.archived_at.is_(None))
)
_USED = sa.update(ApiKey.__table__).where(bulk.ids_named(_K.id)).values(last_used_at=sa.bindparam("moment"))


@dataclass(slots=True, frozen=True)
class Door:
    """What a good key opened when it was last seen. It is asked for again with every event."""

    key_id: int
    workspace_id: int
    scopes: tuple[str, ...]
    country: str
    locale: str

    def house(self) -> House:
        """The client's customs."""
        return House(people.Customs.of(self.country, self.locale), rules.currency_of(self.country))


@dataclass(slots=True)
class _Ticket:
    """One event that waits for its turn."""

    door: Door
    report: Report
    taken: Taken | None = None
    leads: bool = False
    turn: Any = field(default_factory=threading.Lock)


class _Counter:
    """Where events of one process wait; one of those who brought them writes for all."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[_Ticket] = []
        self.free, self.crowded = True, False

    def put(self, ticket: _Ticket) -> None:
        """Have it written, by oneself or by somebody who is at it."""
        ticket.turn.acquire()
        with self.lock:
            self.waiting.append(ticket)
            ticket.leads, self.free = self.free, False
        if not ticket.leads:
            ticket.turn.acquire()  # until it is written, or one's own turn to write
        if ticket.leads:
            self._lead(ticket)

    def _lead(self, mine: _Ticket) -> None:
        """Write one's own event and those of all who wait."""
        if self.crowded:
            time.sleep(GATHERS)
        with self.lock:
            others = [ticket for ticket in self.waiting if ticket is not mine][: MOST - 1]
            taken = {id(mine), *map(id, others)}
            self.waiting = [ticket for ticket in self.waiting if id(ticket) not in taken]
            self.crowded = bool(others)
        try:
            _write([mine, *others])
        finally:
            self._hand_over()
            for ticket in others:
                ticket.turn.release()

    def _hand_over(self) -> None:
        with self.lock:
            following = next(iter(self.waiting), None)
            self.free = following is None
            if following is not None:
                following.leads = True
        if following is not None:
            following.turn.release()


# --- doors -------------------------------------------------------------------------------------------------


def door(secret: str) -> Door | None:
    """What this key opened before; ``None`` for one not seen yet, which takes the long way."""
    return _doors().get(_digest(secret))


def remember(secret: str, key_id: int) -> None:
    """Keep in mind what a key opens that the long way has just found good."""
    found = db.session.connection().execute(_DOORS, {"ids": [key_id]}).one_or_none()
    db.session.rollback()
    doors = _doors()
    if len(doors) >= MOST_KEYS:
        doors.clear()
    if found is not None:
        doors[_digest(secret)] = _as_door(found)


def _as_door(row: Any) -> Door:
    return Door(row.id, row.workspace_id, tuple(row.scopes), row.country, row.locale)


def _doors() -> dict[bytes, Door]:
    doors: dict[bytes, Door] = current_app.extensions.setdefault("flowserver-doors", {})
    return doors


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


# --- events ------------------------------------------------------------------------------------------------


def take(opened: Door, raw: Any) -> Taken | None:
    """Take an event as :func:`flowserver.services.people.reported.take` does; ``None``: send it the long way."""
    if not scopes.may(frozenset(opened.scopes), "events", "write"):
        return None
    try:
        report = rules.read(raw, clock.now(), opened.house)
    except Invalid:
        return None
    if report.type == "refund":  # one that is refused must leave nothing behind, whoever shares its turn
        return None
    if db.session.registry.has():
        db.session.rollback()  # whoever waits for a turn must hold nothing that the one who writes needs
    ticket = _Ticket(opened, report)
    counter: _Counter = current_app.extensions.setdefault("flowserver-counter", _Counter())
    counter.put(ticket)
    return ticket.taken


def _write(batch: Sequence[_Ticket]) -> None:
    """Write a turn and commit; what cannot be written this way keeps no outcome."""
    try:
        taken = _attempt(batch)
        db.session.commit()
    except Exception as error:
        db.session.rollback()
        log.info("events.apart", events=len(batch), why=type(error).__name__)
        return
    for ticket, outcome in taken:
        ticket.taken = outcome if outcome.result != "refused" else None


def _attempt(batch: Sequence[_Ticket]) -> list[tuple[_Ticket, Taken]]:
    rows = db.session.connection().execute(_DOORS, {"ids": {ticket.door.key_id for ticket in batch}}).all()
    open_ = {_as_door(row) for row in rows}
    stale = [row.id for row in rows if api_keys.stale(row.last_used_at)]
    if stale:
        db.session.connection().execute(_USED, {"ids": stale, "moment": clock.now()})
    groups: dict[int, list[_Ticket]] = {}
    for ticket in batch:
        if ticket.door in open_:
            groups.setdefault(ticket.door.workspace_id, []).append(ticket)
    found: list[tuple[_Ticket, Taken]] = []
    for workspace_id in sorted(groups):
        with extensions.workspace(workspace_id):
            mine = groups[workspace_id]
            found += zip(mine, reported.write([ticket.report for ticket in mine]), strict=True)
    return found
