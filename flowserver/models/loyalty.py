"""Loyalty: programmes, cards, the ledger of their points, rewards and who got which."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.extensions import UtcDateTime
from flowserver.models.base import BigId, Changed, Instant, WorkspaceRow


class Programme(WorkspaceRow):
    """A loyalty programme: what an amount is worth in points, and what its cards look like."""

    __tablename__ = "loyalty_programme"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str] = mapped_column(sa.String(120))
    cents_per_point: Mapped[int]  # 100: one point for each whole euro
    welcome_points: Mapped[int] = mapped_column(default=0)
    code: Mapped[str] = mapped_column(sa.String(8), default="qr")  # qr, barcode: how the number is shown
    color: Mapped[str] = mapped_column(sa.String(7), default="")  # #rrggbb; empty: the client's
    logo_url: Mapped[str] = mapped_column(sa.String(500), default="")
    welcome_text: Mapped[str] = mapped_column(sa.String(600), default="")
    form_id: Mapped[int | None] = mapped_column(
        BigId, sa.ForeignKey("form.id", ondelete="SET NULL")
    )  # who fills it in gets a card
    closed: Mapped[bool] = mapped_column(default=False)  # no new cards, no more points
    updated_at: Mapped[Changed]


class Card(WorkspaceRow):
    """One card of a programme. The number is for the till, the public id for the page of the one who has it."""

    __tablename__ = "loyalty_card"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "number"),
        sa.UniqueConstraint("programme_id", "contact_id"),
        sa.Index("ix_loyalty_card_replaced", "workspace_id", "replaced_number"),
    )

    programme_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("loyalty_programme.id"), index=True)
    number: Mapped[str] = mapped_column(sa.String(16))
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True)
    contact_id: Mapped[int | None] = mapped_column(
        BigId, sa.ForeignKey("contact.id", ondelete="SET NULL"), index=True
    )  # none: a card that was handed out without asking who takes it
    balance: Mapped[int] = mapped_column(default=0)  # always the sum of its movements
    blocked: Mapped[bool] = mapped_column(default=False)
    replaced_number: Mapped[str | None] = mapped_column(sa.String(16))  # the number before this one
    updated_at: Mapped[Instant] = mapped_column(default=now)


class Movement(WorkspaceRow):
    """One movement of a card's points; the balance is their sum. Rows are only added."""

    __tablename__ = "loyalty_movement"
    __table_args__ = (
        sa.UniqueConstraint("programme_id", "receipt"),
        sa.UniqueConstraint("reverses_id"),
    )

    programme_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("loyalty_programme.id"))
    card_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("loyalty_card.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(10))  # welcome, amount, by_hand, flow, reward, reversal
    delta: Mapped[int]
    balance: Mapped[int]  # of the card, after it
    amount: Mapped[int | None]  # what was paid, in cents
    receipt: Mapped[str | None] = mapped_column(sa.String(130))  # the till's own number: the same again changes nothing
    reason: Mapped[str] = mapped_column(sa.String(120), default="")
    reverses_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("loyalty_movement.id", ondelete="CASCADE"))
    card_reward_id: Mapped[int | None] = mapped_column(
        BigId, sa.ForeignKey("loyalty_card_reward.id", ondelete="SET NULL")
    )  # the reward that was collected
    source: Mapped[str] = mapped_column(sa.String(10), default="")  # till, console, api, flow, form
    user_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    at: Mapped[Instant]


class Reward(WorkspaceRow):
    """Something a card can earn from some number of points on."""

    __tablename__ = "loyalty_reward"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "title"),)

    programme_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("loyalty_programme.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(sa.String(120))
    points: Mapped[int]  # the threshold; 0: by hand at any time
    automatic: Mapped[bool] = mapped_column(default=True)  # given when the threshold is reached
    uses_points: Mapped[bool] = mapped_column(default=False)  # collecting takes them off, and it can be earned again
    active: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[Changed]


class CardReward(WorkspaceRow):
    """A reward a card was given. ``round`` counts how often it got this one: nobody gets the same round twice."""

    __tablename__ = "loyalty_card_reward"
    __table_args__ = (sa.UniqueConstraint("card_id", "reward_id", "round"),)

    card_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("loyalty_card.id", ondelete="CASCADE"))
    reward_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("loyalty_reward.id"), index=True)
    round: Mapped[int]
    automatic: Mapped[bool]
    granted_at: Mapped[Instant]
    granted_by: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    collected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    collected_by: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the points for it were taken back
