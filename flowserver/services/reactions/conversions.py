"""Pages, events of a site's script and steps of flows become conversions, where a rule says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.domain import urls
from flowserver.domain.steps import AndCustomOnes
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import ConversionRule
from flowserver.services.engine import bulk
from flowserver.services.site import conversions

LISTENS_TO = AndCustomOnes({"page_visited", "conversion_recorded"})
_R = ConversionRule.__table__.c


def react(events: Sequence[Any], now: datetime) -> None:
    """Count what the rules of these events' clients ask for: one look at the rules, one INSERT for all."""
    concerned = [event for event in events if event.type == "conversion_recorded" or (event.data or {}).get("monitor")]
    if not concerned:
        return
    rules = _rules({event.workspace_id for event in concerned})
    claims = [claim for event in concerned for claim in _claims(event, rules, now)]
    if claims:
        conversions.count(claims, now)


def _rules(workspaces: set[int]) -> Sequence[Any]:
    query = sa.select(ConversionRule.__table__).where(bulk.ids_in(_R.workspace_id, workspaces), _R.enabled)
    return db.session.connection().execute(query).all()


def _claims(event: Any, rules: Sequence[Any], now: datetime) -> Iterator[conversions.Claim]:
    data = event.data or {}
    by_step = event.type == "conversion_recorded"
    for rule in rules:
        if rule.workspace_id == event.workspace_id and _means(rule, event, data):
            yield conversions.Claim(
                rule,
                event.contact_id,
                event.at or now,
                "step" if by_step else "site",
                f"event:{event.key}",
                cents=data.get("cents") if by_step else None,
                url="" if by_step else str(data.get("url", "")),
                chain=data.get("chain", ()),
            )


def _means(rule: Any, event: Any, data: Any) -> bool:
    """Whether an event is what a rule counts. Any page counts once a visit; pages that are named, whenever seen."""
    if event.type == "conversion_recorded":
        return rule.source == "manual" and event.subject == str(rule.id)
    if event.subject != str(rule.monitor_id):
        return False
    if event.type != "page_visited":
        return rule.source == "event" and event.type == rule.event
    if rule.source == "any":
        return data.get("first") is True
    return rule.source == "pages" and any(_covers(pattern, str(data.get("url", ""))) for pattern in rule.patterns)


def _covers(pattern: str, url: str) -> bool:
    try:
        return urls.matches(urls.parse(pattern), url)
    except Invalid:  # kept by another release
        return False
