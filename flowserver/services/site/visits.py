"""Visitors of a client's sites: who they are, what they look at, and the events that follow for those we know.

One message of the script is one short transaction. It locks its visitor first, so that two of them at once cannot both
find that half an hour has passed; its contact comes last, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from flowserver import clock, extensions
from flowserver.domain import beacons, identity, urls
from flowserver.domain.beacons import Beacon
from flowserver.extensions import db
from flowserver.models import Contact, Monitor, PageView, Visit, Visitor, Workspace
from flowserver.services.engine import events, facts
from flowserver.services.messages import connections
from flowserver.services.people import crowd, usage

log = structlog.get_logger()

IDLE = timedelta(minutes=30)  # so long without a sign, and the next page begins a new visit
MOST_VIEWS = 500  # pages of one visit that are kept; the rest are only counted
SLACK = 3  # seconds a script's clock may be ahead of ours
_M, _R, _V, _P = (table.__table__.c for table in (Monitor, Visitor, Visit, PageView))


@dataclass(frozen=True, slots=True)
class Sender:
    """What a request tells about whoever sent it. ``refuses``: Do Not Track or Global Privacy Control."""

    origin: str
    agent: str = ""
    refuses: bool = False


def monitor(public_id: str) -> Any:
    """The row of a monitor that is on, of a client that is not put away; ``None`` otherwise. Reads only."""
    query = (
        sa.select(Monitor.__table__, Workspace.__table__.c.locale)
        .join(Workspace.__table__, Workspace.__table__.c.id == _M.workspace_id)
        .where(_M.public_id == public_id, _M.enabled, Workspace.__table__.c.archived_at.is_(None))
    )
    before = extensions.is_read_only()
    extensions.read_only(True)
    try:
        found = db.session.connection().execute(query).first()
        db.session.rollback()
    finally:
        extensions.read_only(before)
    return found


def welcome(public_id: str, origin: str) -> Any:
    """The row of a monitor, if pages of this origin may speak to it; ``None`` otherwise. Reads only."""
    site = monitor(public_id)
    return site if site is not None and _from(site, origin) else None


def receive(site: Any, raw: bytes, sender: Sender) -> bool:
    """Take a message of the script on a site that is :func:`welcome`; whether it was kept. Commits.

    Left out without a word: what is no message, programs, people who do not want to be watched, other sites.
    """
    beacon = beacons.read(raw)
    if beacon is None or sender.refuses or _is_program(sender.agent):
        return False
    if beacon.url and not _from(site, beacon.url):
        return False
    extensions.enter_workspace(site.workspace_id)
    try:
        kept = _TAKE[beacon.kind](site, beacon, clock.now())
        db.session.commit() if kept else db.session.rollback()
    except SQLAlchemyError as error:  # a busy database costs the evidence, never the visit
        db.session.rollback()
        log.warning("visit.lost", why=type(error).__name__)
        return False
    return kept


def _from(site: Any, url: str) -> bool:
    page = urls.read(url)
    return page is not None and urls.belongs(page.host, site.domains)


def _is_program(agent: str) -> bool:
    from crawlerdetect import CrawlerDetect  # compiles its patterns when it is first asked

    return not agent or CrawlerDetect(user_agent=agent).is_crawler()


# --- what a message says -------------------------------------------------------------------------------------


def _view(site: Any, beacon: Beacon, now: datetime) -> bool:
    visitor = _visitor(site, beacon, now)
    visit_id, views = _visit(site, visitor, beacon, now)
    if views > MOST_VIEWS:
        return True
    row = {
        "workspace_id": site.workspace_id,
        "monitor_id": site.id,
        "visitor_id": visitor.id,
        "visit_id": visit_id,
        "contact_id": visitor.contact_id,
        "uid": beacon.uid,
        "at": now,
        "url": beacon.url,
        "first": views == 1,
        "stay": 0,
    }
    written = crowd.insert_new(PageView, [row], ("id",))
    if not written:
        return False  # reported twice
    if site.verified_at is None:
        before = usage.flaws("monitor", site.id)
        db.session.execute(sa.update(Monitor).where(Monitor.id == site.id).values(verified_at=now))
        usage.mark("monitor", site.id, before)
    if visitor.contact_id is not None:
        data = _seen(site, beacon.url, visit_id, views == 1, 0)
        _tell(site, visitor.contact_id, "page_visited", f"view:{written[0][0]}", now, data)
    return True


def _stay(site: Any, beacon: Beacon, now: datetime) -> bool:
    """How long a page has been in front of its visitor: counts once, and never for longer than it is there."""
    query = (
        sa.select(PageView.__table__, _R.contact_id.label("now_known"))
        .join(Visitor.__table__, _R.id == _P.visitor_id)
        .where(_R.monitor_id == site.id, _R.uid == beacon.visitor, _P.uid == beacon.uid)
        .with_for_update(of=Visitor.__table__)
    )
    view = db.session.connection().execute(query).first()
    stay = min(beacon.stay, int((now - view.at).total_seconds()) + SLACK) if view is not None else 0
    if view is None or stay <= view.stay or stay < beacon.stay:
        return False
    db.session.execute(sa.update(PageView).where(PageView.id == view.id).values(stay=min(stay, 32_000)))
    db.session.execute(sa.update(Visit).where(Visit.id == view.visit_id, Visit.last_at < now).values(last_at=now))
    if view.contact_id is not None and view.contact_id == view.now_known:
        data = {**_seen(site, view.url, view.visit_id, view.first, stay), "stay_before": view.stay}
        _tell(site, view.contact_id, "page_stayed", f"stay:{view.id}:{stay}", now, data)
    return True


def _event(site: Any, beacon: Beacon, now: datetime) -> bool:
    """Something the site's own script told. Of strangers only the sign of life is kept."""
    visitor = _visitor(site, beacon, now)
    visit_id, _views = _visit(site, visitor, beacon, now, view=False)
    if visitor.contact_id is not None:
        data = {**beacon.properties, **_page(site, beacon.url, visit_id)}
        _tell(site, visitor.contact_id, beacon.name, f"site:{visitor.id}:{beacon.uid}", now, data)
    return True


