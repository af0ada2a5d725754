"""Sites of a client that we watch: their visitors, what they look at, and what counts as a conversion."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.extensions import Base, OfWorkspace, UtcDateTime
from flowserver.models.base import BigId, Changed, Instant, List, Pk, WorkspaceRow

_KNOWN = "contact_id IS NOT NULL"


class Monitor(WorkspaceRow):
    """A site that carries our script. Verified once the first visit came from one of its domains."""

    __tablename__ = "monitor"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    public_id: Mapped[str] = mapped_column(sa.String(16), unique=True)  # the key in the address of the script
    name: Mapped[str] = mapped_column(sa.String(120))
    domains: Mapped[List]  # hosts without www., lower case
    ask_consent: Mapped[bool] = mapped_column(default=False)  # nothing is kept or sent before the visitor agrees
    enabled: Mapped[bool] = mapped_column(default=True)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[Changed]


class Visitor(OfWorkspace, Base):
    """A browser on a site, by a random id that it keeps. Who identified last in it is its contact.

    The four tables of visits are written with every page and carry no foreign keys (docs/adr/0002-hot-tables.md).
    """

    __tablename__ = "visitor"
    __table_args__ = (
        sa.UniqueConstraint("monitor_id", "uid"),
        sa.Index("ix_visitor_seen", "seen_at"),
        sa.Index("ix_visitor_contact", "contact_id", postgresql_where=sa.text(_KNOWN), sqlite_where=sa.text(_KNOWN)),
        sa.Index("ix_visitor_proof", "proof"),
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    monitor_id: Mapped[int] = mapped_column(BigId)
    uid: Mapped[str] = mapped_column(sa.String(32))
    contact_id: Mapped[int | None] = mapped_column(BigId)
    proof: Mapped[str | None] = mapped_column(sa.String(32))  # of a token that is good for one browser only
    identified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[Instant] = mapped_column(default=now)
    seen_at: Mapped[Instant]


class Visit(OfWorkspace, Base):
    """Pages seen without a break of half an hour: what others call a session."""

    __tablename__ = "visit"
    __table_args__ = (
        sa.Index("ix_visit_visitor", "visitor_id", "last_at"),
        sa.Index("ix_visit_monitor", "monitor_id", "last_at"),
        sa.Index("ix_visit_contact", "contact_id", postgresql_where=sa.text(_KNOWN), sqlite_where=sa.text(_KNOWN)),
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    monitor_id: Mapped[int] = mapped_column(BigId)
    visitor_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int | None] = mapped_column(BigId)  # who identifies begins a visit of their own
    started_at: Mapped[Instant]
    last_at: Mapped[Instant]
    views: Mapped[int] = mapped_column(default=0)
    referrer: Mapped[str] = mapped_column(sa.String(300), default="")


class PageView(OfWorkspace, Base):
    """One page, once seen. Kept for a while, then deleted."""

    __tablename__ = "page_view"
    __table_args__ = (
        sa.UniqueConstraint("visitor_id", "uid"),
        sa.Index("ix_page_view_visit", "visit_id"),
        sa.Index(
            "ix_page_view_contact",
            "contact_id",
            "at",
            postgresql_where=sa.text(_KNOWN),
            sqlite_where=sa.text(_KNOWN),
        ),
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    monitor_id: Mapped[int] = mapped_column(BigId)
    visitor_id: Mapped[int] = mapped_column(BigId)
    visit_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int | None] = mapped_column(BigId)  # who it was when it was seen; never filled in later
    uid: Mapped[str] = mapped_column(sa.String(32))  # the same view reported twice is one
    at: Mapped[Instant]
    url: Mapped[str] = mapped_column(sa.String(1000))
    first: Mapped[bool] = mapped_column(default=False)  # of its visit
    stay: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # seconds in front of the visitor, as last reported


class ConversionRule(WorkspaceRow):
    """What counts as a conversion: pages of a site, an event of its script, or what a step or a program records."""

    __tablename__ = "conversion_rule"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str] = mapped_column(sa.String(120))
    source: Mapped[str] = mapped_column(sa.String(8))  # any, pages, event, manual
    monitor_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("monitor.id"), index=True)
    patterns: Mapped[List]  # of pages
    event: Mapped[str] = mapped_column(sa.String(60), default="")  # name of the custom event
    each_time: Mapped[bool] = mapped_column(default=False)  # otherwise once per contact
    amount_cents: Mapped[int | None] = mapped_column(BigId)  # where none is given
    enabled: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[Changed]


class Conversion(WorkspaceRow):
    """A contact did what a rule asks for. ``key`` makes a repetition harmless."""

    __tablename__ = "conversion"
    __table_args__ = (
        sa.UniqueConstraint("rule_id", "key"),
        sa.Index("ix_conversion_recent", "rule_id", "at"),
        sa.Index("ix_conversion_contact", "contact_id", "at"),
    )

    rule_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("conversion_rule.id"))
    contact_id: Mapped[int | None] = mapped_column(
        BigId, sa.ForeignKey("contact.id", ondelete="SET NULL")
    )  # None: erased
    key: Mapped[str] = mapped_column(sa.String(200))
    dedupe_key: Mapped[str] = mapped_column(sa.String(120), default="")  # as given: an order number
    at: Mapped[Instant]
    amount_cents: Mapped[int | None] = mapped_column(BigId)
    source: Mapped[str] = mapped_column(sa.String(8))  # site, step, api, hand
    url: Mapped[str] = mapped_column(sa.String(1000), default="")
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[Changed]
