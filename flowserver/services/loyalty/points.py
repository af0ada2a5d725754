"""What staff and tills do with the points of a card: add an amount, give or take points, undo, give and collect rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.domain import loyalty, people
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Movement, Programme, Reward
from flowserver.services.loyalty import ledger, programmes
from flowserver.services.loyalty.ledger import By, Entry
from flowserver.services.people import contacts
from flowserver.text import N_, Text

UNDOABLE = ("amount", "by_hand", "flow", "reward")
LONGEST_RECEIPT = 80


@dataclass(frozen=True)
class Done:
    """What came of it. ``repeated``: the receipt was known, nothing was changed."""

    movement: Movement
    card: Card
    given: Sequence[Reward] = field(default_factory=tuple)
    withdrawn: Sequence[Reward] = field(default_factory=tuple)
    repeated: bool = False


# --- adding ----------------------------------------------------------------------------------------------


def add_amount(card_id: int, amount: Any, receipt: Any = "", *, by: By) -> Done:
    """Add what was paid with this receipt number; whole points, rounded down. The same receipt again changes nothing.

    Raises :class:`Invalid` by field, :class:`NotFound`, and :class:`Conflict` for a blocked card, a closed programme and
    a receipt that stands for another card or amount.
    """
    cents, number = _read(amount=lambda: _money(amount), receipt=lambda: _receipt(receipt))
    card = ledger.hold(card_id)
    known = _known(card, number)
    if known is not None:
        return _same(known, card, amount=cents)
    programme = _may_gain(card)
    points = loyalty.points_for(cents, programme.cents_per_point)
    if points > loyalty.MOST_POINTS:
        raise Invalid({"amount": [N_("This amount gives more points than a card can hold")]})
    return _write(Entry(card, "amount", points, by, amount=cents, receipt=number))


def add_points(card_id: int, points: Any, reason: Any = "", receipt: Any = "", *, by: By) -> Done:
    """Give points by hand, or take some off with a number below 0. Raises as :func:`add_amount`."""
    delta, text, number = _read(
        points=lambda: loyalty.read_points("" if points is None else points),
        reason=lambda: people.line(reason or "", 120),
        receipt=lambda: _receipt(receipt),
    )
    card = ledger.hold(card_id)
    known = _known(card, number)
    if known is not None:
        return _same(known, card, delta=delta)
    _may_gain(card)
    if card.balance + delta < 0:
        raise Invalid({"points": [Text("The card has only %(points)s points", points=card.balance)]})
    return _write(Entry(card, "by_hand", delta, by, receipt=number, reason=text))


def _read(**checks: Any) -> list[Any]:
    """What the checks found, in order. Raises :class:`Invalid` with every mistake by field."""
    return list(programmes.checked(checks).values())


def _money(raw: Any) -> int:
    return loyalty.read_money(raw, contacts.book().customs)


def _receipt(raw: Any) -> str | None:
    return people.line(raw or "", LONGEST_RECEIPT) or None


def _may_gain(card: Card) -> Programme:
    programme = programmes.get(card.programme_id)
    if card.blocked:
        raise Conflict(N_("This card is blocked"))
    if programme.closed:
        raise Conflict(N_("The loyalty programme is closed"))
    return programme


def _known(card: Card, receipt: str | None) -> Movement | None:
    """The movement this receipt stands for already, on whatever card of the programme."""
    if receipt is None:
        return None
    query = sa.select(Movement).where(Movement.programme_id == card.programme_id, Movement.receipt == receipt)
    return db.session.scalar(query.execution_options(populate_existing=True))


def _same(known: Movement, card: Card, **said: int) -> Done:
    if known.card_id != card.id or any(getattr(known, key) != value for key, value in said.items()):
        db.session.rollback()
        raise Conflict(N_("This receipt was entered before, for another card or another amount"))
    db.session.commit()
    return Done(known, card, repeated=True)


def _write(entry: Entry) -> Done:
    """Write one movement and commit. One whose receipt was taken this instant is somebody else's, or the same again."""
    outcome = ledger.write([entry])
    if not outcome.written:
        known = _known(entry.card, entry.receipt)
        if known is None:
            db.session.rollback()
            raise Conflict(N_("This was undone before"))
        said = {"amount": entry.amount} if entry.amount is not None else {"delta": entry.delta}
        return _same(known, entry.card, **said)
    movement = _movement(entry.id)
    db.session.commit()
    given, withdrawn = ([reward for _, reward, _ in some] for some in (outcome.given, outcome.withdrawn))
    return Done(movement, entry.card, given, withdrawn)


