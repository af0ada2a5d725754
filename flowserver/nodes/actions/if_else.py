"""Ask something about the contact at this moment and go one of two ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import marshmallow as ma
from marshmallow import fields

from flowserver.domain import rules
from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.errors import Invalid
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm, Problem
from flowserver.nodes.catalogue import conditions
from flowserver.text import N_


class IfElse(Action):
    name = "if_else"
    title = N_("If / else")
    icon = "branch"
    group = "decisions"
    ports = ("then", "else")

    class Settings(base.Settings):
        if_ = fields.Raw(data_key="if", attribute="if", load_default=None)

        @ma.validates("if_")
        def _rule(self, value: Any, **_: Any) -> None:
            try:
                rules.parse(value, conditions())
            except Invalid as error:
                raise ma.ValidationError(error.messages.get("_", error.messages)) from None

    class Form(NodeForm):
        """The page puts it together from the forms of the conditions."""

        elsewhere = frozenset({"if"})

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__(settings)
        try:
            self.rule: rules.Rule | None = rules.parse(settings.get("if"), conditions())
        except Invalid:
            self.rule = None  # an unfinished draft: `load` says what is wrong
        self.needs = frozenset().union(*(condition.needs for condition in self.asked()))  # type: ignore[misc]

    def asked(self) -> list[Any]:
        """Every condition of the rule."""
        return list(self.rule.conditions()) if self.rule else []

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        assert self.rule is not None
        holds, facts = self.rule.holds, self._facts()
        return [Go("then" if holds(item, ctx) else "else", None, facts(item) or None) for item in batch]

    def _facts(self) -> Callable[[Item], Mapping[str, Any]]:
        """What gives the few values that decided, of all conditions together."""
        asked = self.asked()
        if len(asked) == 1:
            return asked[0].facts  # type: ignore[no-any-return]
        return lambda item: {name: value for condition in asked for name, value in condition.facts(item).items()}

    def summary(self, names: Names) -> str:
        return self.rule.question(names) if self.rule else self.title

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        return [problem for condition in self.asked() for problem in condition.problems(before)]
