"""Writing down what became of handed-over messages, many at a time, and what follows from it.

Every statement carries the lease as a fence: a worker whose lease was taken over changes nothing any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite

from flowserver import clock, jobqueue
from flowserver.domain import sms
from flowserver.extensions import db
from flowserver.models import Connection, Contact, Engagement, Enrollment, Message, Suppression
from flowserver.providers.base import ACCEPTED, BOUNCED, FAILED, RETRY, UNKNOWN, Answer
from flowserver.services.engine import bulk, events, flow_state
from flowserver.services.messages import envelopes
from flowserver.text import N_, Text

log = structlog.get_logger()

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
_M, _E, _C = Message.__table__.c, Enrollment.__table__.c, Contact.__table__.c
_KEEP = sa.case((_M.state == "claimed", ACCEPTED), else_=_M.state)  # a report may have been quicker than we are
COLUMNS = (
    _M.id, _M.workspace_id, _M.channel, _M.kind, _M["class"], _M.connection_id, _M.contact_id, _M.address, _M.flow_id,
    _M.version_id, _M.enrollment_id, _M.campaign_id, _M.step, _M.state, _M.attempts,
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What became of one message. ``row`` carries at least :data:`COLUMNS`."""

    row: Any
    answer: Answer
    address: str = ""  # where it really went
    segments: int | None = None


def write(lease_id: int, outcomes: Sequence[Outcome]) -> None:
    """Write the answers to messages of a lease. The caller commits."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.answer.state].append(outcome)
    now = clock.now()
    if groups[ACCEPTED]:
        _accepted(lease_id, groups[ACCEPTED], now)
    for outcome in groups[RETRY]:
        _again(lease_id, outcome, now)
    for outcome in (*groups[BOUNCED], *groups[FAILED]):
        _refused(lease_id, outcome, now)
    if groups[UNKNOWN]:
        unknown(lease_id, [outcome.row for outcome in groups[UNKNOWN]], groups[UNKNOWN][0].answer.reason)


def _accepted(lease_id: int, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Taken by the other side: one statement, and one more where a provider gave ids of its own."""
    connection = db.session.connection()
    detailed = [o for o in outcomes if o.answer.ref or o.segments or (o.address and o.address != o.row.address)]
    if detailed:
        rows = [
            (o.row.id, (o.answer.ref or "")[:120] or None, o.segments, o.address or o.row.address) for o in detailed
        ]
        bulk.update(
            connection, "message", ("provider_ref", "segments", "address"), rows, where=f"lease_id = {int(lease_id)}"
        )
    connection.execute(
        sa.update(Message.__table__)
        .where(bulk.ids_in(_M.id, [o.row.id for o in outcomes]), _M.lease_id == lease_id)
        .values(
            state=_KEEP,
            lease_id=None,
            attempts=_M.attempts + 1,
            handed_at=now,
            accepted_at=sa.func.coalesce(_M.accepted_at, now),
        )
    )
    sent = [o.row for o in outcomes if o.row.kind == "campaign"]
    if sent:
        tell_many(sent, f"{sent[0].channel}_sent", now)


def _set(lease_id: int, row: Any, **values: Any) -> bool:
    """Change one claimed message under the fence."""
    statement = sa.update(Message.__table__).where(_M.id == row.id, _M.lease_id == lease_id, _M.state == "claimed")
    return bool(db.session.connection().execute(statement.values(lease_id=None, **values)).rowcount)


def _again(lease_id: int, outcome: Outcome, now: datetime) -> None:
    """Refused for now: three more tries, then it has failed."""
    tried = outcome.row.attempts
    if tried >= len(RETRY_AFTER):
        _refused(lease_id, Outcome(outcome.row, Answer(FAILED, outcome.answer.reason)), now)
        return
    reason = outcome.answer.reason[:300]
    _set(lease_id, outcome.row, state="planned", attempts=tried + 1, due_at=now + RETRY_AFTER[tried], reason=reason)


def _refused(lease_id: int, outcome: Outcome, now: datetime) -> None:
    """Refused for good: the contact goes on or leaves, an address that does not exist is never tried again."""
    row, bounced = outcome.row, outcome.answer.state == BOUNCED and outcome.row.channel == "email"
    state = BOUNCED if bounced else FAILED
    changed = _set(
        lease_id,
        row,
        state=state,
        attempts=row.attempts + 1,
        reason=outcome.answer.reason[:300],
        handed_at=now,
        failed_at=now,
    )
    if changed:
        if bounced:
            suppress(row, outcome.address or row.address, "hard_bounce", outcome.answer.reason, now)
        after_refusal(row, state, outcome.answer.reason, now)


