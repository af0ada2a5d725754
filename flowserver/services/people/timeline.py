"""What happened to a contact, newest first: events, decisions of flows, messages and what became of them, consent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from flowserver.domain import mail
from flowserver.extensions import db
from flowserver.models import (
    Consent,
    Contact,
    ContactList,
    Decision,
    Engagement,
    Enrollment,
    Event,
    FlowVersion,
    Form,
    Message,
    ScoreEntry,
)
from flowserver.nodes import catalogue
from flowserver.services.flows import options
from flowserver.services.loyalty import words as loyal
from flowserver.services.people.chapters import GONE, Chapters, headline
from flowserver.text import N_, Text

Source = Callable[[int, datetime | None], Iterator["Entry"]]
PAGE = 40
MOST = 240  # rows of one kind read for a page; things of one instant stay together
SHOWS = ("all", "messages", "activity", "consent")

# Why a message did not leave, or somebody left a flow: reason codes of the engine in words. Steps bring their own.
REASONS: Mapping[str, str] = {
    "no_email": N_("There is no e-mail address"),
    "no_phone": N_("There is no mobile number"),
    "no_consent": N_("There is no consent for this channel"),
    "unsubscribed": N_("Consent was withdrawn"),
    "suppressed": N_("The address is on the list of addresses left alone"),
    "bounced": N_("The address bounced before"),
    "deleted": N_("The contact was deleted"),
    "contact_deleted": N_("The contact was deleted"),
    "quiet_hours": N_("Quiet hours"),
    "sending_hours": N_("Outside the flow's sending hours"),
    "message_limit": N_("The message limit was reached"),
    "on_pause": N_("The contact asked for a pause"),
    "paused": N_("The flow was paused and its messages left out"),
    "flow_stopped": N_("The flow was stopped"),
    "client_archived": N_("The client was put in the archive"),
    "left_flow": N_("The contact had left the flow"),
    "no_connection": N_("No way to send is set up"),
    "server_unreachable": N_("The server could not be reached for three days"),
    "finished": N_("Came to the end"),
    "end_step": N_("Reached an end step"),
    "failed": N_("A step failed"),
    "not_sent": N_("A message could not be sent"),
    "step_removed": N_("The step was removed from the flow"),
    "no_longer_matches": N_("No longer matched when the waiting time ended"),
    "stopped_matching": N_("No longer matched what starts the flow"),
    "taken_out": N_("Taken out by hand"),
    "campaign_cancelled": N_("The campaign was cancelled"),
    "moved_on": N_("Moved on by hand"),
    "new_version": N_("The flow's next version took out those inside"),
    "start_undone": N_("What started it was taken back before the first step"),
    "goal": N_("Reached the flow's goal"),
    "exit": N_("Met the flow's exit"),
}


def reason(code: str | None) -> str:
    """A reason in words; a provider's own words stay as they are."""
    return REASONS.get(code or "") or catalogue.reasons().get(code or "") or code or ""


_SOURCES: Mapping[str, str] = {
    "form": N_("a signup form"),
    "import": N_("an import"),
    "api": N_("the API"),
    "by hand": N_("staff, by hand"),
    "demo": N_("the demo data"),
}


def source(text: str) -> str:
    """Where a contact or a change came from, in words: ``form:3``, ``import:5``, ``api``, ``by hand``."""
    return _SOURCES.get(text.partition(":")[0], text)


@dataclass(slots=True)
class Entry:
    """One line of the history. ``why`` is the message the page can explain."""

    at: datetime
    icon: str
    kind: str  # colour of the dot: "", ok, warn, bad, plain
    title: str
    text: str = ""
    detail: str = ""  # after the title, not as loud
    why: int | None = None
    unsure: int | None = None  # the message nobody knows the fate of: a person decides
    link: tuple[str, int] | None = None  # what it leads to: a flow, campaign, list or form, and its id
    rank: int = 4  # of things at one instant, the higher came later


@dataclass(slots=True)
class Page:
    """Some lines, newest first; ``older`` is the instant to go on from."""

    entries: list[Entry]
    older: datetime | None


