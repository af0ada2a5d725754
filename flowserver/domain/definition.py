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
from datetime import datetime, time, timedelta
from typing import Any, Protocol

from flowserver.domain import duration
from flowserver.domain.localtime import WEEKDAYS, parse_time
from flowserver.domain.sending import Hours
from flowserver.domain.steps import heard_as
from flowserver.errors import Invalid, flat
from flowserver.text import N_, Text

EVENT = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
LANES = ("then", "else")
TRIGGER_KEYS = {"type", "wait", "reentry", "cooldown", "include_existing", "rev"}
STEP_KEYS = {"key", "type", "rev", *LANES}
DEFINITION_KEYS = {"format", "name", "trigger", "goal", "exit", "sending_hours", "steps"}
GOALS = ("goal", "exit")  # what ends a run from anywhere in the flow
GOAL_KEYS = {"type", "within", "label", "outcome", "rev"}
OUTCOMES = ("positive", "neutral", "negative")
MOST_STEPS = 500
MOST_LEVELS = 25  # of lanes within lanes; the editor advises against more than four
MOST_NESTED = 100  # objects and lists within each other, in all of a definition
REENTRY = ("once", "after_finish")


class NodeClass(Protocol):
    """What compiling needs to know of a node class."""

    ports: Any

    def checked(self, raw: Mapping[str, Any], revision: int = 1) -> tuple[dict[str, Any], dict[str, Any]]: ...
    def __call__(self, settings: Mapping[str, Any]) -> Any: ...


@dataclass(slots=True)
class Step:
    """One compiled step. ``ports`` maps each way out to the next key; ``None`` is the end of the flow.

    ``settings`` are cleaned; those of a faulty step in a draft are as they were written, while its ``node`` has only
    the sound ones.
    """

    key: str
    type: str
    settings: dict[str, Any]
    node: Any
    path: str  # where it stands: steps[1].then[0]
    number: int | None  # as shown; waits have none
    depth: int
    ports: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Goal:
    """What ends a run from anywhere in the flow: an event, or what a starting point of some type would let in.

    ``within`` counts from entering; afterwards it is no longer watched. ``kind`` is ``goal`` or ``exit``.
    """

    kind: str
    event: str
    node: Any  # a trigger; None where only the event's word counts
    within: timedelta | None
    label: str
    outcome: str

    @property
    def listens_to(self) -> frozenset[str]:
        """Event types that can meet it."""
        return frozenset({self.event} if self.node is None else self.node.listens_to)

    def met(self, fact: Any, since: datetime) -> bool:
        """Whether this event of a contact who entered at ``since`` meets it."""
        word = fact.type if self.node is None else heard_as(fact.type)
        if word not in self.listens_to or (self.within is not None and fact.at > since + self.within):
            return False
        return self.node is None or bool(self.node.admits(fact))


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
    goals: tuple[Goal, ...] = ()
    hours: Hours | None = None
    mistakes: dict[str, Any] = field(default_factory=dict)  # path → texts; empty when sound


# --- walking a definition ------------------------------------------------------------------------------


def walk(steps: Sequence[Mapping[str, Any]], path: str = "steps", depth: int = 0) -> Iterator[tuple[str, int, Any]]:
    """``(path, depth, step)`` of every step in reading order, lanes included, one level more than is allowed."""
    for index, step in enumerate(steps):
        here = f"{path}[{index}]"
        yield here, depth, step
        for lane in LANES if isinstance(step, Mapping) and depth <= MOST_LEVELS else ():
            if isinstance(step.get(lane), list):
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


def written(definition: Mapping[str, Any], path: str) -> Any:
    """What stands at a path such as ``steps[1].then[0].subject``; ``None`` where nothing does."""
    found: Any = definition
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if key and isinstance(found, Mapping):
            found = found.get(key)
        elif index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        else:
            return None
    return found


