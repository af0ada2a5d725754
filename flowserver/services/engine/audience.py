"""Who a rule of a starting point describes, as a query: "those who already match", or everybody a date is for.

A trigger says it as data, ``{kind: value}``; every kind has one function here that makes the query of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from flowserver import clock, extensions
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Campaign, Contact, ContactTag, Membership, Message, Tag
from flowserver.models.base import Json
from flowserver.services.engine import bulk, field_audience

WINDOW = 20_000  # contacts looked at in one go, where most of them do not match
SILENT = timedelta(hours=72)  # without a final report an SMS counts as not delivered after so long
AT_ONCE = 1000  # contacts whom a segment is asked about in one go

_C, _M, _T = (table.__table__.c for table in (Contact, Membership, ContactTag))


class json_object(GenericFunction[Any]):
    """``json_object("message", m.id)``: a JSON object of names and values, on either database."""

    type = Json
    inherit_cache = True


@compiles(json_object, "postgresql")
def _jsonb(element: Any, compiler: Any, **kw: Any) -> str:
    return f"jsonb_build_object({compiler.process(element.clauses, **kw)})"


def people(rule: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """The contacts a rule describes: a query of their ``id``, and of ``data`` where they bring some into the run.

    Raises ``KeyError`` for a kind that is not known. A segment's are no query: see :func:`part`.
    """
    kind, value = next(iter(rule.items()))
    return _KINDS[kind](value, workspace_id)


def known(kind: str) -> bool:
    """Whether there is a rule of this kind."""
    return kind in _KINDS or kind == "segment"


def part(rule: Mapping[str, Any], workspace_id: int, after: int, most: int) -> tuple[sa.Select[Any], int | None]:
    """The next people of a rule with ids above ``after``, as a query, and the id to go on after; ``None`` at the end.

    About ``most`` of them; fewer, or none, where it takes looking at many contacts to find those who match.
    """
    kind, value = next(iter(rule.items()))
    if kind == "segment":
        return _of_segment(value, workspace_id, after, min(most, AT_ONCE))
    found = people(rule, workspace_id).subquery()
    walked: Any = sa.select(found.c.id)
    if kind in _SPARSE:
        walked, most = sa.select(_C.id).where(_C.workspace_id == workspace_id), max(most, WINDOW)
    key = walked.selected_columns.id
    ids = walked.where(key > after).order_by(key).limit(most).subquery()
    last = db.session.connection().scalar(sa.select(sa.func.max(ids.c.id)))
    return sa.select(found).where(found.c.id > after, found.c.id <= (last or 0)), last


def _of_segment(
    value: Mapping[str, Any], workspace_id: int, after: int, most: int
) -> tuple[sa.Select[Any], int | None]:
    """``{segment, until}``: who is in a segment now, and was a contact at a moment."""
    from flowserver.services.people import segments

    with extensions.workspace(workspace_id):
        try:
            ids, following = segments.after(value["segment"], after, most)
        except NotFound:  # it was deleted meanwhile: nobody is in it any more
            ids, following = [], None
    query = sa.select(_C.id).where(bulk.ids_in(_C.id, ids), _C.workspace_id == workspace_id)
    if following is None:  # the end is told by a part that finds nothing
        following = ids[-1] if ids else None
    return query.where(_C.created_at <= datetime.fromisoformat(value["until"])), following


def _all(_value: Any, workspace_id: int) -> sa.Select[Any]:
    return sa.select(_C.id).where(_C.workspace_id == workspace_id)


def _list(list_id: int, workspace_id: int) -> sa.Select[Any]:
    return sa.select(_M.contact_id.label("id")).where(_M.list_id == list_id, _M.workspace_id == workspace_id)


def _members(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{list, until}``: who is on a list and was so at a moment."""
    return _list(value["list"], workspace_id).where(_M.joined_at <= datetime.fromisoformat(value["until"]))


def _contacts(ids: Any, workspace_id: int) -> sa.Select[Any]:
    """The contacts with these ids."""
    return sa.select(_C.id).where(_C.workspace_id == workspace_id, bulk.ids_in(_C.id, ids))