def unknown(lease_id: int, rows: Sequence[Any], reason: str = "") -> int:
    """Handed over, answer never heard: not sent again by itself; a person decides. The caller commits."""
    ids = [row.id for row in rows]
    changed = db.session.connection().execute(
        sa.update(Message.__table__)
        .where(bulk.ids_in(_M.id, ids), _M.lease_id == lease_id, _M.state == "claimed")
        .values(state="unknown", lease_id=None, handed_at=clock.now(), reason=reason[:300] or None)
    )
    for workspace_id in {row.workspace_id for row in rows}:
        text = N_("It is not known whether some messages left: the answer was never heard. They are not sent again.")
        flow_state.alert(workspace_id, "unknown", "messages", text)
    log.warning("deliver.unknown", messages=changed.rowcount)
    return changed.rowcount


def skip(lease_id: int, rows: Sequence[tuple[Any, str]]) -> None:
    """The last check said no: written with its reason, and who waits for the message goes on. The caller commits."""
    bulk.update(
        db.session.connection(),
        "message",
        ("state", "reason", "lease_id"),
        [(row.id, "skipped", reason, None) for row, reason in rows],
        where=f"lease_id = {int(lease_id)}",
    )
    wake([row for row, _ in rows])


# --- what follows --------------------------------------------------------------------------------------------


def after_refusal(row: Any, state: str, reason: str, now: datetime) -> None:
    """A message that failed for good: evidence, events, and its contact goes on or leaves the flow."""
    if row.contact_id is not None:
        db.session.add(
            Engagement(
                workspace_id=row.workspace_id,
                message_id=row.id,
                contact_id=row.contact_id,
                kind=state,
                at=now,
                evidence={"reason": reason[:300]},
            )
        )
    if row.kind == "campaign":
        tell(row, "sms_failed" if row.channel == "sms" else f"email_{state}", now, reason=reason[:300])
    if row.enrollment_id is None or row.kind != "flow":
        return
    if ends_flow(row):
        _end(row.enrollment_id, now)
    else:
        wake([row])
    tell(
        row, "sms_failed" if row.channel == "sms" else "email_bounced" if state == BOUNCED else None, now, reason=reason
    )


def tell(row: Any, type: str | None, at: datetime, **data: Any) -> bool:
    """Record an event about a message of a flow or campaign, once. ``False``: nothing to record, or it is known already."""
    return type is not None and bool(tell_many([row], type, at, **data))


def tell_many(rows: Sequence[Any], type: str, at: datetime, **data: Any) -> int:
    """Record an event about each of these messages, once; returns how many are new. The caller commits.

    A campaign has very many: its events are written only where a flow or a reaction hears them.
    """
    campaigns = {row.workspace_id for row in rows if row.kind == "campaign"}
    heard = events.heard(campaigns) if campaigns else {}
    cancelled = _cancelled(rows) if any(type in heard[workspace_id] for workspace_id in campaigns) else set()
    told = [
        _event(row, type, at, {**data, "cancelled": True} if row.campaign_id in cancelled else data)
        for row in rows
        if row.contact_id is not None
        and (row.kind == "flow" or (row.kind == "campaign" and type in heard[row.workspace_id]))
    ]
    return len(events.record_many(told))


def _cancelled(rows: Sequence[Any]) -> set[int | None]:
    """Which of the rows' campaigns were cancelled: what becomes of their messages starts nothing any more."""
    ids = {row.campaign_id for row in rows if row.kind == "campaign"}
    return {number for number, row in envelopes.campaigns(ids).items() if row.state == "cancelled"}


def key_of(message_id: int, type: str) -> str:
    """The key of what is told about a message. "Not delivered" is told once, be it by silence or by a report."""
    return f"message:{message_id}:{_SAME.get(type, type)}"


_SAME = {"sms_silent": "sms_failed"}


def _event(row: Any, type: str, at: datetime, data: Mapping[str, Any]) -> events.NewEvent:
    event = events.NewEvent(row.workspace_id, row.contact_id, type, key=key_of(row.id, type), at=at)
    if row.kind == "campaign":
        event.subject = f"campaign:{row.campaign_id}"
        event.data = {"message": row.id, "campaign": row.campaign_id, **data}
    else:
        event.subject = f"{row.flow_id}:{row.step}"
        event.data = {"message": row.id, "step": row.step, **data}
        event.origin = row.flow_id
        event.message = (row.enrollment_id, row.step) if row.enrollment_id else None
    return event


def ends_flow(row: Any) -> bool:
    """Whether the step says that a message that cannot be sent ends the flow for its contact."""
    if row.version_id is None:
        return False
    return bool(envelopes.content_of(row.version_id, row.step).get("on_failure") == "end")


def _end(enrollment_id: int, now: datetime) -> None:
    ended = db.session.connection().execute(
        sa.update(Enrollment.__table__)
        .where(_E.id == enrollment_id, _E.due_at.is_not(None))
        .values(due_at=None, ended_at=now, end_reason="not_sent", held=False, awaits=None)
    )
    if ended.rowcount:
        flow_state.note_ends([enrollment_id], "not_sent")


