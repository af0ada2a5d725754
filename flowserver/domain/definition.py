"""Flow definitions: nested lists of steps. Is one sound? Compile its lanes to next steps.

A definition is a plain dict (format 1)::

    {"format": 1, "name": "Welcome", "trigger": {"type": "list_joined", "list": 3, "wait": {"minutes": 10},
     "reentry": "once"}, "steps": [{"key": "hello", "type": "send_email", "subject": …, "body": …},
     {"key": "phone", "type": "if_else", "if": {"type": "has_phone"}, "then": […], "else": […]}]}

A step's lanes carry the names of its node's ports (``then``/``else``). After its lanes the flow goes on with the next
step of the list that holds it. Keys are stable and unique; numbers are only shown, and waits have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowserver.errors import Invalid, flat
from flowserver.text import N_, Text

KEY = re.compile(r"^[a-z0-9][a-z0-9_-]{0,59}$")
LANES = ("then", "else")
TRIGGER_KEYS = {"type", "wait", "reentry", "cooldown", "include_existing", "rev"}
STEP_KEYS = {"key", "type", "rev", *LANES}
MOST_STEPS = 500


class NodeClass(Protocol):
    """What compiling needs to know of a node class."""

    ports: Any

    def load(self, raw: Mapping[str, Any], revision: int = 1) -> dict[str, Any]: ...
    def __call__(self, settings: Mapping[str, Any]) -> Any: ...


@dataclass(slots=True)
class Step:
    """One compiled step. ``ports`` maps each way out to the next key; ``None`` is the end of the flow."""

    key: str
    type: str
    settings: dict[str, Any]
    node: Any
    path: str  # where it stands: steps[1].then[0]
    number: int | None  # as shown; waits have none
    depth: int
    ports: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Compiled:
    """A definition the engine can read: steps by key, in reading order, and where to begin."""

    name: str
    trigger_type: str
    trigger: Any
    trigger_settings: dict[str, Any]
    wait: dict[str, int]
    reentry: str
    cooldown: dict[str, int] | None
    include_existing: bool
    steps: dict[str, Step]
    first: str | None
    needs: frozenset[str]
    mistakes: dict[str, Any] = field(default_factory=dict)  # path → texts; empty when sound


# --- walking a definition ------------------------------------------------------------------------------


def walk(steps: Sequence[Mapping[str, Any]], path: str = "steps", depth: int = 0) -> Iterator[tuple[str, int, Any]]:
    """``(path, depth, step)`` of every step in reading order, lanes included."""
    for index, step in enumerate(steps):
        here = f"{path}[{index}]"
        yield here, depth, step
        for lane in LANES:
            if isinstance(step, Mapping) and isinstance(step.get(lane), Sequence):
                yield from walk(step[lane], f"{here}.{lane}", depth + 1)


def find(definition: Mapping[str, Any], key: str) -> tuple[list[Any], int]:
    """The list that holds the step ``key`` and its place in it. Raises ``KeyError``."""

    def search(steps: list[Any]) -> tuple[list[Any], int] | None:
        for index, step in enumerate(steps):
            if step["key"] == key:
                return steps, index
            for lane in LANES:
                found = search(step.get(lane) or [])
                if found:
                    return found
        return None

    found = search(definition["steps"])
    if not found:
        raise KeyError(key)
    return found


def keys(definition: Mapping[str, Any]) -> list[str]:
    """All step keys in reading order."""
    return [step["key"] for _, _, step in walk(definition.get("steps", []))]


def own_settings(step: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a step without its key, type and lanes."""
    return {name: value for name, value in step.items() if name not in STEP_KEYS}


