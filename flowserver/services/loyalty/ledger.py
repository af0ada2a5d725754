"""The ledger of points: movements are only added, the balance of a card is their sum, rewards follow from it.

Everything here works on many cards at once and inside the caller's transaction. Whoever moves points holds the card's
contact first and then the card (:func:`hold`), as everybody does who records events, so two tills at once wait for each
other, no point gets lost and no reward is given twice; the unique keys stand behind that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from flask import current_app
from sqlalchemy.orm.attributes import set_committed_value

from flowserver import clock
from flowserver.errors import Conflict, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Movement, Programme, Reward
from flowserver.services.engine import bulk, events
from flowserver.services.people import crowd
from flowserver.text import N_

log = structlog.get_logger()

ASSIGNS = frozenset({"amount", "by_hand", "flow"})
"""Movements whose points count as assigned when they are above 0: not the welcome, and no correction."""


@dataclass(frozen=True, slots=True)
class By:
    """Who moved points, by what way (till, console, api, flow, form), and what it follows from."""

    source: str
    user_id: int | None = None
    chain: tuple[int, ...] = ()  # the flows that led to it
    origin: int | None = None


@dataclass(slots=True)
class Entry:
    """A movement about to be written; ``id`` and ``balance`` are known afterwards."""

    card: Card
    kind: str  # welcome, amount, by_hand, flow, reward, reversal
    delta: int
    by: By
    amount: int | None = None
    receipt: str | None = None
    reason: str = ""
    reverses: Movement | None = None
    card_reward_id: int | None = None
    id: int = 0
    balance: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of movements: those that were written, and the rewards given and taken back because of them."""

    written: list[Entry] = field(default_factory=list)
    given: list[tuple[Card, Reward, int]] = field(default_factory=list)  # the id of the grant at the end
    withdrawn: list[tuple[Card, Reward, int]] = field(default_factory=list)


# --- holding ---------------------------------------------------------------------------------------------


def hold(card_id: int) -> Card:
    """The card, locked until the transaction ends. Raises :class:`NotFound`, :class:`Conflict` where it just changed."""
    query = sa.select(Card.id, Card.contact_id).where(Card.id == card_id)
    known = db.session.execute(query).one_or_none()
    if known is None:
        raise NotFound(N_("There is no such card"))
    if known.contact_id is not None:
        events.lock_contacts([known.contact_id])
    card = lock(Card.id == card_id)[0]
    if card.contact_id not in (known.contact_id, None):  # its contact would have to be locked before it
        raise Conflict(N_("Somebody has just changed this card. Try again"))
    return card


def lock(*where: sa.ColumnElement[bool]) -> list[Card]:
    """Cards, read afresh and locked in id order. Their contacts are locked by the caller, before."""
    query = sa.select(Card).where(*where).order_by(Card.id).with_for_update()
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


# --- writing ---------------------------------------------------------------------------------------------


def write(entries: Sequence[Entry], now: datetime | None = None) -> Outcome:
    """Write movements of held cards, give and take back rewards, tell the events. One whose receipt is known is left out.

    Entries beside a single one carry receipts, by which what was written is told apart. The caller commits.
    """
    now = now or clock.now()
    db.session.flush()
    found = Outcome(_insert(entries, now))
    if found.written:
        _add_up(found.written, now)
        _settle(found, now)
        _tell(found, now)
    return found


def _insert(entries: Sequence[Entry], now: datetime) -> list[Entry]:
    balances = {entry.card.id: entry.card.balance for entry in entries}
    rows = []
    for entry in entries:
        balances[entry.card.id] = entry.balance = balances[entry.card.id] + entry.delta
        rows.append(_row(entry, now))
    if len(entries) == 1:
        made = crowd.insert_new(Movement, rows, ("id",))
        entries[0].id = made[0][0] if made else 0
    else:
        written = dict(crowd.insert_new(Movement, rows, ("receipt", "id")))
        for entry in entries:
            entry.id = written.get(entry.receipt, 0)
    return [entry for entry in entries if entry.id]


