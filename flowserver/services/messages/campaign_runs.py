"""A campaign under way: its audience becomes planned messages chunk by chunk, until all have left or it is stopped.

Every chunk is one transaction that also moves the cursor (``planned_after``), and a message's key names campaign and
contact: whoever is killed in the middle has written nothing, and nobody is ever planned twice. The row of the campaign
is locked for each chunk, so two jobs at once take turns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions, jobqueue
from flowserver.domain import context, sending
from flowserver.errors import Invalid, NotFound, flat
from flowserver.extensions import db
from flowserver.models import Campaign, Connection, Contact, ContactList, Membership, Message, Segment, Workspace
from flowserver.services.engine import bulk, facts, flow_state
from flowserver.services.messages import envelopes
from flowserver.services.people import segments
from flowserver.text import N_, Text

log = structlog.get_logger()

CHUNK = 5000
CHUNK_LITE = 1000  # so that SQLite's writer is free again soon
IN_A_REQUEST = 2.0  # seconds a page may take over the messages of a cancelled campaign; a job does the rest
TOO_LATE = timedelta(hours=24)  # a campaign that should have gone out longer ago asks a person first
BEYOND = 2**62  # after every contact
PRIORITY = 7  # after what flows send: a welcome mail does not wait behind a newsletter

_G, _M, _C, _K = (table.__table__.c for table in (Campaign, Message, Contact, Connection))
_L, _L_ROWS = ContactList.__table__.c, Membership.__table__.c
_PEOPLE = (_C.id, _C.email, _C.phone, _C.email_consent, _C.sms_consent, _C.status, _C.paused_until)
COLUMNS = (
    *("workspace_id", "key", "kind", "channel", "class", "connection_id", "priority", "contact_id", "address"),
    *("campaign_id", "step", "visit", "state", "reason", "attempts", "planned_at", "due_at"),
)

LATE = N_("It should have gone out on %(time)s, when flowserver did not run. Look whether it still fits.")
NO_AUDIENCE = N_("The list or segment it goes to was deleted.")
NO_WAY = N_("No way to send is set up for this client.")


def carry_on(campaign_id: int, seconds: float = 300.0) -> None:
    """Do what the campaign's state asks for until there is nothing more to do or the time is up. Jobs call this."""
    ends = time.monotonic() + seconds
    while step(campaign_id):
        if time.monotonic() > ends:
            jobqueue.wake("campaign", campaign_id)
            return


def step(campaign_id: int) -> bool:
    """One chunk of work, committed; whether there is more to do right now."""
    row = _lock(campaign_id)
    more = False
    if row is not None and row.busy:
        with extensions.workspace(row.workspace_id):
            more = _step(row, clock.now())
    db.session.commit()
    return more


def _lock(campaign_id: int) -> Any:
    query = sa.select(Campaign.__table__).where(_G.id == campaign_id).with_for_update()
    return db.session.connection().execute(query).one_or_none()


def _set(campaign_id: int, **values: Any) -> None:
    db.session.connection().execute(sa.update(Campaign.__table__).where(_G.id == campaign_id).values(**values))


def _step(row: Any, now: datetime) -> bool:
    if row.state == "scheduled":
        return row.send_at <= now and _begin(row, now)
    if row.state == "cancelled":
        return _clear(row)
    if row.state != "sending" or row.held:
        return False
    return _plan(row, now) if row.planned_after is not None else _finish(row, now)


# --- beginning -----------------------------------------------------------------------------------------------


def _begin(row: Any, now: datetime) -> bool:
    """From scheduled to sending; held with a sentence where something is missing. Whether there is more to do."""
    _set(row.id, state="sending", started_at=now, planned_after=0)
    why = (Text(LATE.msgid, time=_wall(row)) if now - row.send_at > TOO_LATE else None) or obstacle(row)
    if why is None:
        _set(row.id, connection_id=way(row.workspace_id, row.channel))
    else:
        _hold(row, why)
    return why is None


def _wall(row: Any) -> str:
    return str(row.wish or row.send_at.strftime("%Y-%m-%dT%H:%M")).replace("T", " ")


def way(workspace_id: int, channel: str) -> int | None:
    """The id of the client's connection for a channel."""
    query = sa.select(_K.id).where(_K.workspace_id == workspace_id, _K.channel == channel, _K.is_default)
    return db.session.connection().scalar(query.order_by(_K.id).limit(1))


