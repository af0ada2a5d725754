"""A worker's hold on messages: claimed under a lease whose id is the fencing token, taken back when its worker is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from flask import current_app
from sqlalchemy.dialects import postgresql, sqlite

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Lease, Message, RateWindow
from flowserver.services.engine import bulk
from flowserver.services.messages import journal

log = structlog.get_logger()

HOLD = timedelta(seconds=90)  # a lease is renewed with every piece; after this, whoever holds it is taken for dead
STUCK = timedelta(minutes=15)  # a worker that lives but has not renewed for so long is not waited for any more
_M, _R = Message.__table__.c, RateWindow.__table__.c
_DUE = (
    sa.select(_M.id)
    .where(_M.connection_id == sa.bindparam("connection"), _M.state == "planned", _M.due_at <= sa.bindparam("now"))
    .order_by(_M.priority, _M.due_at, _M.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")  # a common table expression, so that PostgreSQL runs it exactly once
)
_CLAIM = (
    sa.update(Message.__table__)
    .where(_M.id.in_(sa.select(_DUE.c.id)))
    .values(state="claimed", lease_id=sa.bindparam("lease"))
    .returning(_M.id, _M.priority, _M.due_at, _M.address)
)


def folder() -> Path:
    """Where journals lie."""
    found: Path = current_app.extensions["config"].data / "journal"
    return found


def open_lease(connection_id: int, worker: str) -> tuple[int, journal.Journal]:
    """A new lease and its journal, which is locked before the first message is claimed. Commits."""
    row = Lease(connection_id=connection_id, worker=worker[:80], until=clock.now() + HOLD, created_at=clock.now())
    db.session.add(row)
    db.session.commit()
    return row.id, journal.Journal(folder(), row.id)


def close_lease(lease_id: int) -> None:
    """Give a lease up; nothing is held under it any more. Commits."""
    db.session.execute(sa.delete(Lease.__table__).where(Lease.__table__.c.id == lease_id))
    db.session.commit()


def claim(lease_id: int, connection: Any, most: int, per_domain: int | None = None) -> list[int]:
    """Claim up to ``most`` due messages of a connection, most urgent first; their ids in order. Commits.

    Keeps to the connection's rate (and ``per_domain``, messages a minute to one recipient domain) across workers
    and restarts: what was sent this minute is counted in ``rate_window``.
    """
    now = clock.now()
    execute = db.session.connection().execute
    minute = int(now.timestamp()) // 60
    if connection.per_minute:
        most = min(most, _allowance(connection, now, minute))
    rows = (
        execute(_CLAIM, {"connection": connection.id, "now": now, "most": most, "lease": lease_id}).all()
        if most > 0
        else []
    )
    rows = sorted(rows, key=lambda row: (row.priority, row.due_at, row.id))
    if rows and per_domain:
        rows = _within_domains(connection.id, rows, per_domain, minute)
    if rows and connection.per_minute:
        _count(connection.id, {"": len(rows)}, minute)
    execute(sa.update(Lease.__table__).where(Lease.__table__.c.id == lease_id).values(until=now + HOLD))
    db.session.commit()
    return [row.id for row in rows]


# --- rates -------------------------------------------------------------------------------------------------


def _allowance(connection: Any, now: datetime, minute: int) -> int:
    """How many may leave now so that the minute's number is not passed, spread over its seconds."""
    sent = _sent(connection.id, [""], minute).get("", 0)
    seconds = now.second + 1
    return max(0, -(-int(connection.per_minute) * seconds // 60) - sent)


def _sent(connection_id: int, domains: Sequence[str], minute: int) -> dict[str, int]:
    """What left this minute, by domain. The rows are made and locked, so that two workers count one after the other."""
    _count(connection_id, dict.fromkeys(sorted(domains), 0), minute)
    query = sa.select(_R.domain, _R.sent).where(
        _R.connection_id == connection_id, _R.minute == minute, _R.domain.in_(domains)
    )
    return {row.domain: row.sent for row in db.session.connection().execute(query)}


def _count(connection_id: int, numbers: dict[str, int], minute: int) -> None:
    connection = db.session.connection()
    insert: Any = postgresql.insert if bulk.is_postgres(connection) else sqlite.insert
    rows = [
        {"connection_id": connection_id, "domain": domain, "minute": minute, "sent": number}
        for domain, number in numbers.items()
    ]
    statement = insert(RateWindow.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["connection_id", "domain", "minute"], set_={"sent": _R.sent + statement.excluded.sent}
    )
    connection.execute(statement, rows)
    connection.execute(
        sa.delete(RateWindow.__table__).where(_R.connection_id == connection_id, _R.minute < minute - 60)
    )


def _within_domains(connection_id: int, rows: Sequence[Any], per_domain: int, minute: int) -> list[Any]:
    """Those whose domain has room this minute; the others become due with the next one."""
    domains = [row.address.rpartition("@")[2].lower()[:120] for row in rows]
    sent = Counter(_sent(connection_id, sorted(set(domains)), minute))
    kept, late, counted = [], [], Counter[str]()
    for row, domain in zip(rows, domains, strict=True):
        if sent[domain] + counted[domain] < per_domain:
            counted[domain] += 1
            kept.append(row)
        else:
            late.append(row.id)
    if late:
        due = datetime.fromtimestamp((minute + 1) * 60, clock.now().tzinfo)
        give_back(late, due_at=due)
    if counted:
        _count(connection_id, dict(counted), minute)
    return kept


def give_back(ids: Iterable[int], *, lease_id: int | None = None, due_at: datetime | None = None) -> int:
    """Claimed messages are planned again, surely not sent. The caller commits."""
    given: dict[str, Any] = {"state": "planned", "lease_id": None}
    if due_at is not None:
        given["due_at"] = due_at
    where = [bulk.ids_in(_M.id, list(ids)), _M.state == "claimed"]
    if lease_id is not None:
        where.append(_M.lease_id == lease_id)
    return db.session.connection().execute(sa.update(Message.__table__).where(*where).values(**given)).rowcount


# --- taking back ---------------------------------------------------------------------------------------------


def dead(now: datetime) -> Iterable[tuple[Any, journal.Found, journal.Abandoned | None]]:
    """Leases whose worker is gone, with what its journal says. The caller settles each, then closes the lease
    and throws the journal away.

    A worker of this machine is dead when the lock on its journal is free. One whose journal is not here is dead when its
    lease has run out; then nothing is sure. One that lives but has been stuck for long is treated the same.
    """
    rows = db.session.connection().execute(sa.select(Lease.__table__)).all()
    db.session.rollback()
    for row in rows:
        try:
            found = journal.abandoned(folder(), row.id)
        except FileNotFoundError:
            if row.until < now:
                yield row, journal.Found(sure=False), None
            continue
        if found is not None:
            yield row, found.read(), found
        elif row.until + STUCK < now:
            log.warning("lease.stuck", lease=row.id, worker=row.worker)
            yield row, journal.Found(sure=False), None
            journal.place(folder(), row.id).unlink(missing_ok=True)


def held(lease_id: int) -> list[int]:
    """Messages claimed under a lease."""
    query = sa.select(_M.id).where(_M.lease_id == lease_id, _M.state == "claimed").order_by(_M.id)
    return list(db.session.connection().scalars(query))
