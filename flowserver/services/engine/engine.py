"""Advance: claim due enrollments, decide in memory, write in bulk, commit once.

One transaction a batch (spec: engine, 2). Whoever dies in the middle has written nothing, and the rows are due as before.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, jobqueue
from flowserver.domain import context as ctx
from flowserver.domain import definition, planner
from flowserver.domain.steps import LOADED, Contact, Item
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Contact as ContactRow
from flowserver.models import ContactTag, Decision, Enrollment, Membership, Tag
from flowserver.services.engine import bulk, flow_state, timetable
from flowserver.services.engine.facts import Facts
from flowserver.services.engine.versions import compiled

log = structlog.get_logger()

BATCH = 1000
SHORT = 0.05  # seconds a batch may hold SQLite's write lock
ROOM = 0.003  # seconds between two batches on SQLite; who waits for the lock asks every thousandth of a second
FAILURES_THAT_PAUSE = 5  # failed contacts of one flow within an hour

_E, _C = Enrollment.__table__.c, ContactRow.__table__.c
_RUN = (_E.id, _E.flow_id, _E.version_id, _E.step, _E.visit, _E.parked_at, _E.data, _E.due_at)
_PERSON = tuple(_C[name] for name in Contact.__dataclass_fields__ if name not in LOADED)
_CLAIM = (
    sa.select(*_RUN, *_PERSON)
    .select_from(Enrollment.__table__.join(ContactRow.__table__, _E.contact_id == _C.id))
    .where(_E.due_at <= sa.bindparam("now"), ~_E.held)
    .order_by(_E.due_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, key_share=True)
)
_ENROLLMENT_COLUMNS = (
    "step",
    "visit",
    "parked_at",
    "awaits",
    "due_at",
    "due_kind",
    "entered_at",
    "ended_at",
    "end_reason",
    "label",
    "outcome",
)


# --- the job -----------------------------------------------------------------------------------------------


def advance(seconds: float = 30.0) -> int:
    """Carry due enrollments on until none is due or the time is up; returns how many moved.

    Rings again when more is due, so that other work of the queue gets its turn.
    """
    ends = time.monotonic() + seconds
    size, moved = BATCH, 0
    while time.monotonic() < ends:
        db.session.connection()  # waits for the lock on SQLite: only what it is held for counts below
        began = time.monotonic()
        count = batch(size)
        moved += count
        if count < size:
            return moved
        size = _next_size(size, time.monotonic() - began)
        _share_or_make_room()
    jobqueue.wake("advance")
    return moved


def _next_size(size: int, took: float) -> int:
    """On SQLite a batch must let go of the write lock soon: fit its size to the time the last one took."""
    if db.engine.dialect.name != "sqlite":
        return size
    return max(50, min(BATCH, int(size * SHORT / max(took, 0.001))))


def _share_or_make_room() -> None:
    """More is due: an idle worker may help, as each batch skips what another has claimed.

    SQLite has one writer and no queue for it: leave the lock alone long enough for whoever waits to find it free.
    """
    if db.engine.dialect.name == "sqlite":
        time.sleep(ROOM)
    else:
        jobqueue.wake("advance")


def batch(most: int = BATCH) -> int:
    """Advance up to ``most`` due enrollments in one transaction. An exception rolls back and tries halves."""
    now = clock.now()
    claimed: list[int] = []
    try:
        with _no_collector():
            return _attempt(now, most, None, claimed)
    except Exception as error:
        db.session.rollback()
        if not claimed or bulk.is_outage(error):
            raise
        log.warning("advance.halving", enrollments=len(claimed), why=type(error).__name__)
        _in_halves(now, claimed, error)
        return len(claimed)


@contextmanager
def _no_collector() -> Iterator[None]:
    """A batch makes thousands of objects and no cycles: the cycle collector would only walk them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _in_halves(now: datetime, ids: list[int], error: Exception) -> None:
    """Find the enrollment at fault by halving; it alone is marked failed, the others go on."""
    if len(ids) == 1:
        _fail(now, ids[0], error)
        return
    middle = len(ids) // 2
    for half in (ids[:middle], ids[middle:]):
        try:
            _attempt(now, len(half), half, [])
        except Exception as mistake:
            db.session.rollback()
            if bulk.is_outage(mistake):
                raise
            _in_halves(now, half, mistake)


