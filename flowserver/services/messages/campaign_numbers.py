"""The numbers of a campaign, and its recipients with a status each. Counted from the messages, so cancelling changes no past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.errors import Invalid
from flowserver.extensions import current_workspace, db
from flowserver.models import Campaign, Contact, ContactList, Engagement, Message, Segment, Workspace
from flowserver.services.flows.flow_numbers import count, delivered
from flowserver.services.messages import envelopes
from flowserver.text import N_

PAGE = 50

_FAILED = Message.state.in_(("failed", "bounced"))
STATUSES: dict[str, Any] = {  # of a recipient, each with who has it; somebody may have several
    "waiting": Message.state.in_(("planned", "claimed", "handed")),
    "sent": Message.accepted_at.is_not(None),
    "delivered": delivered(),
    "opened": Message.opened_at.is_not(None),
    "not_opened": sa.and_(delivered(), Message.opened_at.is_(None)),
    "clicked": Message.clicked_at.is_not(None),
    "not_clicked": sa.and_(delivered(), Message.clicked_at.is_(None)),
    "bounced": Message.state == "bounced",
    "failed": Message.state == "failed",
    "skipped": Message.state == "skipped",
    "unknown": Message.state == "unknown",
    "unsubscribed": sa.exists().where(Engagement.message_id == Message.id, Engagement.kind == "unsubscribed"),
}


@dataclass(slots=True)
class Link:
    """One tracked link of a mail: where it leads, people who clicked it, their clicks."""

    number: int
    url: str
    people: int = 0
    clicks: int = 0


@dataclass(slots=True)
class Numbers:
    """What became of a campaign. People are counted once, however often they open."""

    recipients: int = 0
    waiting: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    opened: int = 0
    clicked: int = 0
    machine_opened: int = 0  # messages that only programs opened
    machine_clicked: int = 0
    unsubscribed: int = 0
    complained: int = 0
    segments: int = 0
    reasons: list[tuple[str, int]] = field(default_factory=list)  # why skipped, most first
    links: list[Link] = field(default_factory=list)
    goes_on: datetime | None = None  # when the next of those that wait may leave, where that is still to come

    @property
    def open_rate(self) -> float | None:
        """Share of those reached who opened."""
        return self.opened / self.delivered if self.delivered else None

    @property
    def click_rate(self) -> float | None:
        """Share of those reached who clicked."""
        return self.clicked / self.delivered if self.delivered else None

    @property
    def delivery_rate(self) -> float | None:
        """Share of those sent that arrived."""
        return self.delivered / self.sent if self.sent else None


_COUNTS = ("waiting", "sent", "delivered", "opened", "clicked", "bounced", "failed", "skipped", "unknown")


def many(ids: Sequence[int]) -> dict[int, Numbers]:
    """The plain counts of several campaigns with one query: without machines, links and reasons."""
    found = {number: Numbers() for number in ids}
    if not ids:
        return found
    columns = [count(STATUSES[name]) for name in _COUNTS]
    query = (
        sa.select(Message.campaign_id, sa.func.count(), sa.func.sum(Message.segments), *columns)
        .where(Message.campaign_id.in_(ids))
        .group_by(Message.campaign_id)
    )
    for campaign_id, recipients, segments, *counts in db.session.execute(query):
        one = found[campaign_id]
        one.recipients, one.segments = recipients, int(segments or 0)
        for name, number in zip(_COUNTS, counts, strict=True):
            setattr(one, name, number)
    return found


def of(campaign: Campaign) -> Numbers:
    """All numbers of a campaign. A handful of grouped queries."""
    one = many([campaign.id])[campaign.id]
    why = (
        sa.select(sa.func.coalesce(Message.reason, ""), sa.func.count())
        .where(Message.campaign_id == campaign.id, Message.state == "skipped")
        .group_by(Message.reason)
    )
    one.reasons = sorted(((reason, number) for reason, number in db.session.execute(why)), key=lambda row: -row[1])
    _noticed(campaign.id, one)
    one.links = links(campaign)
    if one.waiting:
        planned = sa.select(sa.func.min(Message.due_at)).where(
            Message.campaign_id == campaign.id, Message.state == "planned"
        )
        due = db.session.scalar(planned)
        one.goes_on = due if due is not None and due > clock.now() else None
    return one


def _noticed(campaign_id: int, one: Numbers) -> None:
    """What stands in the evidence alone: programs, those who left, complaints."""
    people = sa.func.count(sa.distinct(Engagement.message_id))
    mine = sa.select(Engagement.kind, people).join(Message, Message.id == Engagement.message_id)
    left = mine.where(Message.campaign_id == campaign_id, Engagement.kind.in_(("unsubscribed", "complained")))
    for kind, number in db.session.execute(left.group_by(Engagement.kind)):
        setattr(one, kind, number)
    only = sa.or_(
        sa.and_(Engagement.kind == "open", Message.opened_at.is_(None)),
        sa.and_(Engagement.kind == "click", Message.clicked_at.is_(None)),
    )
    machines = mine.where(Message.campaign_id == campaign_id, Engagement.machine, only)
    for kind, number in db.session.execute(machines.group_by(Engagement.kind)):
        setattr(one, "machine_opened" if kind == "open" else "machine_clicked", number)


def links(campaign: Campaign) -> list[Link]:
    """The tracked links of an e-mail campaign in their order, with the clicks of people."""
    if campaign.channel != "email":
        return []
    try:
        workspace = db.session.scalars(sa.select(Workspace).where(Workspace.id == current_workspace())).one()
        sources = envelopes.campaign_links(campaign, envelopes.brand(workspace))
    except Invalid:
        sources = []
    found = {number: Link(number, source) for number, source in enumerate(sources)}
    query = (
        sa.select(
            Engagement.link,
            sa.func.min(Engagement.url),
            sa.func.count(sa.distinct(Engagement.message_id)),
            sa.func.count(),
        )
        .join(Message, Message.id == Engagement.message_id)
        .where(Message.campaign_id == campaign.id, Engagement.kind == "click", Engagement.machine.is_(False))
        .group_by(Engagement.link)
    )
    for link, url, people, clicks in db.session.execute(query):
        number = link or 0
        one = found.setdefault(number, Link(number, url or ""))
        one.people, one.clicks = people, clicks
    return list(found.values())


# --- recipients ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Recipients:
    """A page of recipients; ``next`` is the contact to go on after, ``None`` at the end."""

    rows: list[Any]
    next: int | None


def recipients(campaign_id: int, status: str = "", after: int = 0, limit: int = PAGE) -> Recipients:
    """Messages of a campaign by contact, with the contact's name and address. Raises :class:`Invalid` for a status there is not."""
    if status and status not in STATUSES:
        raise Invalid({"status": [N_("There is no such status")]})
    query = (
        sa.select(
            *(Message.id, Message.contact_id, Message.address, Message.state, Message.reason, Message.due_at),
            *(Message.accepted_at, Message.delivered_at, Message.failed_at, Message.opened_at, Message.clicked_at),
            *(Message.planned_at, Message.segments),
            *(Contact.first_name, Contact.last_name, Contact.email, Contact.phone),
        )
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .where(Message.campaign_id == campaign_id, Message.contact_id > after)
        .order_by(Message.contact_id)
        .limit(limit + 1)
    )
    if status:
        query = query.where(STATUSES[status])
    rows = list(db.session.execute(query))
    return Recipients(rows[:limit], rows[limit - 1].contact_id if len(rows) > limit else None)


