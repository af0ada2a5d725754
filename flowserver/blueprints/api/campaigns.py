"""E-mail and SMS campaigns: write, send or schedule, cancel, copy; their recipients and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import campaigns as schemas
from flowserver.errors import Invalid
from flowserver.services.messages import campaign_numbers, campaigns
from flowserver.services.people import browse

resource = Resource(
    "Campaigns", 78, "One e-mail or SMS to everybody on a list or in a segment, now or at a time.", "campaigns"
)

ONE = f"/campaigns/{ID % 'campaign_id'}"
COUNTS = (
    *("recipients", "waiting", "sent", "delivered", "opened", "clicked", "bounced", "failed", "skipped", "unknown"),
    "segments",
)
NUMBERS = {
    "recipients": 4218, "waiting": 0, "sent": 3806, "delivered": 3790, "opened": 1750, "clicked": 412, "bounced": 16,
    "failed": 0, "skipped": 412, "unknown": 0, "segments": 0,
}  # fmt: skip
CONTENT = {
    "subject": "May letter",
    "body": [{"type": "text", "text": "Hello, [read on](https://caffelume.example/may)"}],
}
ROW = {
    "id": 1,
    "channel": "email",
    "name": "May letter",
    "state": "sent",
    "held": None,
    "list_id": 1,
    "segment_id": None,
    "send_at": "2026-05-04T09:00:00Z",
    "started_at": "2026-05-04T09:00:00Z",
    "sent_at": "2026-05-04T09:02:10Z",
    "cancelled_at": None,
    "numbers": NUMBERS,
    "created_at": "2026-05-03T16:00:00Z",
    "updated_at": "2026-05-03T16:20:00Z",
}
EXAMPLE = {**ROW, "content": CONTENT}
ALL = {
    **NUMBERS,
    "machine_opened": 301,
    "machine_clicked": 4,
    "unsubscribed": 9,
    "complained": 0,
    "reasons": [{"reason": "no_consent", "messages": 412}],
    "links": [{"url": "https://caffelume.example/may", "people": 412, "clicks": 455}],
}
RECIPIENT = {
    "contact_id": 7,
    "message_id": 501,
    "address": "ada@example.com",
    "status": "opened",
    "reason": None,
    "due_at": "2026-05-04T09:00:00Z",
    "sent_at": "2026-05-04T09:00:02Z",
    "delivered_at": None,
    "opened_at": "2026-05-04T09:31:40Z",
    "clicked_at": None,
}


def show(row: Any, numbers: campaign_numbers.Numbers) -> dict[str, Any]:
    """A campaign as lists of the API show it."""
    return {
        "id": row.id,
        "channel": row.channel,
        "name": row.name,
        "state": row.state,
        "held": row.held or None,
        "list_id": row.list_id,
        "segment_id": row.segment_id,
        "send_at": row.send_at,
        "started_at": row.started_at,
        "sent_at": row.sent_at,
        "cancelled_at": row.cancelled_at,
        "numbers": {name: getattr(numbers, name) for name in COUNTS},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def one(campaign_id: int) -> dict[str, Any]:
    """A campaign of the present client. Raises ``NotFound``."""
    row = campaigns.get(campaign_id)
    return {**show(row, campaign_numbers.many([row.id])[row.id]), "content": row.content}


def _wanted(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says, with the audience as ids."""
    found = {name: body[name] for name in ("name", "content") if name in body}
    for source in ("list", "segment"):
        if source in body:
            found[f"{source}_id"] = body[source] and campaigns.referred(source, body[source])
    return found


@resource.reads(
    "/campaigns", query=schemas.CampaignQuery, shows=schemas.CampaignPage, example={"data": [ROW], "next": None}
)
def list_campaigns(query: Mapping[str, Any]) -> Any:
    """List campaigns, in a state, of a channel."""
    page = browse.campaigns(
        query["cursor"],
        query["limit"],
        state=query.get("state"),
        channel=query.get("channel"),
        updated_since=query.get("updated_since"),
    )
    numbers = campaign_numbers.many([row.id for row in page.rows])
    return paging.page(page, lambda row: show(row, numbers[row.id]))


