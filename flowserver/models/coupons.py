"""Coupon campaigns, the codes of each, and every time one was used."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import UtcDateTime
from flowserver.models.base import BigId, Changed, Instant, WorkspaceRow


class CouponCampaign(WorkspaceRow):
    """What a kind of coupon is worth, how long it is good for and where its codes come from."""

    __tablename__ = "coupon_campaign"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str] = mapped_column(sa.String(120))
    value: Mapped[str] = mapped_column(sa.String(60))  # as people read it: "15 %", "€ 5", "a free coffee"
    message: Mapped[str] = mapped_column(sa.String(600), default="")  # what staff and contacts should know about it
    codes: Mapped[str] = mapped_column(sa.String(10), default="generated")  # or pool: only codes that were imported
    prefix: Mapped[str] = mapped_column(sa.String(12), default="")
    length: Mapped[int] = mapped_column(sa.SmallInteger, default=8)  # characters of chance after the prefix
    starts_on: Mapped[date | None] = mapped_column(sa.Date)  # first day, on the client's calendar
    ends_on: Mapped[date | None] = mapped_column(sa.Date)  # last day
    days: Mapped[int | None]  # good for so many days of 24 hours after it was given out
    uses: Mapped[int] = mapped_column(default=1)  # of each code
    replaces: Mapped[bool] = mapped_column(default=False)  # a new coupon makes the contact's earlier ones void
    low_at: Mapped[int] = mapped_column(default=50)  # tell when fewer codes are left in the pool
    giving_list: Mapped[int | None] = mapped_column(BigId)  # being given to everybody on this list …
    giving_after: Mapped[int] = mapped_column(BigId, default=0)  # … whose contact id is above this one
    updated_at: Mapped[Changed]


class Coupon(WorkspaceRow):
    """One code. States: free (in the pool) → issued → redeemed (used up) | expired | void."""

    __tablename__ = "coupon"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "folded"),
        sa.Index("ix_coupon_campaign", "campaign_id", "state", "id"),
        sa.Index(
            "ix_coupon_expiry",
            "expires_at",
            postgresql_where=sa.text("state = 'issued'"),
            sqlite_where=sa.text("state = 'issued'"),
        ),
        sa.Index("ix_coupon_contact", "contact_id"),
    )

    campaign_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("coupon_campaign.id", ondelete="CASCADE"))
    code: Mapped[str] = mapped_column(sa.String(40))  # as it was made or imported
    folded: Mapped[str] = mapped_column(sa.String(80))  # as it is looked for: without case
    state: Mapped[str] = mapped_column(sa.String(10))
    contact_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="SET NULL"))
    enrollment_id: Mapped[int | None] = mapped_column(BigId)  # the passage through a flow that gave it out
    issued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    valid_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # good before this instant
    uses: Mapped[int] = mapped_column(default=0)  # how often it was used
    most_uses: Mapped[int] = mapped_column(default=1)
    void_reason: Mapped[str] = mapped_column(sa.String(40), default="")  # by_hand, replaced
    updated_at: Mapped[Changed]


class CouponRedemption(WorkspaceRow):
    """A coupon was used once."""

    __tablename__ = "coupon_redemption"
    __table_args__ = (
        sa.Index("ix_coupon_redemption_coupon", "coupon_id"),
        sa.Index("ix_coupon_redemption_campaign", "campaign_id", "at"),
        sa.Index("ix_coupon_redemption_contact", "contact_id"),
        sa.Index(
            "uq_coupon_redemption_receipt",
            "coupon_id",
            "receipt",
            unique=True,
            postgresql_where=sa.text("receipt <> '' AND voided_at IS NULL"),
            sqlite_where=sa.text("receipt <> '' AND voided_at IS NULL"),
        ),
    )

    coupon_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("coupon.id", ondelete="CASCADE"))
    campaign_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("coupon_campaign.id", ondelete="CASCADE"))
    contact_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="SET NULL"))
    at: Mapped[Instant]
    place: Mapped[str] = mapped_column(sa.String(120), default="")
    receipt: Mapped[str] = mapped_column(sa.String(80), default="")
    amount: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 2))  # of the purchase, in the client's money
    user_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    voided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[Changed]
