"""Numbers about flows: the list of flows, the cards of the step list, the report.

How we count (product D): a person counts once per message; sent = accepted by the provider; delivered = reported so,
or accepted and not bounced where nobody reports; opened and clicked = by a person, not a program; notes to the team and
tests are never counted. All numbers come from enrollment, decision and message rows, so every page agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import current_workspace, db
from flowserver.models import Decision, Enrollment, Flow, Message, Workspace
from flowserver.nodes import catalogue
from flowserver.services.flows import options, outline

PORTS = ("next", "then", "else")
LIST_DAYS = 30


# --- building blocks -------------------------------------------------------------------------------------


def delivered() -> Any:
    """SQL: whether a message arrived, as far as anybody knows."""
    return sa.and_(Message.accepted_at.is_not(None), Message.failed_at.is_(None), _sms_reported())


def _sms_reported() -> Any:
    """An SMS is delivered when the network says so; e-mail when it was accepted and did not come back."""
    return sa.or_(Message.channel == "email", Message.delivered_at.is_not(None))


def count(condition: Any) -> Any:
    """SQL: how many rows meet a condition."""
    return sa.func.count(sa.case((condition, 1)))


def zone() -> ZoneInfo:
    """The present client's time zone: days begin at its midnight."""
    name = db.session.scalar(sa.select(Workspace.time_zone).where(Workspace.id == current_workspace()))
    return ZoneInfo(name or "UTC")


def day_number(column: Any, since: datetime, until: datetime, where: ZoneInfo) -> Any:
    """SQL: which local day an instant falls on, as days since 1970. Knows the clock changes of the period."""
    if db.engine.dialect.name == "sqlite":
        seconds: Any = sa.cast(sa.func.strftime("%s", column), sa.Integer)
    else:
        seconds = sa.cast(sa.func.floor(sa.extract("epoch", column)), sa.BigInteger)
    pieces = list(_offsets(since, until, where))
    shifted: Any = seconds + pieces[-1][1]
    if len(pieces) > 1:
        shifted = seconds + sa.case(*((column < end, shift) for end, shift in pieces[:-1]), else_=pieces[-1][1])
    return shifted // 86400


def _offsets(since: datetime, until: datetime, where: ZoneInfo) -> Iterable[tuple[datetime, int]]:
    """``(until when, seconds ahead of UTC)`` of every stretch without a clock change between two instants."""

    def ahead(moment: datetime) -> int:
        return int((moment.astimezone(where).utcoffset() or timedelta(0)).total_seconds())

    at, shift = since, ahead(since)
    while at < until:
        following = min(at + timedelta(days=1), until)
        if ahead(following) != shift:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if ahead(middle) == shift else (low, middle)
            change = high.replace(microsecond=0)
            yield change, shift
            shift = ahead(following)
        at = following
    yield until, shift


def local_day(moment: datetime, where: ZoneInfo) -> date:
    """The calendar day of an instant in a zone."""
    return moment.astimezone(where).date()


def epoch_day(number: int) -> date:
    """The date of a day counted since 1970."""
    return date(1970, 1, 1) + timedelta(days=number)


# --- the list of flows -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """One flow in the list."""

    flow: Flow
    start: str
    icon: str
    inside: int = 0
    entered: int = 0
    sent: int = 0
    delivered: int = 0
    readable: int = 0  # e-mails delivered: what can be opened
    opened: int = 0
    clicked: int = 0
    days: list[int] = field(default_factory=list)

    @property
    def open_rate(self) -> float | None:
        """Share of the people reached by e-mail who opened it."""
        return self.opened / self.readable if self.readable else None

    @property
    def click_rate(self) -> float | None:
        """Share of the people reached who clicked."""
        return self.clicked / self.delivered if self.delivered else None


@dataclass(slots=True)
class Overview:
    """The list of flows, and how many there are in each state."""

    lines: list[Line]
    counts: dict[str, int]


