"""What other systems report: events of contacts, purchases and carts, one or a thousand at a time, each once.

A chunk is one transaction and a fixed number of statements: who is meant, the rows, the flows that listen. An event
that comes again, by its id or its order, changes nothing and is said to be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.domain import reported as rules
from flowserver.domain.reported import House, Report
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Event, Workspace
from flowserver.services.engine import bulk, events
from flowserver.services.engine.events import NewEvent
from flowserver.services.people import browse, identities, sales
from flowserver.services.reactions import activity
from flowserver.text import N_

CHUNK = 200  # reports written in one transaction
_C, _V = Contact.__table__.c, Event.__table__.c
_HOUSE = sa.select(Workspace.country, Workspace.locale).where(Workspace.id == sa.bindparam("id"))
_KEYS = sa.select(_V.key, _V.contact_id).where(_V.workspace_id == sa.bindparam("workspace"), bulk.texts_named(_V.key))


@dataclass(slots=True)
class Taken:
    """What became of one report: ``accepted``, ``repeated`` (it was known already) or ``refused`` for its errors."""

    result: str
    contact_id: int | None = None
    new_contact: bool = False
    errors: Mapping[str, Any] = field(default_factory=dict)


def take(raw: Mapping[str, Any]) -> Taken:
    """Take one report, as :func:`flowserver.domain.reported.read` reads it. Commits. Raises :class:`Invalid` by path."""
    found = write([rules.read(raw, clock.now(), house())])[0]
    if found.result == "refused":
        db.session.rollback()
        raise Invalid(found.errors)
    db.session.commit()
    return found


def take_many(rows: Sequence[Mapping[str, Any] | Invalid]) -> list[Taken]:
    """Take many, one outcome each, in order; a row that is refused does not stop the others. Commits chunk by chunk.

    A row that could not even be read stands in ``rows`` as its error. They are written in the order in which they
    happened, so that a cart and its purchase may come in any order.
    """
    ask, now = house(), clock.now()
    read = [_read(row, now, ask) for row in rows]
    order = sorted(range(len(read)), key=lambda place: _happened(read[place], now))
    outcomes: dict[int, Taken] = {}
    for start in range(0, len(order), CHUNK):
        places = order[start : start + CHUNK]
        outcomes.update(zip(places, _safely([read[place] for place in places]), strict=True))
        db.session.commit()
    return [outcomes[place] for place in range(len(rows))]


def house() -> Callable[[], House]:
    """The customs of the present client, asked for once and only when somebody needs them."""
    known: list[House] = []

    def ask() -> House:
        if not known:
            row = db.session.execute(_HOUSE, {"id": extensions.current_workspace()}).one()
            known.append(House(people.Customs.of(row.country, row.locale), rules.currency_of(row.country)))
        return known[0]

    return ask


def _read(row: Mapping[str, Any] | Invalid, now: datetime, ask: Callable[[], House]) -> Report | Invalid:
    try:
        return row if isinstance(row, Invalid) else rules.read(row, now, ask)
    except Invalid as error:
        return error


def _happened(row: Report | Invalid, now: datetime) -> datetime:
    return now if isinstance(row, Invalid) else row.at


# --- writing -----------------------------------------------------------------------------------------------


def _safely(chunk: Sequence[Report | Invalid]) -> list[Taken]:
    """Write a chunk; once more where another request with the same people held what we needed, and we what it did."""
    try:
        with db.session.begin_nested():
            return write(chunk)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != "40P01":
            raise
    with db.session.begin_nested():
        return write(chunk)


@dataclass(slots=True, eq=False)
class _Row:
    """A report on its way in: whose it is, the event it becomes, and what became of it."""

    report: Report
    contact_id: int = 0
    event: NewEvent | None = None
    outcome: str = "accepted"
    errors: Mapping[str, Any] | None = None


def write(chunk: Sequence[Report | Invalid]) -> list[Taken]:
    """Write a chunk in the caller's transaction. Always people first, then orders, events, carts: nobody waits in a ring."""
    rows = [one if isinstance(one, Invalid) else _Row(one) for one in chunk]
    made = _meet(_open(rows))
    _each_once(_open(rows))
    _give_back(_open(rows))
    _sell(_open(rows))
    fresh = _record(_open(rows))
    sales.settle([(row.contact_id, row.report) for row in fresh])
    return [_outcome(row, made) for row in rows]


def _open(rows: Sequence[_Row | Invalid], type_: str = "") -> list[_Row]:
    """Those still on their way in, of one type or all."""
    return [
        row
        for row in rows
        if isinstance(row, _Row) and row.outcome == "accepted" and (not type_ or row.report.type == type_)
    ]