def obstacle(row: Any) -> Text | None:
    """What keeps a campaign from going out now, in words; ``None``: nothing."""
    if not _audience_exists(row):
        return NO_AUDIENCE
    if way(row.workspace_id, row.channel) is None:
        return NO_WAY
    try:
        client = db.session.connection().execute(
            sa.select(Workspace.__table__).where(Workspace.__table__.c.id == row.workspace_id)
        )
        envelopes.try_campaign(row, client.one())
    except Invalid as error:
        return flat(error.messages)[0]  # type: ignore[return-value]
    return None


def _audience_exists(row: Any) -> bool:
    if row.list_id is not None:
        return list_exists(row.list_id, row.workspace_id)
    return row.segment_id is not None and segment_exists(row.segment_id)


def list_exists(list_id: int, workspace_id: int) -> bool:
    """Whether the client has this list, and it is not being deleted."""
    query = sa.select(_L.id).where(_L.id == list_id, _L.workspace_id == workspace_id, _L.leaving == "")
    return db.session.connection().execute(query).first() is not None


def segment_exists(segment_id: int) -> bool:
    """Whether the present client has this segment."""
    return db.session.scalar(sa.select(Segment.id).where(Segment.id == segment_id)) is not None


def hold(campaign_id: int, why: str) -> None:
    """Let a campaign under way stand still, with an alert: its text is broken or its sender is missing. Commits."""
    row = _lock(campaign_id)
    if row is not None and row.state == "sending" and not row.held:
        _hold(row, why)
    db.session.commit()


def _hold(row: Any, why: str) -> None:
    _set(row.id, held=str(why)[:300])
    text = Text(
        N_("“%(campaign)s” stands still: %(why)s Nothing is lost.").msgid, campaign=row.name, why=_sentence(str(why))
    )
    flow_state.alert(row.workspace_id, "campaign_held", f"campaign:{row.id}", text)
    log.warning("campaign.held", campaign=row.id, why=str(why)[:120])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


# --- planning ------------------------------------------------------------------------------------------------


def _plan(row: Any, now: datetime) -> bool:
    """Plan one message for each of the next contacts of the audience, those who get none included."""
    size = CHUNK_LITE if db.engine.dialect.name == "sqlite" else CHUNK
    try:
        last, ids = audience(row, size)
    except NotFound:
        _hold(row, NO_AUDIENCE)
        return False
    if last is None:
        _set(row.id, planned_after=None)
        return True
    if ids:
        bulk.insert_new(db.session.connection(), "message", COLUMNS, _messages(row, ids, now))
        jobqueue.wake_after_commit(db.session, "deliver", row.connection_id)
    _set(row.id, planned_after=last)
    return True


def audience(row: Any, size: int) -> tuple[int | None, Sequence[int]]:
    """How far the next chunk of the audience goes, ``None`` at the end; and its contacts by id. Raises :class:`NotFound`
    for a segment that was deleted meanwhile."""
    if row.segment_id is not None:
        found, following = segments.after(row.segment_id, row.planned_after, size)
        return (following or BEYOND if found or following else None), found
    if row.list_id is not None:
        query = sa.select(_L_ROWS.contact_id).where(
            _L_ROWS.list_id == row.list_id,
            _L_ROWS.workspace_id == row.workspace_id,
            _L_ROWS.contact_id > row.planned_after,
        )
        ids = list(db.session.connection().scalars(query.order_by(_L_ROWS.contact_id).limit(size)))
        return (ids[-1], ids) if ids else (None, ())
    return None, ()


