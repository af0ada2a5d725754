"""Messages: every intended send and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Resource
from flowserver.blueprints.api.schemas import enrollments as schemas
from flowserver.services.people import browse

resource = Resource("Messages", 80, "Every intended send, and what became of it.", part="campaigns")

ROW = {
    "id": 501,
    "kind": "flow",
    "channel": "email",
    "class": "marketing",
    "contact_id": 7,
    "address": "ada@example.com",
    "flow_id": 1,
    "enrollment_id": 31,
    "campaign_id": None,
    "step": "welcome",
    "visit": 1,
    "state": "accepted",
    "reason": None,
    "segments": None,
    "attempts": 1,
    "planned_at": "2026-05-04T09:10:00Z",
    "due_at": "2026-05-04T09:10:00Z",
    "handed_at": "2026-05-04T09:10:01Z",
    "accepted_at": "2026-05-04T09:10:02Z",
    "delivered_at": None,
    "failed_at": None,
    "opened_at": "2026-05-04T09:31:40Z",
    "clicked_at": None,
}
EXAMPLE = {**ROW, "events": [{"kind": "open", "at": "2026-05-04T09:31:40Z", "url": None, "machine": False}]}


def show(row: Any) -> dict[str, Any]:
    """A message as lists of the API show it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "channel": row.channel,
        "class": row.class_,
        "contact_id": row.contact_id,
        "address": row.address,
        "flow_id": row.flow_id,
        "enrollment_id": row.enrollment_id,
        "campaign_id": row.campaign_id,
        "step": row.step or None,
        "visit": row.visit,
        "state": row.state,
        "reason": row.reason,
        "segments": row.segments,
        "attempts": row.attempts,
        "planned_at": row.planned_at,
        "due_at": row.due_at,
        "handed_at": row.handed_at,
        "accepted_at": row.accepted_at,
        "delivered_at": row.delivered_at,
        "failed_at": row.failed_at,
        "opened_at": row.opened_at,
        "clicked_at": row.clicked_at,
    }


@resource.reads(
    "/messages", query=schemas.MessageQuery, shows=schemas.MessagePage, example={"data": [ROW], "next": None}
)
def list_messages(query: Mapping[str, Any]) -> Any:
    """List messages: of a contact, a flow, an enrollment or a campaign, in a state, of a channel."""
    page = browse.messages(
        query["cursor"],
        query["limit"],
        contact_id=query.get("contact"),
        flow_id=query.get("flow"),
        enrollment_id=query.get("enrollment"),
        campaign_id=query.get("campaign"),
        state=query.get("state"),
        channel=query.get("channel"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, show)


@resource.reads(f"/messages/{ID % 'message_id'}", shows=schemas.Message, example=EXAMPLE, tagged=True)
def get_message(message_id: int) -> Any:
    """Get a message, with opens, clicks and reports."""
    row, events = browse.message(message_id)
    noticed = [{"kind": one.kind, "at": one.at, "url": one.url, "machine": one.machine} for one in events]
    return {**show(row), "events": noticed}
