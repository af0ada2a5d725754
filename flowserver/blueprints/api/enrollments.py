"""Enrollments: who is where in which flow, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Resource, unchanged
from flowserver.blueprints.api.schemas import enrollments as schemas
from flowserver.blueprints.say import say
from flowserver.services.people import browse, passages, timeline

resource = Resource(
    "Enrollments", 70, "Passages of contacts through flows, with every decision on the way.", part="flows"
)

ONE = f"/enrollments/{ID % 'enrollment_id'}"
ROW = {
    "id": 31,
    "flow_id": 1,
    "version": 1,
    "contact_id": 7,
    "state": "live",
    "held": False,
    "step": "opened",
    "visit": 1,
    "waiting_since": "2026-05-04T09:10:02Z",
    "waits_for": "email_opened:welcome",
    "due_at": "2026-05-06T09:10:02Z",
    "triggered_at": "2026-05-04T09:00:00Z",
    "entered_at": "2026-05-04T09:10:00Z",
    "ended_at": None,
    "end_reason": None,
    "label": None,
    "outcome": None,
}
EXAMPLE = {
    **ROW,
    "data": {},
    "decisions": [
        {
            "step": "welcome",
            "type": "send_email",
            "what": "Hello there",
            "visit": 1,
            "at": "2026-05-04T09:10:00Z",
            "outcome": "next",
            "reason": None,
            "why": "",
            "facts": {},
        }
    ],
}


def show(row: Any) -> dict[str, Any]:
    """A passage as lists of the API show it."""
    return {
        "id": row.id,
        "flow_id": row.flow_id,
        "version": row.version,
        "contact_id": row.contact_id,
        "state": "ended" if row.due_at is None else "live",
        "held": row.held,
        "step": row.step or None,
        "visit": row.visit,
        "waiting_since": row.parked_at,
        "waits_for": row.awaits,
        "due_at": row.due_at,
        "triggered_at": row.triggered_at,
        "entered_at": row.entered_at,
        "ended_at": row.ended_at,
        "end_reason": row.end_reason,
        "label": row.label,
        "outcome": row.outcome,
    }


@resource.reads(
    "/enrollments",
    query=schemas.EnrollmentQuery,
    shows=schemas.EnrollmentPage,
    example={"data": [ROW], "next": None},
)
def list_enrollments(query: Mapping[str, Any]) -> Any:
    """List enrollments, of a flow, of a contact or of all."""
    live = {"live": True, "ended": False}.get(query.get("state", ""))
    page = browse.enrollments(
        query["cursor"],
        query["limit"],
        flow_id=query.get("flow"),
        contact_id=query.get("contact"),
        live=live,
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, show)


def one(enrollment_id: int) -> dict[str, Any]:
    """A passage of the present client with its decisions. Raises ``NotFound``."""
    found = browse.enrollment(enrollment_id)
    decisions = [_decision(one, found.chapter) for one in found.decisions]
    return {**show(found.row), "data": found.row.data or {}, "decisions": decisions}


@resource.reads(ONE, shows=schemas.Enrollment, example=EXAMPLE, tagged=True)
def get_enrollment(enrollment_id: int) -> Any:
    """Get an enrollment with its decisions: why did this contact get, or not get, a message?

    The decisions come in the order they were made.
    """
    return one(enrollment_id)


@resource.writes(
    "POST",
    f"{ONE}/end",
    shows=schemas.Enrollment,
    example={**EXAMPLE, "state": "ended", "due_at": None, "ended_at": ROW["waiting_since"], "end_reason": "taken_out"},
    tagged=True,
    if_match=True,
)
def end_enrollment(enrollment_id: int) -> Any:
    """Take a contact out of a flow.

    The passage ends now; what it had planned is not sent. 409 when it has ended already.
    """
    unchanged("enrollment", enrollment_id, lambda: one(enrollment_id))
    passages.take_out(None, enrollment_id)
    return one(enrollment_id)


@resource.writes(
    "POST",
    f"{ONE}/move-on",
    shows=schemas.Enrollment,
    example={**EXAMPLE, "step": "nudge", "waits_for": None, "waiting_since": None},
    tagged=True,
    if_match=True,
)
def move_enrollment_on(enrollment_id: int) -> Any:
    """End a contact's wait now.

    It goes on as when the time is up: a start wait begins the flow, a wait for an event goes on as if the event had not
    come, a message held for quiet hours or limits is looked at again. 409 when the passage has ended or its flow is
    paused.
    """
    unchanged("enrollment", enrollment_id, lambda: one(enrollment_id))
    passages.move_on(enrollment_id)
    return one(enrollment_id)


def _decision(row: Any, chapter: Any) -> dict[str, Any]:
    step = chapter.compiled.steps.get(row.step) if chapter else None
    return {
        "step": row.step,
        "type": step.type if step else None,
        "what": say(chapter.about(row.step)) if step else "",
        "visit": row.visit,
        "at": row.at,
        "outcome": row.outcome,
        "reason": row.reason,
        "why": say(timeline.reason(row.reason)),
        "facts": orjson.loads(row.facts) if row.facts else {},
    }
