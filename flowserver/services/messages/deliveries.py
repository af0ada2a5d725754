"""Messages leave here: planned, claimed, checked once more, handed over, marked. And reports come back.

Nothing is sent twice: a message is claimed under a lease, a journal notes it before it is handed over, and one whose answer was
never heard is ``unknown`` for a person to judge (spec: engine, 1 and 2).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from flask import current_app
from sqlalchemy.dialects import postgresql, sqlite

from flowserver import clock, extensions, jobqueue
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Connection, Message
from flowserver.providers.base import ACCEPTED, UNSENT, Answer, DeliveryEvent, Provider
from flowserver.services.engine import bulk, flow_state
from flowserver.services.messages import campaign_runs, connections, envelopes, journal, leases, outcomes, reports
from flowserver.services.messages.handover import Crew, Lines, Parcel
from flowserver.text import N_

log = structlog.get_logger()

FIRST_PIECE = 50
LARGEST_PIECE = 2000
_M, _K = Message.__table__.c, Connection.__table__.c


# --- planning ------------------------------------------------------------------------------------------------


def plan_one(
    *,
    channel: str,
    address: str,
    kind: str,
    key: str,
    content: Mapping[str, Any] | None = None,
    contact_id: int | None = None,
    class_: str = "service",
    priority: int = 1,
    due_at: datetime | None = None,
) -> int | None:
    """Plan one message of the present client in the caller's transaction; its id, or ``None`` when ``key`` exists.

    ``kind``: ``confirmation``, ``team`` or ``test``; ``content`` as the composer stores it. It leaves after the commit,
    or at ``due_at``. Raises :class:`Conflict` when the client has no connection for the channel.
    """
    way = connections.default(channel)
    if way is None:
        raise Conflict(N_("No way to send is set up for this client"))
    now = clock.now()
    due = due_at or now
    values = {
        "workspace_id": current_workspace(),
        "key": key,
        "kind": kind,
        "channel": channel,
        "class": class_,
        "connection_id": way.id,
        "priority": priority,
        "contact_id": contact_id,
        "address": address,
        "step": "",
        "visit": 1,
        "content": dict(content) if content is not None else None,
        "state": "planned",
        "attempts": 0,
        "planned_at": now,
        "due_at": due,
    }
    insert: Any = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    statement = insert(Message.__table__).values(**values).on_conflict_do_nothing(index_elements=["key"])
    found: int | None = db.session.execute(statement.returning(_M.id)).scalar()
    if found is not None and due <= now:
        jobqueue.wake_after_commit(db.session, "deliver", way.id)
    return found


# --- delivering ----------------------------------------------------------------------------------------------


def deliver(connection_id: int, worker: str = "", seconds: float = 30.0) -> int:
    """Send what is due on a connection until nothing is left or the time is up; returns how many were answered for.

    Rings again when more is due. While the server is away, or its credentials are refused, messages stay planned.
    """
    connection = _ready(connection_id)
    if connection is None:
        return 0
    try:
        provider = connections.provider(connection)
    except Invalid as error:
        outcomes.refused_login(connection, str(error))
        return 0
    with extensions.workspace(connection.workspace_id):
        return _Run(connection, provider, worker).work(seconds)


def _ready(connection_id: int) -> Any:
    """The connection's row, if it may send now."""
    row = db.session.connection().execute(sa.select(Connection.__table__).where(_K.id == connection_id)).first()
    waiting = _M.state == "planned"
    due = sa.select(_M.id).where(_M.connection_id == connection_id, waiting, _M.due_at <= clock.now()).limit(1)
    asleep = row is None or row.paused_at is not None or (row.retry_at is not None and row.retry_at > clock.now())
    idle = asleep or db.session.connection().execute(due).first() is None
    db.session.rollback()
    return None if idle else row