def _row(entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "workspace_id": entry.card.workspace_id,
        "programme_id": entry.card.programme_id,
        "card_id": entry.card.id,
        "kind": entry.kind,
        "delta": entry.delta,
        "balance": entry.balance,
        "amount": entry.amount,
        "receipt": entry.receipt,
        "reason": entry.reason,
        "reverses_id": entry.reverses.id if entry.reverses else None,
        "card_reward_id": entry.card_reward_id,
        "source": entry.by.source,
        "user_id": entry.by.user_id,
        "at": now,
        "created_at": now,
    }


def _add_up(entries: Sequence[Entry], now: datetime) -> None:
    """Add the movements to the balances where they stand, whatever we think they are."""
    card = Card.__table__.c
    change = sa.update(Card.__table__).where(card.id == sa.bindparam("card"))
    change = change.values(balance=card.balance + sa.bindparam("delta"), updated_at=now)
    db.session.connection().execute(change, [{"card": entry.card.id, "delta": entry.delta} for entry in entries])
    for entry in entries:
        set_committed_value(entry.card, "balance", entry.card.balance + entry.delta)
        set_committed_value(entry.card, "updated_at", now)
        entry.balance = entry.card.balance


# --- rewards that follow ---------------------------------------------------------------------------------


def _settle(found: Outcome, now: datetime) -> None:
    """Give the automatic rewards whose points are reached, take back those that rest on points taken back."""
    cards = {entry.card.id: entry.card for entry in found.written}
    corrected = {entry.card.id for entry in found.written if entry.kind in ("reversal", "by_hand") and entry.delta < 0}
    rewards = _rewards({card.programme_id for card in cards.values()})
    had = grants_of(cards) if any(rewards.values()) else {}
    due = []
    for card in cards.values():
        for reward in rewards[card.programme_id]:
            grants = had.get((card.id, reward.id), [])
            for one in _unearned(card, reward, grants, card.id in corrected):
                one.withdrawn_at = now
                found.withdrawn.append((card, reward, one.id))
            if _earned(card, reward, grants):
                due.append((card, reward, len(grants) + 1))
    found.given = grant(due, now, automatic=True)


def _rewards(programmes: Collection[int]) -> Mapping[int, list[Reward]]:
    found: dict[int, list[Reward]] = defaultdict(list)
    query = sa.select(Reward).where(Reward.programme_id.in_(programmes), Reward.automatic).order_by(Reward.points)
    for reward in db.session.scalars(query):
        found[reward.programme_id].append(reward)
    return found


def grants_of(cards: Collection[int]) -> Mapping[tuple[int, int], list[CardReward]]:
    """``{(card, reward): [every grant there was]}`` of held cards."""
    found: dict[tuple[int, int], list[CardReward]] = defaultdict(list)
    query = sa.select(CardReward).where(bulk.ids_in(CardReward.__table__.c.card_id, cards)).order_by(CardReward.id)
    for one in db.session.scalars(query.execution_options(populate_existing=True)):
        found[one.card_id, one.reward_id].append(one)
    return found


def is_open(one: CardReward) -> bool:
    """Whether a grant is still to be collected."""
    return one.collected_at is None and one.withdrawn_at is None


def _unearned(card: Card, reward: Reward, grants: Sequence[CardReward], corrected: bool) -> list[CardReward]:
    """Grants that go when points go: what was spent elsewhere only takes away what must be paid with points."""
    if card.balance >= reward.points or not (corrected or reward.uses_points):
        return []
    return [one for one in grants if one.automatic and is_open(one)]


def _earned(card: Card, reward: Reward, grants: Sequence[CardReward]) -> bool:
    """Whether the card gets this reward now: once, or where it costs points again as soon as there are enough."""
    if not reward.active or card.balance < reward.points:
        return False
    kept = [one for one in grants if one.withdrawn_at is None]
    return not any(map(is_open, kept)) if reward.uses_points else not kept


