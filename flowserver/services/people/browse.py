"""Everything a client has, page by page, for programs: oldest first, going on after an id, narrowed by filters.

Rows are plain values of the columns that are shown, not objects: pages of 200 cost a query each, plus one for each
kind of thing that hangs on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import extensions
from flowserver.domain import consent
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import (
    Campaign,
    Connection,
    Consent,
    Contact,
    ContactList,
    ContactTag,
    Decision,
    Engagement,
    Enrollment,
    Field,
    Flow,
    FlowVersion,
    Form,
    Membership,
    Message,
    ScoreEntry,
    ScoreRule,
    Segment,
    Tag,
    Workspace,
)
from flowserver.services.people import contacts as people_of
from flowserver.services.people.chapters import Chapter, Chapters
from flowserver.text import N_, Text

Query = sa.Select[*tuple[Any, ...]]
MOST_DECISIONS = 1000  # of one enrollment; more than any sound flow makes


@dataclass(frozen=True)
class Page:
    """Some rows, the id the next page goes on after (``None`` at the end), and what hangs on the rows."""

    rows: list[Any]
    next: int | None
    lists: Mapping[int, list[tuple[int, str]]] = field(default_factory=dict)
    tags: Mapping[int, list[str]] = field(default_factory=dict)
    numbers: Mapping[int, int] = field(default_factory=dict)


def _page(query: Query, key: Any, after: int, limit: int) -> tuple[list[Any], int | None]:
    rows = list(db.session.execute(query.where(key > after).order_by(key).limit(limit + 1)))
    return (rows[:limit], rows[limit - 1].id) if len(rows) > limit else (rows, None)


def page_of(query: Query, key: Any, after: int, limit: int) -> Page:
    """A page of a query of one table, by the id in ``key``."""
    return Page(*_page(query, key, after, limit))


def _one(query: Query, words: str) -> Any:
    found = db.session.execute(query).one_or_none()
    if found is None:
        raise NotFound(words)
    return found


# --- the client ------------------------------------------------------------------------------------------


def workspace() -> tuple[Workspace, list[str]]:
    """The present client, and the channels it has a working connection for."""
    found = db.session.scalar(sa.select(Workspace).where(Workspace.id == extensions.current_workspace()))
    if found is None:
        raise NotFound(N_("There is no such client"))
    ready = sa.select(Connection.channel).where(Connection.paused_at.is_(None)).distinct().order_by(Connection.channel)
    return found, list(db.session.scalars(ready))


# --- contacts --------------------------------------------------------------------------------------------

_CONTACT = (
    Contact.id,
    Contact.email,
    Contact.phone,
    Contact.external_id,
    Contact.first_name,
    Contact.last_name,
    Contact.locale,
    Contact.fields,
    Contact.score,
    *(getattr(Contact, name) for name in consent.COLUMNS),
    Contact.status,
    Contact.source,
    Contact.created_at,
    Contact.updated_at,
    Contact.last_activity_at,
)


def contacts(
    after: int,
    limit: int,
    *,
    addresses: Mapping[str, str] | None = None,
    list: int | str | None = None,
    tag: str = "",
    status: str = "",
    updated_since: datetime | None = None,
) -> Page:
    """Contacts with their lists and tags. ``addresses``: email, phone, external_id to look for, as people write them.

    Raises :class:`Invalid` by filter for an address that is none and a list that does not exist.
    """
    query = sa.select(*_CONTACT)
    for key, value in people_of.book().read(addresses or {}).items():
        query = query.where(getattr(Contact, key) == value)
    if list is not None:
        members = sa.select(Membership.contact_id).where(Membership.list_id == _wanted_list(list))
        query = query.where(Contact.id.in_(members))
    if tag:
        tagged = sa.select(ContactTag.contact_id).join(Tag, Tag.id == ContactTag.tag_id)
        query = query.where(Contact.id.in_(tagged.where(Tag.name == tag.strip().lower())))
    if status:
        query = query.where(Contact.status == status)
    if updated_since:
        joined = sa.select(Membership.contact_id).where(Membership.joined_at >= updated_since)
        tagged = sa.select(ContactTag.contact_id).where(ContactTag.added_at >= updated_since)
        changed = (Contact.updated_at >= updated_since, Contact.id.in_(joined), Contact.id.in_(tagged))
        query = query.where(sa.or_(*changed))
    rows, following = _page(query, Contact.id, after, limit)
    return Page(rows, following, *people_of.lists_and_tags([row.id for row in rows]))


def contact(contact_id: int) -> Page:
    """One contact, as a page of one. Raises :class:`NotFound`."""
    row = _one(sa.select(*_CONTACT).where(Contact.id == contact_id), N_("There is no such contact"))
    return Page([row], None, *people_of.lists_and_tags([row.id]))


_CONSENT = (Consent.id, Consent.channel, Consent.state, Consent.at, Consent.source, Consent.words)


def consents(contact_id: int, after: int, limit: int) -> Page:
    """What a contact agreed to and took back. Raises :class:`NotFound`."""
    _one(sa.select(Contact.id).where(Contact.id == contact_id), N_("There is no such contact"))
    return Page(*_page(sa.select(*_CONSENT).where(Consent.contact_id == contact_id), Consent.id, after, limit))


# --- lists, tags, fields, forms --------------------------------------------------------------------------

_LIST = (
    ContactList.id,
    ContactList.name,
    ContactList.description,
    ContactList.public,
    ContactList.created_at,
    ContactList.updated_at,
)


def _since(query: Query, table: Any, moment: datetime | None) -> Query:
    """Only rows that were changed at or after this moment."""
    return query.where(table.updated_at >= moment) if moment else query


def lists(after: int, limit: int, *, name: str = "", updated_since: datetime | None = None) -> Page:
    """Lists with how many contacts are on them."""
    query = _since(sa.select(*_LIST).where(ContactList.leaving == ""), ContactList, updated_since)
    if name:
        query = query.where(sa.func.lower(ContactList.name) == name.lower())
    rows, following = _page(query, ContactList.id, after, limit)
    return Page(rows, following, numbers=_sizes(Membership.list_id, [row.id for row in rows]))


def one_list(list_id: int) -> Page:
    """One list, as a page of one. Raises :class:`NotFound`."""
    query = sa.select(*_LIST).where(ContactList.id == list_id, ContactList.leaving == "")
    return Page([_one(query, N_("There is no such list"))], None, numbers=_sizes(Membership.list_id, [list_id]))


def _wanted_list(reference: int | str) -> int:
    found = list_ids([reference])[0]
    if found is None:
        raise Invalid({"list": [no_list(reference)]})
    return found


def no_list(reference: int | str) -> Text:
    """What to say about a reference to a list that does not exist."""
    return Text("There is no list “%(name)s” in this client", name=str(reference)[:120])


def list_ids(references: Iterable[int | str]) -> list[int | None]:
    """The ids of the lists with these ids or names, in order; ``None`` for what does not exist."""
    wanted = [*references]
    if not wanted:
        return []
    numbers = [one for one in wanted if isinstance(one, int)]
    names = [one.strip().lower() for one in wanted if isinstance(one, str)]
    either = sa.or_(ContactList.id.in_(numbers), sa.func.lower(ContactList.name).in_(names))
    found = db.session.execute(
        sa.select(ContactList.id, ContactList.name).where(either, ContactList.leaving == "")
    ).all()
    known: dict[Any, int] = {row.name.lower(): row.id for row in found}
    known.update({row.id: row.id for row in found})
    return [known.get(one if isinstance(one, int) else one.strip().lower()) for one in wanted]


def _sizes(column: Any, ids: list[int]) -> dict[int, int]:
    counted = sa.select(column, sa.func.count()).where(column.in_(ids)).group_by(column)
    return {row[0]: row[1] for row in db.session.execute(counted)}


_TAG = (Tag.id, Tag.name, Tag.created_at, Tag.updated_at)


def tags(after: int, limit: int, *, name: str = "", updated_since: datetime | None = None) -> Page:
    """Tags with how many contacts have them."""
    query = _since(sa.select(*_TAG), Tag, updated_since)
    if name:
        query = query.where(Tag.name == name.strip().lower())
    rows, following = _page(query, Tag.id, after, limit)
    return Page(rows, following, numbers=_sizes(ContactTag.tag_id, [row.id for row in rows]))


def tag(tag_id: int) -> Page:
    """One tag, as a page of one. Raises :class:`NotFound`."""
    row = _one(sa.select(*_TAG).where(Tag.id == tag_id), N_("There is no such tag"))
    return Page([row], None, numbers=_sizes(ContactTag.tag_id, [tag_id]))


_FIELD = (Field.id, Field.key, Field.label, Field.type, Field.choices, Field.created_at, Field.updated_at)


def fields(after: int, limit: int, *, updated_since: datetime | None = None) -> Page:
    """Custom fields."""
    return Page(*_page(_since(sa.select(*_FIELD), Field, updated_since), Field.id, after, limit))


def one_field(field_id: int) -> Any:
    """One custom field. Raises :class:`NotFound`."""
    return _one(sa.select(*_FIELD).where(Field.id == field_id), N_("There is no such field"))


def segments(after: int, limit: int, *, name: str = "", updated_since: datetime | None = None) -> Page:
    """Segments."""
    query = sa.select(Segment.id, Segment.name, Segment.rule, Segment.created_at, Segment.updated_at)
    query = _since(query, Segment, updated_since)
    if name:
        query = query.where(sa.func.lower(Segment.name) == name.lower())
    return Page(*_page(query, Segment.id, after, limit))


def score_rules(after: int, limit: int, updated_since: datetime | None = None) -> Page:
    """Score rules."""
    query = _since(sa.select(*(getattr(ScoreRule, name) for name in _SCORE_RULE)), ScoreRule, updated_since)
    return Page(*_page(query, ScoreRule.id, after, limit))


_SCORE_RULE = (
    *("id", "title", "points", "act", "subject", "detail", "frequency", "enabled"),
    *("created_at", "updated_at"),
)


def score_movements(contact_id: int, after: int, limit: int) -> Page:
    """Where a contact's score comes from. Raises :class:`NotFound`."""
    _one(sa.select(Contact.id).where(Contact.id == contact_id), N_("There is no such contact"))
    query = sa.select(*(getattr(ScoreEntry, name) for name in _MOVEMENT)).where(ScoreEntry.contact_id == contact_id)
    return Page(*_page(query, ScoreEntry.id, after, limit))


