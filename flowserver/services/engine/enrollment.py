"""Who enters a flow: matching events to triggers, re-entry rules, and those who already match."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite

from flowserver import clock, jobqueue
from flowserver.domain.definition import Compiled
from flowserver.domain.steps import Fact, heard_as
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Enrollment, Flow
from flowserver.nodes.base import span
from flowserver.nodes.catalogue import triggers
from flowserver.services.engine import audience, bulk, engine
from flowserver.services.engine.flow_state import OPEN

log = structlog.get_logger()

HANDED_OVER = "handed_over"
LONGEST_CHAIN = 10
MOST_A_DAY = 10  # entries of one contact into one flow within 24 hours
CHUNK = 5000
TOLD = 20  # contacts and events of a log line
_E, _F = Enrollment.__table__.c, Flow.__table__.c
COLUMNS = (
    "workspace_id",
    "flow_id",
    "version_id",
    "contact_id",
    "event_key",
    "chain",
    "data",
    "step",
    "visit",
    "due_at",
    "due_kind",
    "held",
    "triggered_at",
)


def match(events: Sequence[Any], now: datetime) -> int:
    """Enroll the contacts of these events into the live flows that listen; returns how many. The caller commits."""
    handed = {int(event.subject) for event in events if event.type == HANDED_OVER and event.subject.isdecimal()}
    types = {heard_as(event.type) for event in events}
    listening = _listening({event.workspace_id for event in events}, types, handed)
    entered = 0
    for flow in listening:
        try:
            compiled = engine.compiled(flow.version_id)
        except Invalid as error:  # this release cannot read it; whoever records an event is not to blame
            log.error("enroll.broken_version", version=flow.version_id, flow=flow.id, why=str(error)[:300])
            continue
        admitted = [event for event in events if would_start(flow, compiled, event, now)]
        entered += enter(flow, compiled, admitted, now) if admitted else 0
    return entered


def would_start(flow: Any, compiled: Compiled, event: Any, now: datetime) -> bool:
    """Whether this event starts its contact in the flow, its re-entry rule apart."""
    return (
        event.workspace_id == flow.workspace_id
        and _may_cause(event, flow.id)
        and (_starts_late(compiled) or (event.at or now) >= flow.activated_at)
        and _lets_in(flow.id, compiled.trigger, event, now)
    )


def _starts_late(compiled: Compiled) -> bool:
    """Whether what happened before going live counts when it is told afterwards: it does where past outcomes were let in."""
    return bool(compiled.trigger.told_later and compiled.include_existing)


def _lets_in(flow_id: int, trigger: Any, event: Any, now: datetime) -> bool:
    """Whether a flow starts with this event: its starting point admits it, or another flow hands its contact over."""
    if event.type == HANDED_OVER:
        return event.subject == str(flow_id) and not trigger.one_shot
    return heard_as(event.type) in trigger.listens_to and _admits(trigger, event, now)


def _admits(trigger: Any, event: Any, now: datetime) -> bool:
    """Whether the trigger lets the event's contact in. One that fails over an odd event lets nobody in, and says so."""
    try:
        return bool(trigger.admits(Fact(event.type, event.at or now, event.subject, event.data)))
    except Exception as error:
        log.error("enroll.trigger_failed", trigger=trigger.name, workspace=event.workspace_id, exc_info=error)
        return False


def _may_cause(event: Any, flow_id: int) -> bool:
    """A flow may start others, but not itself in the same chain, and chains end at ten."""
    chain = (event.data or {}).get("chain", ())
    return event.chain <= LONGEST_CHAIN and flow_id not in chain and event.origin != flow_id


def _listening(workspaces: set[int], types: set[str], handed: set[int]) -> Sequence[Any]:
    """Live flows of these clients whose trigger listens to one of these event types, or that are handed somebody."""
    types = types - {HANDED_OVER}
    names = [name for name, trigger in triggers().items() if types & set(trigger.listens_to)]
    if not names and not handed:
        return []
    given = {"ids": workspaces, "texts": names}
    if not handed:
        return db.session.connection().execute(_LISTENING, given).all()
    return db.session.connection().execute(_LISTENING_OR_HANDED, {**given, "handed": handed}).all()


_FLOWS = sa.select(_F.id, _F.workspace_id, _F.version_id, _F.activated_at, _F.state, _F.existing_after).where(
    bulk.ids_named(_F.workspace_id), _F.version_id.is_not(None), OPEN
)
_LISTENING = _FLOWS.where(bulk.texts_named(_F.trigger_type))
_LISTENING_OR_HANDED = _FLOWS.where(sa.or_(bulk.texts_named(_F.trigger_type), bulk.ids_named(_F.id, "handed")))


