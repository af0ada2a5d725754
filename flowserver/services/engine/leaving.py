"""Who leaves a flow before its end: starts that are undone, goals that are reached, people who are gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock
from flowserver.domain.definition import Compiled, Goal
from flowserver.domain.steps import Fact
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Enrollment, Flow
from flowserver.nodes.base import span
from flowserver.services.engine import bulk, engine, flow_state

log = structlog.get_logger()

_E, _F = Enrollment.__table__.c, Flow.__table__.c
_RUN = (_E.id, _E.contact_id, _E.flow_id, _E.version_id, _E.data, _E.event_key, _E.triggered_at, _E.entered_at)
_LIVE = sa.select(*_RUN, _E.awaits, _E.due_at, _E.held).where(bulk.ids_named(_E.contact_id), _E.due_at.is_not(None))
FORGIVES = timedelta(minutes=5)  # so soon after the first clicks of a scanner the rest of them have come
_ENDED = {"due_at": None, "held": False, "awaits": None}


def live(contact_ids: Collection[int]) -> Sequence[Any]:
    """Every run these contacts are in, with what it waits for (``awaits``)."""
    return db.session.connection().execute(_LIVE, {"ids": contact_ids}).all()


def follow(events: Sequence[Any], runs: Sequence[Any], now: datetime, afterwards: bool = False) -> int:
    """End the runs that these events end, of the :func:`live` ones of their contacts; how many. The caller commits.

    A run that waits to start is undone by what its starting point says, and one that has begun where people stay only
    while they match; any run ends with its flow's goal or exit. The event that started a run does not end it. A start
    wait that was over before the event stays over; ``afterwards``: unless its people are only let in now. The contacts
    are locked.
    """
    by_contact: dict[int, list[Any]] = defaultdict(list)
    for event in events:
        by_contact[event.contact_id].append(event)
    ends: dict[tuple[str, str | None, str | None], list[int]] = defaultdict(list)
    for run in runs:
        flow = _flow(run.version_id)
        end = _end_of(flow, run, by_contact[run.contact_id], now, afterwards) if flow is not None else None
        if end is not None:
            ends[end].append(run.id)
    return sum(_end(ids, reason, label, outcome) for (reason, label, outcome), ids in ends.items())


def _flow(version_id: int) -> Compiled | None:
    """``None`` when this release cannot read it: the flow will be paused when somebody in it is due."""
    try:
        return engine.compiled(version_id)
    except Invalid:
        return None


def _end_of(
    flow: Compiled, run: Any, events: Sequence[Any], now: datetime, afterwards: bool
) -> tuple[str, str | None, str | None] | None:
    """Reason, label and outcome with which one of the events ends the run; ``None``: it goes on."""
    for event in events:
        if event.key == run.event_key:
            continue
        fact = Fact(event.type, event.at or now, event.subject, event.data)
        begun = run.entered_at is not None
        open_ = flow.trigger.lasting() if begun else afterwards or not _wait_is_over(run, fact.at)
        if open_ and undoes(flow.trigger, fact, run.data or {}):
            return "stopped_matching" if begun else "start_undone", None, None
        goal = next((goal for goal in flow.goals if _met(goal, fact, run)), None)
        if goal is not None:
            return goal.kind, goal.label or None, goal.outcome
    return None


def _wait_is_over(run: Any, at: datetime) -> bool:
    """Whether a start wait had ended by then, though nobody has looked yet. While its flow is frozen it stands still."""
    if at <= run.due_at:
        return False
    return (
        not run.held or db.session.connection().scalar(sa.select(_F.pause_mode).where(_F.id == run.flow_id)) != "freeze"
    )


def undoes(trigger: Any, fact: Fact, data: Mapping[str, Any]) -> bool:
    """Whether an event undoes a start that brought ``data``. An odd event undoes nothing, and the log says so."""
    if fact.type not in trigger.revoked_by or data.get("start"):  # by a person or another flow: it has no say then
        return False
    try:
        return bool(trigger.revokes(fact, data))
    except Exception as error:
        log.error("leave.trigger_failed", trigger=trigger.name, exc_info=error)
        return False


def _met(goal: Goal, fact: Fact, run: Any) -> bool:
    try:
        return fact.at >= run.triggered_at and goal.met(fact, run.entered_at or run.triggered_at)
    except Exception as error:
        log.error("leave.goal_failed", kind=goal.kind, run=run.id, exc_info=error)
        return False


def come_back(contact_id: int, message_id: int) -> int:
    """Let runs wait again that a false open or click of a message had undone; returns how many. The caller commits.

    A run that another has taken the place of meanwhile stays ended.
    """
    undone = sa.select(Enrollment.__table__).where(
        _E.contact_id == contact_id, _E.end_reason == "start_undone", _E.ended_at > clock.now() - FORGIVES
    )
    back = 0
    for run in db.session.connection().execute(undone.with_for_update()).all():
        flow = _flow(run.version_id)
        live = sa.select(_E.id).where(_E.flow_id == run.flow_id, _E.contact_id == contact_id, _E.due_at.is_not(None))
        if flow is None or (run.data or {}).get("message") != message_id or db.session.connection().scalar(live):
            continue
        values = {"due_at": run.triggered_at + span(flow.wait), "ended_at": None, "end_reason": None}
        db.session.connection().execute(sa.update(Enrollment.__table__).where(_E.id == run.id).values(**values))
        back += 1
    return back


def cancel(contact_ids: Sequence[int], reason: str) -> int:
    """End every live run of these contacts (deleted, erased, opted out of everything). The caller commits."""
    live = sa.select(_E.id).where(bulk.ids_in(_E.contact_id, contact_ids), _E.due_at.is_not(None)).with_for_update()
    return _end(list(db.session.connection().scalars(live)), reason)


def _end(ids: Sequence[int], reason: str, label: str | None = None, outcome: str | None = None) -> int:
    if ids:
        flow_state.note_ends(ids, reason)
        ended = {**_ENDED, "ended_at": clock.now(), "end_reason": reason, "label": label, "outcome": outcome}
        live = sa.and_(bulk.ids_in(_E.id, ids), _E.due_at.is_not(None))
        db.session.connection().execute(sa.update(Enrollment.__table__).where(live).values(**ended))
    return len(ids)
