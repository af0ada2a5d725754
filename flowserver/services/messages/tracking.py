"""What people do with their mails: opens, clicks, leaving. Public links carry a signed token and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from flowserver import clock, extensions
from flowserver.domain import mail, visitors
from flowserver.domain.tokens import number
from flowserver.domain.visitors import Visitor
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Engagement, Enrollment, Membership, Message, Suppression, Workspace
from flowserver.models.messages import TO_CONTACTS
from flowserver.services.engine import events, leaving
from flowserver.services.messages import connections, envelopes, outcomes
from flowserver.services.people import consents, lists, scores
from flowserver.services.site import recognition
from flowserver.text import N_

log = structlog.get_logger()

MOST_EVIDENCE = 200  # rows kept of one message; a program that fetches for ever fills no disk
PAUSE = timedelta(days=30)
_M, _N = Message.__table__.c, Engagement.__table__.c
_GONE = N_("This link does not work any more")


# --- opens and clicks ----------------------------------------------------------------------------------------


def click(token: str, link: int, visitor: Visitor) -> str:
    """Where link number ``link`` of a mail leads; what is known of the visitor is written down.

    Raises :class:`NotFound` for a forged token or a link that the mail does not have. A database that is busy costs the
    evidence, never the visit.
    """
    row = _message(token)
    template, contact = _template(row), _contact_of(row)
    url = _target(template, link, contact, _event(row))
    if visitor.method == "HEAD":
        return url
    by_hand = _safely(lambda: _clicked(row, link, url, visitor, len(template.links)))
    return recognition.carried(url, row, visitor.at) if by_hand else url


def _event(row: Any) -> Mapping[str, Any] | None:
    """What the event that started the flow brought along, as the mail's links may show it."""
    if row.enrollment_id is None:
        return None
    e = Enrollment.__table__.c
    return db.session.connection().scalar(sa.select(e.data).where(e.id == row.enrollment_id))


def _target(template: mail.MailTemplate, link: int, contact: Contact | None, event: Mapping[str, Any] | None) -> str:
    try:
        url = template.link(link, mail.facts(contact) if contact is not None else {}, event) or ""
    except Invalid:
        url = ""
    url = mail.CONTROL.sub("", url).replace(" ", "%20")
    if not url.lower().startswith(("https://", "http://")):
        raise NotFound(_GONE)
    return url


def open(token: str, visitor: Visitor) -> None:
    """The pixel of a mail was fetched. A forged token is nothing."""
    try:
        row = _message(token)
    except NotFound:
        return
    if visitor.method != "HEAD":
        _safely(lambda: _opened(row, visitor))


def _message(token: str) -> Any:
    """The flow's or campaign's message behind a link's token; its client is the present one from now on. Raises :class:`NotFound`."""
    payload = connections.signer().open(mail.TRACK, token)
    message_id = number(payload) if payload else None
    row = db.session.connection().execute(sa.select(Message.__table__).where(_M.id == message_id)).first()
    if row is None or row.kind not in TO_CONTACTS:
        raise NotFound(_GONE)
    extensions.enter_workspace(row.workspace_id)
    return row


def _template(row: Any) -> mail.MailTemplate:
    try:
        return template_of(row, envelopes.brand(db.session.get(Workspace, row.workspace_id)))
    except Invalid:
        raise NotFound(_GONE) from None


def template_of(row: Any, brand: mail.Brand) -> mail.MailTemplate:
    """The compiled mail a message row was filled into. Raises :class:`Invalid` when there is none any more."""
    if row.kind != "campaign":
        return envelopes.mail_template(row.version_id, row.step, brand)
    campaign = envelopes.campaigns({row.campaign_id}).get(row.campaign_id)
    if campaign is None:
        raise Invalid(_GONE)
    return envelopes.campaign_mail(campaign.id, campaign.edition, brand)


def _contact_of(row: Any) -> Contact | None:
    return db.session.get(Contact, row.contact_id) if row.contact_id is not None else None


