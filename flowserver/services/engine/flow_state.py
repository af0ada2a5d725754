"""What becomes of a flow's people when its state changes: held, let go again, ended; and how the engine pauses a flow.

A state changes at once, its people follow in chunks: whoever the clock finds meanwhile is treated by the flow's state
(``engine.decide``), and what a crash left undone :func:`settle` finishes, which the clock rings for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, jobqueue
from flowserver.extensions import UtcDateTime, db
from flowserver.models import Alert, Decision, Enrollment, Flow
from flowserver.services.engine import bulk
from flowserver.text import N_, Text

log = structlog.get_logger()

CHUNK = 5000
IN_A_REQUEST = 3.0  # seconds a page may take over its people; a job does the rest
_E, _F = Enrollment.__table__.c, Flow.__table__.c
# Whether people may enter: not while a person has paused the flow, but while the engine has, which gives its reason.
OPEN: sa.ColumnElement[bool] = sa.and_(
    ~_F.closed, sa.or_(_F.state == "active", sa.and_(_F.state == "paused", _F.pause_reason != ""))
)
_WORDS = {
    "runaway": N_("“%(flow)s” is paused: a step came round twice for the same contact. Nobody is lost."),
    "failing": N_("“%(flow)s” is paused: a step failed for several contacts. Nobody else is lost."),
    "template": N_("“%(flow)s” is paused: the text of a message cannot be filled in. Contacts wait, nothing is lost."),
    "broken": N_(
        "“%(flow)s” is paused: this version of flowserver cannot read its steps. Contacts wait, nobody is lost."
    ),
}


def pause_by_engine(flow_id: int, reason: str, step: str = "") -> None:
    """Pause a flow on hold: people still enter and wait. The owner finds an alert. Commits.

    A flow that a person paused stays as it is, but for ``skip``: nobody walks on in a flow that runs away.
    """
    flow = _get(flow_id)
    if flow.state not in ("active", "paused"):
        db.session.commit()
        return
    if flow.state == "active" or flow.pause_mode == "skip":
        sentence = Text(_WORDS.get(reason, _WORDS["failing"]).msgid, flow=flow.name)
        _set(flow_id, state="paused", pause_mode="hold", pause_reason=sentence[:300], paused_at=clock.now())
        alert(flow.workspace_id, "flow_paused", f"flow:{flow_id}", sentence)
        log.warning("flow.paused", flow=flow_id, reason=reason, step=step)
    db.session.commit()
    hold(flow_id)


def _get(flow_id: int) -> Any:
    return db.session.connection().execute(sa.select(Flow.__table__).where(_F.id == flow_id)).one()


def _set(flow_id: int, **values: Any) -> None:
    db.session.execute(sa.update(Flow.__table__).where(_F.id == flow_id).values(**values))


def alert(workspace_id: int, kind: str, subject: str, text: Text) -> None:
    """Put a sentence on the agency's attention list, once while it is open. The caller commits."""
    a = Alert.__table__.c
    open_already = db.session.execute(
        sa.select(a.id).where(
            a.workspace_id == workspace_id, a.kind == kind, a.subject == subject, a.resolved_at.is_(None)
        )
    ).first()
    if not open_already:
        db.session.add(
            Alert(workspace_id=workspace_id, kind=kind, subject=subject, text=text.msgid, params=dict(text.params))
        )


def resolve_alerts(workspace_id: int, subject: str) -> None:
    """Close what was open about a subject. The caller commits."""
    a = Alert.__table__.c
    db.session.execute(
        sa.update(Alert.__table__)
        .where(a.workspace_id == workspace_id, a.subject == subject, a.resolved_at.is_(None))
        .values(resolved_at=clock.now())
    )


# --- the people inside ---------------------------------------------------------------------------------------


def settle(flow_id: int, seconds: float = 300.0) -> bool:
    """Finish what the flow's state means for its people; ``False`` when there was not time for all. Commits."""
    flow = _get(flow_id)
    db.session.commit()
    if flow.state == "paused" and flow.pause_mode != "skip":
        return hold(flow_id, seconds)
    if flow.state in ("active", "paused"):
        return release(flow_id, seconds)
    return end_all(flow_id, "flow_stopped", seconds)


def unsettled() -> Sequence[int]:
    """Flows whose people do not yet stand as its state says: let go only in part, or held where nobody should be."""
    held = sa.exists().where(_E.flow_id == _F.id, _E.held, _E.due_at.is_not(None))
    query = sa.select(_F.id).where(sa.or_(_F.state != "paused", _F.pause_mode == "skip"), held)
    return list(db.session.connection().scalars(query))


def hold(flow_id: int, seconds: float = IN_A_REQUEST) -> bool:
    """Stop the clock for everybody inside; ``False`` when a job has to do the rest. Commits."""
    return _each_chunk(flow_id, seconds, sa.not_(_E.held), lambda ids: _update(ids, held=True))


