"""Custom fields: what a client knows about its contacts beside name and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import lists as schemas
from flowserver.services.people import browse, fields

resource = Resource("Fields", 40, "What a client knows about its contacts beside name and addresses.", part="contacts")

ONE = f"/fields/{ID % 'field_id'}"
EXAMPLE = {
    "id": 1,
    "key": "city",
    "label": "City",
    "type": "text",
    "choices": [],
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}


def show(row: Any) -> dict[str, Any]:
    """A custom field as the API shows it."""
    return {key: getattr(row, key) for key in EXAMPLE}


def one(field_id: int) -> dict[str, Any]:
    """A custom field of the present client. Raises ``NotFound``."""
    return show(browse.one_field(field_id))


@resource.reads("/fields", query=paging.SyncQuery, shows=schemas.FieldPage, example={"data": [EXAMPLE], "next": None})
def list_fields(query: dict[str, Any]) -> Any:
    """List the custom fields."""
    return paging.page(browse.fields(query["cursor"], query["limit"], updated_since=query.get("updated_since")), show)


@resource.writes(
    "POST",
    "/fields",
    takes=schemas.FieldIn,
    body_example={"label": "Favourite coffee", "type": "choice", "choices": ["Espresso", "Filter"]},
    shows=schemas.Field,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_field(body: Mapping[str, Any]) -> Any:
    """Make a custom field.

    Its key follows from the label (“Favourite coffee” becomes `favourite_coffee`) and stays. Type and key never change.
    """
    made = fields.add(label=body["label"], type=body["type"], choices=body.get("choices", ()))
    return Answer(show(made), 201, {"Location": url_for(".get_field", field_id=made.id)})


@resource.reads(ONE, shows=schemas.Field, example=EXAMPLE, tagged=True)
def get_field(field_id: int) -> Any:
    """Get a custom field."""
    return one(field_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.FieldChange,
    body_example={"label": "Town"},
    shows=schemas.Field,
    example={**EXAMPLE, "label": "Town"},
    tagged=True,
    if_match=True,
)
def change_field(field_id: int, body: Mapping[str, Any]) -> Any:
    """Change a custom field's label or choices.

    Key and type stay; contacts keep the values they have.
    """
    unchanged("field", field_id, lambda: one(field_id))
    wanted = {**one(field_id), **body}
    fields.change(field_id, label=wanted["label"], choices=wanted["choices"])
    return one(field_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_field(field_id: int) -> None:
    """Delete a custom field with its values.

    Refused with 409 while a flow or a form uses it; `uses` says which.
    """
    unchanged("field", field_id, lambda: one(field_id))
    fields.remove(field_id)
