"""Sites, conversion rules, conversions and pages seen, page by page for programs: oldest first, going on after an id."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Conversion, ConversionRule, Monitor, PageView
from flowserver.services.people import contacts
from flowserver.services.people.browse import Page
from flowserver.text import N_, Text


def monitors(after: int, limit: int, updated_since: datetime | None = None) -> Page:
    """The sites of the client, or those that were changed since."""
    return _page(_since(Monitor, updated_since), Monitor.id, after, limit)


def rules(after: int, limit: int, updated_since: datetime | None = None) -> Page:
    """The conversion rules of the client, or those that were changed since."""
    return _page(_since(ConversionRule, updated_since), ConversionRule.id, after, limit)


def _since(table: Any, moment: datetime | None) -> Any:
    return sa.select(table).where(table.updated_at >= moment) if moment else sa.select(table)


def conversions(
    after: int,
    limit: int,
    *,
    rule_id: int | None = None,
    contact_id: int | None = None,
    updated_since: datetime | None = None,
) -> Page:
    """Conversions, undone ones too."""
    query = _since(Conversion, updated_since)
    if rule_id is not None:
        query = query.where(Conversion.rule_id == rule_id)
    if contact_id is not None:
        query = query.where(Conversion.contact_id == contact_id)
    return _page(query, Conversion.id, after, limit)


def one_conversion(conversion_id: int) -> Conversion:
    """The conversion with this id. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Conversion).where(Conversion.id == conversion_id))
    if found is None:
        raise NotFound(N_("There is no such conversion"))
    return found


def seen_by(contact_id: int, after: int, limit: int) -> Page:
    """The pages a contact saw since it was known, while they are kept. Raises :class:`NotFound`."""
    contacts.get(contact_id)
    return _page(sa.select(PageView).where(PageView.contact_id == contact_id), PageView.id, after, limit)


def rule_id(reference: int | str) -> int:
    """The id of the conversion rule with this id or name. Raises :class:`Invalid` under ``rule``."""
    same = _named(ConversionRule, reference)
    found = db.session.scalar(sa.select(ConversionRule.id).where(same))
    if found is None:
        words = N_("There is no conversion rule “%(name)s” in this client")
        raise Invalid({"rule": [Text(words.msgid, name=str(reference)[:120])]})
    return found


def monitor_id(reference: int | str) -> int:
    """The id of the site with this id or name. Raises :class:`Invalid` under ``monitor``."""
    found = db.session.scalar(sa.select(Monitor.id).where(_named(Monitor, reference)))
    if found is None:
        words = N_("There is no site “%(name)s” in this client")
        raise Invalid({"monitor": [Text(words.msgid, name=str(reference)[:120])]})
    return found


def _named(table: Any, reference: int | str) -> Any:
    if isinstance(reference, int):
        return table.id == reference
    return sa.func.lower(table.name) == " ".join(reference.split()).lower()


def _page(query: Any, key: Any, after: int, limit: int) -> Page:
    rows = list(db.session.scalars(query.where(key > after).order_by(key).limit(limit + 1)))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