def had_for_good(reward: Reward, grants: Sequence[CardReward]) -> bool:
    """Whether a reward that points earn, but do not pay for, was given: without this it could be had again and again."""
    return reward.points > 0 and not reward.uses_points and any(one.withdrawn_at is None for one in grants)


def grant(
    due: Sequence[tuple[Card, Reward, int]], now: datetime, *, automatic: bool, user_id: int | None = None
) -> list[tuple[Card, Reward, int]]:
    """Give rewards, ``(card, reward, which time)``; returns those given with the id of each. Nothing is told yet."""
    rows = [
        {
            "workspace_id": card.workspace_id,
            "card_id": card.id,
            "reward_id": reward.id,
            "round": round_,
            "automatic": automatic,
            "granted_at": now,
            "granted_by": user_id,
            "created_at": now,
        }
        for card, reward, round_ in due
    ]
    made = {
        (card, reward): id for card, reward, id in crowd.insert_new(CardReward, rows, ("card_id", "reward_id", "id"))
    }
    return [(card, reward, made[card.id, reward.id]) for card, reward, _ in due if (card.id, reward.id) in made]


# --- telling ---------------------------------------------------------------------------------------------


def _tell(found: Outcome, now: datetime) -> None:
    by = {entry.card.id: entry.by for entry in found.written}
    told = [_movement(entry) for entry in found.written]
    told += [reward_event("reward_withdrawn", card, reward, id, by[card.id]) for card, reward, id in found.withdrawn]
    told += [reward_event("reward_assigned", card, reward, id, by[card.id]) for card, reward, id in found.given]
    tell(told, now)


def _movement(entry: Entry) -> events.NewEvent | None:
    brought: dict[str, Any] = {"points": entry.delta, "balance": entry.balance, "movement": entry.id}
    if entry.reverses is not None and entry.delta < 0:
        back = {**brought, "movement": entry.reverses.id}
        return event("points_reversed", entry.card, f"points:{entry.id}", entry.by, **back)
    if entry.kind not in ASSIGNS or entry.delta <= 0:
        return None
    if entry.amount is not None:
        brought["amount"] = entry.amount / 100
    return event("points_assigned", entry.card, f"points:{entry.id}", entry.by, **brought, receipt=entry.receipt or "")


def reward_event(type_: str, card: Card, reward: Reward, id: int, by: By) -> events.NewEvent | None:
    """What is told about a reward of a card; ``id`` is that of the grant."""
    brought = {"reward": reward.title, "reward_id": reward.id, "points": reward.points, "grant": id}
    return event(type_, card, f"{type_}:{id}", by, **brought)


def event(type_: str, card: Card, key: str, by: By, **brought: Any) -> events.NewEvent | None:
    """An event about a card, with what messages may show of it. ``None``, and a line in the log, without a contact."""
    if card.contact_id is None:
        log.info("loyalty.card_without_contact", card=card.id, about=type_)
        return None
    programme = db.session.get(Programme, card.programme_id)
    data = {
        "card": card.number,
        "card_id": card.id,
        "card_url": address(card),
        "programme": programme.name if programme else "",
        "balance": card.balance,
        **brought,
        **({"chain": list(by.chain)} if by.chain else {}),
    }
    subject, depth = str(card.programme_id), len(by.chain)
    return events.NewEvent(
        card.workspace_id, card.contact_id, type_, subject, key, data=data, chain=depth, origin=by.origin
    )


def tell(told: Sequence[events.NewEvent | None], now: datetime) -> None:
    """Record these events, at ``now``, with what follows from them."""
    found = [one for one in told if one is not None]
    for one in found:
        one.at = now
    events.record_many(found)


def address(card: Card) -> str:
    """Where the one who has the card sees it."""
    return f"{current_app.extensions['config'].url}/k/{card.public_id}"
