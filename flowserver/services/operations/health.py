"""Is everything alive: signs of life of workers and clock, the answers of /readyz, the numbers of /metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from flowserver import clock
from flowserver.extensions import db, read_only
from flowserver.jobqueue import QUEUES
from flowserver.models import Enrollment, Message, Worker, Workspace
from flowserver.services.operations import schema

SILENT = timedelta(seconds=10)  # a clock not heard for so long is down
SILENT_WORKER = timedelta(seconds=30)
FORGET = timedelta(days=7)  # the dead are listed for so long
MOST_COUNTED = 100_000  # rows one number may look at


# --- signs of life -------------------------------------------------------------------------------------


def beat(name: str, kind: str, started_at: datetime) -> None:
    """Note that the process ``name`` (kind: worker, clock) is alive now."""
    read_only(False)
    now = clock.now()
    values = {"kind": kind, "started_at": started_at, "seen_at": now}
    seen = db.session.execute(sa.update(Worker).where(Worker.name == name).values(**values))
    if not seen.rowcount:  # type: ignore[attr-defined]
        db.session.execute(sa.delete(Worker).where(Worker.seen_at < now - FORGET))
        db.session.execute(sa.insert(Worker).values(name=name, **values))
    db.session.commit()


def leave(name: str) -> None:
    """Forget a process that ended in order: nobody has to look after what it had in hand."""
    read_only(False)
    db.session.execute(sa.delete(Worker).where(Worker.name == name))
    db.session.commit()


def alive(kind: str, silent: timedelta = SILENT_WORKER) -> int:
    """How many processes of this kind were heard lately."""
    lately = clock.now() - silent
    query = sa.select(sa.func.count()).select_from(Worker).where(Worker.kind == kind, Worker.seen_at >= lately)
    return int(db.session.scalar(query) or 0)


# --- ready? --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Readiness:
    """``status``: ready, degraded (pages work, something else does not) or not ready; ``parts`` says which part is how."""

    status: str
    parts: dict[str, str]


def readiness() -> Readiness:
    """Ask every part. Only the database can make us not ready: without Redis, clock or workers pages still work."""
    database = _database()
    parts = {
        "database": database,
        "redis": "ok" if redis_answers() else "away",
        "clock": "unknown",
        "workers": "unknown",
    }
    if database == "ok":
        parts["clock"] = "ok" if alive("clock", SILENT) else "silent"
        parts["workers"] = "ok" if alive("worker") else "silent"
        db.session.rollback()
        return Readiness("ready" if set(parts.values()) == {"ok"} else "degraded", parts)
    return Readiness("not ready", parts)


def _database() -> str:
    try:
        if current_app.extensions.get("flowserver-migrated"):
            db.session.execute(sa.text("SELECT 1"))
            return "ok"
        migrated = schema.current() == schema.newest()
    except SQLAlchemyError:
        db.session.rollback()
        return "away"
    current_app.extensions["flowserver-migrated"] = migrated  # a shape does not go back while we run
    return "ok" if migrated else "not migrated"


def redis_connection() -> redis.Redis | None:
    """The connection the bell rings through; ``None`` where another bell is in use (tests)."""
    return getattr(current_app.extensions["queue"], "connection", None)


def redis_answers() -> bool:
    """Whether Redis answers PING."""
    connection = redis_connection()
    try:
        return connection is None or bool(connection.ping())
    except redis.exceptions.RedisError:
        return False


# --- numbers -------------------------------------------------------------------------------------------


def numbers() -> dict[str, Any] | None:
    """What there is to do and who does it; every query is bounded. Ages are seconds, 0 when nothing waits.

    Counts stop at ``MOST_COUNTED``; ``messages_last_hour`` is ``{state: count}``. ``None``: the database is away.
    """
    try:
        return _numbers(clock.now())
    except SQLAlchemyError:
        return None
    finally:
        db.session.rollback()


def _numbers(now: datetime) -> dict[str, Any]:
    e, m = Enrollment.__table__.c, Message.__table__.c
    due = sa.and_(e.due_at <= now, ~e.held)
    planned = sa.select(m.due_at).where(m.state == "planned").limit(MOST_COUNTED).subquery()
    count, oldest = db.session.execute(sa.select(sa.func.count(), sa.func.min(planned.c.due_at))).one()
    return {
        "enrollments_due": _count(sa.select(e.id).where(due)),
        "due_age": _age(now, db.session.scalar(sa.select(sa.func.min(e.due_at)).where(due))),
        "messages_planned": int(count),
        "planned_age": _age(now, oldest),
        "messages_last_hour": _by_state(now - timedelta(hours=1)),
        "messages_unknown": unknown_messages(now - timedelta(days=7)),
        "workers": alive("worker"),
        "clocks": alive("clock", SILENT),
        "queued": _queued(),
    }


def _count(rows: sa.Select[Any]) -> int:
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(rows.limit(MOST_COUNTED).subquery())) or 0)


def _age(now: datetime, oldest: datetime | None) -> float:
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def _by_state(since: datetime) -> dict[str, int]:
    """Messages planned since then by state; read through the index of each client."""
    m = Message.__table__
    recent = (
        sa.select(m.c.state)
        .join_from(Workspace.__table__, m, m.c.workspace_id == Workspace.id)
        .where(m.c.planned_at >= since)
        .limit(MOST_COUNTED)
        .subquery()
    )
    rows = db.session.execute(sa.select(recent.c.state, sa.func.count()).group_by(recent.c.state))
    return {state: int(count) for state, count in rows}


def unknown_messages(since: datetime) -> int:
    """Messages planned since then of which nobody knows whether they arrived."""
    m = Message.__table__
    rows = (
        sa.select(m.c.id)
        .join_from(Workspace.__table__, m, m.c.workspace_id == Workspace.id)
        .where(m.c.planned_at >= since, m.c.state == "unknown")
    )
    return _count(rows)


def _queued() -> dict[str, int]:
    """How many rings lie in each queue; empty while Redis is away."""
    connection = redis_connection()
    try:
        return {name: int(connection.llen(f"rq:queue:{name}")) for name in QUEUES} if connection else {}  # type: ignore[arg-type]
    except redis.exceptions.RedisError:
        return {}