def _identify(site: Any, beacon: Beacon, now: datetime) -> bool:
    return _visitor(site, beacon, now).proven


_TAKE: Mapping[str, Callable[[Any, Beacon, datetime], bool]] = {
    "view": _view,
    "stay": _stay,
    "event": _event,
    "identify": _identify,
}


def _page(site: Any, url: str, visit_id: int) -> dict[str, Any]:
    page = urls.read(url)
    assert page is not None
    return {"url": url, "path": page.path or "/", "monitor": site.name, "visit": visit_id}


def _seen(site: Any, url: str, visit_id: int, first: bool, stay: int) -> dict[str, Any]:
    """What the event of a page brings along."""
    page = urls.read(url)
    return {**_page(site, url, visit_id), "first": first, "stay": stay, **(urls.marks(page) if page else {})}


def _tell(site: Any, contact_id: int, type_: str, key: str, now: datetime, data: Mapping[str, Any]) -> None:
    event = events.NewEvent(site.workspace_id, contact_id, type_, str(site.id), key, now, data)
    events.record_many([event])


# --- who it is -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Who:
    """A visitor, locked: ``proven`` when the message just said who it is, and we believed it."""

    id: int
    contact_id: int | None
    proven: bool = False


def _visitor(site: Any, beacon: Beacon, now: datetime) -> _Who:
    """The visitor of a message, made if need be and locked until the transaction ends; identified if it brought a token."""
    found = _held(site.workspace_id, site.id, beacon.visitor, now)
    token = identity.read(connections.signer(), beacon.token, now) if beacon.token else None
    if token is None or token.workspace_id != site.workspace_id or not _may_be(token, found.id):
        return found
    _become(found, token.contact_id, token.proof, now)
    return found


def _held(workspace_id: int, monitor_id: int, uid: str, now: datetime) -> _Who:
    row = {
        "workspace_id": workspace_id,
        "monitor_id": monitor_id,
        "uid": uid,
        "created_at": now,
        "seen_at": now,
    }
    statement = crowd.insert(Visitor).values(row)
    seen = statement.on_conflict_do_update(index_elements=["monitor_id", "uid"], set_={"seen_at": now})
    found = db.session.connection().execute(seen.returning(_R.id, _R.contact_id)).one()
    return _Who(found.id, found.contact_id)