def end_all(flow_id: int, reason: str, seconds: float = IN_A_REQUEST) -> bool:
    """End everybody inside with ``reason``; ``False`` when a job has to do the rest. Commits."""
    ended = {"due_at": None, "ended_at": clock.now(), "end_reason": reason, "held": False, "awaits": None}

    def end(ids: Sequence[int]) -> bool:
        note_ends(ids, reason)
        return _update(ids, **ended)

    return _each_chunk(flow_id, seconds, sa.true(), end)


def note_ends(ids: Sequence[int], reason: str) -> None:
    """Write the decision that ends these runs, those that are live, so that their history says why. The caller commits.

    They are locked first: one that comes to its own end meanwhile has that end alone.
    """
    columns = ["workspace_id", "enrollment_id", "step", "visit", "at", "outcome", "reason"]
    given = (sa.literal(clock.now(), UtcDateTime()), sa.literal("left"), sa.literal(reason[:40]))
    connection, live = db.session.connection(), sa.and_(bulk.ids_in(_E.id, ids), _E.due_at.is_not(None))
    connection.execute(sa.select(_E.id).where(live).order_by(_E.id).with_for_update())
    runs = sa.select(_E.workspace_id, _E.id, _E.step, _E.visit, *given).where(live)
    connection.execute(Decision.__table__.insert().from_select(columns, runs, include_defaults=False))


def end(ids: Sequence[int], reason: str) -> None:
    """End these runs, those that are live, with ``reason`` in their history. The caller commits."""
    note_ends(ids, reason)
    _update(ids, due_at=None, ended_at=clock.now(), end_reason=reason, held=False, awaits=None)


def release(flow_id: int, seconds: float = IN_A_REQUEST) -> bool:
    """Let everybody go on; ``False`` when a job has to do the rest. Commits.

    ``flow.paused_at`` and ``pause_mode`` stay until all are let go: after ``freeze`` relative waits move by the time
    they stood still; what is overdue is spread over up to an hour, never a flood.
    """
    flow = _get(flow_id)
    overdue = 0

    def let_go(ids: Sequence[int]) -> bool:
        nonlocal overdue
        now = clock.now()
        if _get(flow_id).state != flow.state:  # paused again meanwhile: the rest stays where it is
            return False
        shift = now - flow.paused_at if flow.pause_mode == "freeze" and flow.paused_at else timedelta(0)
        query = sa.select(_E.id, _E.due_at, _E.due_kind).where(bulk.ids_in(_E.id, ids)).order_by(_E.due_at)
        rows = []
        for row in db.session.connection().execute(query):
            due = row.due_at + (shift if row.due_kind == "relative" else timedelta(0))
            if due <= now:
                due = _spread(now, overdue)
                overdue += 1
            rows.append((row.id, due, False))
        bulk.update(db.session.connection(), "enrollment", ("due_at", "held"), rows, where="held")
        return True

    done = _each_chunk(flow_id, seconds, _E.held, let_go)
    if done:
        this_pause = sa.and_(_F.id == flow_id, _F.state == "active", _F.paused_at == flow.paused_at)
        db.session.execute(sa.update(Flow.__table__).where(this_pause).values(paused_at=None, pause_mode=""))
        db.session.commit()
    jobqueue.wake("advance")
    return done


def _spread(now: datetime, place: int) -> datetime:
    """When the overdue enrollment number ``place`` goes on: 1,000 each ten seconds."""
    return now + timedelta(seconds=min(place // 1000 * 10, 3600))


def _each_chunk(flow_id: int, seconds: float, which: Any, change: Callable[[Sequence[int]], bool]) -> bool:
    """Call ``change(ids)`` for the people inside, chunk by chunk, each in its own transaction.

    ``False``: it said to stop, or the time was up and a job was rung for.
    """
    ends = time.monotonic() + seconds
    for ids in _chunks(flow_id, which):
        go_on = change(ids)
        db.session.commit()
        if not go_on:
            return False
        if time.monotonic() > ends:
            jobqueue.wake("settle", flow_id)
            return False
    db.session.commit()
    return True


def _chunks(flow_id: int, which: Any) -> Iterator[list[int]]:
    """Ids of the live enrollments of a flow in the order of their contacts, of whom each has one at most."""
    after = 0
    while True:
        query = sa.select(_E.id, _E.contact_id).where(
            _E.flow_id == flow_id, _E.due_at.is_not(None), _E.contact_id > after, which
        )
        rows = db.session.connection().execute(query.order_by(_E.contact_id).limit(CHUNK)).all()
        if not rows:
            return
        yield [row.id for row in rows]
        after = rows[-1].contact_id


def _update(ids: Sequence[int], **values: Any) -> bool:
    """Change enrollments that are still live: one that ended meanwhile keeps its end."""
    live = sa.and_(bulk.ids_in(_E.id, ids), _E.due_at.is_not(None))
    db.session.connection().execute(sa.update(Enrollment.__table__).where(live).values(**values))
    return True
