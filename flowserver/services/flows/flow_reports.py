"""The report of a flow: headline numbers, day by day, step by step, who is behind a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Contact, Decision, Enrollment, Flow, Message
from flowserver.services.flows.flow_numbers import (
    LIST_DAYS,
    PORTS,
    StepNumbers,
    by_day,
    count,
    day_number,
    delivered,
    epoch_day,
    local_day,
    numbers_between,
    start_of_day,
    zone,
)
from flowserver.text import N_

# --- the report ------------------------------------------------------------------------------------------

PERIODS = ("7", "30", "90", "all")
REACTIONS = (  # seconds, words
    (15 * 60, N_("within 15 minutes")),
    (3600, N_("within 1 hour")),
    (6 * 3600, N_("within 6 hours")),
    (24 * 3600, N_("within 1 day")),
    (3 * 24 * 3600, N_("within 3 days")),
)


@dataclass(frozen=True, slots=True)
class Period:
    """What a report covers: from the first instant of a local day until now. ``before`` is as long and ends there."""

    name: str
    since: datetime
    until: datetime
    before: datetime | None  # where the period it is compared with begins; None: there is none

    @property
    def earlier(self) -> tuple[datetime, datetime] | None:
        """Beginning and end of the period it is compared with."""
        return (self.before, self.since) if self.before else None


def period(name: str, flow: Flow, where: ZoneInfo) -> Period:
    """The last 7, 30 or 90 days, today included, or ``all`` since the flow first went live."""
    now = clock.now()
    if name == "all":
        start = flow.activated_at or now
        return Period(name, start_of_day(local_day(start, where), where), now, None)
    days = int(name) if name in PERIODS else LIST_DAYS
    first = local_day(now, where) - timedelta(days=days - 1)
    since = start_of_day(first, where)
    ran_before = flow.activated_at is not None and flow.activated_at < since
    before = start_of_day(first - timedelta(days=days), where) if ran_before else None
    return Period(str(days), since, now, before)


@dataclass(slots=True)
class Totals:
    """The headline numbers of one period."""

    entered: int = 0
    emails: int = 0
    sms: int = 0
    delivered: int = 0
    bounced: int = 0
    unknown: int = 0
    opened: int = 0
    email_delivered: int = 0
    clicked: int = 0
    positive: int = 0
    neutral: int = 0
    negative: int = 0
    ended: int = 0
    reaction: float | None = None  # seconds from acceptance to the first click, the median

    @property
    def sent(self) -> int:
        """E-mails and SMS that left."""
        return self.emails + self.sms

    @property
    def delivery_rate(self) -> float | None:
        """Share of the messages sent that arrived."""
        return self.delivered / self.sent if self.sent else None

    @property
    def open_rate(self) -> float | None:
        """Share of the e-mails that arrived and were opened by a person."""
        return self.opened / self.email_delivered if self.email_delivered else None

    @property
    def click_rate(self) -> float | None:
        """Share of the messages that arrived and were clicked."""
        return self.clicked / self.delivered if self.delivered else None


@dataclass(slots=True)
class Day:
    """One day (or the week that begins with it) of the chart."""

    day: date
    entered: int = 0
    sent: int = 0
    opened: int = 0
    clicked: int = 0


@dataclass(slots=True)
class Report:
    """Everything the report page shows."""

    period: Period
    now: Totals
    earlier: Totals | None
    inside: int
    waiting: int
    starting: int  # waiting to start
    days: list[Day]
    weekly: bool
    steps: dict[str, StepNumbers]
    gone: list[tuple[str, StepNumbers]]  # steps of earlier versions that the live one no longer has
    skipped: list[tuple[str, int]]
    endings: list[tuple[str, str, str, int]]  # reason, label, outcome, people
    reactions: list[tuple[str, int, float]]  # words, people, share of those who clicked


def report(flow: Flow, name: str, known: Iterable[str]) -> Report:
    """The numbers of a flow over a period; ``known``: keys of the live version's steps. About a dozen grouped queries."""
    where = zone()
    span = period(name, flow, where)
    steps = numbers_between(flow.id, span.since, span.until)
    inside, waiting, starting = _inside(flow.id)
    days, weekly = _days(flow.id, span, where)
    keys = {*known, ""}
    return Report(
        period=span,
        now=_totals(flow.id, span.since, span.until),
        earlier=_totals(flow.id, *span.earlier) if span.earlier else None,
        inside=inside,
        waiting=waiting,
        starting=starting,
        days=days,
        weekly=weekly,
        steps=steps,
        gone=[(key, numbers) for key, numbers in steps.items() if key not in keys],
        skipped=_skipped(flow.id, span),
        endings=_endings(flow.id, span),
        reactions=_reactions(flow.id, span),
    )


