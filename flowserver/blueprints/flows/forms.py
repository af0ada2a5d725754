"""Forms of the flow pages that no node brings along, and how a node's form meets its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import wtforms
from markupsafe import Markup, escape

from flowserver.blueprints.say import message, say
from flowserver.domain import duration
from flowserver.errors import Invalid, flat
from flowserver.nodes import catalogue
from flowserver.nodes.base import DurationField, Names, NodeForm, Trigger
from flowserver.services.flows import options
from flowserver.text import N_, Text


def put_errors(form: wtforms.Form, messages: Mapping[str, Any]) -> None:
    """Put messages by setting at the form's fields; what fits no field stands in the summary."""
    fields = {field.short_name: field for field in form}
    for path, texts in by_path(messages):
        field = form.field_for(path) if isinstance(form, NodeForm) else fields.get(path.split(".")[0])
        if field is None:
            form.form_errors = [*form.form_errors, *texts]
        else:
            field.errors = [*field.errors, *texts]


def by_path(messages: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, list[str]]]:
    """Nested messages as ``(path, texts)``: ``{"until": {"time": [...]}}`` is ``until.time``."""
    for name, texts in messages.items():
        if isinstance(texts, Mapping):
            yield from by_path(texts, f"{start}{name}.")
        else:
            yield f"{start}{name}", flat(texts)


class Fields(list[wtforms.Field]):
    """Fields of several forms on one page, as the error summary takes them."""

    def __init__(self, fields: Iterable[wtforms.Field], form_errors: Iterable[str] = ()):
        super().__init__(fields)
        self.form_errors = list(form_errors)


def mark(form: wtforms.Form) -> wtforms.Form:
    """Let the live sentence find every answer of the form (``data-sum``)."""
    for field in form:
        field.render_kw = {**(field.render_kw or {}), "data-sum": field.name}
        if isinstance(field, wtforms.RadioField):
            for option in field:
                option.render_kw = {"data-sum": field.name}
    return form


def shown_when(form: wtforms.Form, field: wtforms.Field) -> str:
    """Which answer a question follows, for ``data-show``: ``kind=time|date``; "" when it is always asked.

    A node's form says so in ``shows = {"date": "kind=date"}``. Without JavaScript everything is shown.
    """
    rule = getattr(form, "shows", {}).get(field.short_name, "")
    name, _equals, values = rule.partition("=")
    other = next((one for one in form if one.short_name == name), None)
    return f"{other.name}={values}" if other is not None else ""


def wait_when(form: wtforms.Form) -> str:
    """Which answer the common question for the start wait follows, for ``data-show``; "": it is always asked."""
    return str(getattr(form, "usual_wait_when", ""))


