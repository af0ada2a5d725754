"""From claimed rows to parcels: one query for everything, the last checks, the right compiled template.

The checks here are the last word: consent, suppression, pauses and left flows are read again when a piece of work is about to
be handed over, whatever the engine found when it planned.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import flask_babel
import sqlalchemy as sa
from flask import current_app

from flowserver.domain import mail, mailbody, sending, sms
from flowserver.domain.tokens import short
from flowserver.errors import Invalid, flat
from flowserver.extensions import db
from flowserver.models import Campaign, Contact, Enrollment, Flow, Message, Suppression, Workspace
from flowserver.models.messages import TO_CONTACTS
from flowserver.providers.base import Email, Sms
from flowserver.services.engine import bulk, engine
from flowserver.services.messages import connections
from flowserver.services.messages.handover import Parcel
from flowserver.text import Text

LOOK_AGAIN = timedelta(minutes=5)  # how long a message of a paused flow is left alone
# Where a run came to its own end, by its steps: a message planned before still goes.
NORMAL_ENDS = ("finished", "end_step", "handed_on", "step_removed", "failed", "not_sent")
_LIFTED_FOR_CONFIRMATION = ("unsubscribed", "stop")  # who signs up again may get the mail that confirms it

_M, _C, _E, _F, _S, _W = (table.__table__.c for table in (Message, Contact, Enrollment, Flow, Suppression, Workspace))
_G = Campaign.__table__.c
_COUNTED = _M.kind.in_(TO_CONTACTS)
_ADDRESS = sa.case(
    (sa.and_(_COUNTED, _M.channel == "email"), sa.func.coalesce(_C.email, _M.address)),
    (_COUNTED, sa.func.coalesce(_C.phone, _M.address)),
    else_=_M.address,
)
_LOAD = (
    sa.select(
        _M.id,
        _M.workspace_id,
        _M.key,
        _M.kind,
        _M.channel,
        _M["class"].label("class_"),
        _M.contact_id,
        _M.address,
        _M.flow_id,
        _M.version_id,
        _M.enrollment_id,
        _M.campaign_id,
        _M.step,
        _M.content,
        _M.attempts,
        _M.planned_at,
        _C.id.label("person"),
        _C.email,
        _C.phone,
        _C.external_id,
        _C.first_name,
        _C.last_name,
        _C.fields,
        _C.score,
        _C.locale,
        _C.email_consent,
        _C.sms_consent,
        _C.status,
        _C.paused_until,
        _E.due_at.is_not(None).label("enrolled"),
        _E.end_reason,
        _E.id.label("enrollment"),
        _E.data.label("event"),
        _F.state.label("flow_state"),
        _F.pause_mode,
        _S.reason.label("suppressed"),
    )
    .select_from(
        Message.__table__.outerjoin(
            Contact.__table__, sa.and_(_C.id == _M.contact_id, _C.workspace_id == _M.workspace_id)
        )
        .outerjoin(Enrollment.__table__, _E.id == _M.enrollment_id)
        .outerjoin(Flow.__table__, _F.id == _M.flow_id)
        .outerjoin(
            Suppression.__table__,
            sa.and_(_S.workspace_id == _M.workspace_id, _S.channel == _M.channel, _S.address == _ADDRESS),
        )
    )
    .where(_M.lease_id == sa.bindparam("lease"), _M.state == "claimed")
)


# What a row is made into: it is read forty times a mail, and a tuple with names is three times as fast there.
_as_row: Any = namedtuple("_Row", _LOAD.selected_columns.keys())._make  # type: ignore[attr-defined,misc]


@dataclass(slots=True)
class Sorted:
    """What the last checks made of claimed rows."""

    parcels: list[Parcel] = field(default_factory=list)
    skipped: list[tuple[Any, str]] = field(default_factory=list)  # row, reason
    held: list[tuple[Any, datetime]] = field(default_factory=list)  # row, when to look again
    broken: dict[tuple[int, str], list[Any]] = field(default_factory=dict)  # (flow, step) whose template is broken
    stopped: dict[int, tuple[str, list[Any]]] = field(default_factory=dict)  # campaign whose text is broken: why, rows
    failed: list[tuple[Any, str]] = field(default_factory=list)  # row, why its own text cannot be built


def sort(lease_id: int, ids: Sequence[int], connection: Any, now: datetime) -> Sorted:
    """Check and pack the claimed messages ``ids`` of a lease, in their order."""
    loaded = db.session.connection().execute(_LOAD.where(bulk.ids_in(_M.id, ids)), {"lease": lease_id})
    rows: dict[int, Any] = {row[0]: row for row in map(_as_row, loaded)}
    result = Sorted()
    packer = _Packer(connection, now, rows.values())
    for message_id in ids:
        row = rows.get(message_id)
        if row is not None:
            packer.pack(row, result)
    return result


class _Packer:
    """Packs the rows of one piece; remembers templates and what is known of each client."""

    def __init__(self, connection: Any, now: datetime, rows: Collection[Any]):
        self.connection, self.now = connection, now
        self.clients = {row.id: _Client(row, now) for row in _workspaces({row.workspace_id for row in rows})}
        self.campaigns = campaigns({row.campaign_id for row in rows if row.campaign_id is not None})
        self.callback = f"{_config().url}/hooks/{connection.provider}/{connection.hook_token}"

    def pack(self, row: Any, result: Sorted) -> None:
        client = self.clients[row.workspace_id]
        campaign = self.campaigns.get(row.campaign_id)
        if row.kind in TO_CONTACTS:
            hold = self._hold(row, client, campaign)
            if hold is not None:
                result.held.append((row, hold))
                return
        reason = refusal(row, self.now, client.archived, campaign)
        if reason:
            result.skipped.append((row, reason))
            return
        try:
            result.parcels.append(self._parcel(row, client, campaign))
        except Invalid as error:
            if campaign is not None:
                result.stopped.setdefault(campaign.id, (str(flat(error.messages)[0]), []))[1].append(row)
            elif row.kind == "flow" or row.flow_id:
                result.broken.setdefault((row.flow_id, row.step), []).append(row)
            else:
                result.failed.append((row, str(error)))

    def _hold(self, row: Any, client: _Client, campaign: Any) -> datetime | None:
        if row.flow_state == "paused" and row.pause_mode != "skip":
            return self.now + LOOK_AGAIN
        if campaign is not None and campaign.held and campaign.state == "sending":
            return self.now + LOOK_AGAIN
        if row.class_ != "marketing":
            return None
        hours = engine.compiled(row.version_id).hours if row.kind == "flow" and row.version_id else None
        return client.opening(row.channel, hours, self.now)

    def _parcel(self, row: Any, client: _Client, campaign: Any) -> Parcel:
        if row.channel == "email":
            return Parcel(row.id, partial(_email, client.mail(row, campaign), row, self.now), row)
        template = client.sms(row, campaign)
        return Parcel(row.id, partial(_sms, template, row, client.brand.variables(), self.callback), row)


def campaigns(ids: set[int]) -> dict[int, Any]:
    """State and edition of campaigns, by id; not their content."""
    if not ids:
        return {}
    query = sa.select(_G.id, _G.state, _G.held, _G.edition).where(bulk.ids_in(_G.id, ids))
    return {row.id: row for row in db.session.connection().execute(query)}


def refusal(row: Any, now: datetime, archived: bool = False, campaign: Any = None) -> str | None:
    """Why a claimed message must not go out after all, as a reason code; ``None``: it may."""
    if row.kind == "confirmation":
        return "suppressed" if row.suppressed and row.suppressed not in _LIFTED_FOR_CONFIRMATION else None
    if row.kind not in TO_CONTACTS:
        return None
    if archived:
        return "client_archived"
    if row.kind == "campaign":
        return _refusal(row, now) if campaign is not None and campaign.state == "sending" else "campaign_cancelled"
    if row.flow_state in (None, "stopped"):
        return "flow_stopped"
    if row.flow_state == "paused" and row.pause_mode == "skip":
        return "paused"
    if row.enrollment is None or (not row.enrolled and row.end_reason not in NORMAL_ENDS):
        return row.end_reason if row.end_reason in ("goal", "exit") else "left_flow"
    return _refusal(row, now)


def _refusal(row: Any, now: datetime) -> str | None:
    contact, class_ = row if row.person is not None else None, row.class_
    if class_ == "marketing" and row.paused_until is not None and row.paused_until > now:
        return "on_pause"
    return sending.may_send(contact, row.channel, class_, bool(row.suppressed))


def _workspaces(ids: set[int]) -> Sequence[Any]:
    return db.session.connection().execute(sa.select(Workspace.__table__).where(bulk.ids_in(_W.id, ids))).all()


class _Client:
    """What a client's messages take from its settings, and its compiled templates."""

    def __init__(self, row: Any, now: datetime):
        self.row = row
        self.archived = row.archived_at is not None
        self.brand = brand(row)
        zone = ZoneInfo(row.time_zone)
        self.zone = zone
        self._openings: dict[tuple[str, sending.Hours | None], datetime | None] = {}
        self._mails: dict[tuple[int, str, bool], mail.MailTemplate] = {}

    def opening(self, channel: str, hours: sending.Hours | None, now: datetime) -> datetime | None:
        """When a marketing message may go out, by the client's quiet hours and a flow's sending hours; ``None``: now."""
        if (channel, hours) not in self._openings:
            quiet = (self.row.quiet_from, self.row.quiet_until) if channel == "sms" else None
            hold = sending.hold_until(now, self.zone, quiet, hours)
            self._openings[channel, hours] = hold[0] if hold else None
        return self._openings[channel, hours]

    def mail(self, row: Any, campaign: Any = None) -> mail.MailTemplate:
        """The compiled mail of a message row. Raises :class:`Invalid` when it is broken."""
        if campaign is not None:
            return campaign_mail(campaign.id, campaign.edition, self.brand)
        tracked = row.kind == "flow"
        if row.content is not None:
            content = {**row.content, "class": row.class_}
            return mail.compile_mail(content, self.brand, connections.signer(), tracked=tracked)
        key = (row.version_id, row.step, tracked)
        if key not in self._mails:
            self._mails[key] = mail_template(row.version_id, row.step, self.brand, tracked)
        return self._mails[key]

    def sms(self, row: Any, campaign: Any = None) -> sms.SmsTemplate:
        sender = self.row.sms_sender or sms.sender_from(self.row.name)
        constants = {"workspace": self.brand.variables()}
        if campaign is not None:
            key: tuple[Any, ...] = ("campaign", campaign.id, campaign.edition, sender, self.brand)
            return _kept(key, lambda: sms.compile_sms(campaign_content(campaign.id), sender, constants))
        if row.content is not None:
            return sms.compile_sms(row.content, sender, constants)
        key = ("sms", row.version_id, row.step, sender, self.brand)
        return _kept(key, lambda: sms.compile_sms(content_of(row.version_id, row.step), sender, constants))