def _attempt(now: datetime, most: int, only: list[int] | None, claimed: list[int]) -> int:
    connection = db.session.connection()
    statement = _CLAIM if only is None else _CLAIM.where(bulk.ids_in(_E.id, only))
    rows = bulk.fetch(connection, statement, (*_RUN, *_PERSON), {"now": now, "most": most})
    claimed.extend(row[0] for row in rows)
    if not rows:
        db.session.commit()
        return 0
    decided = decide(now, rows)
    write(connection, now, decided)
    _ring(decided.wishes)
    db.session.commit()
    for flow_id in decided.broken:
        flow_state.pause_by_engine(flow_id, "broken")
    return len(rows)


# --- deciding ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Decided:
    """What a batch wants written."""

    wishes: ctx.Wishes = field(default_factory=ctx.Wishes)
    places: list[planner.Place] = field(default_factory=list)
    held: list[int] = field(default_factory=list)  # enrollments of paused flows that nobody held yet
    broken: set[int] = field(default_factory=set)  # flows whose version this release cannot read


def decide(now: datetime, rows: Sequence[Any]) -> Decided:
    """Walk all claimed rows through their flows in memory; nothing is written."""
    decided = Decided()
    versions = _versions(rows, decided)
    items = _items(rows, _contacts(rows))
    facts = Facts(now, items, "fields" in frozenset().union(*(flow.needs for flow in versions.values())))
    counter = _coupons().Counter(now)
    for version_id, group in items.items():
        flow = facts.flows.get(group[0].flow_id)
        if flow is None or flow.state not in ("active", "paused"):
            decided.places += [
                planner.Place(item.enrollment_id, item.step, item.visit, end_reason="flow_stopped") for item in group
            ]
        elif version_id not in versions or (flow.state == "paused" and flow.pause_mode != "skip"):
            decided.held += [item.enrollment_id for item in group]
        else:
            context = _context(now, flow, versions[version_id], version_id, facts, decided.wishes, counter)
            decided.places += planner.walk(versions[version_id], group, context)
    return decided


def _coupons() -> Any:
    """Where steps take coupons. It works with the engine's own events, so it cannot be imported before them."""
    from flowserver.services.shop import coupon_steps

    return coupon_steps


def _versions(rows: Sequence[Any], decided: Decided) -> dict[int, definition.Compiled]:
    """The compiled versions of a batch. A flow whose version cannot be read will be paused; its people wait."""
    found: dict[int, definition.Compiled] = {}
    for version_id, flow_id in {(row[2], row[1]) for row in rows}:
        try:
            found[version_id] = compiled(version_id)
        except Invalid as error:
            log.error("advance.broken_version", version=version_id, flow=flow_id, why=str(error)[:300])
            decided.broken.add(flow_id)
    return found


def _context(
    now: datetime,
    flow: Any,
    version: definition.Compiled,
    version_id: int,
    facts: Facts,
    wishes: ctx.Wishes,
    counter: Any,
) -> ctx.BatchContext:
    client = facts.clients[flow.workspace_id]
    return ctx.BatchContext(
        now=now,
        client=client,
        flow_id=flow.id,
        version_id=version_id,
        wishes=wishes,
        suppressed=facts.suppressed[client.id],
        recent=facts.recent,
        owners=facts.owners,
        segments=facts.segments,
        hours=version.hours,
        skip_sends=flow.state == "paused" and flow.pause_mode == "skip",
        load=facts.load,
        take=counter.take,
    )


def _contacts(rows: Sequence[Any]) -> dict[int, Contact]:
    """One contact object a person, shared by all of its enrollments in the batch."""
    first = len(_RUN)
    found: dict[int, Contact] = {}
    for row in rows:
        person = row[first:]
        if person[0] not in found:
            found[person[0]] = Contact(*person)
    return found


