"""The questions of an if/else: up to ten conditions, each with its own form, all or any of them, each may be turned round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms

from flowserver.blueprints.flows.forms import Fields, put_errors
from flowserver.domain.rules import MOST
from flowserver.errors import Invalid
from flowserver.nodes import catalogue
from flowserver.services.flows import options
from flowserver.text import N_, whole


class Choice(wtforms.Form):
    """Which condition a row asks, and whether the answer is turned round."""

    type = wtforms.SelectField(N_("Ask whether the contact"), validate_choice=False)
    was = wtforms.HiddenField()
    turned = wtforms.BooleanField(N_("Turn the answer round: yes when this is not so"))


class How(wtforms.Form):
    """How several conditions are put together."""

    how = wtforms.RadioField(
        N_("Yes when"), choices={"all": N_("all of these are so"), "any": N_("one of these is so")}, default="all"
    )


class Row:
    """One condition on the page."""

    def __init__(
        self,
        number: int,
        posted: Any,
        settings: Mapping[str, Any],
        draft: Mapping[str, Any],
        key: str,
        conditions: Mapping[str, Any],
    ):
        self.number = number
        prefix = f"c{number}-"
        turned = "not" in settings
        own = settings["not"] if turned else settings
        data = {"type": own.get("type", ""), "turned": turned}
        self.choice = Choice(posted, prefix=prefix, data=data)
        self.choice.type.choices = {
            "": N_("Choose a question"),
            **{name: cls.title for name, cls in conditions.items()},
        }
        self.node = conditions.get(self.choice.type.data or "")
        self.changed = posted is not None and (self.choice.was.data or "") != (self.choice.type.data or "")
        self.choice.was.data = self.choice.type.data
        self.form: Any = None
        if self.node:
            values = {name: value for name, value in own.items() if name not in ("type", "rev")}
            keep = posted is None and own.get("type") == self.node.name
            self.form = self.node.Form(
                None if self.changed else posted,
                prefix=prefix,
                data=self.node.Form.from_settings(values) if keep else None,
            )
            options.fill(self.form, draft, key)

    @property
    def fields(self) -> list[wtforms.Field]:
        """Its fields in page order."""
        return [self.choice.type, *(self.form or [])]

    def rule(self) -> dict[str, Any]:
        """The condition as it stands in a definition. Raises :class:`Invalid` after putting the errors at the fields."""
        if self.node is None:
            self.choice.type.errors = [N_("Choose what to ask")]
            raise Invalid(N_("Choose what to ask"))
        settings = self.form.to_settings()
        try:
            self.node.load(settings)
        except Invalid as error:
            put_errors(self.form, error.messages)
            raise
        rule = {"type": self.node.name, **settings}
        return {"not": rule} if self.choice.turned.data else rule


class RuleForm:
    """The whole rule. ``act`` says what the person pressed: "" saves, the rest changes the page only.

    In a flow it asks for the step ``key`` of ``draft``; a rule that stands alone names its ``conditions``.
    """

    def __init__(
        self,
        rule: Mapping[str, Any] | None,
        posted: Any,
        draft: Mapping[str, Any],
        key: str,
        conditions: Mapping[str, Any] | None = None,
    ):
        conditions = catalogue.conditions() if conditions is None else conditions
        how, parts = _taken_apart(rule or {})
        self.odd = parts is None  # a rule this page cannot show: groups inside groups
        parts = parts or [{}]
        self.act = (posted.get("act", "") if posted is not None else "") or ""
        numbers = list(range(len(parts))) if posted is None else _numbers(posted)
        if self.act.startswith("remove-"):
            numbers = [n for n in numbers if f"remove-{n}" != self.act] or [numbers[-1] + 1]
        if self.act == "add" and len(numbers) < MOST:
            numbers.append(max(numbers) + 1)
        self.how = How(posted, data={"how": how})
        if not self.how.how.data:
            self.how.how.data = "all"
        self.rows = [Row(n, posted, parts[n] if posted is None else {}, draft, key, conditions) for n in numbers]
        self.full = len(self.rows) >= MOST

    @property
    def only_shown(self) -> bool:
        """Whether the page comes again without saving: a row was added, removed, or asks something else now."""
        return bool(self.act) or any(row.changed and row.fields[1:] for row in self.rows)

    @property
    def fields(self) -> Fields:
        """All fields in page order, for the error summary."""
        return Fields([field for row in self.rows for field in row.fields])

    @property
    def errors(self) -> bool:
        """Whether something must be corrected."""
        return any(field.errors for field in self.fields)

    def rule(self) -> dict[str, Any]:
        """The rule as it stands in a definition. Raises :class:`Invalid` with all errors at their fields."""
        parts, failed = [], None
        for row in self.rows:
            try:
                parts.append(row.rule())
            except Invalid as error:
                failed = error
        if failed:
            raise failed
        return parts[0] if len(parts) == 1 else {self.how.how.data or "all": parts}


def _numbers(posted: Any) -> list[int]:
    found = [number for raw in posted.getlist("row") if (number := whole(raw)) is not None and number < 1000]
    return list(dict.fromkeys(found))[:MOST] or [0]


def _taken_apart(rule: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]] | None]:
    """A rule as rows: how they are put together, and each condition, maybe inside ``not``."""
    how = next((word for word in ("all", "any") if word in rule), "all")
    parts = rule.get(how, [rule])
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        return how, None
    plain = [part["not"] if isinstance(part.get("not"), Mapping) else part for part in parts]
    nested = any(word in part for part in plain for word in ("all", "any", "not"))
    return how, None if nested else list(parts)
