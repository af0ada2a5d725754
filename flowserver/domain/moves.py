"""From one version of a flow to the next: where the people inside it would stand, and what changes for them.

Rules: product.md, E.4. Steps keep their keys, so people keep their place. Whose step is gone goes on with what came
after it; where nothing of that is left, they leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flowserver.domain import duration, flow_graph
from flowserver.domain.definition import LANES, Compiled

TEXTS = frozenset({"title", "subject", "preheader", "body", "text", "from_name"})
"""What may change in a message without changing what a flow does."""


def only_texts(before: Mapping[str, Any], after: Mapping[str, Any], sends: frozenset[str]) -> bool:
    """Whether two definitions differ at most in their name and in what their messages say.

    ``sends``: the types of the steps that send.
    """
    return _without_texts(before, sends) == _without_texts(after, sends)


def _without_texts(definition: Mapping[str, Any], sends: frozenset[str]) -> dict[str, Any]:
    rest = {name: value for name, value in definition.items() if name not in ("name", "steps")}
    return {**rest, "steps": [_bare(step, sends) for step in definition.get("steps", [])]}


def _bare(step: Mapping[str, Any], sends: frozenset[str]) -> dict[str, Any]:
    texts = TEXTS if step["type"] in sends else frozenset({"title"})
    kept = {name: value for name, value in step.items() if name not in texts}
    return {**kept, **{lane: [_bare(inner, sends) for inner in step[lane]] for lane in LANES if lane in step}}


# --- places ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Landing:
    """Where somebody who stands at ``key`` of the old version comes to stand in the new one.

    ``step`` is ``None`` where nothing of what came after is left, and ``""`` while they wait to start. ``again`` are
    steps they can come to from there and may have been at before: for them these would happen twice.
    """

    key: str
    step: str | None
    again: frozenset[str] = frozenset()

    @property
    def stays(self) -> bool:
        """Whether it is the same step."""
        return self.step == self.key


class Moves:
    """All landings from one version to another. ``ever``: the keys of every step the flow had in any version."""

    def __init__(self, old: Compiled, definition: Mapping[str, Any], new: Compiled, ever: frozenset[str]):
        self.old, self.new, self.ever = old, new, ever
        self.after = dict(_after(definition.get("steps", []), None))

    def landing(self, key: str) -> Landing:
        """Where somebody at ``key`` comes to stand. ``""`` is the wait before the first step."""
        if not key:
            return Landing("", "")
        step: str | None = key
        while step is not None and not self._same(step):
            step = self.after.get(step)
        if step is None:
            return Landing(key, None)
        done = {one.key for one in flow_graph.before(self.old, key)} | (self.ever - self.old.steps.keys()) | {key}
        ahead = flow_graph.reached(self.new, step) - ({key} if step == key else set())
        return Landing(key, step, frozenset(ahead & done))

    def _same(self, key: str) -> bool:
        """A step that another type has taken the key of is another step."""
        old, new = self.old.steps.get(key), self.new.steps.get(key)
        return old is not None and new is not None and old.type == new.type


def _after(steps: Sequence[Mapping[str, Any]], follow: str | None) -> Iterator[tuple[str, str | None]]:
    """``(key, the key after it in the list that holds it, or after that list)``."""
    for index, step in enumerate(steps):
        after = steps[index + 1]["key"] if index + 1 < len(steps) else follow
        yield step["key"], after
        for lane in LANES:
            yield from _after(step.get(lane) or [], after)


# --- time ------------------------------------------------------------------------------------------------


def waits_anew(old: Compiled, new: Compiled, key: str) -> bool:
    """Whether those who wait at a step both versions have must be told anew how long: its settings changed.

    Messages that are held are not asked: what they say is looked up when they leave.
    """
    if not key:
        return old.wait != new.wait
    before, after = old.steps[key], new.steps[key]
    return not after.node.sends and before.settings != after.settings


def due_anew(old: Compiled, new: Compiled, key: str, since: datetime, due: datetime, zone: ZoneInfo) -> datetime | None:
    """When a changed wait ends for somebody who is in it since ``since`` and was due at ``due``; instants are UTC.

    Time served counts, and a pause of the flow in between stays added. ``None``: now, for the step itself to say.
    """
    if not key:
        return due + duration.parse(new.wait) - duration.parse(old.wait)
    before, after = old.steps[key].node, new.steps[key].node
    if not after.waits:
        return None
    if "for" in before.settings and "for" in after.settings:
        longer: timedelta = after.ends(since, zone) - before.ends(since, zone)
        return due + longer
    ends: datetime = after.ends(since, zone)
    return ends
