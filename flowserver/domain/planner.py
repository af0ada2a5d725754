"""Carry a batch of contacts through a compiled flow up to the next wait or the end, in memory.

The same walk serves production and simulation: it takes items and a context and returns where everybody stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowserver.domain.context import BatchContext
from flowserver.domain.definition import Compiled
from flowserver.domain.steps import Go, Item, Leave, Park


class Runaway(Exception):
    """A step came round twice, or waits for a moment that has passed: it would never stop, so the flow must be paused."""


@dataclass(slots=True)
class Place:
    """Where an enrollment stands after the walk: parked (``due_at``) or ended (``end_reason``)."""

    enrollment_id: int
    step: str
    visit: int
    parked_at: datetime | None = None
    awaits: str | None = None
    due_at: datetime | None = None
    due_kind: str = "relative"
    entered: bool = False
    end_reason: str | None = None
    label: str | None = None
    outcome: str | None = None


def walk(flow: Compiled, items: Sequence[Item], ctx: BatchContext) -> list[Place]:
    """Run every item through all steps up to its next wait or its end. One place per item, in any order."""
    places: list[Place] = []
    ready: dict[str, list[Item]] = defaultdict(list)
    entered: set[int] = set()
    if any(not item.step for item in items):
        ctx.need(flow.trigger.needs)
    for item in items:
        _begin(flow, item, ctx, ready, entered, places)
    order = {key: n for n, key in enumerate(flow.steps)}
    done: set[str] = set()
    while ready:
        key = min(ready, key=order.__getitem__)
        if key in done:
            raise Runaway(key)
        done.add(key)
        _run(flow, key, ready.pop(key), ctx, ready, entered, places)
    return places


def _begin(
    flow: Compiled, item: Item, ctx: BatchContext, ready: dict[str, list[Item]], entered: set[int], places: list[Place]
) -> None:
    """Put an item before its step. A start wait that ends is checked once more; a step that is gone ends the run."""
    if not item.step:
        started = item.data.get("start")  # by a person or another flow: its own starting point has no say
        if not started and not flow.trigger.still_holds(item):
            ctx.log(item, "", "left", "no_longer_matches", None)
            places.append(Place(item.enrollment_id, "", item.visit, end_reason="no_longer_matches"))
            return
        entered.add(item.enrollment_id)
        ctx.log(item, "", "entered", None, None)
        _advance(flow.first, item, ready, entered, places)
    elif item.step in flow.steps:
        ready[item.step].append(item)
    else:
        ctx.log(item, item.step, "left", "step_removed", None)
        places.append(Place(item.enrollment_id, item.step, item.visit, end_reason="step_removed"))


def _run(
    flow: Compiled,
    key: str,
    batch: list[Item],
    ctx: BatchContext,
    ready: dict[str, list[Item]],
    entered: set[int],
    places: list[Place],
) -> None:
    step = flow.steps[key]
    ctx.need(step.node.needs)
    log, ports = ctx.log, step.ports
    for items, decide in _halves(batch, step.node):
        for item, outcome in zip(items, decide(items, ctx), strict=True):
            if type(outcome) is Go:
                log(item, key, "skipped" if outcome.skipped else outcome.port, outcome.skipped, outcome.facts)
                item.parked_at = None
                _advance(ports[outcome.port], item, ready, entered, places)
            elif type(outcome) is Park:
                _park(step, item, outcome, ctx, entered, places)
            else:
                _leave(step, item, outcome, ctx, entered, places)


def _halves(batch: list[Item], node: Any) -> list[tuple[list[Item], Any]]:
    """Those who arrive are decided by ``execute``, those who had parked here by ``resume``."""
    arriving = [item for item in batch if item.parked_at is None]
    waiting = [item for item in batch if item.parked_at is not None] if len(arriving) < len(batch) else []
    return [(items, decide) for items, decide in ((arriving, node.execute), (waiting, node.resume)) if items]


def _park(step: Any, item: Item, outcome: Park, ctx: BatchContext, entered: set[int], places: list[Place]) -> None:
    if outcome.until <= ctx.now:
        raise Runaway(step.key)
    if item.parked_at is None or outcome.reason:  # a wait that goes on is no new decision
        ctx.log(item, step.key, "held" if outcome.reason else "waits", outcome.reason, outcome.facts)
    places.append(
        Place(
            item.enrollment_id,
            step.key,
            item.visit,
            parked_at=item.parked_at or ctx.now,
            awaits=outcome.awaits,
            due_at=outcome.until,
            due_kind="absolute" if outcome.absolute else "relative",
            entered=item.enrollment_id in entered,
        )
    )


def _leave(step: Any, item: Item, outcome: Leave, ctx: BatchContext, entered: set[int], places: list[Place]) -> None:
    ctx.log(item, step.key, "left", outcome.reason, outcome.facts)
    places.append(
        Place(
            item.enrollment_id,
            step.key,
            item.visit,
            entered=item.enrollment_id in entered,
            end_reason=outcome.reason,
            label=outcome.label,
            outcome=outcome.outcome,
        )
    )


def _advance(key: str | None, item: Item, ready: dict[str, list[Item]], entered: set[int], places: list[Place]) -> None:
    """To the next step, or out at the end of the list."""
    if key is None:
        places.append(
            Place(
                item.enrollment_id, item.step, item.visit, entered=item.enrollment_id in entered, end_reason="finished"
            )
        )
        return
    item.step = key
    ready[key].append(item)