def _movement(movement_id: int) -> Movement:
    found = db.session.scalar(sa.select(Movement).where(Movement.id == movement_id))
    if found is None:
        raise NotFound(N_("There is no such movement of points"))
    return found


# --- undoing ---------------------------------------------------------------------------------------------


def undo(card_id: int, movement_id: int, *, by: By) -> Done:
    """Undo a movement of the card with one that stands against it; the ledger keeps both.

    The balance may fall below 0 where points were spent meanwhile. A collected reward is given back. Raises
    :class:`NotFound`, and :class:`Conflict` for what was undone before or cannot be.
    """
    card = ledger.hold(card_id)
    movement = db.session.scalar(sa.select(Movement).where(Movement.id == movement_id, Movement.card_id == card.id))
    if movement is None:
        raise NotFound(N_("There is no such movement of points on this card"))
    if movement.kind not in UNDOABLE:
        raise Conflict(N_("This movement cannot be undone"))
    grant = db.session.get(CardReward, movement.card_reward_id) if movement.card_reward_id else None
    done = Entry(card, "reversal", -movement.delta, by, amount=movement.amount, reverses=movement)
    if grant is not None and not _undone(movement):
        grant.collected_at = grant.collected_by = None
        done.card_reward_id = grant.id
    return _write(done)


def undo_receipt(card_id: int, receipt: Any, *, by: By) -> Done:
    """Undo what was entered with a receipt. Raises as :func:`undo`."""
    number = _read(receipt=lambda: _receipt(receipt))[0]
    if number is None:
        raise Invalid({"receipt": [N_("Enter the number of the receipt")]})
    query = sa.select(Movement.id).where(Movement.card_id == card_id, Movement.receipt == number)
    movement_id = db.session.scalar(query)
    if movement_id is None:
        raise NotFound(N_("There is no such receipt on this card"))
    return undo(card_id, movement_id, by=by)


def _undone(movement: Movement) -> bool:
    return db.session.scalar(sa.select(Movement.id).where(Movement.reverses_id == movement.id)) is not None


# --- rewards ---------------------------------------------------------------------------------------------


def give(card_id: int, reward_id: int, *, by: By) -> tuple[Card, CardReward]:
    """Give a card a reward by hand, once its points are reached. Raises :class:`NotFound`, :class:`Conflict`."""
    card = ledger.hold(card_id)
    query = sa.select(Reward).where(Reward.id == reward_id, Reward.programme_id == card.programme_id)
    reward = db.session.scalar(query)
    if reward is None:
        raise NotFound(N_("There is no such reward in this programme"))
    _may_give(card, reward)
    now = clock.now()
    grants = ledger.grants_of([card.id]).get((card.id, reward.id), [])
    if any(map(ledger.is_open, grants)):
        raise Conflict(N_("The card has this reward already, and it is not collected yet"))
    if ledger.had_for_good(reward, grants):
        raise Conflict(N_("The card has had this reward. One that takes no points off is given once"))
    given = ledger.grant([(card, reward, len(grants) + 1)], now, automatic=False, user_id=by.user_id)
    ledger.tell([ledger.reward_event("reward_assigned", card, reward, given[0][2], by)], now)
    db.session.commit()
    return card, _grant(card, given[0][2])


def _may_give(card: Card, reward: Reward) -> None:
    _may_gain(card)
    if not reward.active:
        raise Conflict(N_("This reward is switched off"))
    _has_enough(card, reward)


