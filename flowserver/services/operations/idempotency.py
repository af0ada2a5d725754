"""The same request twice is done once: ``Idempotency-Key`` of the API, kept in the database, so that it survives Redis.

``claim`` (committed) → ``mark`` (first statement of the transaction that does the work) → ``keep`` the answer. A
request that changed nothing gives its key back with ``release``. Because the mark commits together with the work, a
claim without a mark surely did nothing, however its process ended, and may be taken over.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.errors import Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import Idempotency
from flowserver.services.people import crowd
from flowserver.text import N_

KEPT = timedelta(hours=24)
PATIENCE = timedelta(minutes=2)  # a claim this old without a mark belongs to a process that is gone
LOST = 0  # the status of work whose answer broke
LONGEST = 255  # characters in a key


class InFlight(Conflict):
    """The first request with this key is still being worked on: ask again in a moment."""

    slug, again_in = "in-flight", 1


class AnswerLost(Conflict):
    """The first request was carried out, but its process ended before the answer was kept."""

    slug = "answer-lost"


class Reused(Invalid):
    """The key came with another request before."""

    slug = "idempotency-key-reused"


@dataclass(frozen=True)
class Claim:
    """The right to do the work behind a key."""

    id: int
    token: str


@dataclass(frozen=True)
class Stored:
    """The answer the first request got."""

    status: int
    body: str
    headers: Mapping[str, str]


def claim(key: str, method: str, path: str, body_hash: str) -> Claim | Stored:
    """Claim a key of the current workspace for this request, or give back the answer kept for it. Commits.

    Raises :class:`Reused` when the key stands for another request, :class:`InFlight` while the first one runs,
    :class:`AnswerLost` when it was carried out but nobody knows its answer.
    """
    now, token = clock.now(), uuid.uuid4().hex
    request = {"method": method, "path": path, "body_hash": body_hash}
    fresh = {"token": token, "done": False, "status": None, "headers": {}, "answer": None, "created_at": now}
    row = {"workspace_id": extensions.current_workspace(), "key": key, **request, **fresh}
    made = crowd.insert_new(Idempotency, [row], ("id",))
    if made:
        db.session.commit()
        return Claim(made[0][0], token)
    known = db.session.execute(_columns().where(Idempotency.key == key)).one_or_none()
    db.session.rollback()
    if known is None:
        raise InFlight(_RUNNING)  # it was given back between our two looks
    if known.created_at > now - KEPT:
        _compare(known, request)
        if known.status:
            return Stored(known.status, known.answer or "", known.headers)
        if known.status != LOST and known.created_at > now - PATIENCE:  # its answer may be kept in a moment
            raise InFlight(_RUNNING)
        if known.done:
            raise AnswerLost(_LOST)
    return _take_over(known, {**request, **fresh})


_RUNNING = N_("A request with this Idempotency-Key is still being worked on. Send it again in a moment")
_LOST = N_(
    "The first request with this Idempotency-Key was carried out, but its answer is lost. Read the object to see the result"
)


def _columns() -> sa.Select[*tuple[Any, ...]]:
    i = Idempotency
    return sa.select(i.id, i.token, i.method, i.path, i.body_hash, i.done, i.status, i.headers, i.answer, i.created_at)


def _compare(known: Any, request: Mapping[str, str]) -> None:
    if any(getattr(known, name) != value for name, value in request.items()):
        raise Reused(
            {"Idempotency-Key": [N_("This key came with another request before. Use a new key for a new request")]}
        )


def _take_over(known: Any, values: Mapping[str, Any]) -> Claim:
    """Claim a row that is out of date or whose process is gone. Waits for a transaction that is just marking it."""
    old = clock.now() - KEPT
    abandoned = sa.or_(~Idempotency.done, Idempotency.created_at <= old)
    taken = db.session.execute(
        sa.update(Idempotency)
        .where(Idempotency.id == known.id, Idempotency.token == known.token, abandoned)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()
    if not taken.rowcount:  # type: ignore[attr-defined]
        raise InFlight(_RUNNING)
    return Claim(known.id, str(values["token"]))


def mark(claimed: Claim) -> None:
    """Say in the present transaction that it does the work. Raises :class:`InFlight` when the claim was taken over."""
    marked = db.session.execute(_mine(claimed).values(done=True))
    if not marked.rowcount:  # type: ignore[attr-defined]
        db.session.rollback()
        raise InFlight(_RUNNING)


def keep(claimed: Claim, status: int, body: str, headers: Mapping[str, str]) -> None:
    """Keep the answer for those who ask again. Commits."""
    db.session.execute(_mine(claimed).values(done=True, status=status, answer=body, headers=dict(headers)))
    db.session.commit()


def _mine(claimed: Claim) -> sa.Update:
    mine = sa.update(Idempotency).where(Idempotency.id == claimed.id, Idempotency.token == claimed.token)
    return mine.execution_options(synchronize_session=False)


def release(claimed: Claim) -> None:
    """Give the key back after a request that failed; where its work is done, its answer is lost. Rolls back, then commits."""
    db.session.rollback()
    db.session.execute(_mine(claimed).where(Idempotency.done).values(status=LOST))
    db.session.execute(
        sa.delete(Idempotency)
        .where(Idempotency.id == claimed.id, Idempotency.token == claimed.token, ~Idempotency.done)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()


def expire(now: datetime, chunk: int = 1000) -> int:
    """Forget what is older than 24 hours, of all clients, chunk by chunk; how many. The clock calls this."""
    total = 0
    with extensions.every_workspace():
        old = sa.select(Idempotency.id).where(Idempotency.created_at <= now - KEPT).limit(chunk)
        while ids := list(db.session.scalars(old)):
            db.session.execute(sa.delete(Idempotency).where(Idempotency.id.in_(ids)))
            db.session.commit()
            total += len(ids)
        db.session.rollback()
    return total