_MOVEMENT = ("id", "points", "reason", "rule_id", "event_key", "at")


def forms(after: int, limit: int, *, updated_since: datetime | None = None) -> Page:
    """Forms."""
    return Page(*_page(_since(sa.select(*_FORM), Form, updated_since), Form.id, after, limit))


def form(form_id: int) -> Any:
    """One form. Raises :class:`NotFound`."""
    return _one(sa.select(*_FORM).where(Form.id == form_id), N_("There is no such form"))


_FORM = (
    Form.id,
    Form.public_id,
    Form.name,
    Form.title,
    Form.intro,
    Form.button,
    Form.list_id,
    Form.fields,
    Form.double_opt_in,
    Form.email_consent_text,
    Form.sms_consent_text,
    Form.thanks_title,
    Form.thanks_text,
    Form.thanks_url,
    Form.locale,
    Form.closed,
    Form.created_at,
    Form.updated_at,
)


# --- flows -----------------------------------------------------------------------------------------------

_FLOW = (
    Flow.id,
    Flow.name,
    Flow.state,
    Flow.trigger_type,
    Flow.draft_number,
    Flow.draft_changed,
    Flow.version_id,
    Flow.closed,
    Flow.broken,
    Flow.pause_mode,
    Flow.pause_reason,
    Flow.paused_at,
    Flow.starts_at,
    Flow.activated_at,
    Flow.archived_at,
    Flow.created_at,
    Flow.updated_at,
    FlowVersion.number.label("live_version"),
)


