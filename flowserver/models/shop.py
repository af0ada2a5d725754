"""What shops report: purchases and carts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.extensions import UtcDateTime
from flowserver.models.base import BigId, Changed, Instant, List, WorkspaceRow

Money = sa.Numeric(15, 4, asdecimal=False)


class Purchase(WorkspaceRow):
    """An order that was paid. Once for each order number; a deleted contact leaves it behind without a name."""

    __tablename__ = "purchase"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "order_id"),
        sa.Index("ix_purchase_contact", "contact_id", "at"),
    )

    contact_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="SET NULL"))
    order_id: Mapped[str] = mapped_column(sa.String(100))
    amount: Mapped[float] = mapped_column(Money)
    refunded: Mapped[float] = mapped_column(Money, default=0.0)  # of the amount
    currency: Mapped[str] = mapped_column(sa.String(3), default="")  # ISO 4217; "" where nobody knows it
    cart_id: Mapped[str] = mapped_column(sa.String(100), default="")  # the cart it came from, where that was said
    items: Mapped[List]
    at: Mapped[Instant]
    updated_at: Mapped[Changed]


class Cart(WorkspaceRow):
    """A shopping cart as it was reported last."""

    __tablename__ = "cart"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "cart_id"),
        sa.Index("ix_cart_contact", "contact_id", "state"),
        sa.Index(
            "ix_cart_idle",
            "updated_at",
            postgresql_where=sa.text("state = 'open'"),
            sqlite_where=sa.text("state = 'open'"),
        ),
    )

    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"))
    cart_id: Mapped[str] = mapped_column(sa.String(100))
    amount: Mapped[float | None] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(sa.String(3), default="")
    url: Mapped[str] = mapped_column(sa.String(2000), default="")
    items: Mapped[List]
    state: Mapped[str] = mapped_column(sa.String(10), default="open")  # open, abandoned, emptied, bought
    updated_at: Mapped[Instant] = mapped_column(default=now)  # when its last change happened
    abandoned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