def _items(rows: Sequence[Any], contacts: Mapping[int, Contact]) -> dict[int, list[Item]]:
    """Items by version."""
    items: dict[int, list[Item]] = defaultdict(list)
    for run, flow_id, version_id, step, visit, parked_at, data, due_at, contact_id, *_ in rows:
        person = contacts[contact_id]
        items[version_id].append(Item(run, person, flow_id, step, visit, parked_at, data or {}, due_at=due_at))
    return items


# --- writing -----------------------------------------------------------------------------------------------


def write(connection: sa.Connection, now: datetime, decided: Decided) -> None:
    """Write everything a batch decided, in bulk, inside the caller's transaction."""
    wishes = decided.wishes
    _write_places(connection, now, decided.places)
    if decided.held:
        connection.execute(Enrollment.__table__.update().where(bulk.ids_in(_E.id, decided.held)).values(held=True))
    bulk.insert(connection, "decision", ctx.DECISION_COLUMNS, wishes.decisions)
    bulk.insert(connection, "message", ctx.MESSAGE_COLUMNS, wishes.messages)
    _write_contacts(connection, now, wishes)
    bulk.insert(connection, "score_entry", ctx.SCORE_COLUMNS, wishes.score)
    _write_tags(connection, now, wishes)
    _write_lists(connection, now, wishes)
    if wishes.coupons or wishes.without:
        _coupons().write(connection, now, wishes)
    bulk.update(connection, "enrollment", ("data",), list(wishes.data.items()))
    bulk.insert_new(connection, "event", ctx.EVENT_COLUMNS, wishes.events)
    for flow_id, contacts in wishes.left.items():  # their contacts are locked, so nobody else moves these runs
        live = sa.select(_E.id).where(
            _E.flow_id == flow_id, bulk.ids_in(_E.contact_id, contacts), _E.due_at.is_not(None)
        )
        flow_state.end(list(connection.scalars(live)), "left_by_flow")


def _write_places(connection: sa.Connection, now: datetime, places: Sequence[planner.Place]) -> None:
    rows = [
        (
            p.enrollment_id,
            p.step,
            p.visit,
            p.parked_at,
            p.awaits,
            p.due_at,
            p.due_kind,
            now if p.entered else None,
            now if p.end_reason else None,
            p.end_reason,
            p.label,
            p.outcome,
        )
        for p in places
    ]
    entered = [row for row in rows if row[7] is not None]
    others = [row[:7] + row[8:] for row in rows if row[7] is None]
    bulk.update(connection, "enrollment", _ENROLLMENT_COLUMNS, entered)
    bulk.update(connection, "enrollment", _ENROLLMENT_COLUMNS[:6] + _ENROLLMENT_COLUMNS[7:], others)


def _write_contacts(connection: sa.Connection, now: datetime, wishes: ctx.Wishes) -> None:
    """Only the columns that changed in any of them: their rows are ours, nobody else writes the others meanwhile."""
    if wishes.contacts:
        columns = sorted(wishes.changed)
        values = attrgetter("id", *columns)
        rows = [(*values(contact), now) for contact in wishes.contacts.values()]
        bulk.update(connection, "contact", (*columns, "updated_at"), rows)


def _write_tags(connection: sa.Connection, now: datetime, wishes: ctx.Wishes) -> None:
    if not wishes.tags:
        return
    names = {(workspace, name) for workspace, _, name in wishes.tags}
    columns = ("workspace_id", "name", "created_at", "updated_at")
    bulk.insert_new(connection, "tag", columns, [(workspace, name, now, now) for workspace, name in sorted(names)])
    t = Tag.__table__.c
    query = sa.select(t.workspace_id, t.name, t.id).where(
        bulk.ids_in(t.workspace_id, {workspace for workspace, _ in names}), t.name.in_({name for _, name in names})
    )
    ids = {(workspace, name): tag for workspace, name, tag in connection.execute(query)}
    links = [(ids[workspace, name], contact, workspace, on) for (workspace, contact, name), on in wishes.tags.items()]
    columns = ("tag_id", "contact_id", "workspace_id", "added_at")
    bulk.insert_new(connection, "contact_tag", columns, [(*link, now) for *link, on in links if on])
    _remove(
        connection, now, ContactTag.__table__, "tag_id", [(tag, contact) for tag, contact, _, on in links if not on]
    )


