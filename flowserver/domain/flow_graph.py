"""Ways through a compiled flow: what comes before a step, how long it takes to get there, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flowserver.domain import duration
from flowserver.domain.definition import Compiled, Step
from flowserver.errors import Invalid

DAY = timedelta(days=1)
NOTHING = timedelta(0)


def brought(flow: Compiled, key: str) -> dict[str, str]:
    """What a message at ``key`` can show as ``{{ event.<name> }}``: by name, in words."""
    nodes = [step.node for step in before(flow, key)] if key in flow.steps else []
    if flow.trigger is not None:
        nodes.insert(0, flow.trigger)
    return {name: words for node in nodes for name, words in node.brings.items()}


def before(flow: Compiled, key: str) -> list[Step]:
    """The steps that come earlier on some path to ``key``, in reading order."""
    into: dict[str, set[str]] = {}
    for step in flow.steps.values():
        for target in step.ports.values():
            if target is not None:
                into.setdefault(target, set()).add(step.key)
    found: set[str] = set()
    todo = [key]
    while todo:
        for source in into.get(todo.pop(), set()) - found:
            found.add(source)
            todo.append(source)
    return [step for step in flow.steps.values() if step.key in found]


def reached(flow: Compiled, start: str | None = None) -> set[str]:
    """The steps somebody can come to from ``start``, that one included; from the beginning where it is left out."""
    found: set[str] = set()
    todo = [key for key in (start or flow.first,) if key]
    while todo:
        key = todo.pop()
        if key in found:
            continue
        found.add(key)
        todo.extend(target for target in flow.steps[key].ports.values() if target)
    return found


def next_number(flow: Compiled, key: str | None) -> int | None:
    """The number of the first card at or after ``key``: waits have none. ``None``: the flow ends."""
    while key is not None and flow.steps[key].number is None:
        key = next(iter(flow.steps[key].ports.values()), None)
    return flow.steps[key].number if key is not None else None


# --- time ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """How long after the start a place is reached: at the earliest and at the latest. ``known`` is false after a date."""

    least: timedelta = NOTHING
    most: timedelta = NOTHING
    known: bool = True

    def plus(self, other: Span) -> Span:
        """One after the other."""
        return Span(self.least + other.least, self.most + other.most, self.known and other.known)

    def meet(self, other: Span) -> Span:
        """One or the other."""
        return Span(min(self.least, other.least), max(self.most, other.most), self.known and other.known)


def takes(step: Step, port: str) -> Span:
    """How long a step keeps people who leave it through ``port``. Sending hours and pauses are left out."""
    settings: Mapping[str, Any] = step.node.settings  # the sound ones, in a draft
    if step.node.waits:
        if "for" in settings:
            length = _length(settings["for"])
            return Span(length, length)
        until = settings.get("until") or {}
        if "date" in until:
            return Span(NOTHING, NOTHING, known=False)
        return Span(NOTHING, 7 * DAY if "weekday" in until else DAY)
    if "at_most" in settings:
        limit = _length(settings["at_most"])
        return Span(NOTHING, limit) if port == "then" else Span(limit, limit)
    return Span()


def _length(raw: Any) -> timedelta:
    try:
        return duration.parse(raw)
    except Invalid:
        return NOTHING


def arrivals(flow: Compiled) -> dict[str, Span]:
    """When each step is reached, counted from the moment of the trigger, its start wait included."""
    start = _length(flow.wait)
    found: dict[str, Span] = {}
    if flow.first:
        found[flow.first] = Span(start, start)
    for step in flow.steps.values():  # reading order is an order of arrival: paths only lead forward
        if step.key not in found:
            continue
        for port, target in step.ports.items():
            if target is not None:
                at = found[step.key].plus(takes(step, port))
                found[target] = found[target].meet(at) if target in found else at
    return found


def shortest(flow: Compiled, start: str, end: str) -> timedelta | None:
    """The shortest time between leaving ``start`` and reaching ``end``; ``None`` when there is no way.

    A wait until an hour, a weekday or a date counts as a day: nobody can know.
    """
    found: dict[str, timedelta] = {start: NOTHING}
    for step in flow.steps.values():
        if step.key not in found or step.key == end:
            continue
        for port, target in step.ports.items():
            if target is None:
                continue
            span = takes(step, port)
            length = DAY if step.node.waits and "for" not in step.node.settings else span.least
            at = found[step.key] + length
            found[target] = min(found.get(target, at), at)
    return found.get(end)


def longest(flow: Compiled) -> tuple[timedelta, int]:
    """The longest way through: its time, start wait included, and the most messages one contact can get."""
    time: dict[str | None, timedelta] = {None: NOTHING}
    messages: dict[str | None, int] = {None: 0}
    for step in reversed(list(flow.steps.values())):
        ways = [(takes(step, port).most + time[target], messages[target]) for port, target in step.ports.items()]
        time[step.key] = max((way[0] for way in ways), default=NOTHING)
        messages[step.key] = max((way[1] for way in ways), default=0) + bool(step.node.sends)
    return _length(flow.wait) + time[flow.first], messages[flow.first]