def brand(workspace: Any) -> mail.Brand:
    """What mails take from a client (a row of ``workspace``)."""
    config = _config()

    def say(text: Text) -> str:
        with flask_babel.force_locale(workspace.locale or "en"):
            return flask_babel.gettext(text.msgid, **text.params)

    return mail.Brand(
        name=workspace.name,
        sender_email=workspace.sender_email or config.mail_default_sender,
        sender_name=workspace.sender_name,
        address=workspace.postal_address,
        color=workspace.brand_color,
        lang=workspace.locale or "en",
        base_url=config.url,
        say=say if "babel" in current_app.extensions else str,
    )


def mail_template(version_id: int, step: str, brand: mail.Brand, tracked: bool = True) -> mail.MailTemplate:
    """The compiled mail of a step of a published version; versions never change, so it is kept."""
    key = ("mail", version_id, step, tracked, brand)
    signer = connections.signer()
    return _kept(key, lambda: mail.compile_mail(_mail_content(version_id, step), brand, signer, tracked=tracked))


def campaign_mail(campaign_id: int, edition: int, brand: mail.Brand) -> mail.MailTemplate:
    """The compiled mail of a campaign as its ``edition`` says it. Raises :class:`Invalid` when it is broken."""
    key = ("campaign", campaign_id, edition, brand)
    return _kept(key, lambda: mail.compile_mail(campaign_content(campaign_id), brand, connections.signer()))


