"""SMS of campaigns that nobody ever reported on: after 72 hours they count as not delivered, for flows that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.extensions import db
from flowserver.models import Campaign, Event, Message
from flowserver.services.engine import events
from flowserver.services.engine.audience import SILENT
from flowserver.services.messages import outcomes

CHUNK = 500
LOOKED_AT = timedelta(days=30)  # campaigns begun longer ago are settled
_G, _M, _V = Campaign.__table__.c, Message.__table__.c, Event.__table__.c


def due() -> bool:
    """Whether any campaign could have silent messages that somebody wants to hear of."""
    return bool(_campaigns())


def tell() -> int:
    """Record the silence of messages whose 72 hours are over, each once; returns how many. Commits by chunks."""
    told = 0
    for workspace_id, campaign_id in _campaigns():
        with extensions.workspace(workspace_id):
            after = 0
            while rows := _silent(campaign_id, after):
                for row in rows:
                    told += outcomes.tell(row, "sms_silent", row.since + SILENT)
                after = rows[-1].contact_id
                db.session.commit()
    db.session.rollback()
    return told


def _campaigns() -> Sequence[tuple[int, int]]:
    """``(workspace, campaign)`` of SMS campaigns of the last weeks, of clients where a flow would hear of it."""
    query = sa.select(_G.workspace_id, _G.id).where(
        _G.channel == "sms", _G.started_at >= clock.now() - LOOKED_AT, _G.started_at <= clock.now() - SILENT
    )
    rows = db.session.connection().execute(query).all()
    heard = events.heard({row.workspace_id for row in rows}) if rows else {}
    return [(row.workspace_id, row.id) for row in rows if "sms_silent" in heard[row.workspace_id]]


def _silent(campaign_id: int, after: int) -> Sequence[Any]:
    """The next messages of a campaign without a final report for 72 hours of which nothing was said yet."""
    since = sa.func.coalesce(_M.accepted_at, _M.handed_at, type_=_M.accepted_at.type)
    begin = sa.literal("message:") + sa.cast(_M.id, sa.String)
    keys = (begin + sa.literal(":sms_failed"), begin + sa.literal(":sms_silent"))  # the second: of earlier releases
    known = sa.exists().where(_V.workspace_id == _M.workspace_id, _V.key.in_(keys))
    query = sa.select(*outcomes.COLUMNS, since.label("since")).where(
        _M.campaign_id == campaign_id,
        _M.contact_id > after,
        _M.state.in_(("accepted", "unknown")),
        since <= clock.now() - SILENT,
        ~known,
    )
    return db.session.connection().execute(query.order_by(_M.contact_id).limit(CHUNK)).all()
