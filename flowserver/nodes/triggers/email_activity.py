"""An e-mail campaign is sent to a contact, opened, or clicked in; or not opened, not clicked, when some days are over.

Opens that mail programs make on their own do not count, unless the client's settings say so. A click counts as an open;
the unsubscribe link is no click.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact, Item, Sent
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, DurationField, Names, NodeForm, Ref, Trigger, span
from flowserver.text import N_, Text

EVENTS = {  # what is chosen → the event that lets in
    "sent": "email_sent",
    "opened": "email_opened",
    "not_opened": "email_sent",
    "clicked": "email_clicked",
    "not_clicked": "email_sent",
}
UNDONE = {  # the events that break a "not" before its time is over
    "not_opened": ("email_opened", "email_clicked", "email_bounced", "email_failed"),
    "not_clicked": ("email_clicked", "email_bounced", "email_failed"),
}
WINDOW = {"days": 3}
_SENTENCES = {
    "sent": N_("When the e-mail %(campaign)s is sent to a contact"),
    "opened": N_("When a contact opens %(campaign)s"),
    "not_opened": N_("When a contact has not opened %(campaign)s"),
    "clicked": N_("When a contact clicks in %(campaign)s"),
    "not_clicked": N_("When a contact has not clicked in %(campaign)s"),
}


def _in_time(at: datetime | None, item: Item) -> bool:
    """Whether it was done before the window was over, however late anybody looks."""
    return at is not None and (item.due_at is None or at <= item.due_at)


def _arrived(sent: Sent, item: Item) -> bool:
    """Whether the mail stood as arrived when the window was over."""
    return sent.state in ("accepted", "delivered") or (
        sent.failed_at is not None and not _in_time(sent.failed_at, item)
    )


class EmailActivity(Trigger):
    """E-mail activity: recipients of one campaign. For the two "not" the start wait is the window."""

    name = "email_activity"
    title = N_("E-mail activity")
    icon = "mail"
    group = "messages"
    listens_to = ("email_sent", "email_opened", "email_clicked")
    revoked_by = ("email_opened", "email_clicked", "email_bounced", "email_failed")
    needs = frozenset({"cause"})
    offers_existing = True
    include_existing = True
    told_later = True

    class Settings(base.Settings):
        campaign = Ref("email_campaign", required=True, error_messages={"required": N_("Choose an e-mail campaign")})
        event = fields.String(
            required=True,
            validate=validate.OneOf(list(EVENTS), error=N_("Choose what happens to the e-mail")),
            error_messages={"required": N_("Choose what happens to the e-mail")},
        )

    class Form(NodeForm):
        shows = {"within": "event=not_opened|not_clicked"}
        usual_wait_when = "event=sent|opened|clicked"

        campaign = ChoiceOf(N_("E-mail campaign"), source="email_campaign")
        event = wtforms.RadioField(
            N_("What happens"),
            choices={
                "sent": N_("It is sent"),
                "opened": N_("It is opened"),
                "not_opened": N_("It is not opened"),
                "clicked": N_("A link in it is clicked"),
                "not_clicked": N_("No link in it is clicked"),
            },
            default="opened",
        )
        within = DurationField(
            N_("Within"),
            description=N_(
                "Counted from sending, or from going live where the campaign was sent before."
                " Whoever does it in time does not enter. At least 1 hour."
            ),
            default=WINDOW,
        )

        def to_settings(self) -> dict[str, Any]:
            return {name: self[name].data for name in ("campaign", "event") if self[name].data not in (None, "")}

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            window = (
                {"within": settings["wait"]} if settings.get("event") in list(UNDONE) and "wait" in settings else {}
            )
            return {**super().from_settings(settings), **window}

        def wait_field(self) -> DurationField | None:
            return self.within if self.event.data in UNDONE else None  # type: ignore[no-any-return]

    def _of_mine(self, event: Fact) -> bool:
        return event.subject == f"campaign:{self.settings['campaign']}" and not (event.data or {}).get("cancelled")

    def hears(self) -> frozenset[str]:
        event = self.settings["event"]
        return frozenset({EVENTS[event], *UNDONE.get(event, ())})

    def admits(self, event: Fact) -> bool:
        return event.type == EVENTS[self.settings["event"]] and self._of_mine(event)

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        undone = event.type in UNDONE.get(self.settings["event"], ())
        return undone and (event.data or {}).get("message") == data.get("message")

    def still_holds(self, item: Item) -> bool:
        """Asked again when the wait is over: a window without the open; an open that was a scanner's after all."""
        event, sent = self.settings["event"], item.cause
        if event in UNDONE:
            done = None if sent is None else sent.opened_at if event == "not_opened" else sent.clicked_at
            return sent is not None and not _in_time(done, item) and _arrived(sent, item)
        if event == "sent" or sent is None:
            return True
        return (sent.opened_at if event == "opened" else sent.clicked_at) is not None

    def existing(self) -> Mapping[str, Any]:
        return {"campaign": {"id": self.settings["campaign"], "event": self.settings["event"]}}

    def happens(self) -> bool:
        return self.settings["event"] not in UNDONE

    def window(self) -> bool:
        return self.settings.get("event") in UNDONE

    def unsaid_wait(self) -> Mapping[str, int]:
        return WINDOW if self.window() else super().unsaid_wait()

    def wait_mistake(self, wait: Mapping[str, int]) -> Text | None:
        if self.window() and span(wait) < timedelta(hours=1):
            return N_("Give people at least 1 hour")
        return None

    def sentence(self, names: Names) -> Text:
        words = _SENTENCES.get(self.settings.get("event", ""), _SENTENCES["opened"])
        return Text(words.msgid, campaign=names("email_campaign", self.settings.get("campaign")))
