"""Whom a campaign would reach if it were sent now: the rules of ``domain/sending.py`` counted by the database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Contact, Membership, Suppression
from flowserver.services.engine import bulk
from flowserver.services.people import segments

MOST, SECONDS = 10_000, 2.0  # of a segment that are counted before a page is shown

_C, _L, _S = (table.__table__.c for table in (Contact, Membership, Suppression))


@dataclass(slots=True)
class Reach:
    """How many are in the audience, how many of them would get it, and how many not, by reason code.

    Not ``complete``: the audience is a large segment, of which only a part was looked at.
    """

    total: int = 0
    reached: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    complete: bool = True


def reach(row: Any) -> Reach:
    """Count the audience of a campaign as it stands now. Only those a query knows are counted one by one."""
    if row.list_id is None:
        return _of_segment(row)
    members = Membership.__table__.join(Contact.__table__, _C.id == _L.contact_id)
    where = sa.and_(_L.list_id == row.list_id, _L.workspace_id == row.workspace_id, _C.workspace_id == row.workspace_id)
    return _counted(row, members, where)


def _counted(row: Any, source: Any, where: Any) -> Reach:
    address = _C.email if row.channel == "email" else _C.phone
    class_ = row.content.get("class", "marketing")
    stands = sa.and_(_S.workspace_id == row.workspace_id, _S.channel == row.channel, _S.address == address)
    reason = why_not(row.channel, class_, _S.id.is_not(None)).label("reason")
    query = (
        sa.select(reason, sa.func.count().label("people"))
        .select_from(source.outerjoin(Suppression.__table__, stands))
        .where(where)
        .group_by(reason)
    )
    found: dict[str | None, int] = {one.reason: one.people for one in db.session.connection().execute(query)}
    reached = found.pop(None, 0)
    skipped = sorted(((str(why), number) for why, number in found.items()), key=lambda one: -one[1])
    return Reach(reached + sum(found.values()), reached, dict(skipped))


def why_not(channel: str, class_: str, suppressed: Any) -> Any:
    """:func:`flowserver.domain.sending.may_send`, and the pause a contact asked for, as an expression over contacts."""
    address, consent = (_C.email, _C.email_consent) if channel == "email" else (_C.phone, _C.sms_consent)
    marketing = class_ == "marketing"
    cases: list[Any] = [
        (sa.or_(address.is_(None), address == ""), "no_email" if channel == "email" else "no_phone"),
        (sa.or_(suppressed, _C.status == "suppressed"), "suppressed"),
    ]
    if channel == "email":
        cases.append((_C.status == "bounced", "bounced"))
    if marketing:
        cases.append((consent == "withdrawn", "unsubscribed"))
        cases.append((consent != "given", "no_consent"))
        cases.append((_C.paused_until > clock.now(), "on_pause"))
    return sa.case(*cases, else_=sa.null())


def _of_segment(row: Any) -> Reach:
    """A segment is gone through chunk by chunk; a large one not to its end."""
    found, last, ends = Reach(), 0, time.monotonic() + SECONDS
    while last is not None:
        if found.total >= MOST or time.monotonic() > ends:
            found.complete = False
            return found
        ids, last = segments.after(row.segment_id, last)  # type: ignore[assignment]
        one = _counted(row, Contact.__table__, sa.and_(bulk.ids_in(_C.id, ids), _C.workspace_id == row.workspace_id))
        found.total, found.reached = found.total + one.total, found.reached + one.reached
        for reason, number in one.skipped.items():
            found.skipped[reason] = found.skipped.get(reason, 0) + number
    return found