def _messages(row: Any, ids: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
    """The messages of a chunk as rows. With a message limit its contacts are locked, so that the limit holds."""
    client = facts.clients({row.workspace_id})[row.workspace_id]
    class_ = row.content.get("class", "marketing")
    capped = class_ == "marketing" and (client.cap_day is not None or client.cap_week is not None)
    query = sa.select(*_PEOPLE).where(bulk.ids_in(_C.id, ids), _C.workspace_id == row.workspace_id).order_by(_C.id)
    people = db.session.connection().execute(query.with_for_update(key_share=True) if capped else query).all()
    planner = _Planner(row, client, class_, now)
    planner.recent = facts.recent(ids, now) if capped else None
    planner.suppressed = facts.suppressed(row.workspace_id, row.channel, filter(None, map(planner.address, people)))
    return [planner.message(person) for person in people]


class _Planner:
    """Decides for each contact of a chunk: planned now or later, or skipped and why."""

    def __init__(self, row: Any, client: context.Client, class_: str, now: datetime):
        self.row, self.client, self.class_, self.now = row, client, class_, now
        self.suppressed: set[str] = set()
        self.recent: dict[tuple[int, str], list[datetime]] | None = None
        quiet = sending.quiet_until(now, client.zone, client.quiet_from, client.quiet_until)
        self.opens = (quiet if row.channel == "sms" and class_ == "marketing" else None) or now

    def address(self, person: Any) -> str | None:
        return person.email if self.row.channel == "email" else person.phone  # type: ignore[no-any-return]

    def message(self, person: Any) -> tuple[Any, ...]:
        row, address = self.row, self.address(person)
        reason = sending.may_send(person, row.channel, self.class_, address in self.suppressed)
        if reason is None and self.class_ == "marketing" and (person.paused_until or self.now) > self.now:
            reason = "on_pause"
        due = self.now if reason else self._due(person.id)
        return (
            *(row.workspace_id, f"campaign:{row.id}:{person.id}", "campaign", row.channel, self.class_),
            *(row.connection_id, PRIORITY, person.id, "" if reason else address, row.id, "", 1),
            *("skipped" if reason else "planned", reason, 0, self.now, due),
        )

    def _due(self, contact_id: int) -> datetime:
        """At once, when the quiet hours end, or on the next day the client's message limit leaves free."""
        if self.recent is None:
            return self.opens
        sent = self.recent[contact_id, self.row.channel]
        return sending.free_from(self.opens, self.client.zone, sent, self.client.cap_day, self.client.cap_week) or (
            self.opens
        )


def quiet_hours_changed(workspace_id: int, before: datetime | None, after: datetime) -> None:
    """Texts that wait for the quiet hours to end at ``before`` wait for ``after`` instead. The caller commits."""
    if before is not None and before != after:
        waiting = (_M.workspace_id == workspace_id, _M.channel == "sms", _M.state == "planned", _M.due_at == before)
        db.session.execute(sa.update(Message.__table__).where(*waiting).values(due_at=after))


# --- ending --------------------------------------------------------------------------------------------------


def _finish(row: Any, now: datetime) -> bool:
    """Sent, when none of its messages is waiting or in hand. Both questions have a small index of their own."""
    waiting = sa.exists().where(_M.connection_id == row.connection_id, _M.state == "planned", _M.campaign_id == row.id)
    in_hand = sa.exists().where(_M.lease_id.is_not(None), _M.campaign_id == row.id)
    if not db.session.connection().scalar(sa.select(sa.or_(waiting, in_hand))):
        _set(row.id, state="sent", sent_at=now, busy=False)
        log.info("campaign.sent", campaign=row.id)
    return False


def stop(row: Any) -> None:
    """Cancel a locked campaign: what is planned and not handed over stays here. The caller commits, then clears."""
    _set(row.id, state="cancelled", cancelled_at=clock.now(), busy=row.state == "sending", held="", planned_after=None)
    flow_state.resolve_alerts(row.workspace_id, f"campaign:{row.id}")


def clear(campaign_id: int, seconds: float = IN_A_REQUEST) -> None:
    """Take back the planned messages of a cancelled campaign; a job does what there is no time for. Commits."""
    ends = time.monotonic() + seconds
    while step(campaign_id):
        if time.monotonic() > ends:
            jobqueue.wake("campaign", campaign_id)
            return


def _clear(row: Any) -> bool:
    mine = sa.and_(_M.campaign_id == row.id, _M.state == "planned")
    ids = list(db.session.connection().scalars(sa.select(_M.id).where(mine).limit(CHUNK_LITE)))
    if ids:
        change = sa.update(Message.__table__).where(bulk.ids_in(_M.id, ids), mine)
        db.session.connection().execute(change.values(state="skipped", reason="campaign_cancelled"))
        return True
    _set(row.id, busy=False)
    return False


def release(row: Any) -> None:
    """Let a held campaign, locked and without an obstacle, go on. The caller commits."""
    now = clock.now()
    _set(row.id, held="", connection_id=row.connection_id or way(row.workspace_id, row.channel))
    flow_state.resolve_alerts(row.workspace_id, f"campaign:{row.id}")
    waiting = [_M.campaign_id == row.id, _M.state == "planned", _M.attempts == 0]
    soon = sa.and_(_M.due_at > now, _M.due_at <= now + envelopes.LOOK_AGAIN)
    db.session.connection().execute(sa.update(Message.__table__).where(*waiting, soon).values(due_at=now))
    jobqueue.wake_after_commit(db.session, "campaign", row.id)