def _safely(write: Any) -> Any:
    """What ``write`` returns, once it is committed; ``None`` when the database did not take it."""
    try:
        db.session.rollback()  # what was read so far may be old by the time the write begins
        extensions.read_only(False)
        found = write()
        db.session.commit()
        return found
    except SQLAlchemyError as error:
        db.session.rollback()
        log.warning("tracking.lost", why=type(error).__name__)
        return None


def _opened(row: Any, visitor: Visitor) -> None:
    reason = visitors.judge_open(visitor, row.accepted_at)
    if not _keep(row, "open", visitor, reason):
        return
    if reason is None or _machines_count(row.workspace_id):
        _stamp(row, visitor.at, clicked=False)


def _clicked(row: Any, link: int, url: str, visitor: Visitor, links: int) -> bool:
    """Write a click down; whether a person's hand did it."""
    earlier = _clicks(row.id, visitor.at)
    reason = visitors.judge_click(visitor, row.accepted_at, link, [(c.link, c.at) for c in earlier], links)
    if not _keep(row, "click", visitor, reason, link=link, url=url[:2000]):
        return False
    if reason is None:
        _stamp(row, visitor.at, clicked=True, link=link)
    elif reason == "all_links":
        _judge_again(row, [c.id for c in earlier if visitor.at - c.at <= visitors.BURST])
    return reason is None


def _clicks(message_id: int, now: datetime) -> Sequence[Any]:
    query = sa.select(_N.id, _N.link, _N.at).where(
        _N.message_id == message_id, _N.kind == "click", _N.at >= now - timedelta(minutes=5)
    )
    return db.session.connection().execute(query.limit(MOST_EVIDENCE)).all()


def _keep(row: Any, kind: str, visitor: Visitor, reason: str | None, **more: Any) -> bool:
    """Store the evidence; ``False`` when this message has more than enough of its kind: programs leave people room."""
    like = sa.and_(_N.message_id == row.id, _N.kind == kind, _N.machine.is_(reason is not None))
    count = sa.select(sa.func.count()).where(like)
    if (db.session.connection().scalar(count) or 0) >= MOST_EVIDENCE:
        return False
    db.session.add(
        Engagement(
            workspace_id=row.workspace_id,
            message_id=row.id,
            contact_id=row.contact_id,
            kind=kind,
            at=visitor.at,
            machine=reason is not None,
            evidence=visitor.evidence(reason),
            **more,
        )
    )
    return True


def _machines_count(workspace_id: int) -> bool:
    workspace = db.session.get(Workspace, workspace_id)
    return workspace is not None and workspace.count_machine_opens


def _stamp(row: Any, at: datetime, *, clicked: bool, link: int | None = None) -> None:
    """A person opened (or clicked, which implies it): first times on the message, events, last activity."""
    values: dict[str, Any] = {"opened_at": sa.func.coalesce(_M.opened_at, at)}
    if clicked:
        values["clicked_at"] = sa.func.coalesce(_M.clicked_at, at)
    db.session.execute(sa.update(Message.__table__).where(_M.id == row.id).values(**values))
    c = Contact.__table__.c
    newer = sa.or_(c.last_activity_at.is_(None), c.last_activity_at < at)
    db.session.execute(sa.update(Contact.__table__).where(c.id == row.contact_id, newer).values(last_activity_at=at))
    outcomes.tell(row, "email_opened", at)
    if clicked:
        outcomes.tell(row, "email_clicked", at, link=link)