@resource.writes(
    "POST",
    "/campaigns",
    takes=schemas.CampaignIn,
    body_example={"channel": "email", "name": "May letter", "content": CONTENT, "list": "Newsletter"},
    shows=schemas.Campaign,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_campaign(body: Mapping[str, Any]) -> Any:
    """Make a campaign.

    It is a draft: nothing goes out before it is sent or scheduled.
    """
    made = campaigns.create(body["channel"], **_wanted(body))
    return Answer(one(made.id), 201, {"Location": url_for(".get_campaign", campaign_id=made.id)})


@resource.reads(ONE, shows=schemas.Campaign, example=EXAMPLE, tagged=True)
def get_campaign(campaign_id: int) -> Any:
    """Get a campaign."""
    return one(campaign_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.CampaignChange,
    body_example={"name": "May letter 2026"},
    shows=schemas.Campaign,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_campaign(campaign_id: int, body: Mapping[str, Any]) -> Any:
    """Change a campaign.

    Its content and audience only while it is a draft: `409` afterwards.
    """
    unchanged("campaign", campaign_id, lambda: one(campaign_id))
    campaigns.update(campaign_id, **_wanted(body))
    return one(campaign_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_campaign(campaign_id: int) -> None:
    """Delete a campaign that went to nobody.

    Refused with 409 once it was sent, and while a flow starts with it; `uses` says which.
    """
    unchanged("campaign", campaign_id, lambda: one(campaign_id))
    campaigns.delete(campaign_id)


@resource.writes("POST", f"{ONE}/send", shows=schemas.Campaign, example=EXAMPLE)
def send_campaign(campaign_id: int) -> Any:
    """Send a campaign now.

    What keeps it from being sent (no subject, no sender, nobody in the audience …) is said by field.
    """
    campaigns.send(campaign_id)
    return one(campaign_id)


@resource.writes(
    "POST",
    f"{ONE}/schedule",
    takes=schemas.CampaignTime,
    body_example={"at": "2026-12-01T09:00"},
    shows=schemas.Campaign,
    example={**EXAMPLE, "state": "scheduled", "started_at": None, "sent_at": None},
)
def schedule_campaign(campaign_id: int, body: Mapping[str, Any]) -> Any:
    """Send a campaign at a time.

    A time on the client's clock that summer time skips is refused; of one that comes twice the first is meant.
    """
    try:
        campaigns.schedule(campaign_id, *campaigns.wall_clock(body["at"]))
    except Invalid as error:
        moved = {"at" if name in ("date", "time") else name: texts for name, texts in error.messages.items()}
        raise Invalid(moved) from None
    return one(campaign_id)


@resource.writes("POST", f"{ONE}/take-back", shows=schemas.Campaign, example={**EXAMPLE, "state": "draft"})
def take_back_campaign(campaign_id: int) -> Any:
    """Make a scheduled campaign a draft again."""
    campaigns.take_back(campaign_id)
    return one(campaign_id)


@resource.writes("POST", f"{ONE}/cancel", shows=schemas.Campaign, example={**EXAMPLE, "state": "cancelled"})
def cancel_campaign(campaign_id: int) -> Any:
    """Cancel a campaign that is scheduled or being sent.

    What has not been handed over stays here. It cannot be undone; copy the campaign instead.
    """
    campaigns.cancel(campaign_id)
    return one(campaign_id)


@resource.writes("POST", f"{ONE}/go-on", shows=schemas.Campaign, example={**EXAMPLE, "state": "sending"})
def resume_campaign(campaign_id: int) -> Any:
    """Let a campaign go on that stands still.

    `held` says why it does; `409` while that is so.
    """
    campaigns.go_on(campaign_id)
    return one(campaign_id)


@resource.writes(
    "POST", f"{ONE}/copy", shows=schemas.Campaign, example={**EXAMPLE, "state": "draft"}, status=201, tagged=True
)
def copy_campaign(campaign_id: int) -> Any:
    """Copy a campaign.

    A draft with the same content and audience: another campaign, for flows and numbers too.
    """
    made = campaigns.copy(campaign_id)
    return Answer(one(made.id), 201, {"Location": url_for(".get_campaign", campaign_id=made.id)})


@resource.reads(
    f"{ONE}/recipients",
    query=schemas.RecipientQuery,
    shows=schemas.RecipientPage,
    example={"data": [RECIPIENT], "next": None},
)
def list_campaign_recipients(campaign_id: int, query: Mapping[str, Any]) -> Any:
    """List the recipients of a campaign, with a status each.

    Everybody in the audience when it was planned, those who got nothing included. Somebody who clicked counts as
    `opened` and `sent`, too, when `status` narrows the list.
    """
    campaigns.get(campaign_id)
    found = campaign_numbers.recipients(campaign_id, query.get("status", ""), query["cursor"], query["limit"])
    return paging.page(browse.Page(found.rows, found.next), _recipient)


def _recipient(row: Any) -> dict[str, Any]:
    return {
        "contact_id": row.contact_id,
        "message_id": row.id,
        "address": row.address,
        "status": campaign_numbers.status_of(row),
        "reason": row.reason,
        "due_at": row.due_at,
        "sent_at": row.accepted_at,
        "delivered_at": row.delivered_at,
        "opened_at": row.opened_at,
        "clicked_at": row.clicked_at,
    }


@resource.reads(f"{ONE}/numbers", shows=schemas.CampaignNumbers, example=ALL, tagged=True)
def get_campaign_numbers(campaign_id: int) -> Any:
    """Get all numbers of a campaign: opens, clicks for each link, why messages were not sent."""
    found = campaign_numbers.of(campaigns.get(campaign_id))
    return {
        **{name: getattr(found, name) for name in COUNTS},
        "machine_opened": found.machine_opened,
        "machine_clicked": found.machine_clicked,
        "unsubscribed": found.unsubscribed,
        "complained": found.complained,
        "reasons": [{"reason": reason, "messages": number} for reason, number in found.reasons],
        "links": [{"url": link.url, "people": link.people, "clicks": link.clicks} for link in found.links],
    }