def plain(raw: Any, depth: int = 0) -> Any:
    """A copy of what came in as JSON. Raises :class:`Invalid` when it is nested deeper than any flow is."""
    if depth > MOST_NESTED:
        raise Invalid(Text("A flow can be nested %(n)s levels deep at most", n=MOST_NESTED))
    if isinstance(raw, Mapping):
        return {key: plain(value, depth + 1) for key, value in raw.items()}
    if isinstance(raw, list):
        return [plain(value, depth + 1) for value in raw]
    return raw


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
    the mistakes stand in ``Compiled.mistakes``, so that an editor can show a draft that is not finished.
    """
    if not isinstance(definition, Mapping):
        raise Invalid(N_("Write the flow as an object with trigger and steps"))
    mistakes: dict[str, Any] = {}
    name = _name(definition, mistakes)
    trigger = _trigger(definition.get("trigger"), triggers, mistakes)
    goals = tuple(filter(None, (_goal(kind, definition.get(kind), triggers, mistakes) for kind in GOALS)))
    hours = _hours(definition.get("sending_hours"), mistakes)
    steps = _steps(definition.get("steps", []), actions, mistakes)
    if mistakes and not lenient:
        raise Invalid(mistakes)
    first = _link(definition.get("steps", []), {step.path: step for step in steps.values()})
    needs = frozenset().union(*(getattr(step.node, "needs", frozenset()) for step in steps.values()))
    return Compiled(
        name=name, steps=steps, first=first, needs=needs, goals=goals, hours=hours, mistakes=mistakes, **trigger
    )


def _name(definition: Mapping[str, Any], mistakes: dict[str, Any]) -> str:
    if definition.get("format", 1) != 1:
        mistakes["format"] = [N_("This version reads format 1")]
    for unknown in sorted(set(map(str, definition)) - DEFINITION_KEYS):
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
        "wait": raw["wait"] if raw.get("wait") is not None else {"minutes": 0},
        "reentry": raw.get("reentry") or "",
        "cooldown": raw.get("cooldown"),
        "include_existing": raw.get("include_existing") or False,
    }
    if kind not in triggers:
        mistakes["trigger.type"] = [Text("Choose a starting point we know, not “%(type)s”", type=kind[:60])]
        return found
    cls = triggers[kind]
    settings, wrong = cls.checked(trigger_settings(raw), raw.get("rev", 1))
    if wrong:
        mistakes.update({f"trigger.{name}": texts for name, texts in wrong.items()})
    else:
        found["trigger_settings"], found["trigger"] = settings, cls(settings)
        if raw.get("wait") is None:
            found["wait"] = dict(found["trigger"].unsaid_wait())
    found["reentry"] = found["reentry"] or cls.reentry
    if "cooldown" not in raw and found["reentry"] == "after_finish":
        found["cooldown"] = cls.cooldown and dict(cls.cooldown)
    if raw.get("include_existing") is None:
        found["include_existing"] = cls.include_existing
    _check_entry(found, cls, mistakes)
    return found


def _check_entry(found: Mapping[str, Any], cls: Any, mistakes: dict[str, Any]) -> None:
    """Who may enter and when, which is common to all triggers."""
    if found["reentry"] not in REENTRY:
        mistakes["trigger.reentry"] = [N_("Choose once or after_finish")]
    if not isinstance(found["include_existing"], bool):
        mistakes["trigger.include_existing"] = [N_("Write true or false")]
    elif found["include_existing"] and not cls.offers_existing:
        mistakes["trigger.include_existing"] = [N_("Nobody can match this starting point already")]
    for name in ("wait", "cooldown"):
        if found[name] is not None:
            _duration(found[name], f"trigger.{name}", mistakes)
    if found["trigger"] is not None and "trigger.wait" not in mistakes:
        wrong = found["trigger"].wait_mistake(found["wait"])
        if wrong is not None:
            mistakes["trigger.wait"] = [wrong]


def _duration(raw: Any, path: str, mistakes: dict[str, Any]) -> timedelta | None:
    try:
        return duration.parse(raw)
    except Invalid as error:
        mistakes[path] = flat(error.messages)
        return None


def _hours(raw: Any, mistakes: dict[str, Any]) -> Hours | None:
    """``{"days": ["monday", …], "from": "09:00", "until": "18:00"}``; every day without ``days``."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or set(raw) - {"days", "from", "until"}:
        mistakes["sending_hours"] = [N_("Name days, from and until, and nothing beside it")]
        return None
    before = len(mistakes)
    days = raw.get("days", list(WEEKDAYS))
    if not isinstance(days, list) or not days or any(day not in WEEKDAYS for day in days):
        mistakes["sending_hours.days"] = [N_("Choose one day or more")]
    opens, closes = (_wall_time(raw.get(name), f"sending_hours.{name}", mistakes) for name in ("from", "until"))
    if opens is not None and closes is not None and closes != time(0) and closes <= opens:
        mistakes["sending_hours.until"] = [N_("The end must be after the beginning")]
    if len(mistakes) > before or opens is None or closes is None:
        return None
    return Hours(frozenset(map(WEEKDAYS.index, days)), opens, closes)


def _wall_time(raw: Any, path: str, mistakes: dict[str, Any]) -> time | None:
    try:
        return parse_time(raw)
    except (TypeError, ValueError):
        mistakes[path] = [N_("Write the time as 09:00")]
        return None