def _flow_query(*more: Any) -> Query:
    return sa.select(*_FLOW, *more).outerjoin(FlowVersion, FlowVersion.id == Flow.version_id)


def flows(
    after: int, limit: int, *, state: str = "", updated_since: datetime | None = None, archived: bool | None = None
) -> Page:
    """Flows with how many contacts are inside, without their definitions."""
    query = _flow_query()
    if state:
        query = query.where(Flow.state == state)
    if updated_since:
        query = query.where(Flow.updated_at >= updated_since)
    if archived is not None:
        query = query.where(Flow.archived_at.is_not(None) if archived else Flow.archived_at.is_(None))
    rows, following = _page(query, Flow.id, after, limit)
    return Page(rows, following, numbers=_inside([row.id for row in rows]))


def flow(flow_id: int) -> Page:
    """One flow with its draft, as a page of one. Raises :class:`NotFound`."""
    row = _one(_flow_query(Flow.draft).where(Flow.id == flow_id), N_("There is no such flow"))
    return Page([row], None, numbers=_inside([flow_id]))


def _inside(ids: list[int]) -> dict[int, int]:
    live = (
        sa.select(Enrollment.flow_id, sa.func.count())
        .where(Enrollment.flow_id.in_(ids), Enrollment.due_at.is_not(None))
        .group_by(Enrollment.flow_id)
    )
    return {row[0]: row[1] for row in db.session.execute(live)}


