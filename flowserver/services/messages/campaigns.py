"""E-mail and SMS campaigns as people and programs handle them: write, choose who gets it, send, cancel, copy.

What happens once one is on its way is ``campaign_runs.py``; its numbers are ``campaign_numbers.py``.
"""

from __future__ import annotations

import copy as copies
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, jobqueue
from flowserver.domain import content_checks, localtime, sending
from flowserver.domain.checks import Finding
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Campaign, Field, Flow, Workspace
from flowserver.nodes.actions.send_email import SendEmail
from flowserver.nodes.actions.send_sms import SendSms
from flowserver.services.flows import options
from flowserver.services.messages import campaign_reach, campaign_runs, envelopes
from flowserver.services.people import usage
from flowserver.text import N_, Text

CHANNELS = ("email", "sms")
STATES = ("draft", "scheduled", "sending", "sent", "cancelled")
NODES: dict[str, Any] = {"email": SendEmail, "sms": SendSms}  # whose settings a campaign's content keeps to
_NOT_HERE = ("title", "on_failure")  # settings that only a step of a flow has
LATEST = timedelta(days=3 * 365)  # further ahead a time is a typing error

NO_SENDER = N_("The client has no sender address for e-mail")
NO_AUDIENCE = N_("Choose a list or a segment")


# --- reading -------------------------------------------------------------------------------------------------


