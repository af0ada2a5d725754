"""Crowds that start together: the moments of starting points that time brings about, and groups somebody starts.

A moment is found by the clock (``flow.starts_at``), becomes one row of ``flow_start`` per flow and moment, and a job lets
its people in by ``INSERT … SELECT`` in chunks. The row remembers how far it came, so a killed job goes on where it was;
the keys of rows and runs make a second clock or a second job harmless.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog

from flowserver import clock, jobqueue
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Flow, FlowStart, FlowVersion, Workspace
from flowserver.nodes.catalogue import triggers
from flowserver.services.engine import audience, bulk, enrollment, flow_state, leavers
from flowserver.services.engine.versions import compiled
from flowserver.text import N_, Text

log = structlog.get_logger()

LATEST = timedelta(hours=24)  # a moment found later than this is missed
MOST_MOMENTS = 1000  # looked at in one go
TURN = 20.0  # seconds of one job
CHUNK, LEAST, MOST = 5000, 1000, 20_000
LAST = 2**62  # above every id
SHORT = 0.05  # seconds a chunk may hold SQLite's write lock
_F, _S, _W, _V = (table.__table__.c for table in (Flow, FlowStart, Workspace, FlowVersion))

MISSED = N_("“%(flow)s” should have started on %(when)s, but nobody looked after it then. Nobody was started.")
EMPTY = N_("“%(flow)s” has started, but there was nobody to start.")


def zone_of(workspace_id: int) -> ZoneInfo:
    """The client's time zone."""
    return ZoneInfo(db.session.execute(sa.select(_W.time_zone).where(_W.id == workspace_id)).scalar_one())


# --- when --------------------------------------------------------------------------------------------------


def schedule(flow: Flow, now: datetime, before: Mapping[str, Any] | None = None) -> None:
    """Note when time next starts contacts of a flow that is live; what was before ``now`` is passed over.

    ``before`` is the starting point of the version this one replaces: with the same one nothing changes, so a moment
    that has come and is not dealt with yet stays; with another one, a starting point that makes good what was missed
    still does. The caller commits. Other flows are left alone.
    """
    version = compiled(flow.version_id) if flow.version_id else None
    if version is None or version.trigger is None or not version.trigger.timed:
        return
    if before is not None and flow.starts_since is not None:
        if _own_settings(flow.version_id) == dict(before):
            return
        if version.trigger.catches_up:
            flow.starts_at = version.trigger.next_time(now, zone_of(flow.workspace_id))
            return
    flow.starts_since, flow.starts_at = now, version.trigger.next_time(now, zone_of(flow.workspace_id))


def _own_settings(version_id: int | None) -> Any:
    query = sa.select(_V.definition).where(_V.id == version_id)
    return db.session.connection().execute(query).scalar_one()["trigger"]


def note_leavers(left: Mapping[int, Collection[int]]) -> None:
    """Write down, before they leave, the contacts who leave lists that flows are starting. The caller commits.

    A moment that has come counts from then on, also when the clock has not looked yet.
    """
    now = clock.now()
    came = (_F.starts_at <= now, _F.starts_at >= now - LATEST, enrollment.OPEN)
    for flow in db.session.connection().execute(sa.select(Flow.__table__).where(*came)).all():
        trigger, zone = compiled(flow.version_id).trigger, zone_of(flow.workspace_id)
        if trigger is not None and trigger.one_shot:
            moments, _ = _moments(trigger, flow.starts_since or flow.activated_at, now, zone)
            crowds = [_crowd(flow, trigger, moment, since, zone, now) for moment, since in moments]
            bulk.insert_new(db.session.connection(), "flow_start", _COLUMNS, crowds)
    leavers.note(left)


def fired(flow_id: int) -> bool:
    """Whether a moment of this flow has come already."""
    query = sa.select(_S.id).where(_S.flow_id == flow_id, _S.by == "time").limit(1)
    return db.session.connection().scalar(query) is not None


