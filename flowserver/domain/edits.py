"""Changes to a draft: pure operations on the nested definition. Each returns a new definition and leaves the old alone.

A *place* is a pair ``(key, lane)``: ``("", "")`` is the beginning of the flow, ``("welcome", "")`` right after the
step ``welcome`` in the list that holds it, ``("phone", "then")`` the beginning of that lane of ``phone``. So every
gap of the step list has exactly one name.
"""

from __future__ import annotations

import copy as copying
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowserver.domain.definition import LANES, MOST_STEPS, find, keys, walk
from flowserver.errors import Conflict, NotFound
from flowserver.text import N_, Text

Place = tuple[str, str]
Fresh = Callable[[str], str]
"""``fresh("send_email")`` → a key that was never given to a step."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What moving needs to know of the step types: which are waits, which end the flow, which lanes each type has."""

    waits: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()
    lanes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def lanes_of(self, step: Mapping[str, Any]) -> tuple[str, ...]:
        """The lanes a step can hold, in reading order."""
        named = self.lanes.get(step.get("type", ""), ())
        return tuple(lane for lane in LANES if lane in named or lane in step)

    def waiting(self, step: Mapping[str, Any]) -> bool:
        """Whether the step is a wait, which belongs to the gap between two cards."""
        return step.get("type") in self.waits

    def ending(self, step: Mapping[str, Any]) -> bool:
        """Whether nothing can come after the step."""
        return step.get("type") in self.ends


# --- looking ---------------------------------------------------------------------------------------------


