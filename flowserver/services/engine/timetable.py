"""When time starts contacts: the moments of starting points, written on the flow beforehand and found by the clock.

``flow.starts_at`` is the next moment. One that has come becomes a row of ``flow_start``, once per flow and moment, whose
people ``starts.py`` lets in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog

from flowserver import clock, jobqueue
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Flow, FlowStart, FlowVersion, Workspace
from flowserver.nodes.catalogue import triggers
from flowserver.services.engine import bulk, flow_state, leavers
from flowserver.services.engine.flow_state import OPEN
from flowserver.services.engine.versions import compiled
from flowserver.text import N_, Text

log = structlog.get_logger()

LATEST = timedelta(hours=24)  # a moment found later than this is missed
MOST_MOMENTS = 1000  # looked at in one go
_F, _S, _W, _V = (table.__table__.c for table in (Flow, FlowStart, Workspace, FlowVersion))

MISSED = N_("“%(flow)s” should have started on %(when)s, but nobody looked after it then. Nobody was started.")


def zone_of(workspace_id: int) -> ZoneInfo:
    """The client's time zone."""
    return ZoneInfo(db.session.execute(sa.select(_W.time_zone).where(_W.id == workspace_id)).scalar_one())


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

    A moment that has come counts from then on, also when the clock has not looked yet. A flow that is broken starts
    nobody, and is no reason to keep people on a list.
    """
    now = clock.now()
    at_once = [name for name, trigger in triggers().items() if trigger.one_shot]
    came = (_F.starts_at <= now, _F.starts_at >= now - LATEST, _F.trigger_type.in_(at_once), OPEN)
    for flow in db.session.connection().execute(sa.select(Flow.__table__).where(*came)).all():
        try:
            trigger, zone = compiled(flow.version_id).trigger, zone_of(flow.workspace_id)
        except Invalid:  # the clock pauses it and says so
            continue
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
    return list(db.session.connection().scalars(sa.select(_F.id).where(_F.starts_at <= now, OPEN)))


def fire(flow_id: int) -> int:
    """Turn the moments of a flow that have come into crowds; returns how many. Commits.

    The instant is computed here, from the zone as it is now. A moment more than a day ago is missed, and the owner told.
    """
    now = clock.now()
    query = sa.select(Flow.__table__).where(_F.id == flow_id, _F.starts_at <= now, OPEN).with_for_update()
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
