"""Who fills in a programme's form gets a card; points and rewards that a step of a flow gave go onto the card."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import extensions
from flowserver.extensions import db
from flowserver.models import Programme
from flowserver.services.loyalty import cards, points
from flowserver.services.loyalty.ledger import By

LISTENS_TO = frozenset({"form_filled", "points_given", "reward_given"})


def react(events: Sequence[Any], now: datetime) -> None:
    """Client by client, because the services see one client at a time."""
    for workspace_id in {event.workspace_id for event in events}:
        mine = [event for event in events if event.workspace_id == workspace_id]
        with extensions.workspace(workspace_id):
            _make_cards([event for event in mine if event.type == "form_filled"], now)
            _give([event for event in mine if event.type == "points_given"])
            _give_rewards([event for event in mine if event.type == "reward_given"])


def _make_cards(events: Sequence[Any], now: datetime) -> None:
    forms = {int(event.subject) for event in events if event.subject.isdecimal()}
    if not forms:
        return
    query = sa.select(Programme.id, Programme.form_id).where(Programme.form_id.in_(forms), ~Programme.closed)
    for programme_id, form_id in db.session.execute(query).all():
        for event in events:
            if event.subject == str(form_id):
                cards.make(programme_id, event.contact_id, by=_by("form", event), at=now, commit=False)


def _give(events: Sequence[Any]) -> None:
    """All points for one programme at once: a step gives them to a whole batch of contacts."""
    gifts: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        data = event.data or {}
        if event.subject.isdecimal() and isinstance(data.get("points"), int):
            gift = (data["points"], f"flow:{event.key}", str(data.get("reason") or ""), _by("flow", event))
            gifts[int(event.subject)][event.contact_id].append(gift)
    for programme_id, by_contact in gifts.items():
        points.give_many(programme_id, by_contact)


def _give_rewards(events: Sequence[Any]) -> None:
    receivers: dict[int, dict[int, By]] = defaultdict(dict)
    for event in events:
        if event.subject.isdecimal():
            receivers[int(event.subject)][event.contact_id] = _by("flow", event)
    for reward_id, by_contact in receivers.items():
        points.give_reward_many(reward_id, by_contact)


def _by(source: str, event: Any) -> By:
    return By(source, chain=tuple((event.data or {}).get("chain", ())), origin=event.origin)