def wake(rows: Sequence[Any]) -> None:
    """Make enrollments that wait for something to happen to these messages decide now: it never will."""
    now = clock.now()
    steps: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.enrollment_id is not None and row.kind == "flow":
            steps[row.step].append(row.enrollment_id)
    for step, ids in steps.items():
        due = sa.case((sa.and_(_E.awaits.like(f"%:{step}"), _E.due_at > now), now), else_=_E.due_at)
        db.session.connection().execute(
            sa.update(Enrollment.__table__).where(bulk.ids_in(_E.id, ids), _E.due_at.is_not(None)).values(due_at=due)
        )
    if steps:
        jobqueue.wake_after_commit(db.session, "advance")


def suppress(row: Any, address: str, reason: str, source: str, now: datetime) -> None:
    """Put an address on the client's suppression list and mark the contact who holds it. The caller commits."""
    connection = db.session.connection()
    insert: Any = postgresql.insert if bulk.is_postgres(connection) else sqlite.insert
    given = {
        "workspace_id": row.workspace_id,
        "channel": row.channel,
        "address": address,
        "reason": reason,
        "source": source[:300],
        "created_at": now,
    }
    connection.execute(insert(Suppression.__table__).values(**given).on_conflict_do_nothing())
    if reason == "hard_bounce":
        connection.execute(
            sa.update(Contact.__table__)
            .where(_C.workspace_id == row.workspace_id, _C.email == address, _C.status == "active")
            .values(status="bounced", updated_at=now)
        )


def segments_of(message: Any) -> int | None:
    """Segments of a text that was handed over; ``None`` for mail."""
    text = getattr(message, "text", None)
    return sms.count(text).segments if isinstance(text, str) else None


# --- a connection that fails ---------------------------------------------------------------------------------

TELL_AFTER = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=72)
_K = Connection.__table__.c


def down(connection: Any, reason: str) -> None:
    """The server cannot be reached: messages wait, it is tried again by itself, after five minutes the owner is told. Commits."""
    now = clock.now()
    since = connection.down_since or now
    length = now - since
    pause = 5 if length < timedelta(minutes=1) else 20 if length < timedelta(minutes=10) else 60
    told = connection.down_told
    if length >= TELL_AFTER and not told:
        told = True
        text = Text(
            N_("%(connection)s cannot be reached. Messages wait, nothing is lost.").msgid, connection=connection.name
        )
        flow_state.alert(connection.workspace_id, "connection_down", f"connection:{connection.id}", text)
    values = {"down_since": since, "retry_at": now + timedelta(seconds=pause), "down_told": told}
    db.session.execute(sa.update(Connection.__table__).where(_K.id == connection.id).values(**values))
    if length >= GIVE_UP_AFTER:
        _give_up(connection.id, now)
    db.session.commit()
    log.warning("deliver.down", connection=connection.id, seconds=int(length.total_seconds()), why=reason[:120])


def _give_up(connection_id: int, now: datetime) -> None:
    """Messages that waited 72 hours for the server have failed."""
    query = sa.select(*COLUMNS).where(
        _M.connection_id == connection_id, _M.state == "planned", _M.planned_at <= now - GIVE_UP_AFTER
    )
    rows = db.session.connection().execute(query.limit(1000)).all()
    for row in rows:
        gone = db.session.connection().execute(
            sa.update(Message.__table__)
            .where(_M.id == row.id, _M.state == "planned")
            .values(state="failed", failed_at=now, reason="server_unreachable")
        )
        if gone.rowcount:  # otherwise another worker has just claimed it
            after_refusal(row, FAILED, "server_unreachable", now)


def up_again(connection: Any) -> None:
    """The server answers: forget that it was away. Commits."""
    db.session.execute(
        sa.update(Connection.__table__)
        .where(_K.id == connection.id)
        .values(down_since=None, retry_at=None, down_told=False)
    )
    flow_state.resolve_alerts(connection.workspace_id, f"connection:{connection.id}")
    db.session.commit()
    log.info("deliver.up_again", connection=connection.id)


def refused_login(connection: Any, reason: str) -> None:
    """The credentials are refused: nothing goes through this connection until a person mends them. Commits."""
    db.session.execute(
        sa.update(Connection.__table__)
        .where(_K.id == connection.id, _K.paused_at.is_(None))
        .values(paused_at=clock.now(), paused_reason=reason[:300])
    )
    text = Text(
        N_("%(connection)s refuses our user name and password. Messages wait, nothing is lost.").msgid,
        connection=connection.name,
    )
    flow_state.alert(connection.workspace_id, "connection_paused", f"connection:{connection.id}", text)
    db.session.commit()
    log.warning("deliver.refused_login", connection=connection.id)