def campaign_links(campaign: Any, brand: mail.Brand) -> list[str]:
    """Where the tracked links of a campaign (a row) lead, as they were written. Raises :class:`Invalid`."""
    content = campaign.content
    marketing = content.get("class", "marketing") == "marketing"
    return mailbody.make(content, brand, marketing=marketing, tracked=True).links


def try_campaign(campaign: Any, workspace: Any) -> None:
    """Compile a campaign (a row) as its messages will be. Raises :class:`Invalid` with what is broken."""
    made = brand(workspace)
    if campaign.channel == "email":
        mail.compile_mail(campaign.content, made, connections.signer())
    else:
        sender = workspace.sms_sender or sms.sender_from(workspace.name)
        sms.compile_sms(campaign.content, sender, {"workspace": made.variables()})


def campaign_content(campaign_id: int) -> Mapping[str, Any]:
    """What a campaign says, as the composer stored it."""
    query = sa.select(_G.content).where(_G.id == campaign_id)
    return db.session.connection().scalar(query) or {}


def _mail_content(version_id: int, step: str) -> Mapping[str, Any]:
    content = content_of(version_id, step)
    return {**content, "class": "service"} if "to" in content else content  # a note to the team


def content_of(version_id: int, step: str) -> Mapping[str, Any]:
    """The settings of a step of a published version. Raises :class:`Invalid` when there is no such step."""
    found = engine.compiled(version_id).steps.get(step)
    if found is None:
        raise Invalid({"step": [Text("The version has no step %(step)s", step=step)]})
    return found.settings