_FILTERS: dict[str, Any] = {
    "live": lambda flow: flow.state == "active",
    "draft": lambda flow: flow.state == "draft",
    "paused": lambda flow: flow.state == "paused",
    "ended": lambda flow: flow.state in ("stopped", "completed"),
}


def overview(status: str = "", wanted: str = "") -> Overview:
    """The client's flows with the numbers of the last 30 days, filtered by state and by a piece of the name."""
    flows = list(db.session.scalars(sa.select(Flow).order_by(sa.func.lower(Flow.name)).limit(1000)))
    shown = [flow for flow in flows if flow.archived_at is None]
    counts = {name: sum(map(test, shown)) for name, test in _FILTERS.items()}
    counts |= {"": len(shown), "archived": len(flows) - len(shown)}
    if status == "archived":
        shown = [flow for flow in flows if flow.archived_at]
    elif status in _FILTERS:
        shown = [flow for flow in shown if _FILTERS[status](flow)]
    if wanted:
        shown = [flow for flow in shown if wanted.casefold() in flow.name.casefold()]
    return Overview(_lines(shown), counts)


def _lines(flows: Sequence[Flow]) -> list[Line]:
    names = options.namer()
    triggers = catalogue.triggers()
    lines = {
        flow.id: Line(
            flow, outline.sentence(flow.draft, names), getattr(triggers.get(flow.trigger_type), "icon", "flow")
        )
        for flow in flows
    }
    now, where = clock.now(), zone()
    since = start_of_day(local_day(now, where) - timedelta(days=LIST_DAYS - 1), where)
    ids = [flow.id for flow in flows if flow.version_id]
    for flow_id, inside, entered in db.session.execute(
        sa.select(
            Enrollment.flow_id,
            count(Enrollment.due_at.is_not(None)),
            count(Enrollment.entered_at >= since),
        )
        .where(Enrollment.flow_id.in_(ids))
        .group_by(Enrollment.flow_id)
    ):
        lines[flow_id].inside, lines[flow_id].entered = inside, entered
    first = local_day(since, where)
    for flow_id, number, sent, arrived, read, opened, clicked in db.session.execute(by_day(ids, since, now, where)):
        line = lines[flow_id]
        line.days = line.days or [0] * LIST_DAYS
        line.days[min(max((epoch_day(number) - first).days, 0), LIST_DAYS - 1)] += sent
        line.sent, line.delivered, line.readable = line.sent + sent, line.delivered + arrived, line.readable + read
        line.opened, line.clicked = line.opened + opened, line.clicked + clicked
    return list(lines.values())


def by_day(ids: Sequence[int], since: datetime, until: datetime, where: ZoneInfo) -> sa.Select[Any]:
    """Messages of flows that left in a period, by flow and local day: sent, delivered, e-mails
    among these, opened, clicked."""
    day = day_number(Message.accepted_at, since, until, where).label("day")
    return (
        sa.select(
            Message.flow_id,
            day,
            sa.func.count(),
            count(delivered()),
            count(sa.and_(delivered(), Message.channel == "email")),
            count(Message.opened_at.is_not(None)),
            count(Message.clicked_at.is_not(None)),
        )
        .where(
            Message.flow_id.in_(ids), Message.kind == "flow", Message.accepted_at >= since, Message.accepted_at <= until
        )
        .group_by(Message.flow_id, day)
    )


