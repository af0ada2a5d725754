"""The same for many contacts at once: rows that may be there already, and facts told about a crowd."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from flowserver import clock, extensions, jobqueue
from flowserver.extensions import db
from flowserver.models import Contact, Event
from flowserver.services.engine import events

AT_ONCE = 25  # so many events are matched to flows in the same transaction; more are left to the match job


def insert(table: Any) -> Any:
    """The INSERT of the database at hand, which knows ON CONFLICT."""
    make = sqlite.insert if db.session.connection().dialect.name == "sqlite" else postgresql.insert
    return make(getattr(table, "__table__", table))


def insert_new(table: Any, rows: Sequence[Mapping[str, Any]], returning: Sequence[str] = ()) -> list[tuple[Any, ...]]:
    """Insert rows of the same keys in the caller's transaction, leaving out those whose unique key is taken.

    Gives back the ``returning`` columns of the rows that went in, in no promised order.
    """
    if not rows:
        return []
    target = getattr(table, "__table__", table)
    statement = insert(target).on_conflict_do_nothing()
    prepared = [dict(row) for row in rows]
    if not returning:
        db.session.connection().execute(statement, prepared)
        return []
    result = db.session.connection().execute(statement.returning(*(target.c[name] for name in returning)), prepared)
    return [tuple(row) for row in result]


def touch(contact_ids: Sequence[int]) -> None:
    """Note that contacts changed, where no column of theirs did: those who keep a copy must read them again.

    Only for what leaves no trace; who got a tag or joined a list is found by the moment it happened.
    """
    change = sa.update(Contact).where(Contact.id.in_(contact_ids)).values(updated_at=clock.now())
    db.session.execute(change, execution_options={"synchronize_session": "fetch"})


def tell(
    contact_ids: Sequence[int],
    type_: str,
    *,
    subject: str = "",
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
    chain: int = 0,
    origin: int | None = None,
) -> None:
    """Record the same event for several contacts, in the caller's transaction.

    A few start their flows at once; for many the rows are written in one statement and the match job is rung.
    """
    at = at or clock.now()
    workspace_id = extensions.current_workspace() or 0
    if len(contact_ids) <= AT_ONCE:
        events.record_many(
            [events.NewEvent(workspace_id, one, type_, subject, "", at, data, chain, origin) for one in contact_ids]
        )
        return
    common = {"type": type_, "subject": subject, "at": at, "data": data, "chain": chain, "origin": origin}
    write_events([{"contact_id": contact_id, **common} for contact_id in contact_ids])


def write_events(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events that the match job will match to flows after the caller's commit.

    Rows carry contact_id, type, subject, at, data, chain and origin.
    """
    if not rows:
        return
    workspace_id = extensions.current_workspace()
    common = {"workspace_id": workspace_id, "matched": False}
    db.session.connection().execute(
        insert(Event), [{**common, "key": f"crowd:{uuid.uuid4().hex}", **row} for row in rows]
    )
    jobqueue.wake_after_commit(db.session, "match")