class _Run:
    """One lease at work: pieces of about a second of sending, the next one claimed while the lines are busy."""

    def __init__(self, connection: Any, provider: Provider, worker: str):
        self.connection = connection
        self.provider = provider
        self.per_domain = provider.settings.get("domain_per_minute")
        self.answered = 0
        self.away = connection.down_since is not None
        self.lease, self.journal = leases.open_lease(connection.id, worker)
        self.lines = _lines(connection, provider)
        self.crew = Crew(self.lines, self.journal)

    def work(self, seconds: float) -> int:
        ends = time.monotonic() + seconds
        done = False
        try:
            more = self._pieces(ends)
            self._write(self.crew.collect(0))
            self.crew.leave()
            leases.close_lease(self.lease)
            done = True
        finally:
            self.crew.leave()
            self.journal.close(done=done)
        self._tell(more)
        return self.answered

    def _pieces(self, ends: float) -> bool:
        """Work piece by piece; ``True`` when the time was up first.

        The next piece is claimed while the lines are busy, and checked when they have about a fifth of the last one left,
        so that they never wait for the database.
        """
        size = 1 if self.away else self.lines.pace or max(FIRST_PIECE, 10 * self.provider.lines)
        ids = self._claim(size)
        while ids:
            began, before = time.monotonic(), self.answered
            self.crew.add(self._check(ids))
            late = time.monotonic() > ends
            ids = [] if late or self.away or self.crew.stopped else self._claim(size)
            self._write(self.crew.collect(self.provider.lines + max(self.provider.lines, size // 5) if ids else 0))
            if self.crew.stopped:
                leases.give_back(ids, lease_id=self.lease)
                db.session.commit()
                return False
            size = self._size(size, self.answered - before, time.monotonic() - began)
            ids = ids or ([] if late else self._claim(size))
            if late and not ids:
                return True
        return False

    def _size(self, size: int, count: int, seconds: float) -> int:
        """How many messages make about a second of sending."""
        if seconds < 0.3:
            return min(LARGEST_PIECE, size * 2)
        self.lines.pace = max(10, min(LARGEST_PIECE, int(count / seconds)))
        return self.lines.pace

    def _claim(self, size: int) -> list[int]:
        return leases.claim(self.lease, self.connection, size, self.per_domain)

    def _check(self, ids: Sequence[int]) -> list[Parcel]:
        """The last checks, as late as can be. Writes down what must not or cannot go out."""
        now = clock.now()
        found = envelopes.sort(self.lease, ids, self.connection, now)
        if found.skipped:
            outcomes.skip(self.lease, found.skipped)
        for row, until in found.held:
            leases.give_back([row.id], lease_id=self.lease, due_at=until)
        if found.failed:
            answers = [outcomes.Outcome(row, Answer("failed", why)) for row, why in found.failed]
            outcomes.write(self.lease, answers)
        stopped = [row.id for _, rows in found.stopped.values() for row in rows]
        leases.give_back(stopped, lease_id=self.lease, due_at=now + envelopes.LOOK_AGAIN)
        for rows in found.broken.values():
            leases.give_back([row.id for row in rows], lease_id=self.lease, due_at=now + envelopes.LOOK_AGAIN)
        db.session.commit()
        for flow_id, step in found.broken:
            log.warning("deliver.broken_template", flow=flow_id, step=step)
            flow_state.pause_by_engine(flow_id, "template", step=step)
        for campaign_id, (why, _) in found.stopped.items():
            campaign_runs.hold(campaign_id, why)
        return found.parcels

    def _write(self, answers: Sequence[tuple[Parcel, Answer]]) -> None:
        if not answers:
            return
        unsent = [parcel.id for parcel, answer in answers if answer.state == UNSENT]
        told = [(parcel, answer) for parcel, answer in answers if answer.state != UNSENT]
        outcomes.write(
            self.lease,
            [
                outcomes.Outcome(
                    parcel.row, answer, envelopes.address(parcel.row), outcomes.segments_of(parcel.message)
                )
                for parcel, answer in told
            ],
        )
        leases.give_back(unsent, lease_id=self.lease)
        db.session.commit()
        self.answered += len(told)
        if told and self.away:
            self.away = False
            outcomes.up_again(self.connection)

    def _tell(self, more: bool) -> None:
        if self.crew.refused:
            outcomes.refused_login(self.connection, self.crew.refused)
        elif self.crew.down:
            outcomes.down(self.connection, self.crew.down)
        elif more:
            jobqueue.wake("deliver", self.connection.id)
        if self.answered:
            log.info("deliver.done", connection=self.connection.id, messages=self.answered)


def _lines(connection: Any, provider: Provider) -> Lines:
    """Open lines of this connection from the last job; new ones when its settings changed."""
    kept: dict[int, tuple[Any, Lines]] = current_app.extensions.setdefault("lines", {})
    mark = (connection.provider, orjson.dumps(connection.settings or {}, option=orjson.OPT_SORT_KEYS))
    found = kept.get(connection.id)
    if found is None or found[0] != mark:
        if found is not None:
            found[1].close()
        found = kept[connection.id] = (mark, Lines(provider))
    return found[1]


def hang_up() -> None:
    """Close all open lines of this process: at the end of a worker."""
    for _, lines in current_app.extensions.pop("lines", {}).values():
        lines.close()


# --- taking back, setting right ------------------------------------------------------------------------------


def take_back(whom: datetime | str | None = None) -> int:
    """Bring back what dead workers had in hand; returns how many messages. Commits.

    Called by the clock and by a starting worker. What surely was not begun is planned again, what was answered is
    marked so, what was handed over without an answer is ``unknown``.
    """
    now = whom if isinstance(whom, datetime) else clock.now()
    count = 0
    for lease, found, paper in leases.dead(now):
        with nullcontext() if paper is None else closing(paper):  # a database that is away now is asked again
            messages = _take_back(lease.id, found)
            if paper is not None:
                paper.throw_away()
        count += messages
        if messages:
            log.warning("lease.taken_back", lease=lease.id, worker=lease.worker, messages=messages)
            jobqueue.wake("deliver", lease.connection_id)
    return count


def _take_back(lease_id: int, found: journal.Found) -> int:
    """Settle what was claimed under a dead worker's lease, and close it; returns how many messages. Commits."""
    ids = leases.held(lease_id)
    query = sa.select(*outcomes.COLUMNS).where(bulk.ids_in(_M.id, ids), _M.lease_id == lease_id)
    rows = {row.id: row for row in db.session.connection().execute(query)}
    with extensions.every_workspace():
        _settle_lease(lease_id, rows, found)
        leases.close_lease(lease_id)
    return len(ids)


def _settle_lease(lease_id: int, rows: Mapping[int, Any], found: journal.Found) -> None:
    answered = [outcomes.Outcome(row, found.answers[n]) for n, row in rows.items() if n in found.answers]
    told = [outcome for outcome in answered if outcome.answer.state != UNSENT]
    outcomes.write(lease_id, told)
    known = {outcome.row.id for outcome in told}
    doubtful = [row for n, row in rows.items() if n in found.open or (not found.sure and n not in known)]
    if doubtful:
        outcomes.unknown(lease_id, doubtful, "the worker ended before the answer came")
    leases.give_back([n for n in rows if n not in known and n not in {row.id for row in doubtful}], lease_id=lease_id)


def release_flow(flow_id: int) -> int:
    """Messages of a flow that was resumed need not wait for the next look. Commits."""
    now = clock.now()
    where = [_M.flow_id == flow_id, _M.state == "planned", _M.due_at > now, _M.due_at <= now + envelopes.LOOK_AGAIN]
    ways = list(db.session.scalars(sa.select(_M.connection_id).where(*where).distinct()))
    later = sa.update(Message.__table__).where(*where, _M.attempts == 0).values(due_at=now)
    count = db.session.connection().execute(later).rowcount
    for connection_id in ways:
        jobqueue.wake_after_commit(db.session, "deliver", connection_id)
    db.session.commit()
    return count


def settle(message_id: int, *, resend: bool) -> None:
    """A person decides about a message of the present client whose fate is unknown: send it again, or take it as sent.

    Raises :class:`NotFound`, and :class:`Conflict` when it is not unknown any more. Commits.
    """
    row = db.session.scalar(sa.select(Message).where(Message.id == message_id).with_for_update())
    if row is None:
        raise NotFound(N_("This message does not exist"))
    if row.state != "unknown":
        raise Conflict(N_("It is known by now what became of this message"))
    if resend:
        row.state, row.due_at, row.reason = "planned", clock.now(), None
        jobqueue.wake_after_commit(db.session, "deliver", row.connection_id)
    else:
        row.state, row.accepted_at = ACCEPTED, row.handed_at or clock.now()
        if row.kind == "campaign":
            outcomes.tell(row, f"{row.channel}_sent", row.accepted_at)
    db.session.flush()
    if not db.session.scalar(sa.select(Message.id).where(Message.state == "unknown").limit(1)):
        flow_state.resolve_alerts(row.workspace_id, "messages")
    db.session.commit()


def record(connection_id: int, events: Sequence[DeliveryEvent]) -> int:
    """What a provider reported about messages of a connection; see :func:`flowserver.services.messages.reports.record`."""
    return reports.record(connection_id, events)