def _inside(flow_id: int) -> tuple[int, int, int]:
    """People inside now: all, those who wait at a step, those who wait to start."""
    query = sa.select(
        sa.func.count(),
        count(Enrollment.parked_at.is_not(None)),
        count(Enrollment.entered_at.is_(None)),
    ).where(Enrollment.flow_id == flow_id, Enrollment.due_at.is_not(None))
    inside, waiting, starting = db.session.execute(query).one()
    return inside, waiting, starting


def _of_flow(flow_id: int, since: datetime, until: datetime) -> tuple[Any, ...]:
    """Messages of a flow that left in a period: never notes to the team, never tests."""
    return (
        Message.flow_id == flow_id,
        Message.kind == "flow",
        Message.accepted_at >= since,
        Message.accepted_at <= until,
    )


def _totals(flow_id: int, since: datetime, until: datetime) -> Totals:
    found = Totals()
    sends = sa.select(
        Message.channel,
        sa.func.count(),
        count(delivered()),
        count(Message.failed_at.is_not(None)),
        count(Message.opened_at.is_not(None)),
        count(Message.clicked_at.is_not(None)),
    ).where(*_of_flow(flow_id, since, until))
    for channel, sent, arrived, bounced, opened, clicked in db.session.execute(sends.group_by(Message.channel)):
        if channel == "email":
            found.emails, found.email_delivered, found.opened = sent, arrived, opened
        else:
            found.sms = sent
        found.delivered, found.bounced = found.delivered + arrived, found.bounced + bounced
        found.clicked += clicked
    ends = sa.select(
        count(Enrollment.entered_at.between(since, until)),
        count(_ended_between(since, until)),
        *(count(sa.and_(_ended_between(since, until), Enrollment.outcome == one)) for one in _OUTCOMES),
    ).where(Enrollment.flow_id == flow_id)
    found.entered, found.ended, found.positive, found.neutral, found.negative = db.session.execute(ends).one()
    unclear = sa.select(sa.func.count()).where(
        Message.flow_id == flow_id, Message.kind == "flow", Message.state == "unknown",
        Message.planned_at.between(since, until),
    )  # fmt: skip
    found.unknown = db.session.scalar(unclear) or 0
    found.reaction = _median_reaction(flow_id, since, until)
    return found


_OUTCOMES = ("positive", "neutral", "negative")


def _ended_between(since: datetime, until: datetime) -> Any:
    return sa.and_(Enrollment.ended_at.between(since, until), Enrollment.entered_at.is_not(None))


def _seconds_to_click() -> Any:
    """SQL: seconds from acceptance to the first click."""
    if db.engine.dialect.name == "sqlite":
        return (sa.func.julianday(Message.clicked_at) - sa.func.julianday(Message.accepted_at)) * 86400
    return sa.extract("epoch", Message.clicked_at - Message.accepted_at)


