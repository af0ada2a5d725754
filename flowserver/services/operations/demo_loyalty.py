"""Demo data for loyalty: a programme with rewards, and cards that fill up over the weeks."""

from __future__ import annotations

import random

import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Card, CardReward, Contact, Workspace
from flowserver.services.loyalty import cards, points, programmes
from flowserver.services.loyalty.ledger import By

MOST_CARDS = 40
TILL = By("till")


class Shop:
    """A counter at which some customers show their card."""

    def __init__(self, workspace: Workspace, chance: random.Random):
        """Open it, with a programme and two rewards."""
        self.chance, self.receipts = chance, 0
        row = programmes.create(
            {
                "name": f"{workspace.name} Club"[:120],
                "amount_per_point": 1,
                "welcome_points": 5,
                "code": "qr",
                "color": workspace.brand_color,
                "welcome_text": "Thank you for coming back. Show this page at the till.",
            }
        )
        programmes.create_reward(row.id, {"title": "A drink of your choice", "points": 30, "uses_points": True})
        programmes.create_reward(row.id, {"title": "Dinner for two", "points": 120})
        self.programme_id = row.id

    def open(self) -> None:
        """Two hours at the counter: perhaps a new card, a few receipts, a reward handed out."""
        if self.chance.random() < 0.35:
            self._new_card()
        ids = list(db.session.scalars(sa.select(Card.id).where(Card.programme_id == self.programme_id)))
        for card_id in self.chance.sample(ids, min(len(ids), self.chance.randrange(3))):
            self.receipts += 1
            points.add_amount(card_id, self.chance.randrange(350, 2800) / 100, f"R{self.receipts:05d}", by=TILL)
            self._hand_out(card_id)

    def _new_card(self) -> None:
        had = sa.select(Card.contact_id).where(Card.contact_id.is_not(None))  # the newest person without one
        free = sa.select(Contact.id).where(Contact.id.not_in(had)).order_by(Contact.id.desc()).limit(1)
        count = db.session.scalar(sa.select(sa.func.count(Card.id))) or 0
        contact_id = db.session.scalar(free)
        if contact_id and count < MOST_CARDS:
            cards.make(self.programme_id, contact_id, by=TILL)

    def _hand_out(self, card_id: int) -> None:
        open_ = sa.and_(CardReward.collected_at.is_(None), CardReward.withdrawn_at.is_(None))
        grant = db.session.scalar(sa.select(CardReward.id).where(CardReward.card_id == card_id, open_))
        if grant and self.chance.random() < 0.5:
            points.collect(card_id, grant, by=TILL)