def _write_lists(connection: sa.Connection, now: datetime, wishes: ctx.Wishes) -> None:
    columns = ("list_id", "contact_id", "workspace_id", "joined_at")
    joined = [(list_id, contact, workspace, now) for (workspace, contact, list_id), on in wishes.lists.items() if on]
    left = [(list_id, contact) for (_, contact, list_id), on in wishes.lists.items() if not on]
    bulk.insert_new(connection, "membership", columns, joined)
    if left:
        timetable.note_leavers(_grouped(left))
    _remove(connection, now, Membership.__table__, "list_id", left)


def _remove(connection: sa.Connection, now: datetime, table: Any, column: str, pairs: list[tuple[int, int]]) -> None:
    """Delete links (a tag or list with its contacts), one statement a tag or list; their contacts have changed."""
    for key, contacts in _grouped(pairs).items():
        connection.execute(table.delete().where(table.c[column] == key, bulk.ids_in(table.c.contact_id, contacts)))
        changed = ContactRow.__table__.update().where(bulk.ids_in(_C.id, contacts))
        connection.execute(changed.values(updated_at=now))


def _grouped(pairs: list[tuple[int, int]]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for key, contact in pairs:
        groups[key].append(contact)
    return groups


def _ring(wishes: ctx.Wishes) -> None:
    for connection_id in {row[5] for row in wishes.messages if row[14] == "planned"}:
        jobqueue.wake_after_commit(db.session, "deliver", connection_id)
    if wishes.events:
        jobqueue.wake_after_commit(db.session, "match")


# --- what goes wrong -----------------------------------------------------------------------------------------


def _fail(now: datetime, enrollment_id: int, error: Exception) -> None:
    """End the one at fault as failed, with the reason on its timeline; a flow that fails again and again is paused.

    Another worker may have carried it on meanwhile: then nothing is done.
    """
    log.error("advance.failed", enrollment=enrollment_id, exc_info=error)
    connection = db.session.connection()
    row = connection.execute(
        sa.select(_E.flow_id, _E.workspace_id, _E.step, _E.visit)
        .where(_E.id == enrollment_id, _E.due_at <= now, ~_E.held)
        .with_for_update(skip_locked=True, key_share=True)
    ).one_or_none()
    if row is None:
        db.session.commit()
        return
    again = isinstance(error, planner.Runaway) or bulk.is_duplicate(error, "message")
    if again or _failures(row.flow_id, now) >= FAILURES_THAT_PAUSE:
        db.session.rollback()
        flow_state.pause_by_engine(row.flow_id, "runaway" if again else "failing", step=row.step)
        return
    ended = {"due_at": None, "ended_at": now, "end_reason": "failed", "parked_at": None, "awaits": None}
    connection.execute(Enrollment.__table__.update().where(_E.id == enrollment_id).values(**ended))
    connection.execute(
        Decision.__table__.insert().values(
            workspace_id=row.workspace_id,
            enrollment_id=enrollment_id,
            step=row.step,
            visit=row.visit,
            at=now,
            outcome="failed",
            reason=type(error).__name__[:40],
        )
    )
    db.session.commit()


def _failures(flow_id: int, now: datetime) -> int:
    """How many people of a flow failed within the last hour."""
    query = sa.select(sa.func.count()).where(
        _E.flow_id == flow_id, _E.end_reason == "failed", _E.ended_at >= now - timedelta(hours=1)
    )
    return db.session.connection().scalar(query) or 0
