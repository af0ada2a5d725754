"""What every node is made of: settings with rules, a form with labels, a decision in plain Python."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import duration
from flowserver.domain.steps import Context, Fact, Item, Outcome
from flowserver.errors import Invalid, flat
from flowserver.text import N_, Text

Names = Callable[[str, Any], str]
"""``names("list", 12)`` → "Newsletter": how a summary says what an id refers to."""


class Settings(ma.Schema):
    """Rules of a node's settings. Unknown keys are refused, so that a typing error is found."""

    class Meta:
        unknown = ma.RAISE

    error_messages = {"unknown": N_("Unknown setting"), "type": N_("Write the settings as an object")}

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Say what marshmallow says by itself in our words; what a node says it says."""
        field_obj.error_messages = {
            key: said if isinstance(said, Text) else _WORDS.get(key, _WORDS["invalid"])
            for key, said in field_obj.error_messages.items()
        }
        if isinstance(field_obj, fields.List):
            self.on_bind_field(field_name, field_obj.inner)


_WORDS = {
    "required": N_("Fill this in"),
    "null": N_("Fill this in, or leave it out"),
    "invalid": N_("This cannot be used here"),
    "type": N_("Write the settings as an object"),
}


def length(most: int, field: str = "_schema") -> Callable[[Any], None]:
    """A validator: text of at most ``most`` characters. Schema validators name the ``field``."""

    def validate(value: Any) -> None:
        if len(str(value)) > most:
            raise ma.ValidationError(Text("Use %(n)s characters at most", n=f"{most:,}"), field)

    return validate


BY_KEY = ("step", "field", "date")  # sources whose objects go by a key; all others have a number


class Ref(fields.Field[Any]):
    """A reference to an object of the workspace: an id in the database, a name in text.

    ``source`` is the kind of object: ``list``, ``tag``, ``field``, ``user``, or ``step`` (an earlier step's key).
    Names are resolved to ids by ``services/flows/options.py`` when a definition comes in.
    """

    def __init__(self, source: str, **kwargs: Any):
        super().__init__(metadata={"source": source, **kwargs.pop("metadata", {})}, **kwargs)
        self.source = source

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and 1 <= len(value.strip()) <= 120:
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0 and self.source not in BY_KEY:
            return value
        raise ma.ValidationError(N_("Choose one"))


class ValueOf(fields.Raw):
    """A value for the field of the contact that the setting ``field`` names.

    ``how`` names the setting that says how it is compared. That the value fits the type of the field is checked by
    ``services/flows/options.py`` when a definition comes in, which writes it in that type.
    """

    def __init__(self, field: str = "field", how: str = "", **kwargs: Any):
        super().__init__(**kwargs)
        self.field, self.how = field, how

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str | int | float | bool | None):
            raise ma.ValidationError(N_("Write one value, not a list or an object"))
        return value


class Duration(fields.Field[Any]):
    """``{"days": 3}``: exactly one of minutes, hours, days; 0 to 365 days. Kept as written."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            duration.parse(value)
        except Invalid as error:
            raise ma.ValidationError(flat(error.messages)) from None
        return dict(value)


class Amount(fields.Field[Any]):
    """Money: more than zero, typed as a number or as text with a decimal point or comma."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = str(value).strip().replace(",", ".") if isinstance(value, str | int | float) else ""
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,4})?", text, re.ASCII):
            raise ma.ValidationError(N_("Enter an amount, like 50 or 49.90"))
        if not 0 < (amount := float(text)) <= 1_000_000_000:
            raise ma.ValidationError(N_("Enter an amount above 0 and up to 1,000,000,000"))
        return int(amount) if amount == int(amount) else amount


def span(raw: Mapping[str, int]) -> timedelta:
    """The length of an already checked duration setting."""
    unit, amount = next(iter(raw.items()))
    return timedelta(**{unit: amount})


# --- forms ---------------------------------------------------------------------------------------------


class ChoiceOf(wtforms.SelectField):
    """A choice whose options ``services/flows/options.py`` fills in, so that a node never queries.

    ``none`` are the words of an answer that chooses nothing, where one need not choose ("Any programme").
    """

    def __init__(self, label: str = "", source: str = "", none: str = "", **kwargs: Any):
        self.source, self.none = source, none
        kwargs.setdefault("validate_choice", False)  # the settings' rules and the resolver check it
        by_text = source in (*BY_KEY, "audience")
        super().__init__(label, choices=[], coerce=_text if by_text else _id_or_text, **kwargs)


class AudienceOf(ChoiceOf):
    """A choice between lists and segments; its data is ``list:3`` or ``segment:5``."""

    def __init__(self, label: str = "", **kwargs: Any):
        super().__init__(label, source="audience", **kwargs)

    def chosen(self) -> dict[str, Any]:
        """``{"list": 3}`` or ``{"segment": 5}``; empty while nothing is chosen."""
        kind, _colon, id = _text(self.data).partition(":")
        return {kind: _id_or_text(id)} if kind in ("list", "segment") and id else {}

    @staticmethod
    def of(settings: Mapping[str, Any]) -> str:
        """What stands for a list or a segment of settings in this field."""
        return next((f"{kind}:{settings[kind]}" for kind in ("list", "segment") if settings.get(kind)), "")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _id_or_text(value: Any) -> Any:
    return int(_text(value)) if _WHOLE.fullmatch(_text(value)) else _text(value)


_WHOLE = re.compile("[0-9]{1,18}")


class Option(NamedTuple):
    """One option of a choice, as the form macros draw it."""

    value: str
    label: str
    selected: bool


class ValueField(wtforms.StringField):
    """A value for a field of the contact, asked for as the type of that field needs it: ``of`` names its question."""

    data: Any
    render_kw: Any

    def __init__(self, label: str = "", of: str = "field", **kwargs: Any):
        super().__init__(label, **kwargs)
        self.of, self.choices = of, list[tuple[str, str]]()

    def process_data(self, value: Any) -> None:
        """A stored value as it is typed."""
        super().process_data(("no", "yes")[value] if isinstance(value, bool) else value)

    def suit(self, type_: str, choices: Sequence[str]) -> None:
        """Ask for text, a number, a date, yes or no, or one of some choices."""
        self.data = "" if self.data is None else str(self.data)
        usual = {"number": {"inputmode": "decimal"}, "date": {"type": "date"}}.get(type_, {})
        if not (type_ == "date" and self.data and not _DAY.fullmatch(self.data)):  # a browser would hide what was typed
            self.render_kw = {**(self.render_kw or {}), **usual}
        if type_ == "yes_no":
            self.choices = [("", N_("Choose one")), ("yes", N_("Yes")), ("no", N_("No"))]
        elif type_ == "choice":
            known = {choice: choice for choice in (*choices, self.data) if choice}  # one that is gone stays chosen
            self.choices = [("", N_("Choose one")), *known.items()]

    def has_groups(self) -> bool:
        """As a choice it has none."""
        return False

    def iter_choices(self) -> list[Option]:
        """Its options, where it is a choice."""
        return [Option(value, label, value == self.data) for value, label in self.choices]


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class DurationField(wtforms.Field):
    """Two inputs, ``<name>-amount`` and ``<name>-unit``; its data is ``{"days": 3}``, or what was typed if that is no number."""

    units = (("minutes", N_("minutes")), ("hours", N_("hours")), ("days", N_("days")))

    def __init__(self, label: str = "", **kwargs: Any):
        self.amount: str = ""
        self.unit: str = "days"
        super().__init__(label, **kwargs)

    def process(self, formdata: Any, data: Any = wtforms.utils.unset_value, extra_filters: Any = None) -> None:
        data = self.default if data is wtforms.utils.unset_value else data
        self.data = data
        if isinstance(data, Mapping) and data:
            self.unit, self.amount = next((unit, str(amount)) for unit, amount in data.items())
        if formdata is not None and f"{self.name}-amount" in formdata:
            self.amount = formdata.get(f"{self.name}-amount", "").strip()
            self.unit = formdata.get(f"{self.name}-unit", "days")
            self.data = {self.unit: int(self.amount) if _AMOUNT.fullmatch(self.amount) else self.amount}


_AMOUNT = re.compile("[+-]?[0-9]{1,9}")


class NodeForm(wtforms.Form):
    """Labels and widgets for a node's settings; the rules stay in ``Settings``.

    ``elsewhere`` names settings that a page of their own asks for (the text of a message, the rule of a branch).
    ``asks`` names the field that asks for a setting, where it is called otherwise: ``{"until.time": "time"}``.
    ``shows`` says which answer a question follows: ``{"date": "kind=date", "time": "kind=time|date"}``.
    ``beside`` puts short questions in one line with the first of them, under one heading:
    ``{"date": (N_("Date and time"), ("date", "time"))}``.
    ``tries`` gives a field a button that tries what was typed: ``{"address": N_("Would this address match?")}``.
    """

    elsewhere: ClassVar[frozenset[str]] = frozenset()
    asks: ClassVar[Mapping[str, str]] = {}
    shows: ClassVar[Mapping[str, str]] = {}
    beside: ClassVar[Mapping[str, tuple[Text, tuple[str, ...]]]] = {}
    tries: ClassVar[Mapping[str, Text]] = {}
    usual_wait_when: ClassVar[str] = ""  # the answer with which the common question for the start wait is asked

    def wait_field(self) -> DurationField | None:
        """The question of its own that asks for the start wait, with these answers; ``None``: the common one does."""
        return None

    def tried(self, name: str) -> tuple[bool, Text]:
        """The answer to the button of the field ``name``, one of ``tries``: whether it fits, and in words."""
        raise NotImplementedError

    def field_for(self, path: str) -> wtforms.Field | None:
        """The field at which to say what is wrong with the setting at ``path`` (``until.time``); ``None``: none of them."""
        fields = {field.short_name: field for field in self}
        parts = path.split(".")
        ways = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        return next((fields[name] for name in (self.asks.get(way, way) for way in ways) if name in fields), None)

    def to_settings(self) -> dict[str, Any]:
        """What was filled in, in the shape of the settings; empty optional answers are left out."""
        return {field.short_name: field.data for field in self if field.data not in (None, "")}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings in the shape of the form's fields (``class`` belongs to the field ``class_``)."""
        return {f"{name}_" if keyword.iskeyword(name) else name: value for name, value in settings.items()}


# --- nodes ---------------------------------------------------------------------------------------------


NEEDS = frozenset(
    {
        "purchases",
        "carts",
        "tags",
        "lists",
        "fields",
        "messages",
        "events",
        "suppression",
        "caps",
        "segment",
        "cause",
        "coupons",
        "loyalty",
        "visits",
        "conversions",
    }
)
"""What a node can ask the engine to load for a batch before it decides; the contact itself is always there.

A segment is asked for by its id: ``segment:12``.
"""

OF_A_RUN = frozenset({"messages", "events", "cause"})
"""Facts about one passage through a flow: who asks for them cannot be asked about contacts at large."""


class Node:
    """A type of step. ``name`` is stored in saved flows: never rename it."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    icon: ClassVar[str] = "flow"  # a symbol of templates/macros/icons.html
    group: ClassVar[str] = ""
    revision: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()  # of NEEDS
    brings: ClassVar[Mapping[str, Text]] = {}  # what later messages can show as {{ event.<name> }}, in words

    class Settings(Settings):
        """No settings."""

    class Form(NodeForm):
        """No questions."""

    def __init__(self, settings: Mapping[str, Any]):
        self.settings = settings

    @classmethod
    def upgrade(cls, old: Mapping[str, Any], revision: int) -> dict[str, Any]:
        """Settings of an earlier ``revision`` in today's shape."""
        return dict(old)

    @classmethod
    def load(cls, raw: Mapping[str, Any], revision: int = 1) -> dict[str, Any]:
        """Check raw settings. Returns them cleaned; raises :class:`Invalid` with a message per field."""
        settings, mistakes = cls.checked(raw, revision)
        if mistakes:
            raise Invalid(mistakes)
        return settings

    @classmethod
    def checked(cls, raw: Mapping[str, Any], revision: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
        """Raw settings cleaned, without those that break a rule, and what is wrong with these, by field.

        So an editor can show an unfinished step: a node never meets a setting of the wrong type.
        """
        if isinstance(revision, bool) or revision not in range(1, cls.revision + 1):
            return {}, {"rev": [N_("This step comes from a newer flowserver")]}
        try:
            return dict(cls.Settings().load(cls.upgrade(raw, revision) if revision != cls.revision else dict(raw))), {}
        except ma.ValidationError as error:
            sound = error.valid_data
            return dict(sound) if isinstance(sound, dict) else {}, dict(error.normalized_messages())

    def summary(self, names: Names) -> str:
        """The step in a few words, as its card shows it."""
        return self.title

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        """What keeps this step from going live (fix), or deserves a look (check).

        ``before``: the compiled steps that come earlier on some path to this one.
        """
        return []


class Problem:
    """One thing a person should look at: ``kind`` is ``fix`` (blocks going live) or ``check``."""

    __slots__ = ("field", "kind", "step", "text")

    def __init__(self, kind: str, text: str, step: str = "", field: str = ""):
        self.kind, self.text, self.step, self.field = kind, text, step, field

    def __repr__(self) -> str:
        return f"Problem({self.kind!r}, {str(self.text)!r}, step={self.step!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def fix(text: str, field: str = "") -> Problem:
    """A problem that blocks going live."""
    return Problem("fix", text, field=field)


def check(text: str, field: str = "") -> Problem:
    """Something worth a look that does not block."""
    return Problem("check", text, field=field)


class Action(Node):
    """A step of a flow. ``ports`` are its ways out; lanes in the definition carry the same names."""

    ports: ClassVar[tuple[str, ...]] = ("next",)
    sends: ClassVar[str] = ""  # "email" or "sms" where it sends to the contact
    waits: ClassVar[bool] = False  # shown in the gap between two cards, not as a card
    reasons: ClassVar[Mapping[str, Text]] = {}  # the reason codes of its own (``Go(skipped=…)``), in words

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        """Decide for every item that arrives: one outcome each, in order."""
        raise NotImplementedError

    def causes(self) -> tuple[tuple[str, str], ...]:
        """The events this step makes happen, ``(type, subject)``, which its own flow must not start with."""
        return ()

    def hears(self) -> frozenset[str]:
        """The event types this step may wait for."""
        return frozenset()

    def resume(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        """Decide for items that had parked here and are due again. By default as on arrival (a held send)."""
        return self.execute(batch, ctx)


class Condition(Node):
    """A question with the answer yes or no, asked at the moment it is reached. A missing value answers no."""

    in_segments: ClassVar[bool] = True  # whether a segment can ask it, unless it needs the facts of a run

    def holds(self, item: Item, ctx: Context) -> bool:
        """Whether the answer is yes for this contact now."""
        raise NotImplementedError

    def facts(self, item: Item) -> Mapping[str, Any]:
        """The few values that decided, for the decision log."""
        return {}

    def question(self, names: Names) -> str:
        """The question in words: "Has a mobile number?"."""
        return self.title


class Trigger(Node):
    """What lets a contact into a flow."""

    listens_to: ClassVar[tuple[str, ...]] = ()  # event types
    revoked_by: ClassVar[tuple[str, ...]] = ()  # event types that may undo a start while its contact waits to start
    reentry: ClassVar[str] = "once"  # default: once, after_finish
    cooldown: ClassVar[Mapping[str, int] | None] = None  # default pause before a contact may enter again
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 10}
    asks_wait: ClassVar[bool] = True  # whether the wizard asks for a waiting time
    offers_existing: ClassVar[bool] = False  # "those who already match" can be let in at activation
    include_existing: ClassVar[bool] = False  # … and are, unless the author says no
    told_later: ClassVar[bool] = False  # others tell what happened, perhaps late: with past ones, they count from now
    set_up: ClassVar[str] = ""  # a source that must hold something, where the settings need not name one of it
    timed: ClassVar[bool] = False  # time brings it about: next_time and audience say when and for whom
    one_shot: ClassVar[bool] = False  # there is one moment: the flow is completed when its runs have ended
    catches_up: ClassVar[bool] = False  # a moment nobody looked after is made good by the next one
    by_hand: ClassVar[bool] = False  # nothing that happens starts it: a person or a program does
    in_full: ClassVar[Text] = N_("%(start)s, start with the first step.")  # the sentence where no wait is asked for

    @classmethod
    def lives_on(cls) -> frozenset[str]:
        """The sources without which it never starts anybody: those it must name one of, and its ``set_up``."""
        named = {field.source for field in cls.Settings().fields.values() if isinstance(field, Ref) and field.required}
        return frozenset(named | ({cls.set_up} if cls.set_up else set()))

    def admits(self, event: Fact) -> bool:
        """Whether this event lets its contact in."""
        raise NotImplementedError

    def next_time(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """The first moment after ``after`` at which it starts contacts, UTC; ``None``: there is none (any more).

        ``zone`` is the client's. Only for ``timed`` ones; asked again and again, so that a change of the zone counts.
        """
        return None

    def passed(self, now: datetime, zone: ZoneInfo) -> tuple[str, Text] | None:
        """For ``one_shot`` ones whose moment has passed: the setting to change, and words. ``None``: it is to come."""
        return None

    def audience(self, moment: datetime, since: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
        """Whom a moment is for: a rule as :meth:`existing` gives it. ``since`` is the moment before this one."""
        raise NotImplementedError

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        """Whether ``event`` undoes a start that brought ``data``: the contact leaves before its first step.

        Asked for events of ``revoked_by`` of contacts who still wait to start. Such a run does not use up ``once``.
        """
        return True

    def lasting(self) -> bool:
        """Whether what undoes a start also ends a run that has begun: contacts stay only while they match."""
        return False

    def happens(self) -> bool:
        """Whether it waits for something that happens at a moment, so that it can serve as the goal of a flow.

        ``False`` for "not opened" and the like, which are decided when a time is over.
        """
        return True

    def hears(self) -> frozenset[str]:
        """The event types that start a run or undo one, with these settings: others need not be written for it."""
        return frozenset({*self.listens_to, *self.revoked_by})

    def window(self) -> bool:
        """Whether the start wait is the time in which something did not happen: the sentence says "within"."""
        return False

    def unsaid_wait(self) -> Mapping[str, int]:
        """The start wait where a definition names none."""
        return {"minutes": 0}

    def wait_mistake(self, wait: Mapping[str, int]) -> Text | None:
        """Why this start wait does not go with the settings; ``None``: it does."""
        return None

    def still_holds(self, item: Item) -> bool:
        """Asked at the end of the start wait, for triggers that describe a state. ``needs`` names the facts it reads."""
        return True

    def existing(self) -> Mapping[str, Any] | None:
        """The rule for contacts who already match, ``{kind: value}`` with a kind that ``services/engine/audience.py``
        knows (``{"list": 12}``, ``{"all": True}``); ``None``: cannot be asked."""
        return None

    def problems(self, before: Sequence[Any] = ()) -> list[Problem]:
        """What keeps a flow from starting this way (fix), or deserves a look (check); the ``field`` names the setting."""
        return []

    def wait_problems(self, wait: Mapping[str, int]) -> list[Problem]:
        """The same about the waiting time before the first step."""
        return []

    def sentence(self, names: Names) -> Text:
        """ "When a contact joins the list Newsletter": how the flow starts, without the wait."""
        return Text(self.title)