def of(contact_id: int, show: str = "all", before: datetime | None = None) -> Page:
    """A page of a contact's history: ``show`` is one of :data:`SHOWS`, ``before`` the instant of the last page's end."""
    parts: dict[str, list[Source]] = {
        "messages": [_messages, _reactions],
        "activity": [_events, _decisions, _scores],
        "consent": [_consents],
    }
    sources = parts.get(show) or [source for part in parts.values() for source in part]
    found = sorted(
        (one for source in sources for one in source(contact_id, before)),
        key=lambda one: (one.at, one.rank),
        reverse=True,
    )
    shown = found[:PAGE]
    while len(shown) < len(found) and found[len(shown)].at == shown[-1].at:
        shown.append(found[len(shown)])
    return Page(shown, shown[-1].at if len(shown) < len(found) else None)


def _newest(query: Any, at: Any, before: datetime | None, order: Any) -> Any:
    if before is not None:
        query = query.where(at < before)
    return db.session.execute(query.order_by(at.desc(), order.desc()).limit(MOST)).all()


# --- messages --------------------------------------------------------------------------------------------

_STATES = {  # state → (colour, words for e-mail, words for SMS)
    "planned": ("plain", N_("E-mail planned"), N_("SMS planned")),
    "claimed": ("plain", N_("E-mail on its way"), N_("SMS on its way")),
    "handed": ("plain", N_("E-mail on its way"), N_("SMS on its way")),
    "accepted": ("", N_("E-mail sent"), N_("SMS sent")),
    "delivered": ("", N_("E-mail delivered"), N_("SMS delivered")),
    "bounced": ("bad", N_("E-mail came back"), N_("SMS came back")),
    "failed": ("bad", N_("E-mail not sent"), N_("SMS not sent")),
    "skipped": ("bad", N_("E-mail not sent"), N_("SMS not sent")),
    "unknown": ("warn", N_("E-mail perhaps sent"), N_("SMS perhaps sent")),
}


def state_words(channel: str, state: str) -> tuple[str, str]:
    """``(colour, words)`` of a message's state."""
    kind, email, sms = _STATES.get(state, ("plain", state, state))
    return kind, email if channel == "email" else sms