def status_of(row: Any) -> str:
    """The one status a table shows: the furthest a recipient came."""
    if row.state in ("skipped", "bounced", "failed", "unknown"):
        return str(row.state)
    if row.clicked_at is not None:
        return "clicked"
    if row.opened_at is not None:
        return "opened"
    if row.state == "delivered":
        return "delivered"
    return "sent" if row.accepted_at is not None else "waiting"


# --- the page of all campaigns -------------------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """A campaign as the page of all campaigns shows it."""

    row: Campaign
    audience: str  # the name of the list or segment, "" when it is not chosen or deleted
    numbers: Numbers


def lines(state: str = "", channel: str = "", before: int | None = None, limit: int = PAGE) -> list[Line]:
    """Campaigns, newest first, narrowed to a state and a channel; ``before`` is the last id of the page before."""
    query = sa.select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if state:
        query = query.where(Campaign.state == state)
    if channel:
        query = query.where(Campaign.channel == channel)
    if before is not None:
        query = query.where(Campaign.id < before)
    rows = list(db.session.scalars(query))
    names = audience_names(rows)
    numbers = many([row.id for row in rows])
    return [Line(row, names.get(row.id, ""), numbers[row.id]) for row in rows]


def audience_names(rows: Iterable[Campaign]) -> dict[int, str]:
    """What the audience of each campaign is called now, by campaign."""
    rows = list(rows)
    lists = _names(ContactList, {row.list_id for row in rows if row.list_id})
    segments = _names(Segment, {row.segment_id for row in rows if row.segment_id})
    return {row.id: lists.get(row.list_id or 0) or segments.get(row.segment_id or 0, "") for row in rows}


def _names(table: Any, ids: set[int]) -> dict[int, str]:
    if not ids:
        return {}
    return {one.id: one.name for one in db.session.execute(sa.select(table.id, table.name).where(table.id.in_(ids)))}


def states() -> dict[str, int]:
    """How many campaigns are in each state."""
    query = sa.select(Campaign.state, sa.func.count().label("number")).group_by(Campaign.state)
    return {row.state: row.number for row in db.session.execute(query)}
