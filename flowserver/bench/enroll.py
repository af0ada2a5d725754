"""Enrolling a list: the real job that lets a crowd into a flow, in chunks that can be resumed, against one raw
``INSERT … SELECT`` of the same rows; and the memory it takes for a large list against a small one."""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import ground as places
from flowserver.bench import world
from flowserver.bench.figures import Row, in_turn, rates
from flowserver.bench.ground import Ground
from flowserver.config import read
from flowserver.extensions import db
from flowserver.models import ContactList, Enrollment, FlowStart, FlowStartContact, Membership
from flowserver.services.engine import starts

GOAL, FEW = 0.5, 10_000
STEPS: list[dict[str, Any]] = [{"key": "pause", "type": "wait", "for": {"days": 1}}]


def rows(ground: Ground, quick: bool) -> list[Row]:
    """The row of one database, and two of memory."""
    many, times = (50_000, 3) if quick else (1_000_000, 3)
    with ground.app():
        flow_id, list_id = a_list(many)
        found = in_turn(lambda: product(flow_id, list_id, many), lambda: raw(flow_id, list_id, many), times)
    small, large = _peak(ground, FEW), _peak(ground, many)
    name = f"enrolling a list of {many:,}"
    return [
        Row(name, found.ratio, GOAL, baseline=found.theirs, note=rates({"contacts": found.ours})),
        Row(
            f"{name}, memory against {FEW:,}", large / small, 1.05, at_most=True, note=f"{small:.0f} and {large:.0f} MB"
        ),
    ]


def a_list(many: int) -> tuple[int, int]:
    """A fresh world with a live flow and so many contacts, all on one list; the ids of both."""
    flow = world.flow(STEPS)
    flow_id, workspace_id = flow.id, flow.workspace_id
    world.people(workspace_id, many)
    row = ContactList(workspace_id=workspace_id, name="Everybody", created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    columns = ("list_id", "contact_id", "workspace_id", "joined_at")
    given = [sa.literal(clock.now(), Membership.__table__.c.joined_at.type)]
    everybody = sa.select(sa.literal(row.id), sa.text("id"), sa.literal(workspace_id), *given).select_from(
        sa.text("contact")
    )
    db.session.execute(sa.insert(Membership.__table__).from_select(columns, everybody))
    list_id = row.id
    world.settle()
    return flow_id, list_id


def clear() -> None:
    """Nobody is in the flow any more."""
    tables = (Enrollment.__table__, FlowStartContact.__table__, FlowStart.__table__)
    if world.is_postgres():
        db.session.execute(sa.text(f"TRUNCATE {', '.join(table.name for table in tables)}"))
    else:
        for table in tables:
            db.session.execute(table.delete())
    world.settle()


def order(flow_id: int, list_id: int) -> int:
    """Somebody starts the list; the id of what the job works off."""
    now = clock.now()
    rule = {"members": {"list": list_id, "until": now.isoformat()}}
    row = FlowStart(
        workspace_id=1, flow_id=flow_id, key="bench", by="hand", rule=rule, at=now, created_at=now, after=0, entered=0
    )
    row.workspace_id = db.session.scalar(sa.text("SELECT workspace_id FROM flow WHERE id = :id"), {"id": flow_id})
    db.session.add(row)
    db.session.commit()
    return row.id


def product(flow_id: int, list_id: int, many: int) -> float:
    """Contacts a second of the job."""
    clear()
    start_id = order(flow_id, list_id)
    began = time.perf_counter()
    entered = starts.work(start_id, seconds=3600)
    took = time.perf_counter() - began
    assert entered == many, (entered, many)
    return many / took


_RAW = """INSERT INTO enrollment (contact_id, workspace_id, flow_id, version_id, event_key, chain, data, step, visit,
  due_at, due_kind, held, triggered_at) SELECT contact_id, workspace_id, :flow, 1, 'raw', 0, :data, '', 1, :now,
  'relative', :held, :now FROM membership WHERE list_id = :list"""


def raw(flow_id: int, list_id: int, many: int) -> float:
    """Contacts a second of one statement, which decides nothing and cannot be resumed."""
    clear()
    now: Any = clock.now()
    given = {"flow": flow_id, "list": list_id, "held": False, "data": '{"start": "hand"}', "now": now}
    statement = _RAW
    if world.is_postgres():
        statement = statement.replace(":data", "CAST(:data AS jsonb)").replace(":now", "CAST(:now AS timestamptz)")
    else:
        given["now"] = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    began = time.perf_counter()
    entered = db.session.connection().execute(sa.text(statement), given).rowcount
    db.session.commit()
    took = time.perf_counter() - began
    assert entered == many, (entered, many)
    return many / took


# --- memory --------------------------------------------------------------------------------------------------


def _peak(ground: Ground, many: int) -> float:
    """Megabytes a fresh process used at most to enroll a list of so many."""
    with ground.app():
        start_id = order(*a_list(many))
    with places.process(["-m", "flowserver.bench.enroll", str(start_id)], ground.environment()) as child:
        found = json.loads(child.stdout.readline())
    assert found["entered"] == many, found
    return float(found["megabytes"])


def main() -> None:
    """Let one crowd in and print the peak."""
    from flowserver import create_app, extensions
    from flowserver.bench.ground import Silent

    app = create_app(read(extra={"queue": Silent()}))
    with app.app_context():
        extensions.read_only(False)
        entered = starts.work(int(sys.argv[1]), seconds=3600)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(json.dumps({"entered": entered, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main()
