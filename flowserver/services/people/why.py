"""Why did this contact not get this message? The checks in the order they are made, and the first that said no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from flowserver.domain.steps import Fact
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Consent, Contact, Decision, Enrollment, Event, Flow, Membership, Message, Suppression
from flowserver.services.people import timeline
from flowserver.services.people.chapters import Chapter, Chapters, headline
from flowserver.text import N_, Text

OK, BAD, NOT_CHECKED = "ok", "bad", "skip"


@dataclass(slots=True)
class Check:
    """One check: ``state`` is ok, bad or skip (not made any more). ``at`` is shown in the client's zone."""

    state: str
    title: str
    text: str = ""
    at: datetime | None = None
    link: str = ""  # "consent": the record on the same page


@dataclass(slots=True)
class Answer:
    """The whole explanation. ``kind``: ok (it went), warn (it did not), info (not yet)."""

    kind: str
    title: str
    text: str = ""
    at: datetime | None = None
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """Something that can be asked: ``key`` goes into the address."""

    key: str
    channel: str
    title: str
    flow: str


# --- what can be asked -------------------------------------------------------------------------------------


def questions(contact_id: int, most: int = 30) -> list[Question]:
    """Messages that did not arrive, newest first, then sending steps of live flows that never reached the contact."""
    query = (
        sa.select(Message)
        .where(Message.contact_id == contact_id, Message.kind.in_(("flow", "campaign")))
        .order_by(Message.planned_at.desc(), Message.id.desc())
        .limit(200)
    )
    rows = list(db.session.scalars(query))
    late = [row for row in rows if row.state not in ("accepted", "delivered")]
    chapters = Chapters(row.version_id for row in late)
    found = [_asked(row, chapters) for row in late]
    had = {(row.flow_id, row.step) for row in rows}
    return [*found, *_never(had)][:most]


def _asked(row: Message, chapters: Chapters) -> Question:
    chapter = chapters.get(row.version_id)
    source = chapter.flow_name if chapter else chapters.of(row) if row.campaign_id else ""
    return Question(str(row.id), row.channel, headline(row, chapters), source)


def _never(had: set[tuple[int | None, str]]) -> list[Question]:
    live = sa.select(Flow.version_id).where(Flow.state.in_(("active", "paused")), Flow.archived_at.is_(None))
    ids = list(db.session.scalars(live.order_by(Flow.name).limit(20)))
    chapters = Chapters(ids)
    return [
        Question(f"{chapter.flow_id}:{step.key}", step.node.sends, _headline(chapter, step.key), chapter.flow_name)
        for chapter in map(chapters.get, ids)
        if chapter is not None
        for step in chapter.compiled.steps.values()
        if step.node.sends and (chapter.flow_id, step.key) not in had
    ]


def _headline(chapter: Chapter, key: str) -> str:
    settings = chapter.settings(key)
    return str(settings.get("subject") or settings.get("text") or "")[:80]


# --- the answer ------------------------------------------------------------------------------------------


def explain(contact: Contact, key: str) -> Answer:
    """The answer to one question: ``key`` is a message's id or ``<flow id>:<step>``. Raises :class:`NotFound`."""
    flow_id, colon, step = key.partition(":")
    if not flow_id.isdecimal() or len(flow_id) > 18:
        raise NotFound(N_("There is no such message"))
    if not colon:
        row = db.session.scalar(sa.select(Message).where(Message.id == int(flow_id), Message.contact_id == contact.id))
        if row is None:
            raise NotFound(N_("There is no such message"))
        return _about_message(contact, row)
    flow = db.session.scalar(sa.select(Flow).where(Flow.id == int(flow_id)))
    chapter = Chapters([flow.version_id]).get(flow.version_id) if flow else None
    if flow is None or chapter is None or step not in chapter.compiled.steps:
        raise NotFound(N_("There is no such message"))
    sent = sa.select(Message).where(Message.contact_id == contact.id, Message.flow_id == flow.id, Message.step == step)
    row = db.session.scalar(sent.order_by(Message.id.desc()).limit(1))
    return _about_message(contact, row) if row else _about_step(contact, flow, chapter, step)


