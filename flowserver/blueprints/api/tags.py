"""Tags: words put on contacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import lists as schemas
from flowserver.services.people import browse, tags

resource = Resource("Tags", 30, "Words put on contacts.", part="contacts")

ONE = f"/tags/{ID % 'tag_id'}"
EXAMPLE = {
    "id": 1,
    "name": "customer",
    "contacts": 311,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}


def show(row: Any, contacts: int) -> dict[str, Any]:
    """A tag as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "contacts": contacts,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def one(tag_id: int) -> dict[str, Any]:
    """A tag of the present client. Raises ``NotFound``."""
    page = browse.tag(tag_id)
    return show(page.rows[0], page.numbers.get(tag_id, 0))


@resource.reads("/tags", query=schemas.TagQuery, shows=schemas.TagPage, example={"data": [EXAMPLE], "next": None})
def list_tags(query: dict[str, Any]) -> Any:
    """List the tags."""
    page = browse.tags(
        query["cursor"], query["limit"], name=query.get("name", ""), updated_since=query.get("updated_since")
    )
    return paging.page(page, lambda row: show(row, page.numbers.get(row.id, 0)))


@resource.writes(
    "POST",
    "/tags",
    takes=schemas.TagIn,
    body_example={"name": "customer"},
    shows=schemas.Tag,
    example={**EXAMPLE, "contacts": 0},
    status=201,
    tagged=True,
)
def make_tag(body: Mapping[str, Any]) -> Any:
    """Make a tag.

    Tags also come into being when they are put on a contact.
    """
    made = tags.create(body["name"])
    return Answer(show(made, 0), 201, {"Location": url_for(".get_tag", tag_id=made.id)})


@resource.reads(ONE, shows=schemas.Tag, example=EXAMPLE, tagged=True)
def get_tag(tag_id: int) -> Any:
    """Get a tag."""
    return one(tag_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.TagIn,
    body_example={"name": "regular"},
    shows=schemas.Tag,
    example={**EXAMPLE, "name": "regular"},
    tagged=True,
    if_match=True,
)
def change_tag(tag_id: int, body: Mapping[str, Any]) -> Any:
    """Rename a tag on everybody who has it.

    Refused with 409 while a flow names it; `uses` says which.
    """
    unchanged("tag", tag_id, lambda: one(tag_id))
    tags.rename(tag_id, body["name"])
    return one(tag_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_tag(tag_id: int) -> None:
    """Delete a tag and take it off everybody.

    Refused with 409 while a flow names it; `uses` says which.
    """
    unchanged("tag", tag_id, lambda: one(tag_id))
    tags.delete(tag_id)
