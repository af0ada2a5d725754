"""Custom fields: what a client knows about its contacts beside name and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import Answer, Resource
from flowserver.blueprints.api.schemas import lists as schemas
from flowserver.services.people import browse, fields

resource = Resource("Fields", 40, "What a client knows about its contacts beside name and addresses.", part="contacts")

EXAMPLE = {
    "id": 1,
    "key": "city",
    "label": "City",
    "type": "text",
    "choices": [],
    "created_at": "2026-05-04T09:00:00Z",
}


def show(row: Any) -> dict[str, Any]:
    """A custom field as the API shows it."""
    return {
        "id": row.id,
        "key": row.key,
        "label": row.label,
        "type": row.type,
        "choices": row.choices,
        "created_at": row.created_at,
    }


@resource.reads("/fields", query=paging.PageQuery, shows=schemas.FieldPage, example={"data": [EXAMPLE], "next": None})
def list_fields(query: dict[str, Any]) -> Any:
    """List the custom fields."""
    return paging.page(browse.fields(query["cursor"], query["limit"]), show)


@resource.writes(
    "POST",
    "/fields",
    takes=schemas.FieldIn,
    body_example={"label": "Favourite coffee", "type": "choice", "choices": ["Espresso", "Filter"]},
    shows=schemas.Field,
    example=EXAMPLE,
    status=201,
)
def make_field(body: Mapping[str, Any]) -> Any:
    """Make a custom field.

    Its key follows from the label (“Favourite coffee” becomes `favourite_coffee`) and stays. Type and key never change.
    """
    return Answer(show(fields.add(label=body["label"], type=body["type"], choices=body.get("choices", ()))), 201)
