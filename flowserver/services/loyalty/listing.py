"""Everything there is about loyalty, page by page, for programs: oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Movement, Programme, Reward
from flowserver.services.people.browse import Page, page_of
from flowserver.text import N_, Text

_CARD = (
    Card.id,
    Card.number,
    Card.public_id,
    Card.programme_id,
    Card.contact_id,
    Card.balance,
    Card.blocked,
    Card.created_at,
    Card.updated_at,
)
_MOVEMENT = (
    Movement.id,
    Movement.kind,
    Movement.delta,
    Movement.balance,
    Movement.amount,
    Movement.receipt,
    Movement.reason,
    Movement.reverses_id,
    Movement.source,
    Movement.at,
    Card.number,
)
_GRANT = (
    CardReward.id,
    CardReward.reward_id,
    CardReward.automatic,
    CardReward.granted_at,
    CardReward.collected_at,
    CardReward.withdrawn_at,
    Reward.title,
    Card.number,
)


def programmes(after: int, limit: int, *, name: str = "", updated_since: datetime | None = None) -> Page:
    """Loyalty programmes."""
    query = sa.select(*Programme.__table__.c).select_from(Programme)
    if name:
        query = query.where(sa.func.lower(Programme.name) == name.lower())
    if updated_since is not None:
        query = query.where(Programme.updated_at >= updated_since)
    return page_of(query, Programme.id, after, limit)


def rewards(after: int, limit: int, *, programme_id: int | None = None, updated_since: datetime | None = None) -> Page:
    """Rewards, of all programmes or of one."""
    query = sa.select(*Reward.__table__.c).select_from(Reward)
    query = query.where(Reward.programme_id == programme_id) if programme_id is not None else query
    query = query.where(Reward.updated_at >= updated_since) if updated_since is not None else query
    return page_of(query, Reward.id, after, limit)


def cards(
    after: int,
    limit: int,
    *,
    programme_id: int | None = None,
    contact_id: int | None = None,
    updated_since: datetime | None = None,
) -> Page:
    """Cards, narrowed by filters."""
    query = sa.select(*_CARD)
    if programme_id is not None:
        query = query.where(Card.programme_id == programme_id)
    if contact_id is not None:
        query = query.where(Card.contact_id == contact_id)
    if updated_since is not None:
        query = query.where(Card.updated_at >= updated_since)
    return page_of(query, Card.id, after, limit)


def movements(card_id: int, after: int, limit: int) -> Page:
    """The ledger of a card."""
    query = sa.select(*_MOVEMENT).join(Card, Card.id == Movement.card_id).where(Movement.card_id == card_id)
    return page_of(query, Movement.id, after, limit)


def grants(card_id: int, after: int, limit: int, *, open_only: bool = False) -> Page:
    """The rewards a card was given."""
    query = _grants().where(CardReward.card_id == card_id)
    if open_only:
        query = query.where(CardReward.collected_at.is_(None), CardReward.withdrawn_at.is_(None))
    return page_of(query, CardReward.id, after, limit)


def grant(grant_id: int) -> Any:
    """One reward that a card was given. Raises :class:`NotFound`."""
    found = db.session.execute(_grants().where(CardReward.id == grant_id)).one_or_none()
    if found is None:
        raise NotFound(N_("The card was not given such a reward"))
    return found


def _grants() -> Any:
    return sa.select(*_GRANT).join(Reward, Reward.id == CardReward.reward_id).join(Card, Card.id == CardReward.card_id)


# --- by name ---------------------------------------------------------------------------------------------


def card(number: str) -> Card:
    """The card with this number. Raises :class:`NotFound`, and :class:`Conflict` for one that was replaced."""
    # Nothing but plain digits is a card's number, and not every text can be asked for (PostgreSQL refuses NUL).
    known = number.isascii() and number.isdecimal()
    found = db.session.scalar(sa.select(Card).where(Card.number == number)) if known else None
    if found is not None:
        return found
    if known and db.session.scalar(sa.select(Card.id).where(Card.replaced_number == number)):
        raise Conflict(N_("This card was replaced by a new one. Scan the new card"))
    raise NotFound(N_("There is no card with this number"))


def programme_id(reference: int | str) -> int:
    """The programme with this id or name. Raises :class:`Invalid` at ``programme``."""
    words = N_("There is no loyalty programme “%(name)s” in this client")
    return _wanted(reference, Programme.id, Programme.name, "programme", words)


def reward_id(reference: int | str) -> int:
    """The reward with this id or title. Raises :class:`Invalid` at ``reward``."""
    return _wanted(reference, Reward.id, Reward.title, "reward", N_("There is no reward “%(name)s” in this client"))


def _wanted(reference: int | str, id_: Any, name: Any, field: str, unknown: Text) -> int:
    named = sa.func.lower(name) == reference.strip().lower() if isinstance(reference, str) else id_ == reference
    found = db.session.scalar(sa.select(id_).where(named))
    if found is None:
        raise Invalid({field: [Text(unknown.msgid, name=str(reference)[:120])]})
    return int(found)