def _meet(rows: Sequence[_Row]) -> set[int]:
    """Find or make the contacts; returns the ids of new ones. What they raise is recorded before what was reported.

    Nobody comes into the address book with a report that is known already: its contact may have been erased since.
    """
    if not rows:
        return set()
    found = identities.resolve_known([row.report.who for row in rows])
    if found is None:
        _leave_out_known(rows)
        rows = _open(rows)
        found = identities.resolve([row.report.who for row in rows])
    for row, id in zip(rows, found.ids, strict=True):
        if isinstance(id, Invalid):
            row.outcome, row.errors = "refused", id.messages
        else:
            row.contact_id = id
    events.record_many(found.facts, locked=True)
    return found.made


def _leave_out_known(rows: Sequence[_Row]) -> None:
    """Mark those whose event is known as repeated."""
    keys = {row.report.key for row in rows if row.report.key}
    if not keys:
        return
    given = {"workspace": extensions.current_workspace(), "texts": keys}
    known = {row.key: row.contact_id for row in db.session.connection().execute(_KEYS, given)}
    for row in rows:
        if row.report.key in known:
            row.outcome, row.contact_id = "repeated", known[row.report.key]


def _each_once(rows: Sequence[_Row]) -> None:
    """Of those with the same key in one request the first counts."""
    seen: set[str] = set()
    for row in rows:
        if row.report.key and row.report.key in seen:
            row.outcome = "repeated"
        seen.add(row.report.key)


def _sell(rows: Sequence[_Row]) -> None:
    """Write purchases down; an order that is known is repeated."""
    sold = [row for row in rows if row.report.type == "purchase"]
    _leave_out_known(sold)
    sold = _open(sold)
    new = sales.sell([(row.contact_id, row.report) for row in sold]) if sold else set()
    for row in sold:
        if row.report.subject not in new:
            row.outcome = "repeated"


def _give_back(rows: Sequence[_Row]) -> None:
    """Refuse refunds of what was never bought here, or of more than was paid."""
    back = [row for row in rows if row.report.type == "refund"]
    if back:
        _leave_out_known(back)
        back = _open(back)
        bought = [row.report for row in rows if row.report.type == "purchase"]
        for row, messages in zip(back, sales.give_back([row.report for row in back], bought), strict=True):
            if messages:
                row.outcome, row.errors = "refused", {"properties": messages}


def _record(rows: Sequence[_Row]) -> list[_Row]:
    """Record the events, those of long ago as history; returns the rows that were new, marks the others."""
    workspace_id = extensions.current_workspace() or 0
    for row in rows:
        about = row.report
        row.event = NewEvent(workspace_id, row.contact_id, about.type, about.subject, about.key, about.at, about.data)
    rows = sorted(rows, key=lambda row: row.report.key)  # as everybody does: two requests never wait in a ring
    new = [row.event for row in rows if row.event and not row.report.old]
    old = [row.event for row in rows if row.event and row.report.old]
    history = events.keep(old) if old else []
    activity.react([event for event in history if event.type in activity.LISTENS_TO], clock.now())
    kept = {id(event) for event in [*events.record_many(new, locked=True), *history]}
    for row in rows:
        if id(row.event) not in kept:
            row.outcome = "repeated"
    return _open(rows)


def _outcome(row: _Row | Invalid, made: set[int]) -> Taken:
    if isinstance(row, Invalid):
        return Taken("refused", errors=row.messages)
    if row.outcome == "refused":
        return Taken("refused", errors=row.errors or {})
    return Taken(row.outcome, row.contact_id, row.contact_id in made)


# --- showing ---------------------------------------------------------------------------------------------

_EVENT = (Event.id, Event.type, Event.subject, Event.contact_id, Event.key, Event.at, Event.data)


def event(event_id: int) -> Any:
    """An event of the present client. Raises :class:`NotFound`."""
    found = db.session.execute(sa.select(*_EVENT).where(Event.id == event_id)).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such event"))
    return found


def listed(
    after: int, limit: int, *, contact_id: int | None = None, type_: str = "", since: datetime | None = None
) -> browse.Page:
    """Events of all kinds, those of ours, too, in the order they were recorded; ``since``: by when they happened."""
    query = sa.select(*_EVENT)
    if contact_id is not None:
        query = query.where(Event.contact_id == contact_id)
    if type_:
        query = query.where(Event.type == type_)
    if since is not None:
        query = query.where(Event.at >= since)
    return browse.page_of(query, Event.id, after, limit)
