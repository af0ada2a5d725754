"""A contact registers for an event: a tasting, a course, a webinar. The system that takes the registrations reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import wtforms
from marshmallow import fields

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger, length
from flowserver.nodes.goods import is_called
from flowserver.text import N_, Text


class EventRegistered(Trigger):
    """Messages can show what the registration brings: ``event.event``, ``event.starts_at``, ``event.place``."""

    name = "event_registered"
    title = N_("Event registration")
    icon = "ticket"
    listens_to = ("event_registered",)
    reentry = "after_finish"
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 0}
    brings: ClassVar[Mapping[str, Text]] = {
        "event": N_("Event"),
        "starts_at": N_("Start of the event"),
        "place": N_("Place of the event"),
    }

    class Settings(base.Settings):
        event = fields.String(validate=length(120))

    class Form(NodeForm):
        event = wtforms.StringField(N_("Event"), description=N_("Its name, as it is reported. Empty means any event."))

    def admits(self, event: Fact) -> bool:
        return is_called(self.settings.get("event", ""), event.subject)

    def sentence(self, names: Names) -> Text:
        if self.settings.get("event"):
            return Text("When a contact registers for %(event)s", event=self.settings["event"])
        return Text("When a contact registers for an event")