_VERSION = (
    FlowVersion.id, FlowVersion.flow_id, FlowVersion.number, FlowVersion.created_at, FlowVersion.undone_at,
    FlowVersion.definition,
)  # fmt: skip


def versions(flow_id: int, after: int, limit: int) -> Page:
    """What went live of a flow. Raises :class:`NotFound`."""
    _one(sa.select(Flow.id).where(Flow.id == flow_id), N_("There is no such flow"))
    query = sa.select(*_VERSION[:-1]).where(FlowVersion.flow_id == flow_id)
    return Page(*_page(query, FlowVersion.id, after, limit))


def version(flow_id: int, number: int) -> Any:
    """A version with its definition. Raises :class:`NotFound`."""
    wanted = sa.cast(FlowVersion.number, sa.BigInteger) == sa.literal(number, sa.BigInteger())
    query = sa.select(*_VERSION).where(FlowVersion.flow_id == flow_id, wanted)
    return _one(query, N_("There is no such version"))


# --- people inside flows ---------------------------------------------------------------------------------

_ENROLLMENT = (
    Enrollment.id,
    Enrollment.flow_id,
    Enrollment.contact_id,
    Enrollment.step,
    Enrollment.visit,
    Enrollment.parked_at,
    Enrollment.awaits,
    Enrollment.due_at,
    Enrollment.held,
    Enrollment.triggered_at,
    Enrollment.entered_at,
    Enrollment.ended_at,
    Enrollment.end_reason,
    Enrollment.label,
    Enrollment.outcome,
    FlowVersion.number.label("version"),
)


_MOVES = (Enrollment.triggered_at, Enrollment.entered_at, Enrollment.parked_at, Enrollment.ended_at)


def enrollments(
    after: int,
    limit: int,
    *,
    flow_id: int | None = None,
    contact_id: int | None = None,
    live: bool | None = None,
    updated_since: datetime | None = None,
) -> Page:
    """Passages of contacts through flows. ``updated_since``: that began, came to a step or ended since then."""
    query = sa.select(*_ENROLLMENT).outerjoin(FlowVersion, FlowVersion.id == Enrollment.version_id)
    if flow_id:
        query = query.where(Enrollment.flow_id == flow_id)
    if contact_id:
        query = query.where(Enrollment.contact_id == contact_id)
    if live is not None:
        query = query.where(Enrollment.due_at.is_not(None) if live else Enrollment.due_at.is_(None))
    if updated_since:
        query = query.where(sa.or_(*(moment >= updated_since for moment in _MOVES)))
    return Page(*_page(query, Enrollment.id, after, limit))


