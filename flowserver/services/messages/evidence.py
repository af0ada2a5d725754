"""Stored evidence judged again: after the rules, or the client's wish to count what programs open, have changed.

Nothing is fetched anew and no flow starts from the past: only who counts as a reader changes, and when they first were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import extensions, jobqueue
from flowserver.domain import mail, visitors
from flowserver.domain.visitors import Visitor
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Engagement, Message, Workspace
from flowserver.models.messages import TO_CONTACTS
from flowserver.services.engine import bulk
from flowserver.services.messages import envelopes, tracking

CHUNK = 500
USUAL_LINKS = 5  # taken for a mail whose text cannot be read any more
_M, _N = Message.__table__.c, Engagement.__table__.c
_MESSAGE = (*(_M.id, _M.kind, _M.version_id, _M.step, _M.campaign_id, _M.accepted_at, _M.opened_at, _M.clicked_at),)


def judge(workspace_id: int, campaign_id: int | None = None) -> int:
    """Judge all opens and clicks of a client, or of one campaign, again; returns how many messages count differently.

    Goes by message id in chunks, each committed, so it may be broken off and begun again.
    """
    changed, after = 0, 0
    with extensions.workspace(workspace_id):
        workspace = db.session.scalars(sa.select(Workspace).where(Workspace.id == workspace_id)).one()
        counts, brand = workspace.count_machine_opens, envelopes.brand(workspace)
        while rows := _next(workspace_id, campaign_id, after):
            changed += _chunk(rows, counts, brand)
            after = rows[-1].id
            db.session.commit()
        db.session.commit()
    return changed


def ask_to_judge(campaign_id: int) -> None:
    """Have a job :func:`judge` a campaign of the present client; twice does no harm. Raises :class:`Unavailable`."""
    jobqueue.ask("judge", extensions.current_workspace() or 0, campaign_id)


def judge_all() -> int:
    """:func:`judge` for every client of the agency."""
    with extensions.every_workspace():
        ids = list(db.session.scalars(sa.select(Workspace.id).order_by(Workspace.id)))
    return sum(judge(workspace_id) for workspace_id in ids)


def _next(workspace_id: int, campaign_id: int | None, after: int) -> Sequence[Any]:
    noticed = sa.exists().where(_N.message_id == _M.id, _N.kind.in_(("open", "click")))
    query = sa.select(*_MESSAGE).where(
        _M.workspace_id == workspace_id, _M.kind.in_(TO_CONTACTS), _M.channel == "email", _M.id > after, noticed
    )
    if campaign_id is not None:
        query = query.where(_M.campaign_id == campaign_id)
    return db.session.connection().execute(query.order_by(_M.id).limit(CHUNK)).all()


def _chunk(rows: Sequence[Any], counts: bool, brand: mail.Brand) -> int:
    """Judge the evidence of some messages; how many count differently."""
    connection = db.session.connection()
    query = sa.select(_N.id, _N.message_id, _N.kind, _N.at, _N.link, _N.machine, _N.evidence).where(
        bulk.ids_in(_N.message_id, [row.id for row in rows]), _N.kind.in_(("open", "click"))
    )
    noticed: dict[int, list[Any]] = defaultdict(list)
    for one in connection.execute(query.order_by(_N.message_id, _N.at, _N.id)):
        noticed[one.message_id].append(one)
    links: dict[tuple[Any, ...], int] = {}
    flags, stamps = [], []
    for row in rows:
        judged = _judged(row, noticed[row.id], _links(row, brand, links))
        flags += [(one.id, machine) for one, machine in judged if machine != one.machine]
        opened, clicked = first_times(judged, counts)
        if (opened, clicked) != (row.opened_at, row.clicked_at):
            stamps.append((row.id, opened, clicked))
    bulk.update(connection, "engagement", ("machine",), flags)
    bulk.update(connection, "message", ("opened_at", "clicked_at"), stamps)
    return len(stamps)


def _links(row: Any, brand: mail.Brand, known: dict[tuple[Any, ...], int]) -> int:
    key = (row.version_id, row.step, row.campaign_id)
    if key not in known:
        try:
            known[key] = len(tracking.template_of(row, brand).links)
        except Invalid:
            known[key] = USUAL_LINKS
    return known[key]


def _judged(row: Any, noticed: Sequence[Any], links: int) -> list[tuple[Any, bool]]:
    """Each piece of evidence of one message with whether a program left it, as if they came in now, one after the other."""
    found: list[tuple[Any, bool]] = []
    clicks: list[tuple[int, datetime]] = []
    for one in noticed:
        visitor = Visitor(one.at, **{name: value for name, value in (one.evidence or {}).items() if name in _KEPT})
        if one.kind == "open":
            found.append((one, visitors.judge_open(visitor, row.accepted_at) is not None))
            continue
        reason = visitors.judge_click(visitor, row.accepted_at, one.link or 0, clicks, links)
        if reason == "all_links":  # its first clicks looked like a person's
            found = [(old, machine or _same_burst(old, one)) for old, machine in found]
        clicks.append((one.link or 0, one.at))
        found.append((one, reason is not None))
    return found


_KEPT = ("method", "agent", "purpose", "by_hand")


def _same_burst(old: Any, one: Any) -> bool:
    return bool(old.kind == "click" and one.at - old.at <= visitors.BURST)


def first_times(judged: Sequence[tuple[Any, bool]], counts: bool) -> tuple[datetime | None, datetime | None]:
    """When a message was first opened and first clicked, by people; ``counts``: opens by programs count too."""
    clicks = [one.at for one, machine in judged if one.kind == "click" and not machine]
    opens = [one.at for one, machine in judged if one.kind == "open" and (counts or not machine)]
    return min([*opens, *clicks], default=None), min(clicks, default=None)
