"""Memory of a worker that advances while very many wait, against one beside whom few wait."""

from __future__ import annotations

import json
import resource
import sys
from datetime import timedelta

import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import ground as places
from flowserver.bench import steps, world
from flowserver.bench.figures import Row
from flowserver.bench.ground import Ground
from flowserver.config import read
from flowserver.extensions import db
from flowserver.models import Enrollment

FEW, MOVED = 10_000, 5000


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Peak memory of a process that moves 5,000 contacts, with 10,000 and with a million (quick: 100,000) waiting."""
    many = 100_000 if quick else 1_000_000
    small, large = (_peak(ground, count) for count in (FEW, many))
    name = f"worker memory, {many:,} waiting"
    return [
        Row(f"{name} against {FEW:,}", large / small, 1.05, at_most=True, note=f"{small:.0f} and {large:.0f} MB"),
        Row(name, large, 200, at_most=True, unit="MB"),
    ]


def _peak(ground: Ground, waiting: int) -> float:
    """Megabytes a fresh worker process used at most."""
    with ground.app():
        world.enroll(waiting, world.flow(steps.FLOW))
        e = Enrollment.__table__
        last = db.session.scalar(sa.select(sa.func.max(e.c.id))) or 0
        db.session.execute(
            sa.update(e)
            .where(e.c.id <= last - MOVED)
            .values(due_at=sa.literal(clock.now() + timedelta(days=30), e.c.due_at.type))
        )
        db.session.commit()
    with places.process(["-m", "flowserver.bench.memory"], ground.environment()) as child:
        found = json.loads(child.stdout.readline())
    assert found["moved"] == MOVED, found
    return float(found["megabytes"])


def main() -> None:
    """Advance what is due and print the peak."""
    from flowserver import create_app, extensions
    from flowserver.bench.ground import Silent
    from flowserver.services.engine import engine

    app = create_app(read(extra={"queue": Silent()}))
    with app.app_context():
        extensions.read_only(False)
        moved = 0
        while count := engine.batch():
            moved += count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(json.dumps({"moved": moved, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main()
