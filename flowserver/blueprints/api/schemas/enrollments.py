"""Schemas of enrollments and messages."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging

MESSAGE_STATES = (
    "planned",
    "claimed",
    "handed",
    "accepted",
    "delivered",
    "bounced",
    "failed",
    "skipped",
    "unknown",
)
CHANNELS = ("email", "sms")


class EnrollmentQuery(paging.SyncQuery):
    """Which enrollments."""

    flow = fields.Count(metadata={"description": "Id of a flow."})
    contact = fields.Count(metadata={"description": "Id of a contact."})
    state = fields.Word(("live", "ended"))


class EnrollmentRow(fields.Shown):
    """One contact's passage through a flow."""

    id = plain.Integer()
    flow_id = plain.Integer()
    version = plain.Integer(allow_none=True, metadata={"description": "Number of the version it follows."})
    contact_id = plain.Integer()
    state = plain.String(metadata={"enum": ["live", "ended"]})
    held = plain.Boolean(metadata={"description": "The flow is paused, the clock passes by."})
    step = plain.String(allow_none=True, metadata={"description": "Key of the step it is at; null: waiting to start."})
    visit = plain.Integer(metadata={"description": "How many times it came to this step."})
    waiting_since = plain.DateTime(allow_none=True)
    waits_for = plain.String(allow_none=True, metadata={"description": "The event that ends the wait early."})
    due_at = plain.DateTime(allow_none=True, metadata={"description": "When it goes on; null: it has ended."})
    triggered_at = plain.DateTime(metadata={"description": "When the cause happened."})
    entered_at = plain.DateTime(allow_none=True, metadata={"description": "When the start wait was over."})
    ended_at = plain.DateTime(allow_none=True)
    end_reason = plain.String(allow_none=True)
    label = plain.String(allow_none=True)
    outcome = plain.String(allow_none=True, metadata={"enum": ["positive", "neutral", "negative", None]})


class EnrollmentPage(fields.Shown):
    """A page of enrollments."""

    data = plain.List(plain.Nested(EnrollmentRow))
    next = plain.String(allow_none=True)


class Decision(fields.Shown):
    """One decision of the engine."""

    step = plain.String()
    type = plain.String(allow_none=True, metadata={"description": "The step's type; null where it is no step."})
    what = plain.String(metadata={"description": "What the step does, in a few words."})
    visit = plain.Integer()
    at = plain.DateTime()
    outcome = plain.String(metadata={"description": "The way out (next, then, else), or parked, held, left, failed."})
    reason = plain.String(allow_none=True, metadata={"description": "A code that stays."})
    why = plain.String(metadata={"description": "The reason in words."})
    facts = plain.Dict(metadata={"description": "The few values that decided."})


class Enrollment(EnrollmentRow):
    """A passage with everything that was decided on the way."""

    data = plain.Dict(metadata={"description": "What the event brought: form answers, amounts."})
    decisions = plain.List(plain.Nested(Decision))


class MessageQuery(paging.SyncQuery):
    """Which messages."""

    contact = fields.Count(metadata={"description": "Id of a contact."})
    flow = fields.Count(metadata={"description": "Id of a flow."})
    enrollment = fields.Count(metadata={"description": "Id of an enrollment."})
    campaign = fields.Count(metadata={"description": "Id of a campaign."})
    state = fields.Word(MESSAGE_STATES)
    channel = fields.Word(CHANNELS)


class MessageRow(fields.Shown):
    """One intended send to one person."""

    id = plain.Integer()
    kind = plain.String(metadata={"description": "flow, campaign, confirmation, team or test."})
    channel = plain.String(metadata={"enum": list(CHANNELS)})
    class_ = plain.String(data_key="class", metadata={"enum": ["marketing", "service"]})
    contact_id = plain.Integer(allow_none=True)
    address = plain.String()
    flow_id = plain.Integer(allow_none=True)
    enrollment_id = plain.Integer(allow_none=True)
    campaign_id = plain.Integer(allow_none=True)
    step = plain.String(allow_none=True)
    visit = plain.Integer()
    state = plain.String(
        metadata={
            "enum": list(MESSAGE_STATES),
            "description": "unknown: handed over, but the answer was never heard; never sent again by itself.",
        }
    )
    reason = plain.String(allow_none=True, metadata={"description": "Why it was skipped, bounced or failed."})
    segments = plain.Integer(allow_none=True, metadata={"description": "Parts of an SMS."})
    attempts = plain.Integer()
    planned_at = plain.DateTime()
    due_at = plain.DateTime()
    handed_at = plain.DateTime(allow_none=True)
    accepted_at = plain.DateTime(allow_none=True)
    delivered_at = plain.DateTime(allow_none=True)
    failed_at = plain.DateTime(allow_none=True)
    opened_at = plain.DateTime(allow_none=True, metadata={"description": "First opened by a person, not a program."})
    clicked_at = plain.DateTime(allow_none=True)


class MessagePage(fields.Shown):
    """A page of messages."""

    data = plain.List(plain.Nested(MessageRow))
    next = plain.String(allow_none=True)


class Noticed(fields.Shown):
    """What happened to a message."""

    kind = plain.String(
        metadata={
            "description": "open, click, delivered, bounced, failed, complained or unsubscribed; part: of a long SMS."
        }
    )
    at = plain.DateTime()
    url = plain.String(allow_none=True)
    machine = plain.Boolean(metadata={"description": "A program did it, not a person."})


class Message(MessageRow):
    """A message and what happened to it."""

    events = plain.List(plain.Nested(Noticed))