def _median_reaction(flow_id: int, since: datetime, until: datetime) -> float | None:
    clicked = (*_of_flow(flow_id, since, until), Message.clicked_at.is_not(None))
    number = db.session.scalar(sa.select(sa.func.count()).where(*clicked)) or 0
    if not number:
        return None
    middle = sa.select(_seconds_to_click()).where(*clicked).order_by(_seconds_to_click())
    found = db.session.scalar(middle.offset((number - 1) // 2).limit(1))
    return max(0.0, float(found or 0))


def _reactions(flow_id: int, span: Period) -> list[tuple[str, int, float]]:
    seconds = _seconds_to_click()
    clicked = (*_of_flow(flow_id, span.since, span.until), Message.clicked_at.is_not(None))
    query = sa.select(sa.func.count(), *(count(seconds <= limit) for limit, _words in REACTIONS)).where(*clicked)
    everybody, *numbers = db.session.execute(query).one()
    if not everybody:
        return []
    return [(words, number, number / everybody) for (_limit, words), number in zip(REACTIONS, numbers, strict=True)]


MOST_DAYS = 120  # longer periods are shown by weeks


def _days(flow_id: int, span: Period, where: ZoneInfo) -> tuple[list[Day], bool]:
    first, last = local_day(span.since, where), local_day(span.until, where)
    weekly = (last - first).days >= MOST_DAYS
    width = 7 if weekly else 1
    first -= timedelta(days=first.weekday() if weekly else 0)
    days = [Day(first + timedelta(days=n)) for n in range(0, (last - first).days + 1, width)]

    def at(number: int) -> Day:
        return days[min(max((epoch_day(number) - first).days // width, 0), len(days) - 1)]

    for _flow, number, sent, _arrived, _read, opened, clicked in db.session.execute(
        by_day([flow_id], span.since, span.until, where)
    ):
        one = at(number)
        one.sent, one.opened, one.clicked = one.sent + sent, one.opened + opened, one.clicked + clicked
    day = day_number(Enrollment.entered_at, span.since, span.until, where).label("day")
    entered = sa.select(day, sa.func.count()).where(
        Enrollment.flow_id == flow_id, Enrollment.entered_at.between(span.since, span.until)
    )
    for number, people in db.session.execute(entered.group_by(day)):
        at(number).entered += people
    return days, weekly


def _skipped(flow_id: int, span: Period) -> list[tuple[str, int]]:
    """Messages that were not sent, by reason: when they were planned, or at the last check before hand-over."""
    query = sa.select(Message.reason, sa.func.count().label("people")).where(
        Message.flow_id == flow_id,
        Message.kind == "flow",
        Message.state == "skipped",
        Message.planned_at.between(span.since, span.until),
    )
    ordered = query.group_by(Message.reason).order_by(sa.desc("people"))
    return [(reason or "skipped", people) for reason, people in db.session.execute(ordered)]


def _endings(flow_id: int, span: Period) -> list[tuple[str, str, str, int]]:
    columns = (Enrollment.end_reason, Enrollment.label, Enrollment.outcome)
    query = (
        sa.select(*columns, sa.func.count().label("people"))
        .where(Enrollment.flow_id == flow_id, Enrollment.ended_at.between(span.since, span.until))
        .group_by(*columns)
        .order_by(sa.desc("people"))
        .limit(50)
    )
    return [
        (reason or "", label or "", outcome or "", people)
        for reason, label, outcome, people in db.session.execute(query)
    ]


# --- who? ------------------------------------------------------------------------------------------------

WHO = (
    "arrived",
    "here",
    "passed",
    "then",
    "else",
    "skipped",
    "left",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
)
WHO_PAGE = 50


@dataclass(frozen=True, slots=True)
class Who:
    """One person behind a number."""

    enrollment_id: int
    contact_id: int
    name: str
    address: str
    at: datetime | None


def who(flow: Flow, step: str, what: str, span: Period, before: int | None = None) -> list[Who]:
    """The people behind a number of the step table, newest runs first, a page at a time (``before``: an enrollment id)."""
    if what == "here":
        ids: Any = sa.select(Enrollment.id.label("id"), Enrollment.parked_at.label("at")).where(
            Enrollment.flow_id == flow.id, Enrollment.due_at.is_not(None), Enrollment.step == step
        )
    elif what in ("sent", "delivered", "opened", "clicked", "bounced"):
        ids = _who_got(flow.id, step, what, span)
    else:
        ids = _who_decided(flow.id, step, what, span)
    found = ids.subquery()
    query = (
        sa.select(
            Enrollment.id, Contact.id, Contact.first_name, Contact.last_name, Contact.email, Contact.phone, found.c.at
        )
        .join(found, found.c.id == Enrollment.id)
        .join(Contact, Contact.id == Enrollment.contact_id)
        .order_by(Enrollment.id.desc())
        .limit(WHO_PAGE)
    )
    if before:
        query = query.where(Enrollment.id < before)
    return [
        Who(number, contact, f"{first} {last}".strip(), email or phone or "", at)
        for number, contact, first, last, email, phone, at in db.session.execute(query)
    ]


def _who_got(flow_id: int, step: str, what: str, span: Period) -> Any:
    tests = {
        "sent": sa.true(),
        "delivered": delivered(),
        "opened": Message.opened_at.is_not(None),
        "clicked": Message.clicked_at.is_not(None),
        "bounced": Message.failed_at.is_not(None),
    }
    stamp = {"opened": Message.opened_at, "clicked": Message.clicked_at, "bounced": Message.failed_at}
    at = sa.func.max(stamp.get(what, Message.accepted_at), type_=Message.accepted_at.type).label("at")
    return (
        sa.select(Message.enrollment_id.label("id"), at)
        .where(*_of_flow(flow_id, span.since, span.until), Message.step == step, tests[what])
        .group_by(Message.enrollment_id)
    )


def _who_decided(flow_id: int, step: str, what: str, span: Period) -> Any:
    wanted: dict[str, Any] = {
        "passed": Decision.outcome.in_((*PORTS, "skipped", "entered")),
        "then": Decision.outcome == "then",
        "else": Decision.outcome == "else",
        "skipped": Decision.outcome == "skipped",
        "left": Decision.outcome == "left",
    }
    at = sa.func.max(Decision.at, type_=Decision.at.type).label("at")
    return (
        sa.select(Decision.enrollment_id.label("id"), at)
        .join(Enrollment, Enrollment.id == Decision.enrollment_id)
        .where(
            Enrollment.flow_id == flow_id,
            Decision.step == step,
            Decision.at.between(span.since, span.until),
            wanted.get(what, sa.true()),
        )
        .group_by(Decision.enrollment_id)
    )
