"""A draft as the step list shows it: cards with numbers, waits in the gaps, lanes, where each path goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowserver.domain import definition as definitions
from flowserver.domain import duration, flow_graph
from flowserver.domain.checks import Finding
from flowserver.domain.definition import GOALS, Compiled
from flowserver.domain.edits import Place, Shape
from flowserver.domain.flow_graph import DAY, Span
from flowserver.errors import Invalid
from flowserver.nodes import catalogue
from flowserver.nodes.base import Names
from flowserver.services.flows import drafts, options
from flowserver.text import N_, Text


@dataclass(slots=True)
class Pill:
    """A wait, shown in a gap. ``key`` is empty for the wait before the first step."""

    key: str
    text: str
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Gap:
    """What stands between two cards: waits, the place a step can be added, the day reached."""

    place: Place
    pills: list[Pill]
    when: str = ""


@dataclass(slots=True)
class Ending:
    """How a path ends, always written out. ``gap`` is ``None`` where nothing can come after."""

    icon: str
    text: str
    gap: Gap | None


@dataclass(slots=True)
class Card:
    """One numbered step."""

    key: str
    number: int
    node: Any  # the class
    summary: str
    tag: str
    gap: Gap
    after: Place
    findings: list[Finding]
    lanes: list[Lane] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether it keeps the flow from going live."""
        return any(one.kind == "fix" for one in self.findings)


@dataclass(slots=True)
class Lane:
    """One path of a card: ``then`` or ``else``."""

    name: str
    owner: str
    question: str
    cards: list[Card]
    ending: Ending


@dataclass(slots=True)
class Outline:
    """The whole step list."""

    flow: Compiled
    start: str  # how the flow starts, in words
    icon: str
    cards: list[Card]
    ending: Ending
    findings: list[Finding]
    names: Names

    def every(self) -> list[Card]:
        """All cards in reading order."""

        def flat(cards: Sequence[Card]) -> list[Card]:
            return [one for card in cards for one in (card, *(c for lane in card.lanes for c in flat(lane.cards)))]

        return flat(self.cards)

    def number(self, key: str) -> int | None:
        """The number of a step; waits have none."""
        step = self.flow.steps.get(key)
        return step.number if step else None

    def to_fix(self) -> int:
        """How many things keep it from going live."""
        return sum(one.kind == "fix" for one in self.findings)


def outline(definition: Mapping[str, Any], findings: Sequence[Finding]) -> Outline:
    """Lay a definition out. ``findings``: what ``checks.findings`` said about it."""
    return _Builder(definition, findings).build()


def sentence(definition: Mapping[str, Any], names: Names) -> str:
    """How a flow starts, in words; its trigger's title while that is not complete."""
    flow = options.compiled({**definition, "steps": []})
    if flow.trigger is None:
        cls = catalogue.triggers().get(flow.trigger_type)
        return cls.title if cls else flow.trigger_type
    return flow.trigger.sentence(names)


