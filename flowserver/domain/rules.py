"""Rules made of conditions: one condition, or all / any / not of several, nested once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowserver.errors import Invalid
from flowserver.text import N_, Text

MOST = 10


@dataclass(slots=True)
class Rule:
    """A parsed rule: ``how`` is ``all``, ``any``, ``not`` or ``is`` (one condition)."""

    how: str
    parts: tuple[Any, ...]  # rules, or one condition for "is"

    def holds(self, item: Any, ctx: Any) -> bool:
        """Whether the rule is true for this contact now."""
        if self.how == "is":
            return bool(self.parts[0].holds(item, ctx))
        if self.how == "not":
            return not self.parts[0].holds(item, ctx)
        return (all if self.how == "all" else any)(part.holds(item, ctx) for part in self.parts)

    def conditions(self) -> Iterator[Any]:
        """Every condition in it, in order."""
        for part in self.parts:
            yield from part.conditions() if isinstance(part, Rule) else (part,)

    def question(self, names: Any) -> str:
        """The rule in words, for the step's card."""
        first: str = self.parts[0].question(names)
        if self.how == "not":
            return Text("Not: %(question)s", question=first)
        if len(self.parts) == 1:
            return first
        sentence = N_("%(first)s And %(n)s more") if self.how == "all" else N_("%(first)s Or %(n)s more")
        return Text(sentence.msgid, first=first, n=len(self.parts) - 1)


def parse(raw: Any, conditions: Mapping[str, Any], depth: int = 0) -> Rule:
    """Read a rule. Raises :class:`Invalid` with every mistake, in the shape of the input."""
    if not isinstance(raw, Mapping) or not raw:
        raise Invalid(N_("Choose what to ask"))
    word = next((how for how in ("all", "any", "not") if how in raw), None)
    if word is None:
        return Rule("is", (_condition(raw, conditions),))
    if len(raw) != 1:
        raise Invalid(N_("Name one of all, any and not, and nothing beside it"))
    if depth > 1:
        raise Invalid(N_("Conditions can be grouped once"))
    if word == "not":
        return Rule(word, (_part(raw[word], conditions, depth, word),))
    if not isinstance(raw[word], list) or not 1 <= len(raw[word]) <= MOST:
        raise Invalid({word: [Text("Ask 1 to %(n)s things", n=MOST)]})
    return Rule(word, _parts(raw[word], conditions, depth, word))


def _parts(raw: list[Any], conditions: Mapping[str, Any], depth: int, word: str) -> tuple[Rule, ...]:
    """All parts of a group; what is wrong with any of them stands at its number."""
    parts, mistakes = [], {}
    for number, part in enumerate(raw):
        try:
            parts.append(parse(part, conditions, depth + 1))
        except Invalid as error:
            mistakes[number] = error.messages.get("_", error.messages)
    if mistakes:
        raise Invalid({word: mistakes})
    return tuple(parts)


def _part(raw: Any, conditions: Mapping[str, Any], depth: int, word: str) -> Rule:
    try:
        return parse(raw, conditions, depth + 1)
    except Invalid as error:
        raise Invalid({word: error.messages.get("_", error.messages)}) from None


def _condition(raw: Mapping[str, Any], conditions: Mapping[str, Any]) -> Any:
    kind = str(raw.get("type", ""))
    if kind not in conditions:
        raise Invalid({"type": [Text("There is no condition “%(type)s”", type=kind[:60])]})
    cls = conditions[kind]
    return cls(cls.load({name: value for name, value in raw.items() if name not in ("type", "rev")}, raw.get("rev", 1)))