def get(campaign_id: int, lock: bool = False) -> Campaign:
    """The campaign with this id in the current workspace. Raises :class:`NotFound`."""
    query = sa.select(Campaign).where(Campaign.id == campaign_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = db.session.scalar(query)
    if found is None:
        raise NotFound(N_("There is no such campaign"))
    return found


def print_of(content: Mapping[str, Any]) -> str:
    """A short print of a campaign's content: a form carries it, so that nobody's text is lost."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def client() -> Workspace:
    """The present client."""
    return db.session.scalars(sa.select(Workspace).where(Workspace.id == current_workspace())).one()


# --- making and changing -------------------------------------------------------------------------------------


def create(
    channel: str,
    name: str,
    user_id: int | None = None,
    *,
    content: Mapping[str, Any] | None = None,
    list_id: int | None = None,
    segment_id: int | None = None,
) -> Campaign:
    """Make a draft. Raises :class:`Invalid` by field."""
    mistakes: dict[str, Any] = {}
    if channel not in CHANNELS:
        mistakes["channel"] = [N_("Choose e-mail or SMS")]
        raise Invalid(mistakes)
    row = Campaign(workspace_id=current_workspace(), channel=channel, state="draft", content={}, updated_at=clock.now())
    row.user_id = user_id
    changes: dict[str, Any] = {"name": name, "list_id": list_id, "segment_id": segment_id}
    if content is not None:
        changes["content"] = content
    _apply(row, changes)
    db.session.add(row)
    _commit(row.name)
    return row


def update(campaign_id: int, *, seen: str = "", **changes: Any) -> Campaign:
    """Change ``name``, ``content``, ``list_id`` or ``segment_id`` of a draft; its name at any time.

    ``seen``: the print of the content the change was made from. Raises :class:`NotFound`, :class:`Conflict` when it is
    no draft any more or somebody else changed the content meanwhile, :class:`Invalid` by field.
    """
    row = get(campaign_id, lock=True)
    if row.state != "draft" and set(changes) - {"name"}:
        db.session.rollback()
        raise Conflict(_no_draft(row.state))
    if seen and seen != print_of(row.content):
        db.session.rollback()
        raise Conflict(N_("Somebody else changed this message meanwhile. Nothing was overwritten"))
    try:
        _apply(row, changes)
    except Invalid:
        db.session.rollback()
        raise
    _commit(row.name)
    return row


def _no_draft(state: str) -> Text:
    if state == "scheduled":
        return N_("This campaign is scheduled. Take it back to the drafts to change it")
    return N_("This campaign has been sent or cancelled. Copy it to change it")


def _apply(row: Campaign, changes: Mapping[str, Any]) -> None:
    mistakes: dict[str, Any] = {}
    if "name" in changes:
        try:
            row.name = _name(changes["name"], row)
        except Invalid as error:
            mistakes["name"] = error.messages["_"]
    if "content" in changes:
        content, wrong = checked(row.channel, changes["content"])
        mistakes.update(wrong)
        if not wrong and content != row.content:
            row.content, row.edition = content, (row.edition or 0) + 1
    if {"list_id", "segment_id"} & set(changes):
        row.list_id, row.segment_id = changes.get("list_id"), changes.get("segment_id")
        mistakes.update(_audience_mistakes(row))
    if mistakes:
        raise Invalid(mistakes)
    row.updated_at = clock.now()


def _name(raw: Any, row: Campaign) -> str:
    name = " ".join(raw.split()) if isinstance(raw, str) else ""
    if not name:
        raise Invalid(N_("Enter a name for the campaign"))
    if len(name) > 120:
        raise Invalid(N_("Use 120 characters at most for the name"))
    query = sa.select(Campaign.id).where(Campaign.channel == row.channel, sa.func.lower(Campaign.name) == name.lower())
    with db.session.no_autoflush:
        if db.session.scalar(query.where(Campaign.id != (row.id or 0))):
            raise Invalid(_taken(name))
    return name


def _taken(name: str) -> Text:
    return Text("There is already a campaign called %(name)s", name=name)


def _commit(name: str) -> None:
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [_taken(name)]}) from None


def checked(channel: str, raw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Content cleaned, and what is wrong with it by field: the rules of the step that sends the same."""
    if not isinstance(raw, Mapping):
        return {}, {"content": [N_("Write the content as an object")]}
    content, wrong = NODES[channel].checked(dict(raw))
    wrong.update({name: [N_("Unknown setting")] for name in _NOT_HERE if name in raw})
    return content, wrong


def _audience_mistakes(row: Campaign) -> dict[str, Any]:
    if row.list_id and row.segment_id:
        return {"segment": [N_("Choose a list or a segment, not both")]}
    with db.session.no_autoflush:
        if row.list_id and not campaign_runs.list_exists(row.list_id, row.workspace_id):
            return {"list": [N_("The list was deleted. Choose another one")]}
        if row.segment_id and not campaign_runs.segment_exists(row.segment_id):
            return {"segment": [N_("The segment was deleted. Choose another one")]}
    return {}


def copy(campaign_id: int, user_id: int | None = None) -> Campaign:
    """A new draft with the same content and audience: another campaign, for triggers and numbers too."""
    row = get(campaign_id)
    taken = {
        name.lower() for name in db.session.scalars(sa.select(Campaign.name).where(Campaign.channel == row.channel))
    }
    ends = (f" {number}" for number in range(2, len(taken) + 3))
    name = next(name for end in ends if (name := row.name[: 120 - len(end)].rstrip() + end).lower() not in taken)
    made = Campaign(
        workspace_id=row.workspace_id,
        channel=row.channel,
        name=name,
        state="draft",
        content=copies.deepcopy(row.content),
        list_id=row.list_id,
        segment_id=row.segment_id,
        user_id=user_id,
        updated_at=clock.now(),
    )
    db.session.add(made)
    _commit(name)
    return made


def delete(campaign_id: int) -> str:
    """Delete a draft, or one cancelled before anybody was to get it; returns its name.

    Raises :class:`Conflict` for one that went out, :class:`usage.InUse` while a flow starts from it.
    """
    row = get(campaign_id, lock=True)
    gone_out = row.state not in ("draft", "cancelled") or row.started_at is not None
    if gone_out:
        db.session.rollback()
        raise Conflict(N_("Only drafts can be deleted: what was sent stays for the record"))
    usage.refuse_if_used(f"{row.channel}_campaign", row.id, row.name)
    name = row.name
    db.session.delete(row)
    db.session.commit()
    return name


# --- looking before it goes out ------------------------------------------------------------------------------


@dataclass(slots=True)
class Look:
    """What will happen when a campaign is sent: what to mend or look at, and whom it reaches."""

    findings: list[Finding] = field(default_factory=list)
    reach: campaign_reach.Reach = field(default_factory=campaign_reach.Reach)

    @property
    def fixes(self) -> list[Finding]:
        """What keeps it from being sent."""
        return [one for one in self.findings if one.kind == "fix"]


def look(row: Campaign) -> Look:
    """Check a campaign before it is sent. ``place`` of a finding: ``content``, ``audience`` or ``client``."""
    found = Look(findings=[*_content_findings(row), *_client_findings(row)])
    mistakes = _audience_mistakes(row) if row.list_id or row.segment_id else {"list": [NO_AUDIENCE]}
    found.findings += [Finding("fix", text, "audience", "", name) for name, texts in mistakes.items() for text in texts]
    if not mistakes:
        found.reach = campaign_reach.reach(row)
        if not found.reach.total:
            found.findings.append(Finding("check", N_("Nobody is on this list or in this segment now"), "audience"))
        elif not found.reach.reached:
            found.findings.append(Finding("check", N_("Nobody in this audience may get it now"), "audience"))
    found.findings.sort(key=lambda one: one.kind != "fix")
    return found


def _content_findings(row: Campaign) -> list[Finding]:
    fields = frozenset(db.session.scalars(sa.select(Field.key)))
    node = NODES[row.channel](row.content)
    found = [Finding(one.kind, one.text, "content", "", one.field) for one in node.problems([])]
    found += [Finding("fix", Text(UNCLICKABLE.msgid, flow=name), "content", "", "body") for name in _need_links(row)]
    if found:
        return found
    remarks = content_checks.of_step(row.channel, row.content, fields)
    return [Finding(one.kind, one.text, "content", "", one.field) for one in remarks if one.kind != "ok"]


UNCLICKABLE = N_("The flow “%(flow)s” starts with clicks in this e-mail, but there is no link in it")


def _need_links(row: Campaign) -> list[str]:
    """Live flows that start with clicks, or none, in a mail without links: never, or with everybody."""
    if row.channel != "email":
        return []
    points = usage.starting_points("email_campaign", row.id)
    waiting = [name for name, trigger in points if "clicked" in trigger.get("event", "")]
    return [] if not waiting or has_links(row.id) else waiting


def _client_findings(row: Campaign) -> list[Finding]:
    found = []
    one = client()
    if row.channel == "email" and not (row.content.get("from_email") or one.sender_email):
        found.append(Finding("fix", NO_SENDER, "client", "", "sender_email"))
    if row.channel == "sms" and not (row.content.get("sender") or one.sms_sender):
        found.append(Finding("check", N_("The client has no sender name for SMS"), "client", "", "sms_sender"))
    if campaign_runs.way(row.workspace_id, row.channel) is None:
        found.append(Finding("fix", campaign_runs.NO_WAY, "client", "", "connections"))
    return found


def held_until(row: Campaign) -> datetime | None:
    """When the quiet hours end that hold the campaign back if it goes out now; ``None``: none do."""
    one = client()
    if row.channel != "sms" or row.content.get("class", "marketing") != "marketing":
        return None
    return sending.quiet_until(clock.now(), ZoneInfo(one.time_zone), one.quiet_from, one.quiet_until)


# --- sending -------------------------------------------------------------------------------------------------


def send(campaign_id: int) -> Campaign:
    """Send a draft, or a scheduled one, now. Raises :class:`Invalid` with what must be mended first, :class:`Conflict`."""
    row = _ready(campaign_id)
    if not campaign_reach.reach(row).total:
        db.session.rollback()
        raise Invalid({"audience": [N_("Nobody is on this list or in this segment now")]})
    now = clock.now()
    zone = client().time_zone
    row.wish, row.zone = now.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M"), zone
    return _start(row, now)


def schedule(campaign_id: int, day: str, time: str) -> Campaign:
    """Send a draft at a time on the client's clock; or move a scheduled one. Raises :class:`Invalid`, :class:`Conflict`."""
    when = _when(day, time)
    row = _ready(campaign_id)
    zone = client().time_zone
    row.wish, row.zone = f"{localtime.parse_date(day.strip())}T{localtime.parse_time(time.strip()):%H:%M}", zone
    return _start(row, when)


def _ready(campaign_id: int) -> Campaign:
    row = get(campaign_id, lock=True)
    if row.state not in ("draft", "scheduled"):
        db.session.rollback()
        raise Conflict(_no_draft(row.state))
    mistakes: dict[str, Any] = {}
    for one in look(row).fixes:
        mistakes.setdefault(one.field or one.place, []).append(one.text)
    if mistakes:
        db.session.rollback()
        raise Invalid(mistakes)
    return row


def _start(row: Campaign, at: datetime) -> Campaign:
    row.state, row.busy, row.send_at, row.updated_at = "scheduled", True, at, clock.now()
    _warn_flows(row, "")
    if at <= clock.now():
        jobqueue.wake_after_commit(db.session, "campaign", row.id)
    db.session.commit()
    return row


def _when(day: str, time: str) -> datetime:
    """The instant of a typed date and time on the client's clock. Raises :class:`Invalid` by field."""
    mistakes: dict[str, Any] = {}
    try:
        date = localtime.parse_date(day.strip())
    except ValueError:
        mistakes["date"] = [N_("Enter a date such as 2026-12-01")]
    try:
        at = localtime.parse_time(time.strip())
    except ValueError:
        mistakes["time"] = [N_("Enter a time such as 09:00")]
    if mistakes:
        raise Invalid(mistakes)
    zone = ZoneInfo(client().time_zone)
    if not localtime.exists(date, at, zone):
        raise Invalid({"time": [N_("The clocks skip this time on that day. Choose another one")]})
    found = localtime.instant(date, at, zone)
    if found <= clock.now():
        raise Invalid({"date": [Text("The time must be in the future. %(day)s has passed", day=f"{date} {at:%H:%M}")]})
    if found > clock.now() + LATEST:
        raise Invalid({"date": [N_("Choose a day within the next three years")]})
    return found


def take_back(campaign_id: int) -> Campaign:
    """A scheduled campaign becomes a draft again. Raises :class:`Conflict` when it has begun or is no longer scheduled."""
    row = get(campaign_id, lock=True)
    if row.state != "scheduled":
        db.session.rollback()
        raise Conflict(N_("Only a scheduled campaign can be taken back"))
    row.state, row.busy, row.send_at, row.wish, row.zone = "draft", False, None, "", ""
    _warn_flows(row, TAKEN_BACK)
    row.updated_at = clock.now()
    db.session.commit()
    return row


CANCELLED = N_("The campaign this flow starts from was cancelled: nobody enters any more")
TAKEN_BACK = N_("The campaign this flow starts from is a draft again: nobody enters before it is sent")


def _warn_flows(row: Campaign, words: str) -> None:
    """Show on the flows that start from a campaign that it is not sent any more, or take that back. They stay live."""
    ids = [use.id for use in usage.of(f"{row.channel}_campaign", row.id) if use.kind == "flow"]
    where = [Flow.id.in_(ids), Flow.version_id.is_not(None), Flow.broken.in_(("", CANCELLED, TAKEN_BACK))]
    db.session.execute(sa.update(Flow).where(*where).values(broken=str(words)))


def cancel(campaign_id: int) -> Campaign:
    """Stop a scheduled or sending campaign for good: what has not been handed over is not sent.

    Raises :class:`Conflict` for a draft or one that has ended.
    """
    row = get(campaign_id, lock=True)
    if row.state not in ("scheduled", "sending"):
        db.session.rollback()
        raise Conflict(N_("Only a campaign that is scheduled or being sent can be cancelled"))
    campaign_runs.stop(row)
    _warn_flows(row, CANCELLED)
    db.session.commit()
    campaign_runs.clear(campaign_id)
    db.session.expire_all()
    return get(campaign_id)


def go_on(campaign_id: int) -> Campaign:
    """Let a campaign that stands still go on. Raises :class:`Conflict`, also while the obstacle is still there."""
    row = get(campaign_id, lock=True)
    if row.state != "sending" or not row.held:
        db.session.rollback()
        raise Conflict(N_("This campaign does not stand still"))
    why = campaign_runs.obstacle(row)
    if why is not None:
        db.session.rollback()
        raise Conflict(why)
    campaign_runs.release(row)
    db.session.commit()
    db.session.expire_all()
    return get(campaign_id)


def wall_clock(raw: str) -> tuple[str, str]:
    """``("2026-12-01", "09:00")`` on the client's clock, of that text or of a moment with its zone. Raises :class:`Invalid`."""
    try:
        found = datetime.fromisoformat(raw.strip())
    except ValueError:
        raise Invalid({"at": [N_("Write a time like 2026-12-01T09:00")]}) from None
    if found.tzinfo is not None:
        try:
            found = found.astimezone(ZoneInfo(client().time_zone))
        except OverflowError:
            raise Invalid({"at": [N_("Write a time like 2026-12-01T09:00")]}) from None
    return f"{found:%Y-%m-%d}".zfill(10), f"{found:%H:%M}"


# --- for choices ---------------------------------------------------------------------------------------------


def has_links(campaign_id: int) -> bool:
    """Whether anything can be clicked in an e-mail campaign: the unsubscribe link is no such link."""
    row = get(campaign_id)
    try:
        return bool(envelopes.campaign_links(row, envelopes.brand(client())))
    except Invalid:
        return False


def referred(source: str, reference: int | str) -> int:
    """The id of a list or segment named by its id or name. Raises :class:`Invalid` by ``source``."""
    found = options.choices(source)
    wanted = " ".join(reference.split()).casefold() if isinstance(reference, str) else reference
    for number, name in found:
        if wanted in (number, str(name).casefold()):
            return int(number)
    raise Invalid({source: [Text(options.SOURCES[source].unknown.msgid, name=str(reference)[:120])]})
