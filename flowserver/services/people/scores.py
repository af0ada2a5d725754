"""The score of a contact: a ledger of movements, whose sum is the total."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from flowserver import clock
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Contact, ScoreEntry
from flowserver.services.engine import events
from flowserver.text import N_, Text

MOST = 1_000_000


def change(contact_id: int, points: int, reason: str = "", *, at: datetime | None = None, silent: bool = False) -> int:
    """Add ``points`` (may be negative) to a contact's score; the new total. Runs in the caller's transaction."""
    if isinstance(points, bool) or not isinstance(points, int) or points == 0:
        raise Invalid({"points": [N_("Enter a whole number other than 0")]})
    if abs(points) > MOST:
        raise Invalid({"points": [Text("Enter a number between -%(most)s and %(most)s", most=f"{MOST:,}")]})
    at = at or clock.now()
    new = db.session.execute(
        sa.update(Contact)
        .where(Contact.id == contact_id)
        .values(score=Contact.score + points, updated_at=at)
        .returning(Contact.score, Contact.workspace_id)
        .execution_options(synchronize_session=False)
    ).one()
    entry = ScoreEntry(workspace_id=new.workspace_id, contact_id=contact_id, points=points, reason=reason[:120], at=at)
    db.session.add(entry)
    db.session.flush()
    loaded = db.session.get(Contact, contact_id)
    if loaded is not None:
        db.session.refresh(loaded, ["score", "updated_at"])
    if not silent:
        data = {"old": new.score - points, "new": new.score, "points": points, "reason": reason[:120]}
        events.record(contact_id, "score_changed", at=at, data=data)
    return int(new.score)


def ledger(contact_id: int, limit: int = 50) -> list[ScoreEntry]:
    """The newest movements of a contact's score."""
    query = sa.select(ScoreEntry).where(ScoreEntry.contact_id == contact_id)
    return list(db.session.scalars(query.order_by(ScoreEntry.at.desc(), ScoreEntry.id.desc()).limit(limit)))


def gained(contact_id: int, days: int = 7) -> int:
    """Points gained or lost in the last days."""
    query = sa.select(sa.func.coalesce(sa.func.sum(ScoreEntry.points), 0)).where(
        ScoreEntry.contact_id == contact_id, ScoreEntry.at >= clock.now() - timedelta(days=days)
    )
    return int(db.session.scalar(query) or 0)
