"""The score of a contact: a ledger of movements, whose sum is the total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions, jobqueue
from flowserver.domain import scoring
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Contact, ScoreEntry, ScoreRule
from flowserver.services.engine import bulk, events
from flowserver.text import N_, Text

MOST = scoring.MOST
CHUNK = 5000
_C, _S = Contact.__table__.c, ScoreEntry.__table__.c


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


def take_back(contact_id: int, event_keys: Sequence[str], reason: str) -> int:
    """Take back what rules gave for events that turned out to be none; how many points. In the caller's transaction.

    The ledger keeps both movements. What a rule could give only once it can give again.
    """
    mine = sa.select(ScoreEntry).where(
        ScoreEntry.contact_id == contact_id, ScoreEntry.event_key.in_(event_keys), ScoreEntry.slot.is_not(None)
    )
    given = list(db.session.scalars(mine.with_for_update()))
    for entry in given:
        entry.slot = None
    db.session.flush()
    points = sum(entry.points for entry in given)
    if points:
        change(contact_id, -points, reason)
    return points


# --- explaining the total ------------------------------------------------------------------------------------


def ledger(contact_id: int, limit: int = 50, before: int | None = None) -> list[ScoreEntry]:
    """The newest movements of a contact's score; ``before`` is the id of the oldest one seen."""
    query = sa.select(ScoreEntry).where(ScoreEntry.contact_id == contact_id)
    if before is not None:
        query = query.where(ScoreEntry.id < before)
    return list(db.session.scalars(query.order_by(ScoreEntry.id.desc()).limit(limit)))


def gained(contact_id: int, days: int = 7) -> int:
    """Points gained or lost in the last days."""
    query = sa.select(sa.func.coalesce(sa.func.sum(ScoreEntry.points), 0)).where(
        ScoreEntry.contact_id == contact_id, ScoreEntry.at >= clock.now() - timedelta(days=days)
    )
    return int(db.session.scalar(query) or 0)


@dataclass(frozen=True)
class Share:
    """What one rule, or one reason without a rule, has brought a contact. ``rule_id`` is ``None`` where there is no rule."""

    rule_id: int | None
    title: str
    times: int
    points: int
    last: datetime


def shares(contact_id: int) -> list[Share]:
    """Where a contact's total comes from, the largest share first: their points add up to the total."""
    query = (
        sa.select(
            ScoreEntry.rule_id,
            sa.func.coalesce(ScoreRule.title, ScoreEntry.reason).label("title"),
            ScoreRule.id.label("known"),
            sa.func.count().label("times"),
            sa.func.sum(ScoreEntry.points).label("points"),
            sa.func.max(ScoreEntry.at).label("last"),
        )
        .outerjoin(ScoreRule, ScoreRule.id == ScoreEntry.rule_id)
        .where(ScoreEntry.contact_id == contact_id)
        .group_by(ScoreEntry.rule_id, ScoreRule.id, sa.func.coalesce(ScoreRule.title, ScoreEntry.reason))
    )
    found = [
        Share(row.known, row.title, int(row.times), int(row.points), row.last) for row in db.session.execute(query)
    ]
    return sorted(found, key=lambda share: -abs(share.points))


def known_rules(entries: Sequence[Any]) -> dict[int, str]:
    """``{id: title}`` of the rules behind some movements that are still there."""
    ids = {entry.rule_id for entry in entries if entry.rule_id}
    query = sa.select(ScoreRule.id, ScoreRule.title).where(ScoreRule.id.in_(ids))
    return {row.id: row.title for row in db.session.execute(query)} if ids else {}


def ask_to_recompute() -> None:
    """Have a job :func:`recompute` the client's totals; twice does no harm. Raises :class:`Unavailable`."""
    jobqueue.ask("recompute", extensions.current_workspace() or 0)


def recompute(chunk: int = CHUNK) -> int:
    """Set the total of every contact of the present client to the sum of its ledger; how many were wrong.

    Works chunk by chunk, each committed; a repair, so nothing starts because of it.
    """
    workspace_id, last, mended = extensions.current_workspace() or 0, 0, 0
    while True:
        connection = db.session.connection()
        mine = sa.select(_C.id, _C.score).where(_C.workspace_id == workspace_id, _C.id > last)
        rows = connection.execute(mine.order_by(_C.id).limit(chunk).with_for_update()).all()
        if not rows:
            db.session.commit()
            return mended
        ids = [row.id for row in rows]
        summed = sa.select(_S.contact_id, sa.func.sum(_S.points).label("points")).group_by(_S.contact_id)
        found = connection.execute(summed.where(bulk.ids_in(_S.contact_id, ids)))
        totals: dict[int, int] = {row.contact_id: int(row.points) for row in found}
        wrong = [(row.id, totals.get(row.id, 0)) for row in rows if row.score != totals.get(row.id, 0)]
        bulk.update(connection, "contact", ("score",), wrong)
        mended, last = mended + len(wrong), ids[-1]
        db.session.commit()
        db.session.expire_all()
