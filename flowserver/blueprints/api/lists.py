"""Lists: what contacts join and leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import lists as schemas
from flowserver.services.people import browse, lists

resource = Resource(
    "Lists", 20, "What contacts join and leave. Joining one is what starts most flows.", part="contacts"
)

ONE = f"/lists/{ID % 'list_id'}"
EXAMPLE = {
    "id": 1,
    "name": "Newsletter",
    "description": "News once a month",
    "public": True,
    "contacts": 4218,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}


def show(row: Any, page: browse.Page) -> dict[str, Any]:
    """A list as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "public": row.public,
        "contacts": page.numbers.get(row.id, 0),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def one(list_id: int) -> dict[str, Any]:
    """A list of the present client. Raises ``NotFound``."""
    page = browse.one_list(list_id)
    return show(page.rows[0], page)


@resource.reads("/lists", query=schemas.ListQuery, shows=schemas.ListPage, example={"data": [EXAMPLE], "next": None})
def list_lists(query: dict[str, Any]) -> Any:
    """List the lists.

    The contacts on one: `GET /contacts?list=<id or name>`.
    """
    page = browse.lists(
        query["cursor"], query["limit"], name=query.get("name", ""), updated_since=query.get("updated_since")
    )
    return paging.page(page, lambda row: show(row, page))


@resource.writes(
    "POST",
    "/lists",
    takes=schemas.ListIn,
    body_example={"name": "Newsletter", "description": "News once a month", "public": True},
    shows=schemas.List,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_list(body: Mapping[str, Any]) -> Any:
    """Make a list."""
    made = lists.create(body["name"], body.get("description", ""), body.get("public", False))
    return Answer(one(made.id), 201, {"Location": url_for(".get_list", list_id=made.id)})


@resource.reads(ONE, shows=schemas.List, example=EXAMPLE, tagged=True)
def get_list(list_id: int) -> Any:
    """Get a list."""
    return one(list_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.ListChange,
    body_example={"name": "News"},
    shows=schemas.List,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_list(list_id: int, body: Mapping[str, Any]) -> Any:
    """Change a list.

    Flows and forms that use it go on; they know it by its id.
    """
    unchanged("list", list_id, lambda: one(list_id))
    wanted = {**one(list_id), **body}
    lists.update(list_id, wanted["name"], wanted["description"], wanted["public"])
    return one(list_id)


@resource.writes("DELETE", ONE, query=schemas.ListDeletion, status=204, if_match=True)
def delete_list(list_id: int, query: Mapping[str, Any]) -> None:
    """Delete a list.

    Refused with 409 while a flow or a form needs it; `uses` says which. Its contacts stay, unless `contacts=delete`.
    A large list goes in the background.
    """
    unchanged("list", list_id, lambda: one(list_id))
    lists.delete(one(list_id)["id"], query["contacts"])