def _judge_again(row: Any, ids: Sequence[int]) -> None:
    """A scanner's first clicks looked like a person's: flag them, and take the stamps back where nothing else bears them."""
    db.session.execute(sa.update(Engagement.__table__).where(_N.id.in_(ids)).values(machine=True))
    human = sa.select(_N.kind).where(_N.message_id == row.id, _N.machine.is_(False)).distinct()
    kinds = set(db.session.connection().scalars(human))
    if "click" not in kinds:
        values: dict[str, Any] = {"clicked_at": None, **({} if "open" in kinds else {"opened_at": None})}
        db.session.execute(sa.update(Message.__table__).where(_M.id == row.id).values(**values))
        if row.contact_id is not None:
            words = ("email_clicked",) if "open" in kinds else ("email_clicked", "email_opened")
            keys = [f"message:{row.id}:{word}" for word in words]
            events.disown(row.contact_id, keys)
            leaving.come_back(row.contact_id, row.id)
            scores.take_back(row.contact_id, keys, str(N_("A mail scanner had clicked, not the contact")))


# --- leaving and choosing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Topic:
    """A public list on the preference page."""

    id: int
    name: str
    description: str
    chosen: bool


@dataclass(slots=True)
class Choices:
    """What the preference page shows. ``contact`` is ``None`` when the person is not in the address book any more."""

    workspace: Workspace
    contact: Contact | None
    email: str  # masked
    phone: str  # masked; "": nothing to choose
    topics: list[Topic]
    email_on: bool
    sms_on: bool
    paused_until: datetime | None
    resumes_at: datetime  # when a pause that begins now would end


def choices(token: str) -> Choices:
    """The preference page behind a link. Changes nothing. Raises :class:`NotFound` for a forged token."""
    workspace, contact, message = _leaver(token)
    email = contact.email if contact is not None else getattr(message, "address", None)
    topics = _topics(contact) if contact is not None else []
    now = clock.now()
    paused = contact.paused_until if contact is not None and (contact.paused_until or now) > now else None
    return Choices(
        workspace=workspace,
        contact=contact,
        email=masked_email(email or ""),
        phone=masked_phone(contact.phone) if contact is not None and _sms_choice(contact) else "",
        topics=topics,
        email_on=contact is not None and contact.email_consent == "given",
        sms_on=contact is not None and contact.sms_consent == "given",
        paused_until=paused,
        resumes_at=paused or now + PAUSE,
    )


def _leaver(token: str) -> tuple[Workspace, Contact | None, Any]:
    """Client, contact and message behind a leaving link; the client is the present one from now on."""
    payload = connections.signer().open(mail.LEAVE, token)
    contact_id, message_id = ([number(part) for part in payload.split("-")] if payload else [None, None])[:2]
    if message_id is None:
        raise NotFound(_GONE)
    message = db.session.connection().execute(sa.select(Message.__table__).where(_M.id == message_id)).first()
    c = Contact.__table__.c
    holder = db.session.connection().execute(sa.select(c.id, c.workspace_id).where(c.id == contact_id)).first()
    owner = message.workspace_id if message is not None else holder.workspace_id if holder is not None else None
    workspace = db.session.get(Workspace, owner) if owner is not None else None
    if workspace is None:
        raise NotFound(_GONE)
    extensions.enter_workspace(workspace.id)
    contact = db.session.get(Contact, contact_id) if holder is not None and holder.workspace_id == owner else None
    return workspace, contact, message


def _topics(contact: Contact) -> list[Topic]:
    mine = set(db.session.scalars(sa.select(Membership.list_id).where(Membership.contact_id == contact.id)))
    on = contact.email_consent == "given"
    rows = db.session.scalars(sa.select(ContactList).where(ContactList.public).order_by(ContactList.name))
    return [Topic(row.id, row.name, row.description, on and row.id in mine) for row in rows]


def _sms_choice(contact: Contact) -> bool:
    """SMS can be chosen where it was agreed to once and not ended with STOP."""
    if not contact.phone or contact.sms_consent == "none":
        return False
    stopped = sa.select(Suppression.id).where(Suppression.channel == "sms", Suppression.address == contact.phone)
    return db.session.scalar(stopped) is None