def goals(definition: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The goal and the exit of a flow in words; ``None`` where there is none."""
    return {kind: _goal_words(kind, definition[kind], names) if definition.get(kind) else None for kind in GOALS}


def _goal_words(kind: str, raw: Mapping[str, Any], names: Names) -> str:
    found = next((one for one in options.compiled({"steps": [], kind: raw}).goals if one.kind == kind), None)
    if found is None:
        return N_("This cannot be read any more. Choose it again")
    what = Text("When “%(event)s” is reported", event=found.event) if found.node is None else found.node.sentence(names)
    if found.within is None:
        return Text("%(what)s, the contact leaves the flow", what=what)
    return Text("%(what)s within %(time)s, the contact leaves the flow", what=what, time=duration.words(raw["within"]))


class _Builder:
    def __init__(self, definition: Mapping[str, Any], findings: Sequence[Finding]):
        self.definition = definition
        self.findings = list(findings)
        self.flow = options.compiled(definition)
        self.names = options.namer(definition)
        self.shape: Shape = drafts.shape()
        self.arrivals = flow_graph.arrivals(self.flow)
        self.by_step: dict[str, list[Finding]] = {}
        for one in findings:
            self.by_step.setdefault(one.step, []).append(one)

    def build(self) -> Outline:
        start = self.flow.trigger
        wait = self.flow.wait
        words = N_("Watch for %(time)s") if start is not None and start.window() else N_("Wait %(time)s")
        first = [] if _is_zero(wait) else [Pill("", Text(words.msgid, time=duration.words(wait)))]
        cards, ending = self.path(self.definition.get("steps", []), ("", ""), None, first)
        return Outline(
            flow=self.flow,
            start=sentence(self.definition, self.names),
            icon=getattr(start, "icon", "flag"),
            cards=cards,
            ending=ending,
            findings=self.findings,
            names=self.names,
        )

    def path(
        self, steps: Sequence[Mapping[str, Any]], place: Place, follow: str | None, pills: list[Pill]
    ) -> tuple[list[Card], Ending]:
        """The cards of one list and its ending. ``follow``: the key people go on with after it."""
        known = [step for step in steps if step.get("key") in self.flow.steps]
        cards: list[Card] = []
        for index, step in enumerate(known):
            key = step["key"]
            if self.shape.waiting(step):
                pills = [*pills, Pill(key, self.summary(step), self.by_step.get(key, []))]
            else:
                then = known[index + 1]["key"] if index + 1 < len(known) else follow
                cards.append(self.card(step, Gap(place, pills, self.when(key) if pills else ""), then))
                pills = []
            place = (key, "")
        return cards, self.ending(known, Gap(place, pills), follow)

    def card(self, step: Mapping[str, Any], gap: Gap, follow: str | None) -> Card:
        compiled = self.flow.steps[step["key"]]
        lanes = [self.lane(step, name, follow) for name in self.shape.lanes_of(step)]
        return Card(
            key=compiled.key,
            number=compiled.number or 0,
            node=type(compiled.node),
            summary=self.summary(step),
            tag=self.tag(compiled),
            gap=gap,
            after=(compiled.key, ""),
            findings=self.by_step.get(compiled.key, []),
            lanes=lanes,
        )

    def lane(self, step: Mapping[str, Any], name: str, follow: str | None) -> Lane:
        cards, ending = self.path(step.get(name) or [], (step["key"], name), follow, [])
        return Lane(name, step["key"], self.question(step, name), cards, ending)

    def question(self, step: Mapping[str, Any], lane: str) -> str:
        limit = step.get("at_most")
        if limit is None or not _is_span(limit):
            return Text("to step %(n)s", n=self.flow.steps[step["key"]].number)
        time = duration.words(limit)
        return Text("within %(time)s", time=time) if lane == "then" else Text("not within %(time)s", time=time)

    def summary(self, step: Mapping[str, Any]) -> str:
        return options.summary(step, self.names)

    def tag(self, compiled: definitions.Step) -> str:
        words = getattr(compiled.node, "waits_words", None)
        return words() if words and _is_span(compiled.settings.get("at_most")) else ""

    def when(self, key: str) -> str:
        span = self.arrivals.get(key)
        return day(span) if span and span.known else ""

    def ending(self, known: Sequence[Mapping[str, Any]], gap: Gap, follow: str | None) -> Ending:
        if known and self.shape.ending(known[-1]):
            return Ending("end", N_("Contacts leave the flow here"), None)
        number = flow_graph.next_number(self.flow, follow)
        meets = known and self.shape.lanes_of(known[-1]) and self.goes_on(known[-1])
        if number is None:
            text = N_("Both paths meet here, then the flow ends") if meets else N_("End of the flow")
            return Ending("merge" if meets else "end", text, gap)
        if meets:
            return Ending("merge", Text("Both paths meet here and go on with step %(n)s", n=number), gap)
        return Ending("merge", Text("Goes on with step %(n)s", n=number), gap)

    def goes_on(self, step: Mapping[str, Any]) -> bool:
        """Whether contacts come out of every lane of a step."""
        lanes = [step.get(name) or [] for name in self.shape.lanes_of(step)]
        return all(not lane or not self.shape.ending(lane[-1]) for lane in lanes)


def day(span: Span) -> str:
    """ "day 4", "day 4 to 6": the day a place is reached, the day of the start being day 1."""
    first, last = span.least // DAY + 1, span.most // DAY + 1
    return Text("day %(n)s", n=first) if first == last else Text("day %(first)s to %(last)s", first=first, last=last)


def _is_span(raw: Any) -> bool:
    try:
        duration.parse(raw)
    except Invalid:
        return False
    return True


def _is_zero(raw: Any) -> bool:
    return not _is_span(raw) or not duration.parse(raw)