# --- a message that was planned, or left out -----------------------------------------------------------------

# The checks between the plan and the mail server, in order, and the reason codes each gives when it says no.
_GATES: tuple[tuple[str, frozenset[str]], ...] = (
    ("address", frozenset({"no_email", "no_phone", "deleted"})),
    ("suppression", frozenset({"suppressed", "bounced"})),
    ("consent", frozenset({"no_consent", "unsubscribed"})),
    ("pause", frozenset({"on_pause"})),
    ("limits", frozenset({"quiet_hours", "sending_hours", "message_limit"})),
    ("flow", frozenset({"paused", "flow_stopped", "client_archived", "left_flow"})),
    ("sending", frozenset()),
)
_TITLES = {
    "address": {"email": N_("Has an e-mail address"), "sms": N_("Has a mobile number")},
    "suppression": {"": N_("The address may be written to")},
    "consent": {"email": N_("Has consent for e-mails"), "sms": N_("Has consent for SMS")},
    "pause": {"": N_("Has not asked for a pause")},
    "limits": {"": N_("Message limit and quiet hours")},
    "flow": {"": N_("The flow was sending")},
    "sending": {"": N_("Sending")},
}


def _about_message(contact: Contact, row: Message) -> Answer:
    chapters = Chapters([row.version_id])
    chapter = chapters.get(row.version_id)
    run = (
        db.session.scalar(sa.select(Enrollment).where(Enrollment.id == row.enrollment_id))
        if row.enrollment_id
        else None
    )
    checks = [*_entered(run, chapter), *_path(run, row.step, chapter)]
    if row.state in ("accepted", "delivered"):
        return _went(row, [*checks, *_gates(contact, row, "")])
    if row.state in ("planned", "claimed", "handed"):
        answer = Answer(
            "info", N_("Not sent yet"), N_("It is planned for this moment or has just begun to leave."), row.due_at
        )
        answer.checks = [*checks, *_gates(contact, row, "sending", waiting=True)]
        return answer
    failing = next((name for name, codes in _GATES if row.reason in codes), "sending")
    if row.reason == "no_connection":
        failing = "sending"
    answer = Answer("warn", _verdict(row), _way_on(row), _when(contact, row))
    answer.checks = [*checks, *_gates(contact, row, failing)]
    return answer


def _verdict(row: Message) -> str:
    why = timeline.reason(row.reason)
    if row.state == "unknown":
        return N_("Perhaps sent: the answer of the other side was never heard")
    if row.state == "bounced":
        return Text("It came back: %(reason)s", reason=why)
    return Text("Not sent: %(reason)s", reason=why) if why else N_("Not sent")


_WAYS_ON = {
    "no_consent": N_("The contact went on to the next step. To be reached here, the contact has to agree first."),
    "unsubscribed": N_("The contact went on to the next step. To be reached here, the contact has to agree again."),
    "suppressed": N_("Nothing is sent to this address until it is taken off the list of addresses left alone."),
    "bounced": N_("Enter another address for the contact to send again."),
    "no_email": N_("Enter an e-mail address for the contact."),
    "no_phone": N_("Enter a mobile number for the contact."),
    "no_connection": N_("Set up a connection for this channel in the settings."),
}


def _way_on(row: Message) -> str:
    if row.state == "unknown":
        return N_("It is not sent again by itself, because a message sent twice is worse than one sent late.")
    return _WAYS_ON.get(row.reason or "", "")


def _when(contact: Contact, row: Message) -> datetime | None:
    """The moment the reason arose: the withdrawal of consent, the failure, or the plan."""
    if row.reason == "unsubscribed":
        change = _last_consent(contact.id, row.channel)
        return change.at if change else row.planned_at
    return row.failed_at or row.planned_at


def _went(row: Message, checks: list[Check]) -> Answer:
    title = N_("It was delivered") if row.state == "delivered" else N_("It was sent and accepted by the other side")
    return Answer("ok", title, "", row.delivered_at or row.accepted_at, checks)


