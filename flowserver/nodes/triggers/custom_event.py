"""Something happens that only your own systems know of. They report it under a word of its own, like test_drive_booked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import EVENTS, Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger, length
from flowserver.nodes.conditions.field_compares import compare
from flowserver.text import N_, Text


class CustomEvent(Trigger):
    """Any word that has no starting point of its own; perhaps only with a certain value of one of its properties."""

    name = "custom_event"
    title = N_("Event of your own")
    icon = "hook"
    listens_to = ("custom_event",)
    reentry = "after_finish"
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 0}

    class Settings(base.Settings):
        event = fields.String(
            required=True,
            validate=validate.Regexp(
                r"[a-z][a-z0-9_.]{0,59}\Z", error=N_("Write a word of small letters, digits, _ and ., like order_paid")
            ),
            error_messages={"required": N_("Enter the word the event is reported under")},
        )
        property = fields.String(validate=length(120))
        value = fields.Raw()

        @ma.validates_schema
        def _makes_sense(self, data: Mapping[str, Any], **_: Any) -> None:
            value = data.get("value")
            if data["event"] in EVENTS:
                raise ma.ValidationError(N_("This event has a starting point of its own, or is one of ours"), "event")
            if not isinstance(value, str | int | float | bool | None):
                raise ma.ValidationError(N_("Write one value, not a list or an object"), "value")
            given = value is not None and bool(str(value).strip())
            if given and not data.get("property"):
                raise ma.ValidationError(N_("Enter which property has this value"), "property")
            if data.get("property") and not given:
                raise ma.ValidationError(N_("Enter the value to compare with"), "value")
            length(500, "value")(value)

    class Form(NodeForm):
        event = wtforms.StringField(
            N_("Word"),
            description=N_("As your system reports it, for example test_drive_booked."),
            render_kw={"autocapitalize": "none", "spellcheck": "false"},
        )
        property = wtforms.StringField(
            N_("Property"),
            description=N_("To start only where a property has a certain value. Leave both empty for any event."),
        )
        value = wtforms.StringField(N_("Value of the property"))

    def admits(self, event: Fact) -> bool:
        if event.type != self.settings["event"]:
            return False
        name = self.settings.get("property")
        value = (event.data or {}).get(name) if name else None
        return not name or (
            isinstance(value, str | int | float | bool) and compare(value, "equals", self.settings["value"])
        )

    def sentence(self, names: Names) -> Text:
        event = self.settings.get("event") or "…"
        if self.settings.get("property"):
            return Text(
                "When %(event)s is reported for a contact with %(property)s = %(value)s",
                event=event,
                property=self.settings["property"],
                value=self.settings.get("value", "…"),
            )
        return Text("When %(event)s is reported for a contact", event=event)
