"""Who a rule of a starting point describes, as a query: "those who already match", or everybody a date is for.

A trigger says it as data, ``{kind: value}``; every kind has one function here that makes the query of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from flowserver.models import Contact, Membership
from flowserver.models.base import Json

_C, _M = Contact.__table__.c, Membership.__table__.c


class json_object(GenericFunction[Any]):
    """``json_object("message", m.id)``: a JSON object of names and values, on either database."""

    type = Json
    inherit_cache = True


@compiles(json_object, "postgresql")
def _jsonb(element: Any, compiler: Any, **kw: Any) -> str:
    return f"jsonb_build_object({compiler.process(element.clauses, **kw)})"


def people(rule: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """The contacts a rule describes: a query of their ``id``, and of ``data`` where they bring some into the run.

    Raises ``KeyError`` for a kind that is not known.
    """
    kind, value = next(iter(rule.items()))
    return _KINDS[kind](value, workspace_id)


def _all(_value: Any, workspace_id: int) -> sa.Select[Any]:
    return sa.select(_C.id).where(_C.workspace_id == workspace_id)


def _list(list_id: int, workspace_id: int) -> sa.Select[Any]:
    return sa.select(_M.contact_id.label("id")).where(_M.list_id == list_id, _M.workspace_id == workspace_id)


def _members(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{list, until}``: who is on a list and was so at a moment."""
    return _list(value["list"], workspace_id).where(_M.joined_at <= datetime.fromisoformat(value["until"]))


_KINDS: dict[str, Callable[[Any, int], sa.Select[Any]]] = {
    "all": _all,
    "list": _list,
    "members": _members,
}
