"""Sites of a client that carry our script: making them, and what came from them lately."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import people, urls
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Flow, FlowVersion, Monitor, PageView, Visit
from flowserver.services.people import usage
from flowserver.text import N_, Text

MOST_DOMAINS = 20
LATELY = timedelta(days=30)


# --- reading -------------------------------------------------------------------------------------------------


def get(monitor_id: int) -> Monitor:
    """The monitor with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Monitor).where(Monitor.id == monitor_id))
    if found is None:
        raise NotFound(N_("There is no such site"))
    return found


@dataclass(frozen=True)
class Entry:
    """A site as the pages show it. Numbers are of the last 30 days."""

    row: Monitor
    last_at: datetime | None
    visits: int
    known: int  # of these by contacts


def everything() -> list[Entry]:
    """All sites of the client by name."""
    rows = db.session.scalars(sa.select(Monitor).order_by(sa.func.lower(Monitor.name))).all()
    numbers = _numbers([row.id for row in rows])
    return [Entry(row, *numbers.get(row.id, (None, 0, 0))) for row in rows]


def entry(monitor_id: int) -> Entry:
    """One site with its numbers. Raises :class:`NotFound`."""
    row = get(monitor_id)
    return Entry(row, *_numbers([row.id]).get(row.id, (None, 0, 0)))


def _numbers(ids: Sequence[int]) -> dict[int, tuple[datetime | None, int, int]]:
    known = sa.func.coalesce(sa.func.sum(sa.case((Visit.contact_id.is_not(None), 1), else_=0)), 0)
    query = (
        sa.select(Visit.monitor_id, sa.func.max(Visit.last_at), sa.func.count(), known)
        .where(Visit.monitor_id.in_(ids), Visit.last_at > clock.now() - LATELY)
        .group_by(Visit.monitor_id)
    )
    return {id: (last, int(visits), int(by)) for id, last, visits, by in db.session.execute(query)}


@dataclass(frozen=True)
class Seen:
    """A page somebody saw."""

    id: int
    at: datetime
    url: str
    stay: int
    monitor_id: int
    visit_id: int
    contact_id: int | None
    contact: str  # what the contact is called; "" for a stranger


def recent(monitor_id: int, most: int = 15) -> list[Seen]:
    """The pages of a site that were seen last."""
    visits = sa.select(Visit.id).where(Visit.monitor_id == monitor_id).order_by(Visit.last_at.desc()).limit(most)
    latest = list(db.session.scalars(visits))
    return _seen(sa.select(PageView).where(PageView.visit_id.in_(latest)).order_by(PageView.id.desc()).limit(most))


def _seen(query: Any) -> list[Seen]:
    rows = list(db.session.scalars(query))
    people_seen = {row.contact_id for row in rows if row.contact_id}
    found = db.session.scalars(sa.select(Contact).where(Contact.id.in_(people_seen))) if people_seen else ()
    names = {one.id: f"{one.first_name} {one.last_name}".strip() or one.email or one.phone or "" for one in found}
    return [
        Seen(
            row.id,
            row.at,
            row.url,
            row.stay,
            row.monitor_id,
            row.visit_id,
            row.contact_id,
            names.get(row.contact_id or 0, ""),
        )
        for row in rows
    ]


# --- making --------------------------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> Monitor:
    """Make a monitor from ``name``, ``domains`` (a list, or text with one a line), ``ask_consent``, ``enabled``.

    Raises :class:`Invalid` by field.
    """
    row = Monitor(
        workspace_id=extensions.current_workspace(),
        public_id=secrets.token_hex(8),
        created_at=clock.now(),
        enabled=True,
        ask_consent=False,
    )
    return _save(row, values)


def update(monitor_id: int, values: Mapping[str, Any]) -> Monitor:
    """Change what ``values`` names. Raises :class:`NotFound`, :class:`Invalid`."""
    row = get(monitor_id)
    with usage.told("monitor", row.id):
        return _save(row, values)


def _save(row: Monitor, values: Mapping[str, Any]) -> Monitor:
    mistakes: dict[str, Any] = {}
    clean: dict[str, Any] = {key: bool(values[key]) for key in ("ask_consent", "enabled") if key in values}
    for key, read in (("name", _name), ("domains", _domains)):
        if row.id is None or key in values:
            try:
                clean[key] = read(values.get(key), row.id)
            except Invalid as error:
                mistakes[key] = error.messages["_"]
    if mistakes:
        raise Invalid(mistakes)
    if row.id is not None and "domains" in clean and set(clean["domains"]) != set(row.domains):
        row.verified_at = None
    for key, value in clean.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [Text(_TAKEN.msgid, name=clean.get("name", ""))]}) from None
    return row


_TAKEN = N_("There is already a site called %(name)s")


def _name(raw: Any, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the site"))
    query = sa.select(Monitor.id).where(sa.func.lower(Monitor.name) == name.lower())
    if db.session.scalar(query.where(Monitor.id != (own_id or 0))):
        raise Invalid(Text(_TAKEN.msgid, name=name))
    return name


def _domains(raw: Any, own_id: int | None) -> list[str]:
    typed = raw.replace(",", " ").split() if isinstance(raw, str) else list(raw or [])
    if not typed:
        raise Invalid(N_("Enter the domain of the site, like shop.example"))
    if len(typed) > MOST_DOMAINS:
        raise Invalid(Text("Enter %(n)s domains at most", n=MOST_DOMAINS))
    found = []
    for one in typed:
        try:
            found.append(urls.domain(one))
        except Invalid:
            raise Invalid(Text("“%(name)s” is no domain. Enter one like shop.example", name=one[:60])) from None
    return list(dict.fromkeys(found))


def delete(monitor_id: int) -> None:
    """Delete a site; what was seen there ages out. Raises :class:`usage.InUse` while a flow or a rule needs it."""
    row = get(monitor_id)
    usage.refuse_if_used("monitor", row.id, row.name)
    db.session.delete(row)
    db.session.commit()


# --- what the script is told ---------------------------------------------------------------------------------


def stays(monitor_id: int, workspace_id: int) -> list[int]:
    """After how many seconds on a page the script shall report: the minimum stays that live flows ask for."""
    f, v = Flow.__table__.c, FlowVersion.__table__.c
    query = (
        sa.select(v.definition)
        .join(Flow.__table__, f.version_id == v.id)
        .where(f.workspace_id == workspace_id, f.state.in_(("active", "paused")))
    )
    asking = [
        definition[part]
        for definition in db.session.connection().scalars(query)
        for part in ("trigger", "goal", "exit")
        if (definition.get(part) or {}).get("type") == "site_visit"
    ]
    found = {int(one["stay"]) for one in asking if one.get("monitor") == monitor_id and one.get("stay")}
    return sorted(found)[:20]
