"""Wait until something happens, at most so long: yes at once when it does, no at the time-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import duration
from flowserver.domain.steps import Context, Go, Item, Outcome, Park, Sent
from flowserver.nodes import base
from flowserver.nodes.base import (
    Action,
    ChoiceOf,
    Duration,
    DurationField,
    Names,
    NodeForm,
    Problem,
    Ref,
    fix,
    span,
)
from flowserver.text import N_, Text

OF_A_MESSAGE = {  # event → the stamp on the message that says it happened
    "email_opened": "opened_at",
    "email_clicked": "clicked_at",
    "sms_delivered": "delivered_at",
    "sms_failed": "failed_at",
}
_CHANNEL = {event: event.partition("_")[0] for event in OF_A_MESSAGE}
_AGAIN = timedelta(minutes=1)  # a message that has not left yet is looked at again, but not all the time
_QUESTIONS = {
    "email_opened": N_("Did the contact open “%(step)s”?"),
    "email_clicked": N_("Did the contact click in “%(step)s”?"),
    "sms_delivered": N_("Was “%(step)s” delivered?"),
    "sms_failed": N_("Was “%(step)s” not delivered?"),
}
_NEVER = ("skipped", "failed", "bounced")


def happened(sent: Sent, event: str) -> bool:
    """Whether a message has the mark of ``event``."""
    return getattr(sent, OF_A_MESSAGE[event]) is not None


class WaitForEvent(Action):
    name = "wait_for_event"
    title = N_("Wait for a reaction")
    icon = "branch"
    group = "decisions"
    ports = ("then", "else")
    needs = frozenset({"messages", "events"})

    class Settings(base.Settings):
        event = fields.String(
            required=True,
            validate=validate.Regexp(r"[a-z][a-z0-9_.]{0,59}\Z", error=N_("Choose what to wait for")),
            error_messages={"required": N_("Choose what to wait for")},
        )
        of = Ref("step")
        at_most = Duration(required=True, error_messages={"required": N_("Say how long to wait at most")})

        @ma.validates_schema
        def _message_events_need_a_step(self, data: Mapping[str, Any], **_: Any) -> None:
            if data["event"] in OF_A_MESSAGE and not data.get("of"):
                raise ma.ValidationError(N_("Choose which message"), "of")
            if data["event"] not in OF_A_MESSAGE and data.get("of"):
                raise ma.ValidationError(N_("Only a reaction to a message names a message"), "of")

    class Form(NodeForm):
        event = wtforms.SelectField(
            N_("Wait until the contact"),
            choices={
                "email_opened": N_("opens an e-mail"),
                "email_clicked": N_("clicks in an e-mail"),
                "sms_delivered": N_("gets an SMS"),
                "sms_failed": N_("cannot be reached by an SMS"),
            },
        )
        of = ChoiceOf(N_("Which message"), source="step")
        at_most = DurationField(N_("Wait at most"), default={"days": 2})

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        limit = span(self.settings["at_most"])
        decide = self._message if self.settings["event"] in OF_A_MESSAGE else self._event
        return [decide(item, ctx, limit) for item in batch]

    def _message(self, item: Item, ctx: Context, limit: timedelta) -> Outcome:
        """A message's clock runs from its acceptance; while it is still planned the time-out moves."""
        event, step = self.settings["event"], self.settings["of"]
        sent = item.messages.get(step)
        if sent is not None and happened(sent, event):
            return Go("then")
        if sent is None or sent.state in _NEVER:
            return Go("else", facts={"message": sent.state if sent else "none"})
        since = sent.accepted_at or (sent.planned_at if sent.state == "unknown" else None)
        if since is None:
            return Park(ctx.now + max(limit, _AGAIN), awaits=f"{event}:{step}")
        if ctx.now >= since + limit:
            return Go("else")
        return Park(since + limit, awaits=f"{event}:{step}")

    def _event(self, item: Item, ctx: Context, limit: timedelta) -> Outcome:
        since = item.parked_at or ctx.now
        if any(fact.type == self.settings["event"] and fact.at >= since for fact in item.events):
            return Go("then")
        if ctx.now >= since + limit:
            return Go("else")
        return Park(since + limit, awaits=self.settings["event"])

    def hears(self) -> frozenset[str]:
        return frozenset({self.settings["event"]})

    def summary(self, names: Names) -> Text:
        event = self.settings.get("event", "")
        if event in _QUESTIONS:
            return Text(_QUESTIONS[event].msgid, step=names("step", self.settings.get("of")))
        return Text("Wait for “%(event)s”", event=event)

    def waits_words(self) -> str:
        """ "waits up to 2 days", for the card; "" while that is not said yet."""
        limit = self.settings.get("at_most")
        return Text("waits up to %(time)s", time=duration.words(limit)) if limit else ""

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        of, channel = self.settings.get("of"), _CHANNEL.get(self.settings.get("event", ""))
        if of and of not in {step.key for step in before if step.node.sends == channel}:
            return [fix(N_("The message it waits for does not come before this step"), "of")]
        return []
