"""Pages of long lists: ``limit`` and ``cursor`` go in, ``data`` and ``next`` come out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import marshmallow as ma
from flask import g, request

from flowserver.blueprints.api import fields
from flowserver.services.people.browse import Page
from flowserver.text import N_

USUAL, MOST = 50, 200


class Cursor(fields.Words, ma.fields.String):
    """Where a page begins: what ``next`` of the same list with the same filters said. Becomes the id it goes on after."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Use what `next` of the page before says, or leave it out")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        found = decode(str(value), _list())
        if found is None:
            raise self.make_error("invalid")
        return found


class PageQuery(fields.Input):
    """What every list takes."""

    limit = fields.Count(
        1, MOST, load_default=USUAL, metadata={"description": "How many to send at most.", "example": 50}
    )
    cursor = Cursor(
        load_default=0,
        metadata={"description": "`next` of the page before. Without it the list begins at the start."},
    )


class SyncQuery(PageQuery):
    """What every list takes of which a copy can be kept up to date."""

    updated_since = fields.Instant(
        metadata={"description": "Changed at or after this moment.", "example": "2026-05-04T09:00:00Z"}
    )


def page(found: Page, show: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    """The answer: every row as ``show`` shows it, and the cursor of the next page."""
    return {"data": [show(row) for row in found.rows], "next": following(found.next)}


def following(id: int | None) -> str | None:
    """The cursor that goes on after a row of the list that is being read; ``None`` where it ends."""
    return encode(id, _list()) if id else None


def _list() -> str:
    """Which list is read: whose, where, with which filters. A cursor of another one would skip rows in silence."""
    filters = sorted(one for one in request.args.items(multi=True) if one[0] not in ("cursor", "limit"))
    said = repr((g.caller.workspace_id, request.path, filters))
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def encode(id: int, list: str) -> str:
    """An id and the list it belongs to as an opaque cursor."""
    return base64.urlsafe_b64encode(f"{list}:{id}".encode()).decode().rstrip("=")


def decode(cursor: str, list: str) -> int | None:
    """The id in a cursor; ``None`` for one we did not make, or not for this list."""
    try:
        word, _colon, number = base64.urlsafe_b64decode(cursor[:80] + "=" * (-len(cursor[:80]) % 4)).partition(b":")
    except (binascii.Error, ValueError):
        return None
    if word != list.encode() or not number.isdigit() or not 1 <= int(number) <= fields.BIGGEST_ID:
        return None
    return int(number)
