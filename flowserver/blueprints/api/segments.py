"""Segments: saved rules over contacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import segments as schemas
from flowserver.services.people import browse, segments

resource = Resource(
    "Segments", 22, "Saved rules over contacts, computed when they are used. Nobody joins one.", part="contacts"
)

ONE = f"/segments/{ID % 'segment_id'}"
SECONDS = 5.0  # a count takes at most so long
EXAMPLE = {
    "id": 2,
    "name": "Customers with consent",
    "rule": {"all": [{"type": "has_tag", "tag": "customer"}, {"type": "has_consent", "channel": "email"}]},
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}


def show(row: Any) -> dict[str, Any]:
    """A segment as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "rule": segments.by_name(row.rule),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def one(segment_id: int) -> dict[str, Any]:
    """A segment of the present client. Raises ``NotFound``."""
    return show(segments.get(segment_id))


@resource.reads(
    "/segments", query=schemas.SegmentQuery, shows=schemas.SegmentPage, example={"data": [EXAMPLE], "next": None}
)
def list_segments(query: dict[str, Any]) -> Any:
    """List the segments."""
    name, since = query.get("name", ""), query.get("updated_since")
    return paging.page(browse.segments(query["cursor"], query["limit"], name=name, updated_since=since), show)


@resource.writes(
    "POST",
    "/segments",
    takes=schemas.SegmentIn,
    body_example={"name": EXAMPLE["name"], "rule": EXAMPLE["rule"]},
    shows=schemas.Segment,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_segment(body: Mapping[str, Any]) -> Any:
    """Make a segment.

    Lists and other objects in the rule are named by id or by name. What is wrong is answered at its place in the rule.
    """
    made = segments.create(body["name"], body["rule"])
    return Answer(show(made), 201, {"Location": url_for(".get_segment", segment_id=made.id)})


@resource.reads(ONE, shows=schemas.Segment, example=EXAMPLE, tagged=True)
def get_segment(segment_id: int) -> Any:
    """Get a segment."""
    return one(segment_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.SegmentChange,
    body_example={"name": "Customers"},
    shows=schemas.Segment,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_segment(segment_id: int, body: Mapping[str, Any]) -> Any:
    """Change a segment.

    Whatever uses it asks the new rule from now on.
    """
    unchanged("segment", segment_id, lambda: one(segment_id))
    row = segments.get(segment_id)
    segments.update(segment_id, body.get("name", row.name), body.get("rule", row.rule))
    return one(segment_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_segment(segment_id: int) -> None:
    """Delete a segment.

    Refused with 409 while something uses it; `uses` says what. Its contacts stay.
    """
    unchanged("segment", segment_id, lambda: one(segment_id))
    segments.delete(segment_id)


@resource.reads(f"{ONE}/count", shows=schemas.SegmentCount, example={"contacts": 4218, "complete": True})
def count_segment(segment_id: int) -> Any:
    """Count the contacts in a segment.

    In a very large address book counting ends after some seconds, and `complete` is false.
    """
    found = segments.count(segment_id, most=10_000_000, seconds=SECONDS)
    return {"contacts": found.contacts, "complete": found.complete}


@resource.reads(
    f"{ONE}/contacts",
    query=paging.PageQuery,
    shows=schemas.MemberPage,
    example={"data": [{"id": 7}], "next": "YWZ0ZXI6Nw"},
)
def list_segment_contacts(segment_id: int, query: Mapping[str, Any]) -> Any:
    """List the contacts in a segment.

    Every page looks at the next contacts of the address book, so it may hold fewer than `limit`, or none: go on while
    there is a `next`.
    """
    found, following = segments.page(segment_id, query["cursor"], query["limit"])
    return {"data": [{"id": id} for id in found], "next": paging.following(following)}
