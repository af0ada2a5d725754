"""Those who leave a list while a flow is starting everybody on it: they were on it at the moment, so they start, too.

Who stays need not be copied, however long the list: only those who leave before their turn are written down, by whoever
takes them off, in the transaction that does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Contact, FlowStart, FlowStartContact, Membership
from flowserver.services.engine import bulk

_S, _M, _Z, _C = (table.__table__.c for table in (FlowStart, Membership, FlowStartContact, Contact))
_UNDER_WAY = sa.select(_S.id, _S.rule, _S.after).where(_S.done_at.is_(None))


def note(left: Mapping[int, Collection[int]]) -> None:
    """Write down, before they leave, the contacts who leave lists (``{list id: contact ids}``). The caller commits."""
    connection = db.session.connection()
    rows = [row for start in connection.execute(_UNDER_WAY).all() for row in _of_start(start, left)]
    bulk.insert_new(connection, FlowStartContact.__tablename__, ("start_id", "contact_id", "workspace_id"), rows)


def _of_start(start: Any, left: Mapping[int, Collection[int]]) -> Iterator[tuple[int, int, int]]:
    members = start.rule.get("members")
    leaving = left.get(members["list"]) if members else None
    if leaving:
        was_on = (_M.list_id == members["list"], _M.joined_at <= datetime.fromisoformat(members["until"]))
        query = sa.select(_M.contact_id, _M.workspace_id).where(*was_on, _M.contact_id > start.after)
        for row in db.session.connection().execute(query.where(bulk.ids_in(_M.contact_id, leaving))):
            yield start.id, row.contact_id, row.workspace_id


def people(start_id: int, last: int | None) -> sa.Select[Any]:
    """A query of the ids of those who left before their turn, up to the contact ``last``; ``None``: all of them."""
    query = sa.select(_Z.contact_id.label("id")).join(
        Contact.__table__, sa.and_(_C.id == _Z.contact_id, _C.workspace_id == _Z.workspace_id)
    )
    return query.where(_Z.start_id == start_id, _upto(last))


def forget(start_id: int, last: int | None) -> None:
    """Their turn is over. The caller commits."""
    db.session.connection().execute(sa.delete(FlowStartContact.__table__).where(_Z.start_id == start_id, _upto(last)))


def _upto(last: int | None) -> Any:
    return _Z.contact_id <= last if last is not None else sa.true()