class Details(wtforms.Form):
    """What all starting points have in common."""

    name = wtforms.StringField(
        N_("Flow name"), description=N_("Only your team sees it. For example “Welcome series”."),
        render_kw={"maxlength": 120, "autocomplete": "off"},
    )  # fmt: skip
    wait = DurationField(
        N_("Waiting time before the first step"),
        description=N_("A short wait feels natural and leaves time to undo an import. Enter 0 to start at once."),
    )
    reentry = wtforms.RadioField(
        N_("Who may enter again"),
        choices={"once": N_("Each contact once"), "after_finish": N_("Again, after the contact has left the flow")},
    )
    cooldown = DurationField(
        N_("Pause before a contact may enter again"), description=N_("Counted from leaving. 0 means no pause.")
    )
    include_existing = wtforms.BooleanField(N_("Let in the contacts who already match when the flow goes live"))

    @classmethod
    def of(cls, trigger: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """A starting point in the shape of this form's fields."""
        node = catalogue.triggers()[trigger["type"]]
        return {
            "name": name,
            "wait": trigger.get("wait", dict(node.default_wait)),
            "reentry": trigger.get("reentry") or node.reentry,
            "cooldown": trigger.get("cooldown", node.cooldown) or {"days": 0},
            "include_existing": trigger.get("include_existing", node.include_existing),
        }


class Start:
    """The page of a starting point: the common questions and the trigger's own."""

    def __init__(self, kind: str, posted: Any, trigger: Mapping[str, Any] | None = None, name: str = ""):
        self.node: type[Trigger] = catalogue.triggers()[kind]
        self.kept = {name: trigger[name] for name in self.node.Form.elsewhere if trigger and name in trigger}
        self._posted = posted
        given = {"type": kind, **(trigger or {})}
        self.details = Details(posted, data=Details.of(given, name))
        own = {key: value for key, value in given.items() if key != "type"}
        self.own = options.fill(self.node.Form(posted, data=self.node.Form.from_settings(own) if trigger else None))
        if posted is None and trigger is None:
            _first_real_choice(self.own)
        mark(self.details)
        mark(self.own)
        self.answers: dict[str, tuple[bool, str]] = {}  # of fields that were tried: whether it fits, and in words
        tried = posted.get("try", "") if posted is not None else ""
        if tried in self.own.tries:
            self.answers[tried] = self._tried(kind, tried)

    def _tried(self, kind: str, name: str) -> tuple[bool, Any]:
        """Whether the value fits the answers, and whether these can happen at all: a page on another site is never seen."""
        fits, text = self.own.tried(name)
        asked = {"trigger": {"type": kind, **self.own.to_settings()}, "steps": []}
        misfit = next(iter(options.unfit(asked).values()), None) if fits else None
        return (fits, text) if misfit is None else (False, Text("No. %(why)s", why=misfit))

    @property
    def only_shown(self) -> bool:
        """Whether the page was sent only to come again: with the sentence, what follows from an answer, a trial's result."""
        return self._posted is not None and bool({"preview", "act"} & set(self._posted) or self.answers)

    @property
    def wait(self) -> DurationField:
        """The question for the start wait: the common one, or one of the trigger's own."""
        return self.own.wait_field() or self.details.wait

    @property
    def fields(self) -> Fields:
        """All fields in page order: the error summary reads them."""
        name, *common = list(self.details)
        return Fields([name, *self.own, *common], self.details.form_errors)

    @property
    def rows(self) -> dict[str, tuple[Text, list[wtforms.Field]] | None]:
        """Questions that stand in one line: its heading and fields at the first of them, ``None`` at the others."""
        fields = {field.short_name: field for field in self.own}
        found: dict[str, tuple[Text, list[wtforms.Field]] | None] = {}
        for first, (heading, names) in self.own.beside.items():
            found.update(dict.fromkeys(names))
            found[first] = (heading, [fields[name] for name in names])
        return found

    @property
    def errors(self) -> bool:
        """Whether the form came back with something to correct."""
        return any(field.errors for field in self.fields) or bool(self.details.form_errors)

    def trigger(self) -> dict[str, Any]:
        """The starting point as it stands in a definition."""
        found: dict[str, Any] = {"type": self.node.name, **self.kept, **self.own.to_settings()}
        if self.node.asks_wait:
            found["wait"] = self.wait.data
        found["reentry"] = self.details.reentry.data
        none = self.details.cooldown.data in ({"days": 0}, {"hours": 0}, {"minutes": 0})
        if found["reentry"] == "after_finish" and not (none and self.node.cooldown is None):
            found["cooldown"] = self.details.cooldown.data
        if self.node.offers_existing and self.details.include_existing.data != self.node.include_existing:
            found["include_existing"] = self.details.include_existing.data
        return found

    def put_errors(self, messages: Mapping[str, Any]) -> None:
        """Messages of a whole definition (``trigger.list``) or of a starting point (``list``) at their fields."""
        plain = {str(path).removeprefix("trigger."): texts for path, texts in messages.items()}
        if self.wait is not self.details.wait and "wait" in plain:
            plain[self.wait.short_name] = plain.pop("wait")
        own = {name for name in plain if self.own.field_for(name) is not None}
        put_errors(self.own, {name: texts for name, texts in plain.items() if name in own})
        put_errors(self.details, {name: texts for name, texts in plain.items() if name not in own})

    def sentences(self, names: Names) -> list[dict[str, Any]]:
        """The flow in plain words, once for each answer of the trigger's first radio question, the chosen one shown."""
        settings = self.own.to_settings()
        radio = next((field for field in self.own if isinstance(field, wtforms.RadioField)), None)
        if radio is None:
            return [{"html": self._sentence(settings, names), "when": "", "hidden": False}]
        return [
            {
                "html": self._sentence({**settings, radio.short_name: value}, names),
                "when": f"{radio.name}={value}",
                "hidden": radio.data != value,
            }
            for value in (choice.value for choice in radio.iter_choices())
        ]

    def _sentence(self, settings: Mapping[str, Any], names: Names) -> Markup:
        node = self.node(settings)
        start = parts(node.sentence(names), {field.short_name: field for field in self.own})
        if not self.node.asks_wait:
            return Markup(escape(message(self.node.in_full.msgid)) % {"start": start})
        wait = self.own["within"] if node.window() else self.details.wait
        words = message("no time") if wait.amount == "0" else _words(wait)
        html = Markup('<b data-v="{0}-amount {0}-unit" data-zero="{1}">{2}</b>').format(
            wait.name, message("no time"), words or _BLANK
        )
        if node.window():
            sentence = escape(message("%(start)s within %(wait)s, start with the first step."))
        else:
            sentence = escape(message("%(start)s, wait %(wait)s, then start with the first step."))
        return Markup(sentence % {"start": start, "wait": html})


_BLANK = Markup('<span class="blank">…</span>')


def _words(wait: DurationField) -> str:
    """ "10 minutes"; "" for anything that is no waiting time."""
    try:
        duration.parse(wait.data)
    except Invalid:
        return ""
    return str(say(duration.words(wait.data)))


def parts(text: str, fields: Mapping[str, Any]) -> Markup:
    """A sentence whose values are marked, so that they can follow the form: ``<b data-v="list">Newsletter</b>``."""
    if not isinstance(text, Text) or not text.params:
        return escape(str(say(text)))
    values = {name: _value(name, value, fields) for name, value in text.params.items()}
    return Markup(escape(message(text.msgid)) % values)


def _value(name: str, value: Any, fields: Mapping[str, Any]) -> Markup:
    shown = str(say(value) if isinstance(value, str) else value)
    field = fields.get(name)
    inner = _BLANK if shown in ("", "…") else escape(shown)
    return Markup('<b data-v="{}">{}</b>').format(field.name if field is not None else "", inner)


def _first_real_choice(form: wtforms.Form) -> None:
    """Nothing is chosen for the person where there is more than one, or none need be; a single list is."""
    for field in form:
        if getattr(field, "source", "") and not field.none:
            real = [choice.value for choice in field.iter_choices() if choice.value != ""]
            field.data = real[0] if len(real) == 1 else field.data
