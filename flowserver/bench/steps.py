"""Visits: a contact carried to its next wait or end, against a raw claim-and-write loop over the same tables and rows."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import world
from flowserver.domain import context as ctx
from flowserver.extensions import db
from flowserver.models import Enrollment
from flowserver.services import bulk, engine

BATCH = 1000
FLOW = [
    {"key": "stage", "type": "set_field", "field": "stage", "value": "trial"},
    {"key": "pause", "type": "wait", "for": {"minutes": 1}},
    {
        "key": "plan",
        "type": "if_else",
        "if": {"type": "field_compares", "field": "plan", "operator": "equals", "value": "pro"},
        "then": [{"key": "pro", **world.MAIL}],
        "else": [{"key": "free", **world.MAIL}],
    },
]


def product(people: int) -> float:
    """Visits a second of the product: everybody to the wait, then everybody to the end. Caps and quiet hours are on."""
    world.enroll(people, world.flow(FLOW))
    began = time.perf_counter()
    moved = _drain()
    with clock.shifted(timedelta(minutes=2)):
        moved += _drain()
    took = time.perf_counter() - began
    assert moved == 2 * people, (moved, people)
    return moved / took


def _drain() -> int:
    total = 0
    while count := engine.batch(BATCH):
        total += count
    return total


def raw(people: int) -> float:
    """The same visits without a product: claim a batch, write the same number of rows to the same tables, commit."""
    world.enroll(people, world.flow(FLOW))
    began = time.perf_counter()
    moved = sum(_raw_pass(clock.now() + timedelta(minutes=2 * n), n) for n in (0, 1))
    took = time.perf_counter() - began
    assert moved == 2 * people, (moved, people)
    return moved / took


def _raw_pass(now: datetime, number: int) -> int:
    total = 0
    while count := _raw_batch(now, number):
        total += count
    return total


def _raw_batch(now: datetime, number: int) -> int:
    """One batch by hand: one claim, one update of enrollments, contacts or messages, and the decisions."""
    connection = db.session.connection()
    rows = _claim(connection, now)
    if number == 0:
        due = now + timedelta(minutes=1)
        bulk.update(
            connection,
            "enrollment",
            ("step", "visit", "parked_at", "awaits", "due_at", "due_kind", "entered_at", "ended_at", "end_reason"),
            [(row[0], "pause", 1, now, None, due, "relative", now, None, None) for row in rows],
        )
        bulk.update(connection, "contact", ("fields", "updated_at"), [(row[1], row[3], now) for row in rows])
        decisions = [(row[2], row[0], step, 1, now, out, None, None) for row in rows for step, out in _FIRST]
    else:
        bulk.update(
            connection,
            "enrollment",
            ("step", "visit", "parked_at", "awaits", "due_at", "due_kind", "ended_at", "end_reason"),
            [(row[0], "pro", 1, None, None, None, "relative", now, "finished") for row in rows],
        )
        decisions = [(row[2], row[0], step, 1, now, out, None, facts) for row in rows for step, out, facts in _SECOND]
        messages = [
            (
                row[2],
                f"{row[0]}:pro:1",
                "flow",
                "email",
                "marketing",
                1,
                5,
                row[1],
                row[4],
                1,
                1,
                row[0],
                "pro",
                1,
                "planned",
                None,
                0,
                now,
                now,
            )
            for row in rows
        ]
        bulk.insert(connection, "message", ctx.MESSAGE_COLUMNS, messages)
    bulk.insert(connection, "decision", ctx.DECISION_COLUMNS, decisions)
    db.session.commit()
    return len(rows)


_FIRST = (("", "entered"), ("stage", "next"), ("pause", "waits"))
_SECOND = (("pause", "next", None), ("plan", "then", '{"plan":"pro"}'), ("pro", "next", None))


def _claim(connection: sa.Connection, now: datetime) -> list[Any]:
    """Due enrollments with their contact's fields, through the driver alone."""
    query = (
        "SELECT e.id, e.contact_id, e.workspace_id, c.fields, c.email FROM enrollment e JOIN contact c"
        " ON c.id = e.contact_id WHERE e.due_at <= {now} AND NOT e.held ORDER BY e.due_at LIMIT 1000"
    )
    raw: Any = connection.connection
    cursor = raw.cursor()
    if bulk.is_postgres(connection):
        cursor.execute(query.format(now="%s") + " FOR NO KEY UPDATE SKIP LOCKED", (now,))
        return list(cursor.fetchall())
    cursor.execute(query.format(now="?"), (bulk.now_text(now),))
    return [(*row[:3], json.loads(row[3]), row[4]) for row in cursor.fetchall()]


def live() -> int:
    """Enrollments that are not at their end."""
    return db.session.scalar(sa.select(sa.func.count()).where(Enrollment.__table__.c.due_at.is_not(None))) or 0