def _kept(key: tuple[Any, ...], make: Any) -> Any:
    kept: dict[tuple[Any, ...], Any] = current_app.extensions.setdefault("templates", {})
    if key not in kept:
        if len(kept) > 500:
            kept.clear()
        kept[key] = make()
    return kept[key]


def _config() -> Any:
    return current_app.extensions["config"]


# --- built in the threads that hand over: no database, no app context ----------------------------------------


def _email(template: mail.MailTemplate, row: Any, now: datetime) -> Email:
    to = address(row)
    contact = mail.facts(row) if row.person is not None else {}
    planned = int(row.planned_at.timestamp())
    letter = mail.Letter(row.id, row.key, to, planned, row.contact_id or 0, contact, row.event or {})
    return Email(row.key, template.sender_email, to, template.build(letter, now))


def _sms(template: sms.SmsTemplate, row: Any, workspace: Mapping[str, Any], callback: str) -> Sms:
    text = template.render(mail.facts(row) if row.person is not None else {}, workspace, row.event)
    if not text:
        raise Invalid({"text": ["the text is empty"]})
    return Sms(row.key, template.sender, address(row), text, short(row.id), callback)


def address(row: Any) -> str:
    """Where a loaded row goes: a contact's present address, else the one it was planned for."""
    if row.kind not in TO_CONTACTS or row.person is None:
        return str(row.address)
    return str((row.email if row.channel == "email" else row.phone) or row.address)