def _has_enough(card: Card, reward: Reward) -> None:
    if card.balance < reward.points:
        words = N_("This reward needs %(points)s points, the card has %(balance)s")
        raise Conflict(Text(words.msgid, points=reward.points, balance=card.balance))


def collect(card_id: int, grant_id: int, *, by: By) -> Done:
    """Hand out a reward the card was given; takes its points off where it costs some.

    Raises :class:`NotFound`, and :class:`Conflict` where it was collected or taken back before, or the card is blocked.
    """
    card = ledger.hold(card_id)
    grant = _grant(card, grant_id)
    reward = programmes.get_reward(grant.reward_id)
    if card.blocked:
        raise Conflict(N_("This card is blocked"))
    if not ledger.is_open(grant):
        raise Conflict(
            N_("This reward was collected before")
            if grant.collected_at
            else N_("This reward was taken back, because the points for it were")
        )
    if reward.uses_points:
        _has_enough(card, reward)
    now = clock.now()
    grant.collected_at, grant.collected_by = now, by.user_id
    cost = -reward.points if reward.uses_points else 0
    entry = Entry(card, "reward", cost, by, reason=reward.title, card_reward_id=grant.id)
    outcome = ledger.write([entry], now)
    ledger.tell([ledger.reward_event("reward_collected", card, reward, grant.id, by)], now)
    movement = _movement(entry.id)
    db.session.commit()
    return Done(movement, card, [one for _, one, _ in outcome.given], [one for _, one, _ in outcome.withdrawn])


def _grant(card: Card, grant_id: int) -> CardReward:
    query = sa.select(CardReward).where(CardReward.id == grant_id, CardReward.card_id == card.id)
    found = db.session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound(N_("The card was not given such a reward"))
    return found


# --- many at once ----------------------------------------------------------------------------------------


def give_reward_many(reward_id: int, receivers: Mapping[int, By]) -> None:
    """Give a reward to the cards of contacts, in the caller's transaction, where the contacts are locked.

    Cards that lack its points, are blocked, or have it to collect already get nothing.
    """
    reward = db.session.scalar(sa.select(Reward).where(Reward.id == reward_id, Reward.active))
    programme = db.session.get(Programme, reward.programme_id) if reward else None
    if reward is None or programme is None or programme.closed:
        return
    mine = sa.and_(Card.programme_id == programme.id, Card.contact_id.in_(list(receivers)))
    cards = ledger.lock(mine, ~Card.blocked, Card.balance >= reward.points)
    grants = ledger.grants_of([card.id for card in cards])
    had = {card.id: grants.get((card.id, reward.id), []) for card in cards}
    due = [(card, reward, len(had[card.id]) + 1) for card in cards if not any(map(ledger.is_open, had[card.id]))]
    now = clock.now()
    given = ledger.grant(due, now, automatic=False)
    by = {card.id: receivers[card.contact_id or 0] for card in cards}
    ledger.tell([ledger.reward_event("reward_assigned", card, one, id, by[card.id]) for card, one, id in given], now)


def give_many(programme_id: int, gifts: Mapping[int, Sequence[tuple[int, str, str, By]]]) -> None:
    """Give points to the cards of contacts, in the caller's transaction, where the contacts are locked.

    ``gifts``: contact → ``(points, receipt, reason, by)``. Contacts without a card in the programme get nothing, nor do
    blocked cards; a receipt that is known is left out.
    """
    programme = db.session.scalar(sa.select(Programme).where(Programme.id == programme_id, ~Programme.closed))
    if programme is None:
        return
    cards = ledger.lock(Card.programme_id == programme.id, Card.contact_id.in_(list(gifts)), ~Card.blocked)
    ledger.write(
        [
            Entry(card, "flow", points, by, receipt=receipt, reason=reason)
            for card in cards
            for points, receipt, reason, by in gifts[card.contact_id or 0]
            if card.balance + points >= 0
        ]
    )