def step(definition: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The step ``key``. Raises :class:`NotFound`."""
    try:
        holder, index = find(definition, key)
    except KeyError:
        raise NotFound(N_("This step is no longer in the flow")) from None
    found: dict[str, Any] = holder[index]
    return found


def owner(definition: Mapping[str, Any], key: str) -> Place:
    """The lane that holds the step: ``("phone", "else")``, or ``("", "")`` for the main path."""
    for _, _, candidate in walk(definition.get("steps", [])):
        for lane in LANES:
            if any(inner["key"] == key for inner in candidate.get(lane) or ()):
                return candidate["key"], lane
    return "", ""


def inside(step: Mapping[str, Any]) -> list[str]:
    """Keys of a step and of everything on its paths, in reading order."""
    return [inner["key"] for _, _, inner in walk([step])]


def places(definition: Mapping[str, Any], shape: Shape) -> Iterator[Place]:
    """Every gap of the flow in reading order, the beginning first."""

    def within(steps: Sequence[Mapping[str, Any]]) -> Iterator[Place]:
        for each in steps:
            for lane in shape.lanes_of(each):
                yield each["key"], lane
                yield from within(each.get(lane) or [])
            yield each["key"], ""

    yield "", ""
    yield from within(definition.get("steps", []))


# --- changing --------------------------------------------------------------------------------------------


def insert(definition: Mapping[str, Any], new: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Put a step into a gap. Raises :class:`NotFound` for an unknown place, :class:`Conflict` in a flow that is full."""
    result = _copy(definition)
    if len(keys(result)) + len(inside(new)) > MOST_STEPS:
        raise Conflict(Text("A flow can have %(n)s steps at most", n=MOST_STEPS))
    holder, index = _open(result, place)
    holder.insert(index, copying.deepcopy(dict(new)))
    return result


def update(definition: Mapping[str, Any], key: str, settings: Mapping[str, Any], type: str = "") -> dict[str, Any]:
    """Give a step other settings, and another type where ``type`` says so. Its key and its lanes stay."""
    result = _copy(definition)
    old = step(result, key)
    lanes = {lane: old[lane] for lane in LANES if lane in old}
    kept = {name: old[name] for name in ("rev",) if name in old and not type}
    holder, index = find(result, key)
    holder[index] = {"key": key, "type": type or old["type"], **kept, **copying.deepcopy(dict(settings)), **lanes}
    return result


def delete(definition: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Take a step out, with everything on its paths."""
    result = _copy(definition)
    step(result, key)
    holder, index = find(result, key)
    del holder[index]
    return result


def move(definition: Mapping[str, Any], key: str, place: Place) -> dict[str, Any]:
    """Move a step, with everything on its paths, into another gap. Raises :class:`Conflict` for a gap inside itself."""
    moving = step(definition, key)
    if place == (key, ""):
        return _copy(definition)
    if place[0] in inside(moving):
        raise Conflict(N_("A step cannot move to one of its own paths"))
    moving = copying.deepcopy(moving)
    result = delete(definition, key)
    holder, index = _open(result, place)
    holder.insert(index, moving)
    return result


def up(definition: Mapping[str, Any], key: str, shape: Shape) -> dict[str, Any] | None:
    """Move a step one place up in reading order, into and out of lanes; ``None`` when it is the first already.

    Two cards change places and the waits stay in their gaps. Above a step with lanes comes the end of its last lane,
    above the beginning of a lane the end of the lane before it, above the first lane the step itself.
    """
    result = _copy(definition)
    step(result, key)
    holder, index = find(result, key)
    other = _neighbour(holder, index, -1, shape)
    if other is not None:
        lanes = shape.lanes_of(holder[other])
        if lanes and not shape.waiting(holder[index]):
            _append(_lane(holder[other], lanes[-1]), holder.pop(index), shape)
        else:
            holder[index], holder[other] = holder[other], holder[index]
        return result
    outer, lane = owner(result, key)
    if not outer:
        return None
    moving = holder.pop(index)
    branch = step(result, outer)
    lanes = shape.lanes_of(branch)
    if lane != lanes[0]:
        _append(_lane(branch, lanes[lanes.index(lane) - 1]), moving, shape)
    else:
        around, at = find(result, outer)
        while at and shape.waiting(around[at - 1]):
            at -= 1
        around.insert(at, moving)
    return result


def down(definition: Mapping[str, Any], key: str, shape: Shape) -> dict[str, Any] | None:
    """Move a step one place down in reading order: the way back of :func:`up`; ``None`` when it is the last already."""
    result = _copy(definition)
    step(result, key)
    holder, index = find(result, key)
    other = _neighbour(holder, index, +1, shape)
    if other is not None and not shape.ending(holder[other]):
        lanes = shape.lanes_of(holder[other])
        if lanes and not shape.waiting(holder[index]):
            _lane(holder[other], lanes[0]).insert(0, holder[index])
            del holder[index]
        else:
            holder[index], holder[other] = holder[other], holder[index]
        return result
    outer, lane = owner(result, key)
    if not outer:
        return None
    moving = holder.pop(index)
    branch = step(result, outer)
    lanes = shape.lanes_of(branch)
    if lane != lanes[-1]:
        _lane(branch, lanes[lanes.index(lane) + 1]).insert(0, moving)
    else:
        around, at = find(result, outer)
        at += 1
        while at < len(around) and shape.waiting(around[at]):
            at += 1
        around.insert(at, moving)
    return result


def copy(
    definition: Mapping[str, Any],
    key: str,
    fresh: Fresh,
    renamed: Callable[[dict[str, Any], Mapping[str, str]], dict[str, Any]] = lambda step, _: step,
) -> tuple[dict[str, Any], str]:
    """Put a copy of a step and of its paths right after it, under fresh keys.

    ``renamed(step, {old: new})`` lets references inside the copy point to the copies. Returns the definition and
    the key of the copy.
    """
    new = rekey(step(definition, key), fresh, renamed)
    return insert(definition, new, (key, "")), new["key"]


def rekey(
    old: Mapping[str, Any],
    fresh: Fresh,
    renamed: Callable[[dict[str, Any], Mapping[str, str]], dict[str, Any]] = lambda step, _: step,
) -> dict[str, Any]:
    """A deep copy of a step under fresh keys."""
    new = copying.deepcopy(dict(old))
    for _, _, each in walk([new]):
        each["key"] = fresh(each["type"])
    return renamed(new, dict(zip(inside(old), inside(new), strict=True)))


def _copy(definition: Mapping[str, Any]) -> dict[str, Any]:
    result = copying.deepcopy(dict(definition))
    result.setdefault("steps", [])
    return result


def _lane(step: dict[str, Any], lane: str) -> list[Any]:
    found: list[Any] = step.setdefault(lane, [])
    return found


def _append(lane: list[Any], moving: dict[str, Any], shape: Shape) -> None:
    """To the end of a lane, yet before the step that ends the flow there."""
    lane.insert(len(lane) - bool(lane and shape.ending(lane[-1])), moving)


def _open(definition: dict[str, Any], place: Place) -> tuple[list[Any], int]:
    """The list and index a place stands for, in ``definition`` itself."""
    key, lane = place
    if not key:
        return definition["steps"], 0
    found = step(definition, key)
    if lane:
        if lane not in LANES:
            raise NotFound(N_("This step has no such path"))
        return _lane(found, lane), 0
    holder, index = find(definition, key)
    return holder, index + 1


def _neighbour(holder: Sequence[Mapping[str, Any]], index: int, way: int, shape: Shape) -> int | None:
    """The index of the next card in one direction. A wait moves past anything, a card past waits to the next card."""
    at = index + way
    if not shape.waiting(holder[index]):
        while 0 <= at < len(holder) and shape.waiting(holder[at]):
            at += way
    return at if 0 <= at < len(holder) else None
