"""The agency at a glance: what needs a look, how every client does, whether messages leave on time.

Every number comes from one query for all clients together; a person sees the clients they have access to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Alert, Connection, Contact, Enrollment, Flow, Message, User, Workspace
from flowserver.services.accounts import accounts
from flowserver.services.messages import connections
from flowserver.services.operations import health
from flowserver.text import Text

DAYS = 30
SPARK_DAYS = 14
MOST_ALERTS = 50
PROBLEMS = (
    "flow_paused",
    "campaign",
    "connection",
    "missed",
)  # how kinds of alerts begin that stop messages; others are warnings


@dataclass(frozen=True)
class Attention:
    """An open alert, ready to be said. ``path`` leads to its cause inside the client, empty when nothing can be shown."""

    id: int
    workspace: Workspace
    text: Text
    at: datetime
    problem: bool
    path: str


@dataclass
class Client:
    """A client with its numbers. ``sent`` and ``failed`` cover 30 days, ``per_day`` the last 14, oldest first."""

    workspace: Workspace
    contacts: int = 0
    live_flows: int = 0
    inside: int = 0
    sent: int = 0
    failed: int = 0
    per_day: list[int] = field(default_factory=list)
    problems: int = 0
    warnings: int = 0

    @property
    def delivered(self) -> float | None:
        """Which part of what was taken by providers did not come back; ``None`` when nothing was sent."""
        return (self.sent - self.failed) / self.sent if self.sent else None


@dataclass(frozen=True)
class Line:
    """A way out for messages: how it is, how many messages wait and since when."""

    connection: Connection
    workspace: Workspace
    title: str
    waiting: int
    oldest: datetime | None

    @property
    def state(self) -> str:
        """``paused``, ``down``, ``late`` (something waits for over two minutes) or ``working``."""
        if self.connection.paused_at:
            return "paused"
        if self.connection.down_since:
            return "down"
        late = self.oldest is not None and clock.now() - self.oldest > timedelta(minutes=2)
        return "late" if late else "working"


@dataclass(frozen=True)
class Agency:
    """Everything the agency page shows."""

    attention: list[Attention]
    clients: list[Client]
    lines: list[Line]
    today: int  # messages taken by providers since midnight
    waiting: int
    delay: timedelta  # how late the oldest due step or message is


# --- attention -----------------------------------------------------------------------------------------


def attention(user: User) -> list[Attention]:
    """Open alerts in the clients of this person, newest first."""
    query = (
        sa.select(Alert, Workspace)
        .join(Workspace, Workspace.id == Alert.workspace_id)
        .where(Alert.resolved_at.is_(None), Workspace.id.in_(accounts.visible(user)))
        .order_by(Alert.id.desc())
        .limit(MOST_ALERTS)
    )
    with extensions.every_workspace():
        return [_attention(alert, workspace) for alert, workspace in db.session.execute(query)]


def _attention(alert: Alert, workspace: Workspace) -> Attention:
    kind, _colon, number = alert.subject.partition(":")
    pages = {
        "flow": "flows/%s/steps",
        "campaign": "campaigns/%s",
        "connection": "settings/connections/%s",
        "coupons": "coupons/%s",
    }
    path = f"/c/{workspace.slug}/{pages[kind] % number}" if kind in pages and number.isdecimal() else ""
    return Attention(
        alert.id, workspace, Text(alert.text, **alert.params), alert.created_at, alert.kind.startswith(PROBLEMS), path
    )


def dismiss(user: User, alert_id: int) -> None:
    """Take an alert off the list without mending its cause. Raises :class:`NotFound` for another's client."""
    with extensions.every_workspace():
        query = sa.select(Alert).where(Alert.id == alert_id, Alert.workspace_id.in_(accounts.visible(user)))
        alert = db.session.scalar(query)
        if alert is None:
            raise NotFound(str(alert_id))
        alert.resolved_at = alert.resolved_at or clock.now()
        db.session.commit()


# --- the page ------------------------------------------------------------------------------------------


def agency(user: User, today: datetime) -> Agency:
    """The numbers of all clients of this person. ``today``: when the day began where the agency is."""
    shown = accounts.workspaces(user)
    ids = [workspace.id for workspace in shown]
    with extensions.every_workspace():
        found = attention(user)
        lines = _lines(shown)
        return Agency(
            attention=found,
            clients=_clients(shown, ids, found),
            lines=lines,
            today=_taken_since(ids, today),
            waiting=sum(line.waiting for line in lines),
            delay=_delay(ids, lines),
        )


