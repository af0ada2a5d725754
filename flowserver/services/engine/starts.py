"""Crowds that start together: those of a moment that has come, and groups somebody starts.

A crowd is one row of ``flow_start``; a job lets its people in by ``INSERT … SELECT`` in chunks. The row remembers how far
it came, so a killed job goes on where it was; the keys of rows and runs make a second clock or a second job harmless.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.extensions import db
from flowserver.models import Flow, FlowStart
from flowserver.nodes.catalogue import triggers
from flowserver.services.engine import audience, bulk, enrollment, flow_state, leavers
from flowserver.services.engine.flow_state import OPEN
from flowserver.services.engine.versions import compiled
from flowserver.text import N_, Text

TURN = 20.0  # seconds of one job
CHUNK, LEAST, MOST = 5000, 1000, 20_000
LAST = 2**62  # above every id
SHORT = 0.05  # seconds a chunk may hold SQLite's write lock
_F, _S = Flow.__table__.c, FlowStart.__table__.c

EMPTY = N_("“%(flow)s” has started, but there was nobody to start.")


def undone() -> Sequence[int]:
    """Crowds on their way into a flow that lets people in."""
    query = sa.select(_S.id).join(Flow.__table__, _F.id == _S.flow_id).where(_S.done_at.is_(None), OPEN)
    return list(db.session.connection().scalars(query))


def work(start_id: int, seconds: float = TURN, chunk: int = CHUNK) -> int:
    """Let a crowd in, chunk by chunk; rings again when its turn is over. Returns how many entered. Commits.

    While the flow is paused by a person, or its door is closed, the crowd waits.
    """
    ends, total = time.monotonic() + seconds, 0
    flow_id = db.session.connection().scalar(sa.select(_S.flow_id).where(_S.id == start_id))
    db.session.commit()
    while flow_id is not None:
        done = _let_in(start_id, flow_id, chunk)
        if done is None:
            break
        total += done.entered
        if time.monotonic() > ends:
            jobqueue.wake("start", start_id)
            break
        if db.engine.dialect.name == "sqlite":  # others want to write, too
            chunk = max(LEAST, min(MOST, int(chunk * SHORT / max(done.seconds, 0.001))))
    return total


_WANTED = ("workspace_id", "version_id", "state", "name", "trigger_type")
_START = (
    sa.select(FlowStart.__table__, _F.id.label("flow"), *(_F[name].label(f"flow_{name}") for name in _WANTED))
    .join(Flow.__table__, _F.id == _S.flow_id)
    .where(_S.id == sa.bindparam("start"), _S.done_at.is_(None), OPEN)
)


class _Done(NamedTuple):
    """How many entered with one chunk, and how long it held the write lock."""

    entered: int
    seconds: float


def _let_in(start_id: int, flow_id: int, chunk: int) -> _Done | None:
    """One chunk of a crowd in one transaction; ``None`` when there is nothing to do (any more)."""
    connection = db.session.connection()
    bulk.lock_name(connection, flow_id)
    start = connection.execute(_START, {"start": start_id}).first()
    if start is None:
        db.session.commit()
        return None
    flow = SimpleNamespace(id=flow_id, **{name: getattr(start, f"flow_{name}") for name in _WANTED})
    began, now, count = time.monotonic(), clock.now(), 0
    people, last = audience.part(start.rule, flow.workspace_id, start.after, chunk)
    data = None if start.by == "time" else {"start": "hand"}
    if last is not None:
        crowd = enrollment.Crowd(people, start.after, last, start.key, start.at, data=data)
        count = enrollment.enroll_crowd(flow, compiled(flow.version_id), crowd, now)
    gone = leavers.people(start_id, last)  # asked after the list: who leaves at this very moment is on one of them
    if connection.scalar(sa.select(gone.exists())):
        crowd = enrollment.Crowd(gone, 0, LAST if last is None else last, start.key, start.at, data=data)
        count += enrollment.enroll_crowd(flow, compiled(flow.version_id), crowd, now)
        leavers.forget(start_id, last)
    came = {"after": last} if last is not None else {"done_at": now}
    entered = {"entered": start.entered + count}
    db.session.execute(sa.update(FlowStart.__table__).where(_S.id == start_id).values(**came, **entered))
    if last is None and start.by == "time" and not start.entered + count:
        _nobody(flow)
    jobqueue.wake_after_commit(db.session, "advance")
    db.session.commit()
    return _Done(count, time.monotonic() - began)


def _nobody(flow: Any) -> None:
    """A flow with one moment found nobody: its owner should know. Others find nobody on most days."""
    if triggers()[flow.trigger_type].one_shot:
        flow_state.alert(flow.workspace_id, "flow_empty", f"flow:{flow.id}", Text(EMPTY.msgid, flow=flow.name))