def _date(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{field, day, yearly}``: whose date it is on a day; yearly, 29 February is the 28th where there is none."""
    field: Any = _C.fields[value["field"]]
    text, day = field.as_string(), value["day"]
    if not value["yearly"]:
        return _all(None, workspace_id).where(text == day)
    month_days = [day[5:]]
    if day[5:] == "02-28" and (datetime.fromisoformat(day) + timedelta(days=1)).month == 3:
        month_days.append("02-29")
    begun = sa.func.substr(text, 1, 4) <= day[:4]
    return _all(None, workspace_id).where(sa.func.substr(text, 6, 5).in_(month_days), begun)


def _idle(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{days, since, until}``: whose last sign of life, or else their coming into the address book, grew that old
    between two moments; without moments: is that old now."""
    seen, span = (
        sa.func.coalesce(_C.last_activity_at, _C.created_at, type_=_C.created_at.type),
        timedelta(days=value["days"]),
    )
    until = datetime.fromisoformat(value["until"]) if "until" in value else clock.now()
    query = _all(None, workspace_id).where(seen <= until - span)
    return query.where(seen > datetime.fromisoformat(value["since"]) - span) if "since" in value else query


def _score(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{operator, points}``: whose score is at, above or below a number."""
    limit = value["points"]
    holds = {"gte": _C.score >= limit, "gt": _C.score > limit, "eq": _C.score == limit, "lt": _C.score < limit}
    return _all(None, workspace_id).where(holds[value["operator"]])


def _tag(name: str, workspace_id: int) -> sa.Select[Any]:
    tagged = sa.select(_T.contact_id.label("id")).join(Tag.__table__, Tag.__table__.c.id == _T.tag_id)
    return tagged.where(_T.workspace_id == workspace_id, Tag.__table__.c.name == name)


def _consent(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{channel, state}``: who agreed, or withdrew."""
    return _all(None, workspace_id).where(_C[f"{value['channel']}_consent"] == value["state"])


def _nobody(_value: Any, workspace_id: int) -> sa.Select[Any]:
    return _all(None, workspace_id).where(sa.false())


def _campaign(value: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """``{id, event}``: recipients of a campaign to whom it has happened, or not, as the starting points say it."""
    m = Message.__table__.c
    arrived, sent = m.state.in_(("accepted", "delivered")), m.accepted_at.is_not(None)
    silent = sa.and_(
        m.state.in_(("accepted", "unknown")),
        sa.func.coalesce(m.accepted_at, m.handed_at, type_=m.accepted_at.type) <= clock.now() - SILENT,
    )
    did = {
        "sent": sent,
        "opened": m.opened_at.is_not(None),
        "clicked": m.clicked_at.is_not(None),
        "not_opened": sa.and_(arrived, m.opened_at.is_(None)),
        "not_clicked": sa.and_(arrived, m.clicked_at.is_(None)),
        "delivered": m.state == "delivered",
        "not_delivered": sa.or_(m.state == "failed", silent),
    }[value["event"]]
    data = json_object("message", m.id, "campaign", m.campaign_id).label("data")
    told = {"sent": m.channel + "_sent", "delivered": "sms_delivered", "not_delivered": "sms_failed"}
    told |= {
        "opened": "email_opened",
        "clicked": "email_clicked",
        "not_opened": "email_sent",
        "not_clicked": "email_sent",
    }
    key = ("message:" + sa.cast(m.id, sa.String) + ":" + told[value["event"]]).label("event_key")  # as outcomes.key_of
    c = Campaign.__table__.c
    stands = sa.exists().where(c.id == value["id"], c.state != "cancelled")
    return sa.select(m.contact_id.label("id"), data, key).where(
        m.campaign_id == value["id"], m.workspace_id == workspace_id, m.contact_id.is_not(None), did, stands
    )


_KINDS: dict[str, Callable[[Any, int], sa.Select[Any]]] = {
    "all": _all,
    "campaign": _campaign,
    "field": field_audience.matching,
    "list": _list,
    "members": _members,
    "contacts": _contacts,
    "date": _date,
    "idle": _idle,
    "consent": _consent,
    "nobody": _nobody,
    "tag": _tag,
    "score": _score,
}
_SPARSE = {"consent", "date", "field", "idle", "score"}  # kinds that describe few of all contacts
