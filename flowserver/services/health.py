"""Is everything alive: signs of life of workers and clock, the answers of /readyz, the numbers of /metrics."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Worker


def beat(name: str, kind: str, started_at: datetime) -> None:
    """Note that the process ``name`` (kind: worker, clock) is alive now."""
    now = clock.now()
    seen = db.session.execute(
        sa.update(Worker).where(Worker.name == name).values(kind=kind, started_at=started_at, seen_at=now)
    )
    if not seen.rowcount:  # type: ignore[attr-defined]
        db.session.add(Worker(name=name, kind=kind, started_at=started_at, seen_at=now))
    db.session.commit()


def leave(name: str) -> None:
    """Forget a process that ended in order: nobody has to look after what it had in hand."""
    db.session.execute(sa.delete(Worker).where(Worker.name == name))
    db.session.commit()
