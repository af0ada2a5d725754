"""A visit or a purchase is a sign of life: the contact's last activity moves. Clicks and opens write it where they are
judged (``services/messages/tracking.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.domain.steps import ACTIVITY
from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services.engine import bulk

LISTENS_TO = frozenset(ACTIVITY) - {"email_opened", "email_clicked"}
_C = Contact.__table__.c


def react(events: Sequence[Any], now: datetime) -> None:
    """Note the latest of these events as each contact's last activity, unless a later one is known."""
    latest: dict[int, datetime] = {}
    for event in events:
        at = min(event.at or now, now)
        latest[event.contact_id] = max(at, latest.get(event.contact_id, at))
    connection = db.session.connection()
    known = sa.select(_C.id, _C.last_activity_at).where(bulk.ids_in(_C.id, latest))
    rows = [
        (row.id, latest[row.id])
        for row in connection.execute(known)
        if row.last_activity_at is None or row.last_activity_at < latest[row.id]
    ]
    bulk.update(connection, "contact", ("last_activity_at",), rows)
