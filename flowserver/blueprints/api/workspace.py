"""The client a key belongs to."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import fields as plain

from flowserver.blueprints.api import fields
from flowserver.blueprints.api.kit import Resource
from flowserver.services.people import browse

resource = Resource("Workspace", 1, "The client a key belongs to.")


class Sender(fields.Shown):
    """Who messages come from."""

    name = plain.String()
    email = plain.String()
    sms = plain.String()


class Key(fields.Shown):
    """The key of the request."""

    id = plain.Integer()
    name = plain.String()
    scopes = plain.List(plain.String(metadata={"enum": ["read", "write"]}))


class Workspace(fields.Shown):
    """The client a key belongs to."""

    id = plain.Integer()
    name = plain.String()
    slug = plain.String(metadata={"description": "Its place in the console's addresses: /c/<slug>/."})
    time_zone = plain.String(metadata={"description": "Where waits until a date or hour are read."})
    locale = plain.String()
    country = plain.String(metadata={"description": "Where phone numbers without + are read; empty: none."})
    sender = plain.Nested(Sender)
    channels = plain.List(plain.String(), metadata={"description": "Channels with a connection that is not paused."})
    key = plain.Nested(Key)


EXAMPLE = {
    "id": 1,
    "name": "Caffè Lume",
    "slug": "caffe-lume",
    "time_zone": "Europe/Rome",
    "locale": "it",
    "country": "IT",
    "sender": {"name": "Caffè Lume", "email": "ciao@caffelume.example", "sms": "CaffeLume"},
    "channels": ["email", "sms"],
    "key": {"id": 1, "name": "shop", "scopes": ["read", "write"]},
}


@resource.reads("/workspace", shows=Workspace, example=EXAMPLE, tagged=True)
def get_workspace() -> Any:
    """Get the client of the key: who am I, whose rows do I see."""
    row, channels = browse.workspace()
    caller = g.caller
    return {
        "id": row.id,
        "name": row.name,
        "slug": row.slug,
        "time_zone": row.time_zone,
        "locale": row.locale,
        "country": row.country,
        "sender": {"name": row.sender_name, "email": row.sender_email, "sms": row.sms_sender},
        "channels": channels,
        "key": {"id": caller.key_id, "name": caller.key_name, "scopes": sorted(caller.scopes)},
    }