def _may_be(token: identity.Identity, visitor_id: int) -> bool:
    """Whether the contact exists, and no other browser has come with this link of a mail before."""
    c = Contact.__table__.c
    there = sa.select(c.id).where(c.id == token.contact_id, c.workspace_id == token.workspace_id)
    if db.session.connection().scalar(there) is None:
        return False
    if not token.proof:
        return True
    taken = sa.select(_R.id).where(_R.proof == token.proof, _R.id != visitor_id).limit(1)
    return db.session.connection().scalar(taken) is None


def _become(visitor: _Who, contact_id: int, proof: str, now: datetime) -> None:
    """From here on the visitor is this contact. What it looked at before stays a stranger's."""
    values = {"contact_id": contact_id, "proof": proof or None, "identified_at": now}
    db.session.execute(sa.update(Visitor.__table__).where(_R.id == visitor.id).values(**values))
    visitor.contact_id, visitor.proven = contact_id, True


def _visit(site: Any, visitor: _Who, beacon: Beacon, now: datetime, view: bool = True) -> tuple[int, int]:
    """The visit that goes on or begins now, and how many pages it has. Its visitor is locked."""
    mine = sa.and_(
        _V.visitor_id == visitor.id, _V.last_at > now - IDLE, _V.contact_id.is_not_distinct_from(visitor.contact_id)
    )
    goes_on = sa.update(Visit.__table__).where(mine).values(last_at=now, views=_V.views + int(view))
    found = db.session.connection().execute(goes_on.returning(_V.id, _V.views)).first()
    if found is not None:
        return found.id, found.views
    fresh = sa.insert(Visit.__table__).values(
        workspace_id=site.workspace_id,
        monitor_id=site.id,
        visitor_id=visitor.id,
        contact_id=visitor.contact_id,
        started_at=now,
        last_at=now,
        views=int(view),
        referrer=beacon.referrer if not _from(site, beacon.referrer) else "",
    )
    return db.session.connection().execute(fresh.returning(_V.id)).scalar_one(), int(view)


# --- forms ---------------------------------------------------------------------------------------------------


def hold(reference: str) -> _Who | None:
    """The visitor behind ``<key of the monitor>.<visitor>``, as our script writes it into our forms; locked.

    ``None`` when it names no site of the present client. Called before the contact is written, as everywhere.
    """
    public_id, _dot, uid = reference.partition(".")
    if not beacons.is_id(uid):
        return None
    query = sa.select(Monitor).where(Monitor.public_id == public_id, Monitor.enabled)
    site = db.session.scalar(query)
    return _held(site.workspace_id, site.id, uid, clock.now()) if site is not None else None


def become(visitor: _Who, contact_id: int) -> None:
    """The visitor, held, filled in a form and so is this contact. The caller commits."""
    _become(visitor, contact_id, "", clock.now())


# --- keeping little ------------------------------------------------------------------------------------------

KEPT = facts.PAGES_KEPT  # pages and visits
VISITORS_KEPT = timedelta(days=395)
CHUNK = 1000


def expire(now: datetime, chunk: int = CHUNK) -> int:
    """Delete pages, visits, their events and visitors that are too old, of all clients; how many. The clock calls this."""
    from flowserver.models import Event

    e = Event.__table__.c
    of_visits = e.type.in_(("page_visited", "page_stayed"))
    gone = 0
    for table, old in (
        (PageView, _first(_P.id, _P.at, now - KEPT, chunk)),
        (Visit, _first(_V.id, _V.last_at, now - KEPT, chunk)),
        (Event, sa.select(e.id).where(of_visits, e.at < now - KEPT, e.matched).order_by(e.at).limit(chunk)),
        (Visitor, sa.select(_R.id).where(_R.seen_at < now - VISITORS_KEPT).order_by(_R.seen_at).limit(chunk)),
    ):
        gone += _delete_all(table.__table__, old)
    return gone


def _first(id: Any, at: Any, before: datetime, chunk: int) -> Any:
    """The old ones among the first rows by id: nobody reads the whole table to find that there are none."""
    first = sa.select(id, at.label("at")).order_by(id).limit(chunk).subquery()
    return sa.select(first.c.id).where(first.c.at < before)


def _delete_all(table: Any, old: Any) -> int:
    total = 0
    while ids := list(db.session.connection().scalars(old)):
        db.session.execute(sa.delete(table).where(table.c.id.in_(ids)))
        db.session.commit()
        total += len(ids)
    db.session.rollback()
    return total
