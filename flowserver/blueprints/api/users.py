"""The people who may open a client in the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.errors import Conflict, Forbidden
from flowserver.services.accounts import agency_keys, team
from flowserver.text import N_

resource = Resource("Users", 5, "People who may open the client in the console.", part="team")

ONE = f"/users/{ID % 'user_id'}"
ROLES = ("admin", "staff", "client")
EXAMPLE = {
    "id": 2,
    "email": "bruno@agency.example",
    "name": "Bruno Neri",
    "role": "staff",
    "active": True,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
    "last_login_at": None,
}


class User(fields.Shown):
    """A person who may open the client."""

    id = plain.Integer()
    email = plain.String()
    name = plain.String()
    role = plain.String(
        metadata={"enum": list(ROLES), "description": "admin: all clients; staff: works here; client: only reads."}
    )
    active = plain.Boolean(metadata={"description": "Whether the person can log in."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()
    last_login_at = plain.DateTime(allow_none=True)


class UserPage(fields.Shown):
    """A page of people."""

    data = plain.List(plain.Nested(User))
    next = plain.String(allow_none=True)


class UserIn(fields.Input):
    """Somebody to let in."""

    email = fields.Text(320, required=True)
    role = fields.Word(
        ROLES[1:], load_default="staff", metadata={"description": "A person who has an account keeps theirs."}
    )


class LetIn(fields.Shown):
    """How somebody was let in."""

    email = plain.String()
    role = plain.String(metadata={"enum": list(ROLES)})
    invited = plain.Boolean(metadata={"description": "A mail with a link is on its way; else the person may enter."})
    user_id = plain.Integer(allow_none=True, metadata={"description": "null until the invitation is accepted."})
    expires_at = plain.DateTime(allow_none=True, metadata={"description": "How long the invitation is good."})


def show(row: Any) -> dict[str, Any]:
    """A person as the API shows them."""
    return {key: getattr(row, key) for key in EXAMPLE}


def _by() -> Any:
    """In whose name a key of the agency acts. Raises :class:`Forbidden` for keys of a client."""
    if not g.caller.agency:
        raise Forbidden(N_("Only a key of the agency may do this"))
    found = agency_keys.maker(g.caller.key_id)
    if found is None:
        raise Conflict(N_("There is no admin left who could do this"))
    return found


@resource.reads("/users", query=paging.SyncQuery, shows=UserPage, example={"data": [EXAMPLE], "next": None})
def list_users(query: Mapping[str, Any]) -> Any:
    """List the people who may open the client: its own, and the agency's admins."""
    found = query["cursor"], query["limit"], query.get("updated_since")
    rows, following = team.page_of_client(g.caller.workspace_id, *found)
    return {"data": [show(row) for row in rows], "next": paging.following(following)}


@resource.reads(ONE, shows=User, example=EXAMPLE, tagged=True)
def get_user(user_id: int) -> Any:
    """Get a person who may open the client."""
    return show(team.one_of_client(g.caller.workspace_id, user_id))


@resource.writes(
    "POST",
    "/users",
    takes=UserIn,
    body_example={"email": "bruno@agency.example", "role": "staff"},
    shows=LetIn,
    example={
        "email": "bruno@agency.example",
        "role": "staff",
        "invited": True,
        "user_id": None,
        "expires_at": "2026-05-11T09:00:00Z",
    },
    status=201,
)
def let_user_in(body: Mapping[str, Any]) -> Any:
    """Let a person into the client.

    Somebody who has an account may enter at once; anybody else gets a mail with a link that is good for 7 days. Only
    keys of the agency may do this.
    """
    by = _by()
    found = team.let_in(by, g.caller.workspace_id, email=body["email"], role=body["role"])
    invited = hasattr(found, "expires_at")
    return Answer(
        {
            "email": found.email,
            "role": found.role,
            "invited": invited,
            "user_id": None if invited else found.id,
            "expires_at": found.expires_at if invited else None,
        },
        201,
    )


@resource.writes("DELETE", ONE, status=204, if_match=True)
def keep_user_out(user_id: int) -> None:
    """Take a person's way into the client.

    The account stays, and what they made, too. 409 for admins, who open all clients. Only keys of the agency may do
    this.
    """
    by = _by()
    unchanged("user", user_id, lambda: show(team.one_of_client(g.caller.workspace_id, user_id)))
    team.keep_out(by, g.caller.workspace_id, user_id)
