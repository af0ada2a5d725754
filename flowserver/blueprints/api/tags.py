"""Tags: words put on contacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import Answer, Resource
from flowserver.blueprints.api.schemas import lists as schemas
from flowserver.services.people import browse, tags

resource = Resource("Tags", 30, "Words put on contacts.", part="contacts")

EXAMPLE = {"id": 1, "name": "customer", "contacts": 311, "created_at": "2026-05-04T09:00:00Z"}


def show(row: Any, contacts: int) -> dict[str, Any]:
    """A tag as the API shows it."""
    return {"id": row.id, "name": row.name, "contacts": contacts, "created_at": row.created_at}


@resource.reads("/tags", query=paging.PageQuery, shows=schemas.TagPage, example={"data": [EXAMPLE], "next": None})
def list_tags(query: dict[str, Any]) -> Any:
    """List the tags."""
    page = browse.tags(query["cursor"], query["limit"])
    return paging.page(page, lambda row: show(row, page.numbers.get(row.id, 0)))


@resource.writes(
    "POST",
    "/tags",
    takes=schemas.TagIn,
    body_example={"name": "customer"},
    shows=schemas.Tag,
    example={**EXAMPLE, "contacts": 0},
    status=201,
)
def make_tag(body: Mapping[str, Any]) -> Any:
    """Make a tag.

    Tags also come into being when they are put on a contact.
    """
    return Answer(show(tags.create(body["name"]), 0), 201)
