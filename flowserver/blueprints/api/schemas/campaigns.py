"""Schemas of campaigns, their recipients and numbers."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.services.messages.campaign_numbers import STATUSES
from flowserver.services.messages.campaigns import CHANNELS, STATES


class CampaignQuery(paging.SyncQuery):
    """Which campaigns."""

    state = fields.Word(STATES)
    channel = fields.Word(CHANNELS)


class CampaignIn(fields.Input):
    """A campaign."""

    channel = fields.Word(CHANNELS, required=True)
    name = fields.Text(
        120, required=True, metadata={"description": "Unique among the client's campaigns of the channel."}
    )
    content = fields.Thing(
        metadata={
            "description": "The settings of the step that sends the same, as `GET /step-types` describes `send_email` and"
            " `send_sms`; without `title` and `on_failure`."
        }
    )
    list = fields.Reference(metadata={"description": "Who gets it: id or name of a list. Or a segment, not both."})
    segment = fields.Reference(metadata={"description": "Who gets it: id or name of a segment."})


class CampaignChange(fields.Input):
    """What changes about a campaign. Only its name can change once it is scheduled."""

    name = fields.Text(120)
    content = fields.Thing(metadata={"description": "All of it: what is left out is gone."})
    list = fields.Reference(allow_none=True)
    segment = fields.Reference(allow_none=True)


class CampaignTime(fields.Input):
    """When a campaign goes out."""

    at = fields.Text(
        40,
        required=True,
        metadata={
            "description": "On the client's clock, such as 2026-12-01T09:00; or a moment with its zone.",
            "example": "2026-12-01T09:00",
        },
    )


class CampaignCounts(fields.Shown):
    """What became of a campaign's messages. People are counted once, however often they open."""

    recipients = plain.Integer(metadata={"description": "Everybody in the audience, those who get nothing included."})
    waiting = plain.Integer(metadata={"description": "Planned and not gone yet."})
    sent = plain.Integer(metadata={"description": "Taken by the other side."})
    delivered = plain.Integer(metadata={"description": "E-mail: taken and not come back. SMS: reported so."})
    opened = plain.Integer(metadata={"description": "By people, not by programs."})
    clicked = plain.Integer()
    bounced = plain.Integer()
    failed = plain.Integer()
    skipped = plain.Integer(metadata={"description": "Not sent: no consent, no address, suppressed …"})
    unknown_ = plain.Integer(data_key="unknown", metadata={"description": "Handed over, answer never heard."})
    segments = plain.Integer(metadata={"description": "Parts of SMS."})


class CampaignLink(fields.Shown):
    """A link of an e-mail campaign."""

    url = plain.String()
    people = plain.Integer(metadata={"description": "Who clicked it."})
    clicks = plain.Integer()


class CampaignReason(fields.Shown):
    """Why messages were not sent."""

    reason = plain.String()
    messages = plain.Integer()


class CampaignNumbers(CampaignCounts):
    """All numbers of a campaign."""

    machine_opened = plain.Integer(metadata={"description": "Messages that only programs opened."})
    machine_clicked = plain.Integer(metadata={"description": "Messages that only programs clicked in."})
    unsubscribed = plain.Integer()
    complained = plain.Integer()
    reasons = plain.List(plain.Nested(CampaignReason), metadata={"description": "Why skipped, most first."})
    links = plain.List(plain.Nested(CampaignLink))


class CampaignRow(fields.Shown):
    """A campaign in a list."""

    id = plain.Integer()
    channel = plain.String(metadata={"enum": list(CHANNELS)})
    name = plain.String()
    state = plain.String(metadata={"enum": list(STATES)})
    held = plain.String(allow_none=True, metadata={"description": "Why it stands still while it is being sent."})
    list_id = plain.Integer(allow_none=True)
    segment_id = plain.Integer(allow_none=True)
    send_at = plain.DateTime(allow_none=True)
    started_at = plain.DateTime(allow_none=True)
    sent_at = plain.DateTime(allow_none=True, metadata={"description": "When its last message had left."})
    cancelled_at = plain.DateTime(allow_none=True)
    numbers = plain.Nested(CampaignCounts)
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class Campaign(CampaignRow):
    """A campaign."""

    content = plain.Dict()


class CampaignPage(fields.Shown):
    """A page of campaigns."""

    data = plain.List(plain.Nested(CampaignRow))
    next = plain.String(allow_none=True)


class RecipientQuery(paging.PageQuery):
    """Which recipients."""

    status = fields.Word(tuple(STATUSES))


class Recipient(fields.Shown):
    """Somebody in the audience of a campaign, and the furthest their message came."""

    contact_id = plain.Integer()
    message_id = plain.Integer()
    address = plain.String()
    status = plain.String(
        metadata={
            "enum": ["waiting", "sent", "delivered", "opened", "clicked", "bounced", "failed", "skipped", "unknown"]
        }
    )
    reason = plain.String(allow_none=True)
    due_at = plain.DateTime()
    sent_at = plain.DateTime(allow_none=True)
    delivered_at = plain.DateTime(allow_none=True)
    opened_at = plain.DateTime(allow_none=True)
    clicked_at = plain.DateTime(allow_none=True)


class RecipientPage(fields.Shown):
    """A page of recipients."""

    data = plain.List(plain.Nested(Recipient))
    next = plain.String(allow_none=True)