def due(now: datetime) -> Sequence[int]:
    """Flows whose moment has come: one indexed query."""
    return list(db.session.connection().scalars(sa.select(_F.id).where(_F.starts_at <= now, enrollment.OPEN)))


def undone() -> Sequence[int]:
    """Crowds on their way into a flow that lets people in."""
    query = sa.select(_S.id).join(Flow.__table__, _F.id == _S.flow_id).where(_S.done_at.is_(None), enrollment.OPEN)
    return list(db.session.connection().scalars(query))


def fire(flow_id: int) -> int:
    """Turn the moments of a flow that have come into crowds; returns how many. Commits.

    The instant is computed here, from the zone as it is now. A moment more than a day ago is missed, and the owner told.
    """
    now = clock.now()
    query = sa.select(Flow.__table__).where(_F.id == flow_id, _F.starts_at <= now, enrollment.OPEN).with_for_update()
    flow = db.session.connection().execute(query).one_or_none()
    if flow is None:  # another clock's job was here
        db.session.commit()
        return 0
    try:
        trigger = compiled(flow.version_id).trigger
    except Invalid:
        db.session.commit()
        flow_state.pause_by_engine(flow_id, "broken")
        return 0
    zone = zone_of(flow.workspace_id)
    moments, following = _moments(trigger, flow.starts_since or flow.activated_at, now, zone)
    late = [moment for moment, _ in moments if now - moment > LATEST and not trigger.catches_up]
    crowds = [_crowd(flow, trigger, moment, since, zone, now) for moment, since in moments if moment not in late]
    bulk.insert_new(db.session.connection(), "flow_start", _COLUMNS, crowds)
    done = {"starts_since": moments[-1][0]} if moments else {}
    words = _missed(flow, late[-1], zone) if late else None
    broken = {"broken": words[:300]} if words and following is None else {}
    db.session.execute(sa.update(Flow.__table__).where(_F.id == flow_id).values(starts_at=following, **done, **broken))
    for start_id in db.session.scalars(sa.select(_S.id).where(_S.flow_id == flow_id, _S.done_at.is_(None))):
        jobqueue.wake_after_commit(db.session, "start", start_id)
    db.session.commit()
    return len(crowds)


def _moments(
    trigger: Any, since: datetime, now: datetime, zone: ZoneInfo
) -> tuple[list[tuple[datetime, datetime]], datetime | None]:
    """``(moment, the one before it)`` of those that have come, and the next one that has not."""
    found: list[tuple[datetime, datetime]] = []
    before, moment = since, trigger.next_time(since, zone)
    while moment is not None and moment <= now and len(found) < MOST_MOMENTS:
        found.append((moment, before))
        before, moment = moment, trigger.next_time(moment, zone)
    if trigger.catches_up and found:
        found = [(found[-1][0], since)]
    return found, moment


_COLUMNS = ("workspace_id", "flow_id", "key", "by", "rule", "at", "after", "entered", "created_at")


def _crowd(
    flow: Any, trigger: Any, moment: datetime, since: datetime, zone: ZoneInfo, now: datetime
) -> tuple[Any, ...]:
    rule = trigger.audience(moment, since, zone)
    return (flow.workspace_id, flow.id, f"at:{moment.isoformat()}", "time", rule, moment, 0, 0, now)


def _missed(flow: Any, moment: datetime, zone: ZoneInfo) -> Text:
    text = Text(MISSED.msgid, flow=flow.name, when=f"{moment.astimezone(zone):%Y-%m-%d %H:%M}")
    flow_state.alert(flow.workspace_id, "flow_missed", f"flow:{flow.id}", text)
    log.warning("start.missed", flow=flow.id, moment=moment.isoformat())
    return text


# --- who ---------------------------------------------------------------------------------------------------


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
    .where(_S.id == sa.bindparam("start"), _S.done_at.is_(None), enrollment.OPEN)
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
