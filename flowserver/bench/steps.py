"""Visits: a contact carried to its next wait or end, against a raw claim-and-write loop over the same tables and rows.

Both sides write the same rows: each visit changes one enrollment, and its contact or one message, and adds three
decisions. The raw loop speaks to the driver alone, knows beforehand what to write, and decides nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flowserver import clock
from flowserver.bench import world
from flowserver.bench.figures import Row, in_turn, rates
from flowserver.bench.ground import Ground
from flowserver.domain import context as ctx
from flowserver.extensions import db
from flowserver.services.engine import engine

BATCH = 1000
WAIT = timedelta(minutes=1)
GOALS = {"sqlite": 0.6, "postgresql": 0.5}
FLOW: list[dict[str, Any]] = [
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


def rows(ground: Ground, quick: bool) -> list[Row]:
    """The row of one database."""
    people, times = (2000, 3) if quick else (10_000, 7)
    with ground.app():
        found = in_turn(lambda: product(people), lambda: raw(people), times)
    goal = GOALS[ground.kind]
    return [Row("steps", found.ratio, goal, baseline=found.theirs, note=rates({"visits": found.ours}))]


# --- the product ---------------------------------------------------------------------------------------------


def product(people: int) -> float:
    """Visits a second of the product: everybody to the wait, then everybody to the end. Caps and quiet hours are on."""
    world.enroll(people, world.flow(FLOW))
    began = time.perf_counter()
    moved = _drain()
    with clock.shifted(2 * WAIT):
        moved += _drain()
    took = time.perf_counter() - began
    assert moved == 2 * people, (moved, people)
    return moved / took


def _drain() -> int:
    total = 0
    while count := engine.batch(BATCH):
        total += count
    return total


# --- the raw loop --------------------------------------------------------------------------------------------


def raw(people: int) -> float:
    """The same visits without a product: claim a batch, write the same rows to the same tables, commit."""
    world.enroll(people, world.flow(FLOW))
    db.session.commit()
    connection = db.engine.raw_connection()
    loop: Any = (_Postgres if db.engine.dialect.name == "postgresql" else _Lite)(connection.driver_connection)
    try:
        began = time.perf_counter()
        moved = 0
        for arrive in (True, False):
            now = clock.now() if arrive else clock.now() + 2 * WAIT
            while count := loop.batch(now, arrive):
                moved += count
        took = time.perf_counter() - began
    finally:
        connection.close()
    assert moved == 2 * people, (moved, people)
    return moved / took


_DECISION = ", ".join(ctx.DECISION_COLUMNS)
_MESSAGE = ", ".join(f'"{column}"' for column in ctx.MESSAGE_COLUMNS)
_ARRIVE = (("", "entered", None), ("stage", "next", None), ("pause", "waits", None))
_LEAVE = (("pause", "next", None), ("plan", "then", '{"plan":"pro"}'), ("pro", "next", None))
_CLAIM = """SELECT e.id, c.id AS contact, e.workspace_id, c.fields, c.email FROM enrollment e JOIN contact c
  ON c.id = e.contact_id WHERE e.due_at <= {0} AND {1} ORDER BY e.due_at LIMIT 1000"""
_PARK = "step = 'pause', visit = 1, parked_at = {0}, due_at = {0}, due_kind = 'relative', entered_at = {0}"
_END = "step = 'pro', visit = 1, parked_at = NULL, due_at = NULL, ended_at = {0}, end_reason = 'finished'"


def _trial(fields: dict[str, Any]) -> str:
    return json.dumps({**fields, "stage": "trial"})


class _Lite:
    """SQLite: executemany, one transaction a batch."""

    def __init__(self, connection: Any):
        self.connection = connection

    def batch(self, now: datetime, arrive: bool) -> int:
        cursor, at = self.connection.cursor(), f"{now:%Y-%m-%d %H:%M:%S.%f}"
        cursor.execute("BEGIN IMMEDIATE")
        found = cursor.execute(_CLAIM.format("?", "e.held = 0"), (at,)).fetchall()
        if arrive:
            due = f"{now + WAIT:%Y-%m-%d %H:%M:%S.%f}"
            park = f"UPDATE enrollment SET {_PARK.format('?')} WHERE id = ?"
            cursor.executemany(park, [(at, due, at, row[0]) for row in found])
            change = "UPDATE contact SET fields = ?, updated_at = ? WHERE id = ?"
            cursor.executemany(change, [(_trial(json.loads(row[3])), at, row[1]) for row in found])
        else:
            cursor.executemany(f"UPDATE enrollment SET {_END.format('?')} WHERE id = ?", [(at, r[0]) for r in found])
            marks = ", ".join("?" * len(ctx.MESSAGE_COLUMNS))
            cursor.executemany(f"INSERT INTO message ({_MESSAGE}) VALUES ({marks})", [_message(r, at) for r in found])
        decisions = [
            (row[2], row[0], step, 1, at, outcome, None, facts)
            for row in found
            for step, outcome, facts in (_ARRIVE if arrive else _LEAVE)
        ]
        cursor.executemany(f"INSERT INTO decision ({_DECISION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", decisions)
        cursor.execute("COMMIT")
        return len(found)


def _message(row: Sequence[Any], at: str) -> tuple[Any, ...]:
    run, contact, workspace, _, email = row
    way = (workspace, f"{run}:pro:1", "flow", "email", "marketing", 1, 5, contact, email)
    return (*way, 1, 1, run, "pro", 1, "planned", None, 0, at, at)


class _Postgres:
    """PostgreSQL: one statement claims and moves, COPY adds rows from text that is joined, not converted."""

    def __init__(self, connection: Any):
        self.connection = connection

    def batch(self, now: datetime, arrive: bool) -> int:
        cursor, at = self.connection.cursor(), now.isoformat()
        claim = _CLAIM.format("%s", "NOT e.held") + " FOR NO KEY UPDATE SKIP LOCKED"
        given = (now, now + WAIT, now, now) if arrive else (now, now)
        found = cursor.execute(
            f"UPDATE enrollment e SET {(_PARK if arrive else _END).format('%s')} FROM ({claim}) d WHERE e.id = d.id"
            " RETURNING e.id, d.contact, e.workspace_id, d.fields, d.email",
            given,
        ).fetchall()
        if arrive:
            cursor.execute(
                "UPDATE contact c SET fields = d.fields::jsonb, updated_at = %s"
                " FROM unnest(%b::bigint[], %b::text[]) d(id, fields) WHERE c.id = d.id",
                (now, [row[1] for row in found], [_trial(row[3]) for row in found]),
            )
        else:
            self._copy(cursor, f"message ({_MESSAGE})", [_message(row, at) for row in found])
        kinds = _ARRIVE if arrive else _LEAVE
        ends = ["\t".join((step, "1", at, outcome, r"\N", facts or r"\N")) + "\n" for step, outcome, facts in kinds]
        self._write(cursor, f"decision ({_DECISION})", "".join([f"{r[2]}\t{r[0]}\t{e}" for r in found for e in ends]))
        self.connection.commit()
        return len(found)

    def _copy(self, cursor: Any, table: str, rows: list[tuple[Any, ...]]) -> None:
        lines = ["\t".join(["\\N" if value is None else str(value) for value in row]) for row in rows]
        self._write(cursor, table, "\n".join([*lines, ""]))

    def _write(self, cursor: Any, table: str, text: str) -> None:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            copy.write(text)
