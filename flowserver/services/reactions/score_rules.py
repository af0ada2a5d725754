"""What contacts do brings points, as the score rules say: all rules of one event are summed before anybody compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flowserver.domain import scoring
from flowserver.domain.steps import AndCustomOnes, heard_as
from flowserver.extensions import db
from flowserver.models import Contact, ScoreEntry, ScoreRule, Workspace
from flowserver.services.engine import bulk, events, facts

LISTENS_TO = AndCustomOnes(set(scoring.ACTS) - {"custom_event"})
_R, _W, _C = ScoreRule.__table__.c, Workspace.__table__.c, Contact.__table__.c
_RULES = (
    sa.select(_R.id, _R.workspace_id, _R.title, _R.points, _R.act, _R.subject, _R.detail, _R.frequency, _W.time_zone)
    .join(Workspace.__table__, _W.id == _R.workspace_id)
    .where(bulk.ids_named(_R.workspace_id), bulk.texts_named(_R.act), _R.enabled)
    .order_by(_R.id)
)
_TOTALS = sa.select(_C.id, _C.score).where(bulk.ids_named(_C.id))
_COLUMNS = ("workspace_id", "contact_id", "points", "reason", "at", "created_at", "rule_id", "event_key", "slot")
_SLOT = ("rule_id", "contact_id", "slot")


def react(found: Sequence[Any], now: datetime) -> None:
    """Write what the rules of these events' clients bring: one look at them, one INSERT, one UPDATE, however many.

    A ledger row fills a slot that is there only once, so an event that comes again changes nothing.
    """
    connection = db.session.connection()
    acts = {heard_as(event.type) for event in found}
    rules = connection.execute(_RULES, {"ids": {event.workspace_id for event in found}, "texts": acts}).all()
    if not rules:
        return
    asked = [(event, _entries(event, rules, now)) for event in found]
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for entry in (entry for _, entries in asked for entry in entries):
        rows.setdefault(_slot(entry), entry)
    written = set(bulk.insert_returning(connection, ScoreEntry.__table__, _COLUMNS, list(rows.values()), _SLOT))
    changes = [(event, points) for event, entries in asked if (points := _sum(entries, written))]
    if changes:
        _move(changes, now)


def _entries(event: Any, rules: Sequence[Any], now: datetime) -> list[tuple[Any, ...]]:
    at = event.at or now
    return [
        (
            event.workspace_id,
            event.contact_id,
            rule.points,
            rule.title,
            at,
            now,
            rule.id,
            event.key,
            scoring.slot(rule.frequency, event.key, at, ZoneInfo(rule.time_zone)),
        )
        for rule in rules
        if rule.workspace_id == event.workspace_id and scoring.counts(rule, event)
    ]


def _slot(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    return entry[6], entry[1], entry[8]


def _sum(entries: Sequence[tuple[Any, ...]], written: set[tuple[Any, ...]]) -> int:
    """The points of one event's rows that went in; each slot is taken by the first event that asks for it."""
    points = 0
    for entry in entries:
        if _slot(entry) in written:
            written.discard(_slot(entry))
            points += entry[2]
    return points


def _move(changes: Sequence[tuple[Any, int]], now: datetime) -> None:
    """Change the totals, and tell each event's change of one where somebody listens. The contacts are locked."""
    connection = db.session.connection()
    concerned = {"ids": {event.contact_id for event, _ in changes}}
    totals: dict[int, int] = {row.id: row.score for row in connection.execute(_TOTALS, concerned)}
    told = list(_told(changes, totals))
    bulk.update(connection, "contact", ("score", "updated_at"), [(id, total, now) for id, total in totals.items()])
    for contact in list(db.session.identity_map.values()):  # whoever has loaded one must not see the old total
        if isinstance(contact, Contact) and contact.id in totals:
            db.session.expire(contact, ["score", "updated_at"])
    heard = facts.heard({event.workspace_id for event in told})
    events.record_many([event for event in told if "score_changed" in heard[event.workspace_id]], locked=True)


def _told(changes: Sequence[tuple[Any, int]], totals: dict[int, int]) -> Iterator[events.NewEvent]:
    """One change of the total for each event, the old one and the new; ``totals`` are moved along."""
    for event, points in changes:
        old = totals[event.contact_id]
        totals[event.contact_id] = old + points
        yield events.NewEvent(
            event.workspace_id,
            event.contact_id,
            "score_changed",
            key=f"score:{event.key}"[:120],
            at=event.at,
            data={"old": old, "new": old + points, "points": points, **_chain(event.data)},
            chain=event.chain,
            origin=event.origin,
        )


def _chain(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which flows an event comes from, so that none starts itself by way of the score."""
    return {"chain": data["chain"]} if data and "chain" in data else {}
