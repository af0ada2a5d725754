"""What the engine itself does to a flow: pause it and tell the owner; hold its people and let them go again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.extensions import db
from flowserver.models import Alert, Enrollment, Flow
from flowserver.services import bulk
from flowserver.text import N_, Text

CHUNK = 5000
_WORDS = {
    "runaway": N_("“%(flow)s” is paused: a step came round twice for the same contact. Nobody is lost."),
    "failing": N_("“%(flow)s” is paused: a step failed for several contacts. Nobody else is lost."),
    "template": N_("“%(flow)s” is paused: the text of a message cannot be filled in. Contacts wait, nothing is lost."),
}


def pause_by_engine(flow_id: int, reason: str, step: str = "") -> None:
    """Pause a flow on hold: people still enter and wait. The owner finds an alert. Commits."""
    flow = db.session.execute(
        sa.select(Flow.__table__.c.name, Flow.__table__.c.workspace_id, Flow.__table__.c.state).where(
            Flow.__table__.c.id == flow_id
        )
    ).one()
    if flow.state != "active":
        db.session.commit()
        return
    sentence = _WORDS.get(reason, _WORDS["failing"])
    db.session.execute(
        sa.update(Flow.__table__)
        .where(Flow.__table__.c.id == flow_id)
        .values(
            state="paused",
            pause_mode="hold",
            pause_reason=Text(sentence.msgid, flow=flow.name)[:300],
            paused_at=clock.now(),
        )
    )
    alert(flow.workspace_id, "flow_paused", f"flow:{flow_id}", Text(sentence.msgid, flow=flow.name))
    db.session.commit()
    hold(flow_id)


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


_E = Enrollment.__table__.c


def hold(flow_id: int) -> int:
    """Stop the clock for everybody inside, in chunks; returns how many. Commits."""
    total = 0
    while True:
        ids = list(
            db.session.scalars(
                sa.select(_E.id).where(_E.flow_id == flow_id, _E.due_at.is_not(None), ~_E.held).limit(CHUNK)
            )
        )
        if not ids:
            db.session.commit()
            return total
        db.session.execute(sa.update(Enrollment.__table__).where(bulk.ids_in(_E.id, ids)).values(held=True))
        db.session.commit()
        total += len(ids)


def release(flow_id: int, paused_at: datetime | None, mode: str) -> int:
    """Let everybody go on. After ``freeze`` relative waits move by the length of the pause; after ``hold`` what is
    overdue is spread over up to an hour, never a flood. Works in chunks and can be repeated. Commits."""
    now = clock.now()
    shift = now - paused_at if mode == "freeze" and paused_at else timedelta(0)
    total = 0
    while True:
        query = sa.select(_E.id, _E.due_at, _E.due_kind).where(_E.flow_id == flow_id, _E.held, _E.due_at.is_not(None))
        rows = db.session.execute(query.order_by(_E.due_at).limit(CHUNK)).all()
        if not rows:
            db.session.commit()
            jobqueue.wake("advance")
            return total
        bulk.update(
            db.session.connection(),
            "enrollment",
            ("due_at", "held"),
            [(row.id, _released(row, now, shift, total + n), False) for n, row in enumerate(rows)],
        )
        db.session.commit()
        total += len(rows)


def _released(row: Any, now: datetime, shift: timedelta, place: int) -> datetime:
    """When an enrollment is due after the pause: 1,000 overdue ones go on each ten seconds."""
    due: datetime = row.due_at + (shift if row.due_kind == "relative" else timedelta(0))
    return due if due > now else now + timedelta(seconds=min(place // 1000 * 10, 3600))


def end_all(flow_id: int, reason: str) -> int:
    """End everybody inside with ``reason``, in chunks; returns how many. Commits."""
    total = 0
    while True:
        ids = list(
            db.session.scalars(sa.select(_E.id).where(_E.flow_id == flow_id, _E.due_at.is_not(None)).limit(CHUNK))
        )
        if not ids:
            db.session.commit()
            return total
        db.session.execute(
            sa.update(Enrollment.__table__)
            .where(bulk.ids_in(_E.id, ids))
            .values(due_at=None, ended_at=clock.now(), end_reason=reason, held=False, awaits=None)
        )
        db.session.commit()
        total += len(ids)