def goal_settings(goal: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a goal's starting point without what is common to all goals."""
    return {name: value for name, value in goal.items() if name not in GOAL_KEYS}


def _goal(kind: str, raw: Any, triggers: Mapping[str, Any], mistakes: dict[str, Any]) -> Goal | None:
    """A goal or exit: ``{"event": "purchase", "within": {"days": 30}}`` or ``{"type": "list_joined", "list": 3}``."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or not {"type", "event"} & set(raw):
        mistakes[kind] = [N_("Name what has to happen: a type of starting point, or an event")]
        return None
    before = len(mistakes)
    node, event = None, "" if "type" in raw else str(raw.get("event") or "")
    if "type" in raw:
        node = _goal_node(kind, raw, triggers, mistakes)
    elif not EVENT.fullmatch(event):
        mistakes[f"{kind}.event"] = [N_("Write the event's word in small letters, digits and _")]
    elif set(goal_settings(raw)) > {"event"}:
        mistakes[f"{kind}.{min(set(goal_settings(raw)) - {'event'})}"] = [N_("Unknown setting")]
    within = None if raw.get("within") is None else _duration(raw["within"], f"{kind}.within", mistakes)
    outcome = raw.get("outcome") or ("positive" if kind == "goal" else "neutral")
    if outcome not in OUTCOMES:
        mistakes[f"{kind}.outcome"] = [N_("Choose positive, neutral or negative")]
    label = raw.get("label") or ""
    if not isinstance(label, str) or len(label) > 60:
        mistakes[f"{kind}.label"] = [N_("Use 60 characters at most for the label")]
    return Goal(kind, event, node, within, label, outcome) if len(mistakes) == before else None


def _goal_node(kind: str, raw: Mapping[str, Any], triggers: Mapping[str, Any], mistakes: dict[str, Any]) -> Any:
    """The starting point that serves as a goal: one that happens at a moment, not one that describes a state."""
    cls = triggers.get(str(raw["type"]))
    if cls is None or not cls.listens_to:
        mistakes[f"{kind}.type"] = [
            Text("“%(type)s” cannot end a flow: nothing happens then", type=str(raw["type"])[:60])
        ]
        return None
    settings, wrong = cls.checked(goal_settings(raw), raw.get("rev", 1))
    mistakes.update({f"{kind}.{name}": texts for name, texts in wrong.items()})
    node = None if wrong else cls(settings)
    if node is not None and not node.happens():
        mistakes[f"{kind}.type"] = [N_("This waits for something that does not happen, so it cannot end a flow")]
        return None
    return node


def _steps(raw: Any, actions: Mapping[str, Any], mistakes: dict[str, Any]) -> dict[str, Step]:
    if not isinstance(raw, list):
        mistakes["steps"] = [N_("Write the steps as a list")]
        return {}
    found: dict[str, Step] = {}
    number = 0
    for count, (path, depth, step) in enumerate(walk(raw)):
        if count >= MOST_STEPS:
            mistakes["steps"] = [Text("A flow can have %(n)s steps at most", n=MOST_STEPS)]
            break
        wrong = _unusable(step, depth, found, actions)
        if wrong:
            field, text = wrong
            mistakes[f"{path}{field}"] = [text]
            continue
        cls = actions[step["type"]]
        number += 0 if cls.waits else 1
        found[step["key"]] = _step(step["key"], cls, step, path, None if cls.waits else number, depth, mistakes)
    return found


def _unusable(step: Any, depth: int, found: Mapping[str, Any], actions: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why something in a list of steps cannot be a step at all: which part of it, and the words. ``None``: it can."""
    if not isinstance(step, Mapping):
        return "", N_("Write each step as an object with key and type")
    if depth > MOST_LEVELS:
        return "", Text("Paths can be %(n)s levels deep at most", n=MOST_LEVELS)
    key, kind = step.get("key"), step.get("type")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        return ".key", N_("Give each step a key of small letters, digits, - or _")
    if key in found:
        return ".key", Text("The key “%(key)s” is used twice", key=key)
    if not isinstance(kind, str) or kind not in actions:
        return ".type", Text("There is no step of the type “%(type)s”", type=str(kind or "")[:60])
    return None


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
    settings, wrong = cls.checked(own_settings(raw), raw.get("rev", 1))
    mistakes.update({f"{path}.{name}": texts for name, texts in wrong.items()})
    return Step(key, cls.name, own_settings(raw) if wrong else settings, cls(settings), path, number, depth)


def _link(raw: Any, steps: Mapping[str, Step]) -> str | None:
    """Fill in the ``ports`` of the steps, given by path; returns the first key."""

    def link(block: Any, path: str, follow: str | None, depth: int = 0) -> str | None:
        known = isinstance(block, list) and depth <= MOST_LEVELS
        for index in reversed(range(len(block) if known else 0)):
            here = f"{path}[{index}]"
            raw = block[index] if isinstance(block[index], Mapping) else {}
            lanes = {lane: link(raw.get(lane), f"{here}.{lane}", follow, depth + 1) for lane in LANES}
            step = steps.get(here)
            if step is not None:  # faulty ones of a draft are passed by
                step.ports = {port: lanes.get(port, follow) for port in type(step.node).ports}
                follow = step.key
        return follow

    return link(raw, "steps", None)