def _gates(contact: Contact, row: Message, failing: str, waiting: bool = False) -> list[Check]:
    """The checks in order: those before the failing one passed, those after it were not made any more."""
    checks, left = [], []
    over = False
    for name, _codes in _GATES:
        titles = _TITLES[name]
        title = titles.get(row.channel) or titles[""]
        if over or (waiting and name == failing):
            left.append(title)
        elif name == failing:
            checks.append(_failed(contact, row, name, title))
            over = True
        else:
            checks.append(_passed(contact, row, name, title))
    text = N_("Not checked yet") if waiting else N_("Not checked any more")
    return [*checks, *([Check(NOT_CHECKED, _joined(left, ", "), text)] if left else [])]


def _joined(words: Sequence[str], separator: str) -> str:
    """Texts in a row, each still to be translated."""
    found = ""
    for one in words:
        found = Text(f"%(before)s{separator}%(next)s", before=found, next=one) if found else one
    return found


def _passed(contact: Contact, row: Message, name: str, title: str) -> Check:
    if name == "address" and row.address:
        return Check(OK, title, row.address)
    if name == "consent":
        if row.class_ == "service":
            return Check(OK, title, N_("Not needed: this is a service message"))
        change = _last_consent(contact.id, row.channel)
        if change is not None and change.state == "given":
            return Check(OK, title, Text("Given: %(source)s", source=change.source), change.at, "consent")
    if name == "sending":
        return Check(OK, title, "", row.accepted_at)
    return Check(OK, title)


def _failed(contact: Contact, row: Message, name: str, title: str) -> Check:
    text = timeline.reason(row.reason)
    if name == "consent":
        change = _last_consent(contact.id, row.channel)
        if change is not None and change.state == "withdrawn":
            return Check(BAD, title, Text("Withdrawn: %(source)s", source=change.source), change.at, "consent")
        return Check(BAD, title, text, link="consent")
    if name == "suppression":
        found = db.session.scalar(
            sa.select(Suppression).where(
                Suppression.channel == row.channel,
                Suppression.address == (contact.email if row.channel == "email" else contact.phone),
            )
        )
        if found is not None:
            return Check(BAD, title, _SUPPRESSED.get(found.reason, text), found.created_at)
    return Check(BAD, title, text, row.failed_at)


_SUPPRESSED = {
    "hard_bounce": N_("The mail server said that this address does not exist"),
    "complaint": N_("The contact reported a message as spam"),
    "stop": N_("The contact answered STOP"),
    "unsubscribed": N_("The contact unsubscribed"),
    "by_hand": N_("Put on the list by hand"),
}


def _last_consent(contact_id: int, channel: str) -> Consent | None:
    query = sa.select(Consent).where(Consent.contact_id == contact_id, Consent.channel == channel)
    found: Consent | None = db.session.scalar(query.order_by(Consent.at.desc(), Consent.id.desc()).limit(1))
    return found


# --- the way through the flow ------------------------------------------------------------------------------


def _entered(run: Enrollment | None, chapter: Chapter | None) -> list[Check]:
    if run is None or chapter is None:
        return []
    text = Text("Version %(n)s. %(start)s", n=chapter.number, start=chapter.start())
    return [Check(OK, N_("Was in the flow at that moment"), text, run.entered_at or run.triggered_at)]


def _path(run: Enrollment | None, step: str, chapter: Chapter | None) -> list[Check]:
    if run is None or chapter is None:
        return []
    return [Check(OK, N_("Took the path to this message"), _turns(run, chapter))]


def _turns(run: Enrollment, chapter: Chapter) -> str:
    """The decisions that led here, in words: at most the last three."""
    query = sa.select(Decision).where(Decision.enrollment_id == run.id, Decision.outcome.in_(("then", "else")))
    turns = list(db.session.scalars(query.order_by(Decision.id)))[-3:]
    words: list[str] = [_turn(row, chapter) for row in turns]
    return _joined(words, " · ")


def _turn(row: Decision, chapter: Chapter) -> str:
    words = N_("Step %(n)s, yes: %(question)s") if row.outcome == "then" else N_("Step %(n)s, no: %(question)s")
    number = chapter.step_number(row.step)
    return Text(words.msgid, n=number if number is not None else row.step, question=chapter.about(row.step) or row.step)


