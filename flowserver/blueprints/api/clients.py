"""The clients a key may act for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.blueprints.api.kit import Resource
from flowserver.services.accounts import api_access

resource = Resource("Clients", 2, "The clients a key may act for: its own, or for a key of the agency all of them.")


class Client(fields.Shown):
    """A client of the agency."""

    id = plain.Integer()
    slug = plain.String(metadata={"description": "What the header Flowserver-Client names it by."})
    name = plain.String()
    time_zone = plain.String()
    locale = plain.String()


class ClientPage(fields.Shown):
    """A page of clients."""

    data = plain.List(plain.Nested(Client))
    next = plain.String(allow_none=True)


EXAMPLE = {"id": 1, "slug": "caffe-lume", "name": "Caffè Lume", "time_zone": "Europe/Rome", "locale": "it"}


@resource.reads(
    "/clients",
    query=paging.PageQuery,
    shows=ClientPage,
    example={"data": [EXAMPLE], "next": None},
    anywhere=True,
)
def list_clients(query: Mapping[str, Any]) -> Any:
    """List the clients a key may act for.

    A key of the agency names one of them in the header `Flowserver-Client` of every other request.
    """
    rows, following = api_access.clients(g.caller, query["cursor"], query["limit"])
    return {"data": [row._asdict() for row in rows], "next": paging.following(following)}