def enter(flow: Any, compiled: Compiled, events: Sequence[Any], now: datetime) -> int:
    """Insert one enrollment per contact that the re-entry rule lets in; returns how many. The contacts are locked.

    Whoever else would enroll them waits: other events for the lock of the contact, "those who already match" for the
    flow. The unique keys (one live run per contact and flow, one run per event) stand behind that.
    """
    if flow.existing_after is not None:
        bulk.lock_name(db.session.connection(), flow.id, shared=True)
    first: dict[int, Any] = {}
    for event in events:
        first.setdefault(event.contact_id, event)
    moments = {id: max(event.at or now, flow.activated_at) for id, event in first.items()}
    kept_out = barred(flow.id, compiled, list(first), now)
    wait = span(compiled.wait)
    held = flow.state == "paused"
    rows = [
        (
            flow.workspace_id,
            flow.id,
            flow.version_id,
            contact_id,
            event.key,
            event.chain,
            _data(event),
            "",
            1,
            moments[contact_id] + wait,
            "relative",
            held,
            moments[contact_id],
        )
        for contact_id, event in first.items()
        if contact_id not in kept_out
    ]
    entered = bulk.insert_new(db.session.connection(), "enrollment", COLUMNS, rows)
    if entered < len(first):
        some = [(id, event.key) for id, event in first.items() if id in kept_out][:TOLD]
        log.info("enroll.barred", flow=flow.id, contacts=len(first) - entered, some=some)
    if entered and not wait:
        jobqueue.wake_after_commit(db.session, "advance")
    return entered


def _data(event: Any) -> Mapping[str, Any] | None:
    return dict(event.data) if event.data else None


def barred(flow_id: int, compiled: Compiled, contacts: Sequence[int], now: datetime) -> set[int]:
    """Contacts whom the re-entry rule keeps out. A run that was cancelled before its first step does not count."""
    live, entered = _E.due_at.is_not(None), _E.entered_at.is_not(None)
    too_soon = _E.ended_at > now - (span(compiled.cooldown) if compiled.cooldown else timedelta(0))
    keeps_out = sa.or_(live, entered if compiled.reentry == "once" else sa.and_(entered, too_soon))
    today = sa.and_(entered, _E.triggered_at > now - timedelta(hours=24))
    query = (
        sa.select(_E.contact_id)
        .where(_E.flow_id == flow_id, bulk.ids_in(_E.contact_id, contacts), sa.or_(keeps_out, today))
        .group_by(_E.contact_id)
        .having(sa.or_(_count(keeps_out) > 0, _count(today) >= MOST_A_DAY))
    )
    return set(db.session.connection().scalars(query))


