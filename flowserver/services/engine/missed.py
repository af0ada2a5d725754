"""Who would have started while a person had paused a flow: counted, and let in when the flow goes on and somebody asks.

What happened meanwhile stands in the events. It is gone through once more, in their order, in bounded pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.domain.definition import Compiled
from flowserver.domain.steps import Fact
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Event, Flow
from flowserver.services.engine import engine, enrollment, events, leaving
from flowserver.services.engine.enrollment import Matching
from flowserver.services.engine.flow_state import OPEN

WINDOW = 5_000  # events of all clients gone through in one transaction
LOOKS = 10  # such pieces a page looks at
SETTLE = timedelta(seconds=5)  # until then whoever saw the flow paused has committed
_F, _V = Flow.__table__.c, Event.__table__.c


def begin(flow: Flow) -> None:
    """Remember where a pause begins, unless an earlier one is still being made good. The caller commits."""
    if flow.missed_until is None:
        flow.missed_since, flow.missed_after = clock.now(), _newest()


def finish(flow: Flow, let_in: bool) -> None:
    """The pause is over: with ``let_in`` the clock lets in who would have started. The caller commits."""
    if let_in and flow.missed_after is not None:
        flow.missed_until = flow.missed_until or 0  # the last event is looked up when nobody sees the pause any more
    elif flow.missed_until is None:
        flow.missed_since = flow.missed_after = None


def count(flow: Flow) -> Matching:
    """How many contacts would have started since the pause began, as far as a page looks."""
    found: set[int] = set()
    after, newest = flow.missed_after, _newest()
    compiled = _readable(flow)
    if after is None or compiled is None:
        return Matching(0, True)
    for _ in range(LOOKS):
        if after >= newest:
            break
        last = _end_of_piece(after, newest)
        starts = _starts(flow, compiled, _happened(flow, after, last))
        found |= set(starts) - enrollment.barred(flow.id, compiled, list(starts), clock.now())
        after = last
    return Matching(len(found), after >= newest)


def pending() -> Sequence[int]:
    """Flows that are to let in who would have started, and may."""
    settled = _F.updated_at < clock.now() - SETTLE
    query = sa.select(_F.id).where(_F.missed_until.is_not(None), _F.state == "active", ~_F.closed, settled)
    return list(db.session.connection().scalars(query))


def let_in(flow_id: int) -> int:
    """Let in who would have started during the pause; returns how many. Commits piece by piece, and may begin anew.

    Each start has the event that caused it as its key, so nobody starts twice with one.
    """
    total = 0
    while True:
        query = sa.select(Flow).where(_F.id == flow_id, _F.missed_until.is_not(None), OPEN)
        mine = query.with_for_update(key_share=True)  # whoever starts somebody meanwhile need not wait
        flow = db.session.scalar(mine.execution_options(populate_existing=True))
        compiled = _readable(flow) if flow is not None else None
        if flow is None or compiled is None:
            db.session.commit()
            return total
        flow.missed_until = flow.missed_until or _newest()
        total += _piece(flow, compiled)
        if flow.missed_after is None or flow.missed_after >= flow.missed_until:
            flow.missed_since = flow.missed_after = flow.missed_until = None
        jobqueue.wake_after_commit(db.session, "advance")
        db.session.commit()


def _piece(flow: Flow, compiled: Compiled) -> int:
    """Go through the next events; how many entered."""
    after, now = flow.missed_after or 0, clock.now()
    last = _end_of_piece(after, flow.missed_until or 0)
    happened = _happened(flow, after, last)
    there = events.lock_contacts({event.contact_id for event in happened})
    happened = [event for event in happened if event.contact_id in there]
    starts = _starts(flow, compiled, happened)
    entered = enrollment.enter(flow, compiled, list(starts.values()), now) if starts else 0
    _leave(flow, happened, set(starts), now)
    flow.missed_after = last
    return entered


def _starts(flow: Flow, compiled: Compiled, happened: Sequence[Any]) -> dict[int, Any]:
    """The event each contact starts with: the first that lets it in and is not undone by a later one."""
    starts: dict[int, Any] = {}
    trigger = compiled.trigger
    for event in happened:
        cause = starts.get(event.contact_id)
        if cause is None:
            if enrollment.would_start(flow, compiled, event, event.at):
                starts[event.contact_id] = event
        elif leaving.undoes(trigger, Fact(event.type, event.at, event.subject, event.data), cause.data or {}):
            del starts[event.contact_id]
    return starts


def _leave(flow: Flow, happened: Sequence[Any], entered: set[int], now: datetime) -> None:
    """Who came in after all leaves by what happened later: a goal reached, a start undone."""
    runs = {
        run.contact_id: run
        for run in leaving.live({event.contact_id for event in happened})
        if run.flow_id == flow.id and (run.triggered_at >= flow.missed_since or run.contact_id in entered)
    }
    later = [event for event in happened if event.contact_id in runs and event.at > runs[event.contact_id].triggered_at]
    leaving.follow(later, list(runs.values()), now, afterwards=True)


def _happened(flow: Flow, after: int, last: int) -> Sequence[Any]:
    """What was told of the client's contacts during the pause, of these events, in the order of its record."""
    query = sa.select(Event.__table__).where(_V.id > after, _V.id <= last, _V.workspace_id == flow.workspace_id)
    return db.session.connection().execute(query.order_by(_V.id)).all()


def _end_of_piece(after: int, until: int) -> int:
    """The last of the next events, where ids are missing, too."""
    piece = sa.select(_V.id).where(_V.id > after, _V.id <= until).order_by(_V.id).limit(WINDOW).subquery()
    last = db.session.connection().scalar(sa.select(sa.func.max(piece.c.id)))
    return last or until


def _newest() -> int:
    return db.session.connection().scalar(sa.select(sa.func.max(_V.id))) or 0


def _readable(flow: Flow) -> Compiled | None:
    """The live version; ``None`` when this release cannot read it."""
    try:
        return engine.compiled(flow.version_id) if flow.version_id else None
    except Invalid:
        return None
