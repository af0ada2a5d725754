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
        if self.how == "is":
            return str(self.parts[0].question(names))
        if self.how == "not":
            return Text("Not: %(question)s", question=self.parts[0].question(names))
        joined = [part.question(names).rstrip("?") for part in self.parts]
        if len(joined) == 1:
            return Text("%(question)s?", question=joined[0])
        return Text("%(first)s and more?" if self.how == "all" else "%(first)s or other?", first=joined[0])


def parse(raw: Any, conditions: Mapping[str, Any], depth: int = 0) -> Rule:
    """Read a rule. Raises :class:`Invalid` by field, in the shape of the input."""
    if not isinstance(raw, Mapping) or not raw:
        raise Invalid(N_("Choose what to ask"))
    word = next((how for how in ("all", "any", "not") if how in raw), None)
    if word is None:
        return Rule("is", (_condition(raw, conditions),))
    if depth > 1 or len(raw) != 1:
        raise Invalid(N_("Conditions can be grouped once"))
    parts = [raw[word]] if word == "not" else raw[word]
    if not isinstance(parts, list) or not 1 <= len(parts) <= MOST:
        raise Invalid(Text("Ask 1 to %(n)s things", n=MOST))
    return Rule(word, tuple(parse(part, conditions, depth + 1) for part in parts))


def _condition(raw: Mapping[str, Any], conditions: Mapping[str, Any]) -> Any:
    kind = str(raw.get("type", ""))
    if kind not in conditions:
        raise Invalid({"type": [Text("There is no condition “%(type)s”", type=kind[:60])]})
    cls = conditions[kind]
    return cls(cls.load({name: value for name, value in raw.items() if name not in ("type", "rev")}, raw.get("rev", 1)))
