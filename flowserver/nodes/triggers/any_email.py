"""A contact opens any e-mail, or clicks a link in any: of a campaign or of a flow. Opens by mail programs do not count."""

from __future__ import annotations

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact, Item
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger
from flowserver.text import N_, Text

EVENTS = {"opened": "email_opened", "clicked": "email_clicked"}


class AnyEmail(Trigger):
    """E-mail activity without a campaign. A flow's own e-mails never start it."""

    name = "any_email"
    title = N_("Any e-mail opened or clicked")
    icon = "eye"
    listens_to = ("email_opened", "email_clicked")
    needs = frozenset({"cause"})

    class Settings(base.Settings):
        event = fields.String(
            required=True,
            validate=validate.OneOf(list(EVENTS), error=N_("Choose opened or clicked")),
            error_messages={"required": N_("Choose opened or clicked")},
        )

    class Form(NodeForm):
        event = wtforms.RadioField(
            N_("What the contact does"),
            choices={"opened": N_("Opens an e-mail"), "clicked": N_("Clicks a link in an e-mail")},
            default="clicked",
        )

    def hears(self) -> frozenset[str]:
        return frozenset({EVENTS[self.settings["event"]]})

    def admits(self, event: Fact) -> bool:
        return event.type == EVENTS[self.settings["event"]]

    def still_holds(self, item: Item) -> bool:
        """Asked again when the wait is over: it may have been a scanner's after all."""
        sent = item.cause
        if sent is None:
            return True
        return (sent.opened_at if self.settings["event"] == "opened" else sent.clicked_at) is not None

    def sentence(self, names: Names) -> Text:
        if self.settings.get("event") == "opened":
            return Text("When a contact opens any e-mail")
        return Text("When a contact clicks a link in any e-mail")