def start_of_day(day: date, where: ZoneInfo) -> datetime:
    """The first instant of a local day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=where).astimezone(UTC)


# --- the cards of the step list ----------------------------------------------------------------------------


@dataclass(slots=True)
class StepNumbers:
    """What happened at one step in a period: people who arrived, ways they went, what became of messages."""

    arrived: int = 0
    passed: int = 0
    then: int = 0
    otherwise: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    left: int = 0
    here: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    opened: int = 0
    clicked: int = 0

    @property
    def open_rate(self) -> float | None:
        """Share of the people reached who opened."""
        return self.opened / self.delivered if self.delivered else None

    @property
    def click_rate(self) -> float | None:
        """Share of the people reached who clicked."""
        return self.clicked / self.delivered if self.delivered else None

    @property
    def delivery_rate(self) -> float | None:
        """Share of the messages sent that arrived."""
        return self.delivered / self.sent if self.sent else None


def step_numbers(flow: Flow, days: int = LIST_DAYS) -> dict[str, StepNumbers]:
    """Numbers by step key of the last ``days`` days; empty before the flow was live. Three grouped queries."""
    if not flow.version_id:
        return {}
    now = clock.now()
    return numbers_between(flow.id, now - timedelta(days=days), now)


def numbers_between(flow_id: int, since: datetime, until: datetime) -> dict[str, StepNumbers]:
    """Numbers by step key between two instants; ``""`` is the beginning. ``here`` counts who stands there now."""
    found: dict[str, StepNumbers] = {}

    def at(step: str) -> StepNumbers:
        return found.setdefault(step, StepNumbers())

    for step, reason, arrived, passed, then, otherwise, left in db.session.execute(_decided(flow_id, since, until)):
        one = at(step)
        one.arrived, one.passed, one.left = one.arrived + arrived, one.passed + passed, one.left + left
        one.then, one.otherwise = one.then + then, one.otherwise + otherwise
        if reason is not None:
            one.skipped[reason] = arrived
    here = sa.select(Enrollment.step, sa.func.count()).where(
        Enrollment.flow_id == flow_id, Enrollment.due_at.is_not(None)
    )
    for step, number in db.session.execute(here.group_by(Enrollment.step)):
        at(step).here = number
    for step, sent, delivered, bounced, opened, clicked in db.session.execute(_sends(flow_id, since, until)):
        one = at(step)
        one.sent, one.delivered = sent, delivered
        one.bounced, one.opened, one.clicked = bounced, opened, clicked
    return found


def _decided(flow_id: int, since: datetime, until: datetime) -> Any:
    """People by step and why they skipped it (``None``: they did not): who came, went on, which way, left.

    First a row for each person and step, however often they came round; then the sums.
    """

    def did(*outcomes: str) -> Any:
        return sa.func.max(sa.case((Decision.outcome.in_(outcomes), 1), else_=0))

    skipped = sa.case((Decision.outcome == "skipped", sa.func.coalesce(Decision.reason, "skipped")))
    each = (
        sa.select(
            Decision.step.label("step"),
            sa.func.max(skipped).label("reason"),
            did(*PORTS, "skipped", "entered").label("passed"),
            did("then").label("then_"),
            did("else").label("else_"),
            did("left").label("left_"),
        )
        .join(Enrollment, Enrollment.id == Decision.enrollment_id)
        .where(Enrollment.flow_id == flow_id, Decision.at >= since, Decision.at <= until)
        .group_by(Decision.step, Decision.enrollment_id)
        .subquery()
    )
    sums = (sa.func.sum(column) for column in (each.c.passed, each.c.then_, each.c.else_, each.c.left_))
    return sa.select(each.c.step, each.c.reason, sa.func.count(), *sums).group_by(each.c.step, each.c.reason)


def _sends(flow_id: int, since: datetime, until: datetime) -> Any:
    accepted = Message.accepted_at.is_not(None)
    return (
        sa.select(
            Message.step,
            count(accepted),
            count(delivered()),
            count(sa.and_(accepted, Message.failed_at.is_not(None))),
            count(Message.opened_at.is_not(None)),
            count(Message.clicked_at.is_not(None)),
        )
        .where(
            Message.flow_id == flow_id,
            Message.kind == "flow",
            sa.func.coalesce(Message.accepted_at, Message.planned_at).between(since, until),
        )
        .group_by(Message.step)
    )
