"""What a contact spent: after a purchase the totals are told for the numbers of days that live flows ask about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Flow, Purchase
from flowserver.services.engine import bulk, events, versions
from flowserver.services.engine.events import NewEvent

LISTENS_TO = frozenset({"purchase"})
TRIGGER = "spend_threshold"
_F, _P = Flow.__table__.c, Purchase.__table__.c
_ASKING = sa.select(_F.workspace_id, _F.version_id).where(
    bulk.ids_named(_F.workspace_id),
    _F.version_id.is_not(None),
    _F.state.in_(("active", "paused")),
)
_SPENT = (
    sa.select(_P.contact_id, _P.currency, sa.func.sum(_P.amount - _P.refunded))
    .where(bulk.ids_named(_P.contact_id), _P.at > sa.bindparam("since"))
    .group_by(_P.contact_id, _P.currency)
)
Whose = tuple[int, str]
"""A contact and a currency: money of different kinds is never added up."""


def react(found: Sequence[NewEvent], now: datetime) -> None:
    """Record one ``spend_changed`` for each contact and currency of these purchases, with the totals before and after."""
    windows = _windows({event.workspace_id for event in found})
    concerned = [event for event in found if event.workspace_id in windows]
    if not concerned:
        return
    last: dict[Whose, NewEvent] = {_whose(event): event for event in concerned}
    spent: dict[Whose, dict[str, dict[str, float]]] = defaultdict(dict)
    for days in sorted(set().union(*windows.values())):
        since = now - timedelta(days=days)
        total = _totals({event.contact_id for event in concerned}, since)
        for whose, new in _new(concerned, since).items():
            after = round(total.get(whose, 0), 4)
            spent[whose][str(days)] = {"before": round(after - new, 4), "after": after}
    events.record_many([_told(last[whose], totals, now) for whose, totals in spent.items()], locked=True)


def _windows(workspaces: set[int]) -> dict[int, set[int]]:
    """The numbers of days that live flows of these clients ask about."""
    windows: dict[int, set[int]] = defaultdict(set)
    for workspace_id, version_id in db.session.connection().execute(_ASKING, {"ids": workspaces}):
        try:
            flow = versions.compiled(version_id)
        except Invalid:  # this release cannot read it; whoever buys is not to blame
            continue
        asking = [flow.trigger, *(goal.node for goal in flow.goals if goal.node is not None)]
        days = {node.settings["days"] for node in asking if node.name == TRIGGER}
        if days:
            windows[workspace_id] |= days
    return windows


def _whose(event: NewEvent) -> Whose:
    return event.contact_id, str((event.data or {}).get("currency", ""))


def _totals(contacts: set[int], since: datetime) -> dict[Whose, float]:
    rows = db.session.connection().execute(_SPENT, {"ids": contacts, "since": since})
    return {(contact_id, currency): float(total) for contact_id, currency, total in rows}


def _new(found: Sequence[NewEvent], since: datetime) -> dict[Whose, float]:
    """What these purchases add, so far as they happened within the window."""
    added: dict[Whose, float] = defaultdict(float)
    for event in found:
        if event.at is not None and event.at > since:
            added[_whose(event)] += (event.data or {}).get("amount", 0)
    return added


def _told(event: NewEvent, totals: dict[str, dict[str, float]], now: datetime) -> NewEvent:
    about: dict[str, Any] = {
        name: value for name, value in (event.data or {}).items() if name in ("order", "amount", "currency", "chain")
    }
    return NewEvent(
        event.workspace_id,
        event.contact_id,
        "spend_changed",
        key=f"spend:{event.key}",
        at=now,
        data={**about, "spent": totals},
        chain=event.chain,
        origin=event.origin,
    )