@dataclass(frozen=True)
class Explained:
    """One passage, every decision on it, and the version it follows, which says what its steps are called."""

    row: Any
    decisions: list[Any]
    chapter: Chapter | None


def enrollment(enrollment_id: int) -> Explained:
    """A passage with its decisions, oldest first. Raises :class:`NotFound`."""
    query = sa.select(*_ENROLLMENT, Enrollment.data, Enrollment.version_id).outerjoin(
        FlowVersion, FlowVersion.id == Enrollment.version_id
    )
    row = _one(query.where(Enrollment.id == enrollment_id), N_("There is no such enrollment"))
    decided = (
        sa.select(Decision.step, Decision.visit, Decision.at, Decision.outcome, Decision.reason, Decision.facts)
        .where(Decision.enrollment_id == enrollment_id)
        .order_by(Decision.id)
        .limit(MOST_DECISIONS)
    )
    return Explained(row, list(db.session.execute(decided)), Chapters([row.version_id]).get(row.version_id))


_MESSAGE = (
    Message.id,
    Message.kind,
    Message.channel,
    Message.class_,
    Message.contact_id,
    Message.address,
    Message.flow_id,
    Message.enrollment_id,
    Message.campaign_id,
    Message.step,
    Message.visit,
    Message.state,
    Message.reason,
    Message.segments,
    Message.attempts,
    Message.planned_at,
    Message.due_at,
    Message.handed_at,
    Message.accepted_at,
    Message.delivered_at,
    Message.failed_at,
    Message.opened_at,
    Message.clicked_at,
)


_STATES = (
    Message.planned_at,
    Message.handed_at,
    Message.accepted_at,
    Message.delivered_at,
    Message.failed_at,
    Message.opened_at,
    Message.clicked_at,
)


def messages(after: int, limit: int, *, updated_since: datetime | None = None, **equal: Any) -> Page:
    """Messages whose columns equal the given values (``None`` does not narrow), and to which something happened since."""
    query = sa.select(*_MESSAGE)
    if updated_since:
        query = query.where(sa.or_(*(moment >= updated_since for moment in _STATES)))
    for name, value in equal.items():
        if value is not None:
            query = query.where(getattr(Message, name) == value)
    return Page(*_page(query, Message.id, after, limit))


def message(message_id: int) -> tuple[Any, list[Any]]:
    """A message, and what was noticed about it, oldest first. Raises :class:`NotFound`."""
    row = _one(sa.select(*_MESSAGE).where(Message.id == message_id), N_("There is no such message"))
    noticed = (
        sa.select(Engagement.kind, Engagement.at, Engagement.url, Engagement.machine)
        .where(Engagement.message_id == message_id)
        .order_by(Engagement.id)
        .limit(MOST_DECISIONS)
    )
    return row, list(db.session.execute(noticed))


_CAMPAIGN = (
    *(Campaign.id, Campaign.channel, Campaign.name, Campaign.state, Campaign.held, Campaign.list_id),
    *(Campaign.segment_id, Campaign.send_at, Campaign.started_at, Campaign.sent_at, Campaign.cancelled_at),
    *(Campaign.created_at, Campaign.updated_at),
)


def campaigns(after: int, limit: int, *, updated_since: datetime | None = None, **equal: str | None) -> Page:
    """Campaigns whose columns equal the given values; ``None`` does not narrow."""
    query = _since(sa.select(*_CAMPAIGN), Campaign, updated_since)
    for name, value in equal.items():
        if value is not None:
            query = query.where(getattr(Campaign, name) == value)
    return Page(*_page(query, Campaign.id, after, limit))