def _clients(shown: list[Workspace], ids: list[int], alerts: list[Attention]) -> list[Client]:
    rows = {workspace.id: Client(workspace) for workspace in shown}
    for name, query in _COUNTS.items():
        for workspace_id, number in db.session.execute(query(ids)):
            setattr(rows[workspace_id], name, number)
    days = [(clock.now() - timedelta(days=back)).date() for back in range(SPARK_DAYS - 1, -1, -1)]
    per_day: dict[tuple[int, str], int] = {}
    for workspace_id, day, sent, failed in db.session.execute(_sent(ids)):
        rows[workspace_id].sent += sent
        rows[workspace_id].failed += failed
        per_day[workspace_id, str(day)] = sent
    for row in rows.values():
        row.per_day = [per_day.get((row.workspace.id, str(day)), 0) for day in days]
    for one in alerts:
        row = rows[one.workspace.id]
        row.problems, row.warnings = row.problems + one.problem, row.warnings + (not one.problem)
    return list(rows.values())


def _per_client(table: Any, ids: Iterable[int], *where: Any) -> sa.Select[Any]:
    query = sa.select(table.workspace_id, sa.func.count()).where(table.workspace_id.in_(ids), *where)
    return query.group_by(table.workspace_id)


_COUNTS = {
    "contacts": lambda ids: _per_client(Contact, ids),
    "live_flows": lambda ids: _per_client(Flow, ids, Flow.state == "active", Flow.archived_at.is_(None)),
    "inside": lambda ids: _per_client(Enrollment, ids, Enrollment.due_at.is_not(None)),
}


def _sent(ids: list[int]) -> sa.Select[Any]:
    """``(workspace_id, day, sent, failed of those)`` of real messages planned in the last 30 days."""
    day = sa.func.date(Message.planned_at)
    return (
        sa.select(Message.workspace_id, day, sa.func.count(), sa.func.count(Message.failed_at))
        .where(
            Message.workspace_id.in_(ids),
            Message.planned_at >= clock.now() - timedelta(days=DAYS),
            Message.kind.in_(("flow", "campaign", "confirmation")),
            sa.or_(Message.accepted_at.is_not(None), Message.failed_at.is_not(None)),
        )
        .group_by(Message.workspace_id, day)
    )


def _taken_since(ids: list[int], today: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        Message.workspace_id.in_(ids),
        Message.planned_at >= today - timedelta(days=3),  # the index is on this; nothing waits longer than 72 hours
        Message.accepted_at >= today,
    )
    return db.session.scalar(query) or 0


def _delay(ids: list[int], lines: list[Line]) -> timedelta:
    """How late the oldest due step is, or the oldest message of a connection that should be working."""
    now = clock.now()
    due = sa.select(sa.func.min(Enrollment.due_at)).where(
        Enrollment.workspace_id.in_(ids), Enrollment.due_at.is_not(None), ~Enrollment.held
    )
    messages = [line.oldest for line in lines if line.oldest and not line.connection.paused_at]
    oldest = min([moment for moment in (db.session.scalar(due), *messages) if moment], default=now)
    return max(now - oldest, timedelta(0))


# --- sending health ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sending:
    """Whether messages leave: the ways out, and whether the programs that send are alive."""

    lines: list[Line]
    delay: timedelta
    workers: int
    clocks: int
    redis: bool


def sending(user: User) -> Sending:
    """The ways out of this person's clients, and the programs behind them."""
    shown = accounts.workspaces(user)
    with extensions.every_workspace():
        lines = _lines(shown)
        delay = _delay([workspace.id for workspace in shown], lines)
    return Sending(lines, delay, health.alive("worker"), health.alive("clock", health.SILENT), health.redis_answers())


def _lines(shown: list[Workspace]) -> list[Line]:
    by_id = {workspace.id: workspace for workspace in shown}
    rows = db.session.scalars(
        sa.select(Connection).where(Connection.workspace_id.in_(by_id)).order_by(Connection.channel, Connection.id)
    ).all()
    waits: dict[int, tuple[int, datetime | None]] = {
        row.connection_id: (row.number, row.oldest) for row in db.session.execute(_waiting([row.id for row in rows]))
    }
    lines = [Line(row, by_id[row.workspace_id], _title(row), *waits.get(row.id, (0, None))) for row in rows]
    return sorted(lines, key=lambda line: (line.workspace.name, line.connection.channel, line.connection.id))


def _waiting(ids: list[int]) -> Any:
    """Planned messages that are due, per connection."""
    return (
        sa.select(Message.connection_id, sa.func.count().label("number"), sa.func.min(Message.due_at).label("oldest"))
        .where(Message.connection_id.in_(ids), Message.state == "planned", Message.due_at <= clock.now())
        .group_by(Message.connection_id)
    )


def _title(row: Connection) -> str:
    found = connections.providers(row.channel).get(row.provider)
    return found.title if found else row.provider
