"""One way to write a definition: the same content always in the same order, whatever order it came in.

Databases do not keep the order of keys, and people add them as they like. What is read back (over the API, in a file)
has the settings of a step in the order its type declares them, and all else by name, so that two texts can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowserver.domain.definition import LANES

_DEFINITION = ("format", "name", "trigger", "goal", "exit", "sending_hours", "steps")
_TRIGGER = ("type", "rev")
_TRIGGER_END = ("wait", "reentry", "cooldown", "include_existing")
_STEP = ("key", "type", "rev")
_INNER = ("type", "key", "field", "op")


def ordered(definition: Mapping[str, Any], triggers: Mapping[str, Any], actions: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a definition, sound or not, with its keys in one order; revision 1 is left out."""
    found = _sorted(definition, _DEFINITION)
    trigger = found.get("trigger")
    if isinstance(trigger, Mapping):
        own = _declared(triggers.get(str(trigger.get("type"))))
        found["trigger"] = _sorted(trigger, (*_TRIGGER, *own), _TRIGGER_END)
    found["steps"] = _steps(definition.get("steps", []), actions)
    return {key: value if key in ("trigger", "steps") else _inner(value) for key, value in found.items()}


def _steps(steps: Any, actions: Mapping[str, Any]) -> Any:
    return [_step(step, actions) for step in steps] if isinstance(steps, list) else steps


def _step(step: Any, actions: Mapping[str, Any]) -> Any:
    if not isinstance(step, Mapping):
        return step
    found = _sorted(step, (*_STEP, *_declared(actions.get(str(step.get("type"))))), LANES)
    return {key: _steps(step[key], actions) if key in LANES else value for key, value in found.items()}


def _declared(node: Any) -> list[str]:
    """The settings of a type of step or starting point, as they are written, in the order they are declared."""
    if node is None:
        return []
    return [field.data_key or name for name, field in node.Settings._declared_fields.items()]


def _sorted(raw: Mapping[str, Any], first: Iterable[str], last: Iterable[str] = ()) -> dict[str, Any]:
    """``raw`` with the keys ``first`` at the beginning, ``last`` at the end and all others by name between them."""
    begin = [key for key in first if key in raw]
    end = [key for key in last if key in raw and key not in begin]
    between = sorted(key for key in raw if key not in begin and key not in end)
    kept = [key for key in (*begin, *between, *end) if not (key == "rev" and raw[key] == 1)]
    return {key: raw[key] if key in (*LANES, "steps") else _inner(raw[key]) for key in kept}


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        keys = [key for key in _INNER if key in value]
        return {key: _inner(value[key]) for key in (*keys, *sorted(set(value) - set(keys)))}
    return [_inner(one) for one in value] if isinstance(value, list) else value