def _count(condition: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


# --- those who already match ---------------------------------------------------------------------------------


class Matching(NamedTuple):
    """How many contacts already match. Not ``complete``: more, or there are some that were not looked at."""

    contacts: int
    complete: bool


MOST_COUNTED, LONGEST = 10_000, 2.0  # contacts, seconds


def count_existing(
    compiled: Compiled, workspace_id: int, most: int = MOST_COUNTED, seconds: float = LONGEST
) -> Matching:
    """How many contacts "include those who already match" would let in, counted up to ``most`` and some seconds."""
    rule = compiled.trigger.existing()
    return Matching(0, True) if rule is None else count_people(rule, workspace_id, most, seconds)


def count_people(
    rule: Mapping[str, Any], workspace_id: int, most: int = MOST_COUNTED, seconds: float = LONGEST
) -> Matching:
    """How many contacts a rule of ``audience`` means, counted up to ``most`` and some seconds."""
    ends, found, after = time.monotonic() + seconds, 0, 0
    while True:
        people, last = audience.part(rule, workspace_id, after, most + 1)
        if last is None:
            return Matching(found, True)
        count = sa.select(sa.func.count()).select_from(people.limit(most + 1 - found).subquery())
        found += db.session.connection().scalar(count) or 0
        if found > most or time.monotonic() > ends:
            return Matching(min(found, most), False)
        after = last


def enroll_existing(flow_id: int, chunk: int = CHUNK) -> int:
    """Let in those who already match, in resumable chunks; returns how many were let in. Commits after each chunk.

    ``flow.existing_after`` remembers how far it came; ``None`` when it is done. While the flow is paused by a person,
    or its door is closed, nobody enters.
    """
    total = 0
    while True:
        bulk.lock_name(db.session.connection(), flow_id)
        query = sa.select(Flow.__table__).where(_F.id == flow_id, _F.existing_after.is_not(None), OPEN)
        flow = db.session.connection().execute(query).one_or_none()
        if flow is None:
            db.session.commit()
            return total
        compiled = engine.compiled(flow.version_id)
        count, last = _enroll_chunk(flow, compiled, chunk)
        total += count
        db.session.execute(sa.update(Flow.__table__).where(_F.id == flow_id).values(existing_after=last))
        jobqueue.wake_after_commit(db.session, "advance")
        db.session.commit()


def _enroll_chunk(flow: Any, compiled: Compiled, chunk: int) -> tuple[int, int | None]:
    """One ``INSERT … SELECT`` over the next contacts by id. Returns how many, and the last id or ``None`` at the end."""
    now = clock.now()
    people, last = audience.part(compiled.trigger.existing(), flow.workspace_id, flow.existing_after, chunk)
    if last is None:
        return 0, None
    crowd = Crowd(people, flow.existing_after, last, f"existing:{flow.id}", now, once=True)
    return enroll_crowd(flow, compiled, crowd, now), last


@dataclass(frozen=True, slots=True)
class Crowd:
    """People who start together, each counted from the moment ``at``; ``key`` stands for the event that lets them in."""

    people: sa.Select[Any]  # of id, and where they come from the database of data and event_key
    after: int  # all ids are above this one
    last: int  # and none above that one
    key: str
    at: datetime
    once: bool = False  # whoever was in the flow stays out, whatever its re-entry rule
    data: Mapping[str, Any] | None = None


def enroll_crowd(flow: Any, compiled: Compiled, crowd: Crowd, now: datetime) -> int:
    """Let in a bounded crowd by one ``INSERT … SELECT``; returns how many entered. The caller commits.

    Whom the re-entry rule keeps out is left out, and so is everybody whom the same key let in before.
    """
    people, connection = crowd.people.subquery(), db.session.connection()
    brought = [column for column in people.c if column.name in ("data", "event_key")]
    given = {
        "workspace_id": flow.workspace_id,
        "flow_id": flow.id,
        "version_id": flow.version_id,
        **({} if "event_key" in people.c else {"event_key": crowd.key}),
        "chain": 0,
        "step": "",
        "visit": 1,
        "due_at": crowd.at + span(compiled.wait),
        "due_kind": "relative",
        "held": flow.state == "paused",
        "triggered_at": crowd.at,
        **({"data": crowd.data} if crowd.data else {}),
    }
    types = Enrollment.__table__.c
    constants = (sa.literal(value, types[name].type) for name, value in given.items())
    reentry = "once" if crowd.once else compiled.reentry
    select = sa.select(people.c.id, *constants, *brought).where(sa.text("1 = 1"))  # SQLite needs one before ON CONFLICT
    if _has_seen(flow.id, crowd):
        select = select.where(~_kept_out(flow.id, people.c.id, reentry, compiled, now))
    statement = _insert_ignore(connection, ["contact_id", *given, *(column.name for column in brought)], select)
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def _has_seen(flow_id: int, crowd: Crowd) -> bool:
    """Whether anybody of this range of contacts was ever in the flow: otherwise nobody need be asked one by one."""
    someone = sa.select(_E.id).where(_E.flow_id == flow_id, _E.contact_id > crowd.after, _E.contact_id <= crowd.last)
    return db.session.connection().scalar(someone.limit(1)) is not None


def count_barred(flow_id: int, compiled: Compiled, people: sa.Select[Any], now: datetime) -> int:
    """How many people of a query the re-entry rule keeps out of a flow."""
    found = people.subquery()
    barred = _kept_out(flow_id, found.c.id, compiled.reentry, compiled, now)
    count = sa.select(sa.func.count()).select_from(found).where(barred)
    return db.session.connection().scalar(count) or 0


def _kept_out(flow_id: int, contact: Any, reentry: str, compiled: Compiled, now: datetime) -> Any:
    """SQL: whether the re-entry rule keeps a contact out of a flow; what :func:`barred` asks for a few."""
    mine = sa.and_(_E.flow_id == flow_id, _E.contact_id == contact)
    live, entered = _E.due_at.is_not(None), _E.entered_at.is_not(None)
    if reentry == "once":
        return sa.exists().where(mine, sa.or_(live, entered))
    too_soon = _E.ended_at > now - (span(compiled.cooldown) if compiled.cooldown else timedelta(0))
    today = sa.select(sa.func.count()).where(mine, entered, _E.triggered_at > now - timedelta(hours=24))
    barred = sa.exists().where(mine, sa.or_(live, sa.and_(entered, too_soon)))
    return sa.or_(barred, today.scalar_subquery() >= MOST_A_DAY)


def _insert_ignore(connection: sa.Connection, columns: list[str], select: Any) -> Any:
    """INSERT … SELECT that leaves out rows whose unique key is taken, on both databases."""
    if bulk.is_postgres(connection):
        statement: Any = postgresql.insert(Enrollment.__table__)
    else:
        statement = sqlite.insert(Enrollment.__table__)
    return statement.from_select(columns, select, include_defaults=False).on_conflict_do_nothing()
