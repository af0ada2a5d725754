"""A contact gets a loyalty card, points on it, or a reward. Points that are taken back in time start nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text

_DIGITS = {"inputmode": "numeric", "autocomplete": "off"}
_EVENTS = {"card": "card_created", "points": "points_assigned", "reward": "reward_assigned"}
_SENTENCES = {
    "card": (N_("When a contact gets a loyalty card"), N_("When a contact gets a loyalty card of %(programme)s")),
    "points": (
        N_("When a contact gets points on the loyalty card"),
        N_("When a contact gets points on the loyalty card of %(programme)s"),
    ),
    "least": (
        N_("When a contact gets at least %(least)s points on the loyalty card"),
        N_("When a contact gets at least %(least)s points on the loyalty card of %(programme)s"),
    ),
    "passes": (
        N_("When a contact reaches %(passes)s points on the loyalty card"),
        N_("When a contact reaches %(passes)s points on the loyalty card of %(programme)s"),
    ),
    "both": (
        N_("When a contact gets at least %(least)s points on the loyalty card and reaches %(passes)s with them"),
        N_(
            "When a contact gets at least %(least)s points on the loyalty card of %(programme)s"
            " and reaches %(passes)s with them"
        ),
    ),
    "reward": (
        N_("When a contact gets a loyalty reward"),
        N_("When a contact gets a loyalty reward of %(programme)s"),
    ),
}


class Fidelity(Trigger):
    """Loyalty card: created, once for each; points, each time some are given; reward, when given, not when collected."""

    name = "fidelity"
    title = N_("Loyalty card")
    icon = "card"
    group = "shop"
    set_up = "programme"
    listens_to = tuple(_EVENTS.values())
    revoked_by = ("points_reversed", "reward_withdrawn")
    reentry = "after_finish"

    class Settings(base.Settings):
        event = fields.String(
            required=True,
            validate=validate.OneOf(list(_EVENTS), error=N_("Choose what happens to the card")),
            error_messages={"required": N_("Choose what happens to the card")},
        )
        programme = Ref("programme")
        least = WholeNumber()
        passes = WholeNumber()

        @ma.validates("least")
        def _at_least_one(self, value: int, **_: Any) -> None:
            _above_0(value)

        @ma.validates("passes")
        def _pass_above_0(self, value: int, **_: Any) -> None:
            _above_0(value)

        @ma.validates_schema
        def _numbers_go_with_points(self, data: Mapping[str, Any], **_: Any) -> None:
            for name in ("least", "passes"):
                if data.get(name) is not None and data["event"] != "points":
                    raise ma.ValidationError(N_("A number of points goes with “gets points” only"), name)

    class Form(NodeForm):
        shows = {"least": "event=points", "passes": "event=points"}
        event = wtforms.RadioField(
            N_("What happens"),
            choices={
                "card": N_("The card is created"),
                "points": N_("Points are added to the card"),
                "reward": N_("A reward is given"),
            },
            default="points",
        )
        programme = ChoiceOf(N_("Loyalty programme"), source="programme", none=N_("Any programme"))
        least = wtforms.StringField(
            N_("At least so many points at once"), description=N_("Leave it empty for any number"), render_kw=_DIGITS
        )
        passes = wtforms.StringField(
            N_("Only when the balance reaches"),
            description=N_("Leave it empty to start with every balance"),
            render_kw=_DIGITS,
        )

        def to_settings(self) -> dict[str, Any]:
            found = super().to_settings()
            if found.get("event") == "points":
                return found
            return {name: value for name, value in found.items() if name not in ("least", "passes")}

    def admits(self, event: Fact) -> bool:
        if event.type != _EVENTS.get(self.settings["event"]):
            return False
        programme = self.settings.get("programme")
        if programme is not None and event.subject != str(programme):
            return False
        return self.settings["event"] != "points" or self._enough(event.data or {})

    def _enough(self, data: Mapping[str, Any]) -> bool:
        points, balance = _number(data.get("points")), _number(data.get("balance"))
        if points <= 0 or points < self.settings.get("least", 1):
            return False
        passes = self.settings.get("passes")
        return passes is None or balance - points < passes <= balance

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        """The very points, or the very reward, that began this start."""
        what = "grant" if event.type == "reward_withdrawn" else "movement"
        begun = data.get(what)
        return begun is not None and begun == (event.data or {}).get(what)

    def sentence(self, names: Names) -> Text:
        given = {name: self.settings[name] for name in ("least", "passes") if self.settings.get(name) is not None}
        kind = self.settings.get("event", "points")
        number = given if kind == "points" else {}
        words = "both" if len(number) == 2 else next(iter(number), kind)
        any_, one = _SENTENCES.get(words, _SENTENCES["points"])
        if self.settings.get("programme") is None:
            return Text(any_.msgid, **number)
        return Text(one.msgid, programme=names("programme", self.settings["programme"]), **number)


def _above_0(value: int) -> None:
    if value < 1:
        raise ma.ValidationError(N_("Enter a number of points above 0"))


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
