"""What contacts do themselves is a sign of life: their last activity moves. Clicks and opens write it where they are judged
(``services/messages/tracking.py``)."""

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
FEW = 3  # moments, each with a statement of its own
_C = Contact.__table__.c
_MOVE = (
    sa.update(Contact.__table__)
    .where(bulk.ids_named(_C.id), sa.or_(_C.last_activity_at.is_(None), _C.last_activity_at < sa.bindparam("moment")))
    .values(last_activity_at=sa.bindparam("moment"))
)
_SEEN = sa.select(_C.id, _C.last_activity_at).where(bulk.ids_named(_C.id))


def react(events: Sequence[Any], now: datetime) -> None:
    """Note the latest of these events as each contact's last activity, unless a later one is known."""
    latest: dict[int, datetime] = {}
    for event in events:
        at = min(event.at or now, now)
        latest[event.contact_id] = max(at, latest.get(event.contact_id, at))
    connection, moments = db.session.connection(), set(latest.values())
    if len(moments) <= FEW:
        for moment in moments:
            ids = [contact_id for contact_id, at in latest.items() if at == moment]
            connection.execute(_MOVE, {"ids": ids, "moment": moment})
        return
    known = {row.id: row.last_activity_at for row in connection.execute(_SEEN, {"ids": list(latest)})}
    later = [(id, at) for id, at in latest.items() if id in known and (known[id] is None or known[id] < at)]
    bulk.update(connection, "contact", ("last_activity_at",), later)