def trigger_settings(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """The trigger's own settings without what is common to all triggers."""
    return {name: value for name, value in trigger.items() if name not in TRIGGER_KEYS}


# --- compiling -----------------------------------------------------------------------------------------


def compile(
    definition: Mapping[str, Any],
    triggers: Mapping[str, Any],
    actions: Mapping[str, Any],
    lenient: bool = False,
) -> Compiled:
    """Check a whole definition and compile it.

    Raises :class:`Invalid` with all mistakes by path (``steps[1].then[0].subject``). ``lenient`` keeps going instead:
    the mistakes stand in ``Compiled.mistakes`` and faulty steps carry their raw settings, so that an editor can show
    a draft that is not finished.
    """
    if not isinstance(definition, Mapping):
        raise Invalid(N_("Write the flow as an object with trigger and steps"))
    mistakes: dict[str, Any] = {}
    name = _name(definition, mistakes)
    trigger = _trigger(definition.get("trigger"), triggers, mistakes)
    steps = _steps(definition.get("steps", []), actions, mistakes)
    if mistakes and not lenient:
        raise Invalid(mistakes)
    first = _link(definition.get("steps", []), steps)
    needs = frozenset().union(*(getattr(step.node, "needs", frozenset()) for step in steps.values()))
    return Compiled(name=name, steps=steps, first=first, needs=needs, mistakes=mistakes, **trigger)


def _name(definition: Mapping[str, Any], mistakes: dict[str, Any]) -> str:
    if definition.get("format", 1) != 1:
        mistakes["format"] = [N_("This version reads format 1")]
    for unknown in sorted(
        set(map(str, definition)) - {"format", "name", "trigger", "steps", "goal", "exit", "settings"}
    ):
        mistakes[unknown] = [N_("Unknown setting")]
    return check_name(definition.get("name"), mistakes)


def check_name(raw: Any, mistakes: dict[str, Any]) -> str:
    """A flow's name, trimmed; what is wrong goes into ``mistakes["name"]``."""
    name = raw.strip() if isinstance(raw, str) else ""
    if not name:
        mistakes["name"] = [N_("Enter a name for the flow")]
    elif len(name) > 120:
        mistakes["name"] = [N_("Use 120 characters at most for the name")]
    return name


def _trigger(raw: Any, triggers: Mapping[str, Any], mistakes: dict[str, Any]) -> dict[str, Any]:
    raw = raw if isinstance(raw, Mapping) else {}
    kind = str(raw.get("type", ""))
    found: dict[str, Any] = {
        "trigger_type": kind,
        "trigger": None,
        "trigger_settings": trigger_settings(raw),
        "wait": raw.get("wait", {"minutes": 0}),
        "reentry": raw.get("reentry", ""),
        "cooldown": raw.get("cooldown"),
        "include_existing": raw.get("include_existing", False),
    }
    if kind not in triggers:
        mistakes["trigger.type"] = [Text("Choose a starting point we know, not “%(type)s”", type=kind[:60])]
        return found
    cls = triggers[kind]
    try:
        found["trigger_settings"] = cls.load(trigger_settings(raw), raw.get("rev", 1))
        found["trigger"] = cls(found["trigger_settings"])
    except Invalid as error:
        mistakes.update({f"trigger.{name}": texts for name, texts in error.messages.items()})
    found["reentry"] = found["reentry"] or cls.reentry
    if found["reentry"] not in ("once", "after_finish"):
        mistakes["trigger.reentry"] = [N_("Choose once or after_finish")]
    if not isinstance(found["include_existing"], bool):
        mistakes["trigger.include_existing"] = [N_("Write true or false")]
    for name in ("wait", "cooldown"):
        if found[name] is not None:
            _duration(found[name], f"trigger.{name}", mistakes)
    return found


def _duration(raw: Any, path: str, mistakes: dict[str, Any]) -> None:
    from flowserver.domain import duration

    try:
        duration.parse(raw)
    except Invalid as error:
        mistakes[path] = flat(error.messages)


def _steps(raw: Any, actions: Mapping[str, Any], mistakes: dict[str, Any]) -> dict[str, Step]:
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        mistakes["steps"] = [N_("Write the steps as a list")]
        return {}
    found: dict[str, Step] = {}
    number = 0
    for path, depth, step in walk(raw):
        if len(found) >= MOST_STEPS:
            mistakes["steps"] = [Text("A flow can have %(n)s steps at most", n=MOST_STEPS)]
            break
        if not isinstance(step, Mapping):
            mistakes[path] = [N_("Write each step as an object with key and type")]
            continue
        key, kind = str(step.get("key", "")), str(step.get("type", ""))
        if not KEY.match(key):
            mistakes[f"{path}.key"] = [N_("Give each step a key of small letters, digits, - or _")]
            continue
        if key in found:
            mistakes[f"{path}.key"] = [Text("The key “%(key)s” is used twice", key=key)]
            continue
        cls = actions.get(kind)
        if cls is None:
            mistakes[f"{path}.type"] = [Text("There is no step of the type “%(type)s”", type=kind[:60])]
            continue
        number += 0 if cls.waits else 1
        found[key] = _step(key, cls, step, path, None if cls.waits else number, depth, mistakes)
    return found


def _step(
    key: str,
    cls: Any,
    raw: Mapping[str, Any],
    path: str,
    number: int | None,
    depth: int,
    mistakes: dict[str, Any],
) -> Step:
    for lane in LANES:
        if lane in raw and lane not in cls.ports:
            mistakes[f"{path}.{lane}"] = [N_("This step has no such path")]
        elif lane in raw and not isinstance(raw[lane], list):
            mistakes[f"{path}.{lane}"] = [N_("Write the steps as a list")]
    settings = own_settings(raw)
    node = None
    try:
        settings = cls.load(settings, raw.get("rev", 1))
        node = cls(settings)
    except Invalid as error:
        mistakes.update({f"{path}.{name}": texts for name, texts in error.messages.items()})
    return Step(key, cls.name, settings, node or cls(settings), path, number, depth)


def _link(raw: Any, steps: dict[str, Step]) -> str | None:
    """Fill in every step's ``ports``; returns the first key."""

    def link(block: Any, after: str | None) -> str | None:
        known = [step for step in block if isinstance(step, Mapping) and step.get("key") in steps]
        follow = after
        for step in reversed(known):
            compiled = steps[step["key"]]
            for port in type(compiled.node).ports:
                lane = step.get(port) if port in LANES else None
                compiled.ports[port] = link(lane, follow) if lane else follow
            follow = step["key"]
        return follow

    return link(raw if isinstance(raw, list) else [], None)