def _messages(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = sa.select(Message).where(Message.contact_id == contact_id, Message.kind != "team")
    rows = [row[0] for row in _newest(query, Message.planned_at, before, Message.id)]
    chapters, facts = Chapters(row.version_id for row in rows), _facts(contact_id)
    for row in rows:
        kind, words = state_words(row.channel, row.state)
        title = headline(row, chapters, facts)
        yield Entry(
            row.planned_at,
            "mail" if row.channel == "email" else "sms",
            kind,
            words,
            _about(row, chapters),
            title,
            link=_of_message(row),
            rank=6,
            why=row.id if row.state in ("skipped", "failed", "bounced", "unknown", "planned") and row.flow_id else None,
            unsure=row.id if row.state == "unknown" else None,
        )


def _facts(contact_id: int) -> dict[str, Any]:
    contact = db.session.get(Contact, contact_id)
    return mail.facts(contact) if contact is not None else {}


def _of_message(row: Message) -> tuple[str, int] | None:
    if row.campaign_id:
        return "campaign", row.campaign_id
    return ("flow", row.flow_id) if row.flow_id else None


def _about(row: Message, chapters: Chapters) -> str:
    where = chapters.of(row) if row.version_id or row.campaign_id else _KINDS.get(row.kind, "")
    if row.state in ("skipped", "failed", "bounced", "unknown"):
        return Text("%(reason)s. %(where)s", reason=reason(row.reason), where=where) if row.reason else where
    return where


_KINDS = {"confirmation": N_("Asked to confirm the address"), "test": N_("A test")}
_REACTIONS = {
    "open": ("eye", "ok", N_("Opened “%(title)s”")),
    "click": ("target", "ok", N_("Clicked in “%(title)s”")),
    "complained": ("alert", "bad", N_("Reported “%(title)s” as spam")),
    "unsubscribed": ("shield", "warn", N_("Unsubscribed with “%(title)s”")),
}


def _reactions(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = (
        sa.select(Engagement, Message)
        .join(Message, Message.id == Engagement.message_id)
        .where(Engagement.contact_id == contact_id, Engagement.kind.in_(_REACTIONS))
    )
    rows = _newest(query, Engagement.at, before, Engagement.id)
    chapters, facts = Chapters(message.version_id for _, message in rows), _facts(contact_id)
    for row, message in rows:
        icon, kind, words = _REACTIONS[row.kind]
        text = row.url or chapters.of(message)
        if row.machine:
            text = N_("By a mail program on its own, so it is not counted")
            kind = "plain"
        title = Text(words.msgid, title=headline(message, chapters, facts))
        yield Entry(row.at, icon, kind, title, text, link=None if row.url else _of_message(message), rank=7)


# --- events ------------------------------------------------------------------------------------------------

_SHOWN_ELSEWHERE = (
    "consent_changed", "score_changed", "email_sent", "email_opened", "email_clicked", "email_bounced", "sms_sent",
    "sms_delivered", "sms_failed", "unsubscribed", "spend_changed", "points_given", "reward_given", "handed_over", "page_stayed",
    "conversion_recorded",
)  # fmt: skip


def _events(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = sa.select(Event).where(Event.contact_id == contact_id, Event.type.not_in(_SHOWN_ELSEWHERE))
    rows = [row[0] for row in _newest(query, Event.at, before, Event.id)]
    names = _event_names(rows)
    for row in rows:
        data = row.data or {}
        if row.type == "field_changed":
            if not data.get("created"):
                yield _field_changed(row, data, names)
        elif row.type in _COUPONS:
            yield _coupon(row, data)
        elif row.type in _EVENTS:
            icon, kind, words = _EVENTS[row.type]
            subject = names.get((row.type, row.subject), row.subject)
            text = Text("By %(source)s", source=source(str(data["source"]))) if data.get("source") else ""
            yield Entry(
                row.at,
                icon,
                kind,
                Text(words.msgid, subject=subject),
                text,
                link=_leads_to(row, names),
                rank=1 if row.type == "contact_created" else 2,
            )
        elif row.type in _SITE:
            yield _on_site(row, data)
        elif row.type in loyal.EVENTS:
            icon, kind, title, text = loyal.said(row.type, data)
            yield Entry(row.at, icon, kind, title, text, rank=2)
        else:
            yield Entry(row.at, "flag", "plain", Text("Event “%(type)s”", type=row.type), row.subject)


def _leads_to(row: Event, names: Mapping[tuple[str, str], str]) -> tuple[str, int] | None:
    """The list or form of an event, while it exists."""
    kind = {"list_joined": "list", "form_filled": "form"}.get(row.type)
    return (kind, int(row.subject)) if kind and (row.type, row.subject) in names else None


_EVENTS: Mapping[str, tuple[str, str, Text]] = {
    "contact_created": ("user", "ok", N_("Came into the address book")),
    "list_joined": ("list", "ok", N_("Joined the list %(subject)s")),
    "tag_added": ("tag", "plain", N_("Got the tag %(subject)s")),
    "form_filled": ("field", "ok", N_("Filled in the form %(subject)s")),
    "purchase": ("bag", "ok", N_("Bought: order %(subject)s")),
    "refund": ("undo", "plain", N_("Money given back for order %(subject)s")),
    "cart_updated": ("cart", "plain", N_("Changed the cart %(subject)s")),
    "cart_abandoned": ("cart", "warn", N_("Left the cart %(subject)s")),
    "event_registered": ("ticket", "ok", N_("Registered for %(subject)s")),
    "event_checked_in": ("check", "ok", N_("Checked in at %(subject)s")),
    "document_requested": ("download", "plain", N_("Asked for the document %(subject)s")),
    "document_downloaded": ("download", "ok", N_("Downloaded the document %(subject)s")),
    "app_installed": ("phone", "ok", N_("Installed the app %(subject)s")),
    "nps_answered": ("score", "ok", N_("Answered %(subject)s when asked for a recommendation")),
}


_SITE: Mapping[str, tuple[str, str, Text]] = {
    "page_visited": ("globe", "plain", N_("Visited %(about)s")),
    "converted": ("target", "ok", N_("Converted: %(about)s")),
    "conversion_undone": ("undo", "plain", N_("A conversion was undone")),
}


def _on_site(row: Event, data: Mapping[str, Any]) -> Entry:
    icon, kind, words = _SITE[row.type]
    about = str(data.get("rule") or data.get("path") or "…")
    text = str(data.get("key") or data.get("url") or "")
    return Entry(row.at, icon, kind, Text(words.msgid, about=about) if "%" in words.msgid else words, text, rank=2)


_COUPONS: Mapping[str, tuple[str, Text]] = {
    "coupon_issued": ("ok", N_("Got the coupon %(code)s")),
    "coupon_redeemed": ("ok", N_("Used the coupon %(code)s")),
    "coupon_expired": ("warn", N_("The coupon %(code)s expired unused")),
    "coupon_voided": ("warn", N_("The coupon %(code)s was made void")),
}


def _coupon(row: Event, data: Mapping[str, Any]) -> Entry:
    kind, words = _COUPONS[row.type]
    if row.type == "coupon_voided" and "redemption" in data:
        words = N_("The use of the coupon %(code)s was taken back")
    about = [str(data[key]) for key in ("campaign", "value", "place") if data.get(key)]
    return Entry(row.at, "ticket", kind, Text(words.msgid, code=str(data.get("code", ""))), ", ".join(about), rank=2)


def _event_names(rows: Sequence[Event]) -> dict[tuple[str, str], str]:
    """What lists, forms and fields are called now."""
    names: dict[tuple[str, str], str] = {}
    for kind, table in (("list_joined", ContactList), ("form_filled", Form)):
        ids = {int(row.subject) for row in rows if row.type == kind and row.subject.isdecimal()}
        if ids:
            found = db.session.execute(sa.select(table.id, table.name).where(table.id.in_(ids)))
            names.update({(kind, str(number)): name for number, name in found})
    if any(row.type == "field_changed" for row in rows):
        names.update({("field_changed", str(key)): label for key, label in options.choices("field")})
    return names


def _field_changed(row: Event, data: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> Entry:
    label = names.get((row.type, row.subject), row.subject)
    new = data.get("new")
    if "new" not in data:
        return Entry(row.at, "pencil", "plain", Text("%(field)s was changed", field=label))
    if new in (None, ""):
        return Entry(row.at, "pencil", "plain", Text("%(field)s was cleared", field=label))
    old = data.get("old")
    text = Text("Was: %(old)s", old=str(old)) if old not in (None, "") else ""
    return Entry(row.at, "pencil", "plain", Text("%(field)s is now: %(new)s", field=label, new=str(new)), text)


# --- flows -----------------------------------------------------------------------------------------------


def _decisions(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = (
        sa.select(Decision, Enrollment.version_id, Enrollment.label)
        .join(Enrollment, Enrollment.id == Decision.enrollment_id)
        .where(Enrollment.contact_id == contact_id)
    )
    rows = _newest(query, Decision.at, before, Decision.id)
    then = _versions_then(rows)
    chapters = Chapters(then.values())
    for row, _version_id, label in rows:
        version_id = then[row.id]
        entry = _decision(row, version_id, label, chapters)
        if entry:
            entry.link = _of_version(chapters, version_id)
            yield entry
    yield from _ended(contact_id, before)


def _versions_then(rows: Sequence[Any]) -> dict[int, Any]:
    """The version each decision was made in: a run may have been moved to another one since."""
    moved = sa.select(Decision.id, Decision.enrollment_id, Decision.facts).where(Decision.outcome == "moved")
    ids = {row.enrollment_id for row, _, _ in rows}
    moves = db.session.execute(moved.where(Decision.enrollment_id.in_(ids)).order_by(Decision.id)).all() if ids else []
    if not moves:
        return {row.id: version_id for row, version_id, _ in rows}
    sister = aliased(FlowVersion)
    numbered = sa.select(FlowVersion.id, sister.number, sister.id).join(sister, sister.flow_id == FlowVersion.flow_id)
    current = {version_id for _, version_id, _ in rows}
    known: dict[Any, int] = {
        (row[0], row[1]): row[2] for row in db.session.execute(numbered.where(FlowVersion.id.in_(current)))
    }
    found = {}
    for row, version_id, _label in rows:
        later = next((move for move in moves if move.enrollment_id == row.enrollment_id and move.id > row.id), None)
        number = orjson.loads(later.facts or "{}").get("from") if later else None
        found[row.id] = known.get((version_id, number), version_id)
    return found


def _of_version(chapters: Chapters, version_id: int) -> tuple[str, int] | None:
    chapter = chapters.get(version_id)
    return ("flow", chapter.flow_id) if chapter else None


def _decision(row: Decision, version_id: int, label: str | None, chapters: Chapters) -> Entry | None:
    chapter = chapters.get(version_id)
    flow, where = (chapter.flow_name, chapter.where(row.step)) if chapter else (GONE, GONE)
    about = chapter.about(row.step) if chapter else ""
    if row.outcome == "entered":
        text = Text("Version %(n)s. %(start)s", n=chapter.number, start=chapter.start()) if chapter else ""
        return Entry(row.at, "flag", "ok", Text("Entered %(flow)s", flow=flow), text, rank=3)
    if row.outcome == "moved":
        facts = orjson.loads(row.facts or "{}")
        words = Text(
            "Moved from version %(before)s to version %(after)s", before=facts.get("from"), after=facts.get("to")
        )
        return Entry(row.at, "flow", "plain", words, flow)
    if row.outcome in ("then", "else"):
        words = N_("Took the path Yes: %(question)s") if row.outcome == "then" else N_("Took the path No: %(question)s")
        return Entry(row.at, "branch", "plain", Text(words.msgid, question=about or row.step), where)
    if row.outcome == "held":
        words = Text("Waits to be sent: %(reason)s", reason=reason(row.reason))
        return Entry(row.at, "clock", "warn", words, where)
    if row.outcome == "skipped" and not _sends(chapter, row.step):
        return Entry(row.at, "chev-r", "plain", Text("Skipped: %(step)s", step=about), _with_reason(row.reason, where))
    if row.outcome == "failed":
        return Entry(
            row.at, "alert", "bad", Text("A step failed: %(step)s", step=about), _with_reason(row.reason, where)
        )
    if row.outcome == "next" and about and not _sends(chapter, row.step) and not _waits(chapter, row.step):
        return Entry(row.at, "check", "plain", about, where)
    return None


def _with_reason(code: str | None, where: str) -> str:
    return Text("%(reason)s. %(where)s", reason=reason(code), where=where) if code else where


def _sends(chapter: Any, key: str) -> bool:
    step = chapter.compiled.steps.get(key) if chapter else None
    return bool(step and step.node.sends)


def _waits(chapter: Any, key: str) -> bool:
    step = chapter.compiled.steps.get(key) if chapter else None
    return bool(step and step.node.waits)


def _ended(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = sa.select(Enrollment).where(Enrollment.contact_id == contact_id, Enrollment.ended_at.is_not(None))
    rows = [row[0] for row in _newest(query, Enrollment.ended_at, before, Enrollment.id)]
    chapters = Chapters(row.version_id for row in rows)
    for row in rows:
        chapter = chapters.get(row.version_id)
        kind = {"positive": "ok", "negative": "warn"}.get(row.outcome or "", "plain")
        text = (
            Text("%(reason)s: %(label)s", reason=reason(row.end_reason), label=row.label)
            if row.label
            else reason(row.end_reason)
        )
        flow = chapter.flow_name if chapter else GONE
        assert row.ended_at is not None
        yield Entry(
            row.ended_at,
            "end",
            kind,
            Text("Left %(flow)s", flow=flow),
            text,
            link=_of_version(chapters, row.version_id),
            rank=8,
        )


# --- score and consent -----------------------------------------------------------------------------------


def _scores(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = sa.select(ScoreEntry).where(ScoreEntry.contact_id == contact_id)
    for (row,) in _newest(query, ScoreEntry.at, before, ScoreEntry.id):
        points = f"+{row.points}" if row.points > 0 else f"−{-row.points}"
        yield Entry(row.at, "score", "plain", Text("Score %(points)s", points=points), row.reason)


_CONSENTS = {
    ("email", "given"): N_("Agreed to e-mails"),
    ("email", "withdrawn"): N_("Withdrew consent for e-mails"),
    ("sms", "given"): N_("Agreed to SMS"),
    ("sms", "withdrawn"): N_("Withdrew consent for SMS"),
    ("web_push", "given"): N_("Agreed to web push"),
    ("web_push", "withdrawn"): N_("Withdrew consent for web push"),
    ("mobile_push", "given"): N_("Agreed to mobile push"),
    ("mobile_push", "withdrawn"): N_("Withdrew consent for mobile push"),
    ("ads", "given"): N_("Agreed to ads"),
    ("ads", "withdrawn"): N_("Withdrew consent for ads"),
}


def _consents(contact_id: int, before: datetime | None) -> Iterator[Entry]:
    query = sa.select(Consent).where(Consent.contact_id == contact_id)
    for (row,) in _newest(query, Consent.at, before, Consent.id):
        words = _CONSENTS.get((row.channel, row.state), N_("Consent changed"))
        yield Entry(row.at, "shield", "ok" if row.state == "given" else "warn", words, row.source, rank=0)