def masked_email(address: str) -> str:
    """``m•••a@example.com``: enough to know it by, not enough to learn it."""
    local, at, domain = address.partition("@")
    if not at:
        return ""
    return f"{local[:1]}•••{local[-1:] if len(local) > 2 else ''}@{domain}"


def masked_phone(phone: str | None) -> str:
    """``+39 •••• 567``."""
    return f"{phone[:3]} •••• {phone[-3:]}" if phone else ""


def unsubscribe(token: str, source: str = "one-click") -> Workspace:
    """Withdraw all marketing e-mail of the client behind the token; doing it again changes nothing. Commits.

    Raises :class:`NotFound` for a forged token.
    """
    workspace, contact, message = _leaver(token)
    now = clock.now()
    if contact is not None:
        _withdraw(contact, "email", source, message, now)
    elif message is not None and message.kind in TO_CONTACTS:
        outcomes.suppress(message, message.address, "unsubscribed", source, now)
    db.session.commit()
    return workspace


def _withdraw(contact: Contact, channel: str, source: str, message: Any, now: datetime) -> bool:
    if getattr(contact, f"{channel}_consent") == "withdrawn":
        return False
    consents.change(contact, channel, "withdrawn", source=source, at=now)
    if message is not None and message.contact_id == contact.id and channel == "email":
        db.session.add(
            Engagement(
                workspace_id=contact.workspace_id,
                message_id=message.id,
                contact_id=contact.id,
                kind="unsubscribed",
                at=now,
                evidence={"source": source},
            )
        )
    db.session.flush()
    events.record(contact.id, "unsubscribed", subject=channel, at=now, data={"source": source})
    return True


def choose(token: str, *, topics: Sequence[int], email: bool, sms: bool, pause: bool, words: str = "") -> Choices:
    """Save what somebody chose on the preference page: lists, channels, a pause. Commits.

    With topics on offer, e-mail is on when at least one is chosen and off when the last one is given up; without topics
    ``email`` says it. ``words`` is what the page said, kept as proof where consent is given. Raises :class:`NotFound` for
    a forged token.
    """
    _workspace, contact, message = _leaver(token)
    now = clock.now()
    if contact is None:
        raise NotFound(_GONE)
    offered = {topic.id: topic.chosen for topic in _topics(contact)}
    wanted = {topic for topic in topics if topic in offered}
    untouched = bool(offered) and not wanted and not any(offered.values())  # a pause alone gives nothing up
    wants_email = contact.email_consent == "given" if untouched else bool(wanted) if offered else email
    if wants_email and contact.email_consent != "given":
        consents.change(contact, "email", "given", source="preference page", words=words, at=now)
    elif not wants_email and contact.email_consent == "given":
        _withdraw(contact, "email", "preference page", message, now)
    for topic, chosen in offered.items():
        if topic in wanted and not chosen:
            lists.join(topic, [contact.id], commit=False)
        elif topic not in wanted:
            lists.leave(topic, [contact.id], commit=False)
    if _sms_choice(contact):
        if sms and contact.sms_consent != "given":
            consents.change(contact, "sms", "given", source="preference page", words=words, at=now)
        elif not sms and contact.sms_consent == "given":
            _withdraw(contact, "sms", "preference page", message, now)
    still = contact.paused_until is not None and contact.paused_until > now
    contact.paused_until = (contact.paused_until if still else now + PAUSE) if pause else None
    db.session.commit()
    return choices(token)


def stop_everything(token: str) -> Workspace:
    """No marketing by e-mail or SMS any more, no pause, and out of every flow. Commits. Raises :class:`NotFound`."""
    workspace, contact, message = _leaver(token)
    now = clock.now()
    if contact is not None:
        for channel in ("email", "sms"):
            _withdraw(contact, channel, "preference page", message, now)
        leaving.cancel([contact.id], "opted_out")
    elif message is not None and message.kind in TO_CONTACTS:
        outcomes.suppress(message, message.address, "unsubscribed", "preference page", now)
    db.session.commit()
    return workspace
