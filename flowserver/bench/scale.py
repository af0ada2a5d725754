"""The same work beside very many who wait: visits a second and the idle look of the clock at a million enrollments against
a hundred thousand."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median

import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import steps, world
from flowserver.bench.figures import Row
from flowserver.bench.ground import Ground
from flowserver.extensions import db
from flowserver.models import Enrollment
from flowserver.services.engine import engine

MOVED, LOOKS = 10_000, 200
_E = Enrollment.__table__


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Both rows of one database; quick: a hundred thousand against ten thousand."""
    few, many, times = (10_000, 100_000, 1) if quick else (100_000, 1_000_000, 5)
    with ground.app():
        (slow_few, idle_few), (slow_many, idle_many) = (_measure(count, times) for count in (few, many))
    name = f"{many:,} enrollments against {few:,}"
    idle = f"{idle_few * 1000:.2f} and {idle_many * 1000:.2f} ms"
    return [
        Row(f"steps with {name}", slow_many / slow_few, 0.9, note=f"{slow_few:,.0f} and {slow_many:,.0f} visits/s"),
        Row(f"idle look with {name}", idle_many / idle_few, 2.0, at_most=True, note=idle),
    ]


def _measure(count: int, times: int) -> tuple[float, float]:
    """Visits a second, and seconds of a look that finds nobody, while all others wait: medians."""
    world.enroll(count, world.flow(steps.FLOW))
    _wait(sa.true())
    world.settle()
    first = db.session.scalar(sa.select(sa.func.min(_E.c.id))) or 0
    rates = [_visits(first + turn * MOVED) for turn in range(times)]
    return median(rates), median(_look() for _ in range(LOOKS))


def _wait(which: sa.ColumnElement[bool]) -> None:
    later = sa.literal(clock.now() + timedelta(days=30), _E.c.due_at.type)
    db.session.execute(sa.update(_E).where(which).values(due_at=later))
    db.session.commit()


def _visits(first: int) -> float:
    mine = _E.c.id.between(first, first + MOVED - 1)
    db.session.execute(sa.update(_E).where(mine).values(due_at=sa.literal(clock.now(), _E.c.due_at.type)))
    db.session.commit()
    began, moved = time.perf_counter(), 0
    while count := engine.batch():
        moved += count
    took = time.perf_counter() - began
    assert moved == MOVED, moved
    return moved / took


def _look() -> float:
    began = time.perf_counter()
    assert engine.batch() == 0
    return time.perf_counter() - began