# --- a step that never planned anything for the contact -----------------------------------------------------


def _about_step(contact: Contact, flow: Flow, chapter: Chapter, step: str) -> Answer:
    query = sa.select(Enrollment).where(Enrollment.flow_id == flow.id, Enrollment.contact_id == contact.id)
    run = db.session.scalar(query.order_by(Enrollment.id.desc()).limit(1))
    rest = [
        Check(NOT_CHECKED, title, N_("Not checked any more"))
        for title in (N_("Took the path to this message"), N_("Address, consent, limits and sending"))
    ]
    if run is None:
        check = _never_entered(contact, flow, chapter)
        return Answer("warn", N_("Was never in this flow"), check.text, check.at, [check, *rest])
    own = Chapters([run.version_id]).get(run.version_id) or chapter
    inside = Check(
        OK, N_("Was in the flow"), Text("Version %(n)s. %(start)s", n=own.number, start=own.start()), run.triggered_at
    )
    if run.due_at is not None:
        return _on_the_way(run, own, inside, rest)
    return _passed_by(run, own, inside, step, rest)


def _never_entered(contact: Contact, flow: Flow, chapter: Chapter) -> Check:
    """What the starting point itself says about this contact."""
    title = N_("Entered the flow")
    if flow.activated_at is None or flow.state not in ("active", "paused"):
        return Check(BAD, title, N_("The flow is not live"))
    trigger = chapter.compiled.trigger
    seen = sa.select(Event).where(Event.contact_id == contact.id, Event.type.in_(trigger.listens_to if trigger else ()))
    matching = [
        event
        for event in db.session.scalars(seen.order_by(Event.at.desc()).limit(50))
        if trigger and trigger.admits(_fact(event))
    ]
    if matching and matching[0].at < flow.activated_at:
        return Check(BAD, title, N_("It happened before the flow went live, and only later ones count"), matching[0].at)
    if matching:
        return Check(
            BAD,
            title,
            N_("It happened, but the flow was paused, closed or did not let the contact in again"),
            matching[0].at,
        )
    list_id = chapter.compiled.trigger_settings.get("list")
    member = db.session.scalar(
        sa.select(Membership).where(Membership.list_id == list_id, Membership.contact_id == contact.id)
    )
    if list_id and member is not None:
        return Check(
            BAD, title, N_("Is on the list, but joined it silently, for example by an import"), member.joined_at
        )
    return Check(BAD, title, Text("This never happened: %(start)s", start=chapter.start()))


def _fact(event: Event) -> Fact:
    return Fact(event.type, event.at, event.subject, event.data)


def _on_the_way(run: Enrollment, chapter: Chapter, inside: Check, rest: Sequence[Check]) -> Answer:
    where = _place(run, chapter)
    path = Check(NOT_CHECKED, N_("Took the path to this message"), Text("Now: %(where)s", where=where))
    return Answer("info", N_("Has not come to this message yet"), "", run.due_at, [inside, path, rest[1]])


def _place(run: Enrollment, chapter: Chapter) -> str:
    if not run.step:
        return N_("Waits to start")
    number = chapter.step_number(run.step)
    about = chapter.about(run.step)
    return Text("Step %(n)s: %(step)s", n=number, step=about) if number is not None else about


def _passed_by(run: Enrollment, chapter: Chapter, inside: Check, step: str, rest: Sequence[Check]) -> Answer:
    turns = _turns(run, chapter)
    ended = timeline.reason(run.end_reason)
    if run.end_reason in ("finished", "end_step") and turns:
        path = Check(BAD, N_("Took the path to this message"), turns)
        return Answer("warn", N_("Took another path"), turns, run.ended_at, [inside, path, rest[1]])
    path = Check(BAD, N_("Took the path to this message"), ended)
    return Answer(
        "warn", Text("Left the flow before: %(reason)s", reason=ended), "", run.ended_at, [inside, path, rest[1]]
    )
