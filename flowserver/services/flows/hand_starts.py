"""Starting contacts by hand: one, some, a list or a segment, into a flow that is live. A job lets groups in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, jobqueue
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Flow, FlowStart
from flowserver.nodes import catalogue
from flowserver.services.engine import audience, enrollment, starts
from flowserver.services.engine.versions import compiled
from flowserver.services.flows import flows, options
from flowserver.services.people import contacts as people_of
from flowserver.services.people import segments
from flowserver.text import N_, Text

MOST_CONTACTS = 1000  # named one by one
ALIVE = (Flow.state == "active", Flow.closed.is_(False), Flow.version_id.is_not(None))


@dataclass(frozen=True)
class Reach:
    """How many contacts are meant, and how many of them may enter now. Not ``complete``: at least so many."""

    people: int
    enter: int
    complete: bool = True


# --- into which flows --------------------------------------------------------------------------------------


def offered(flow: Flow) -> bool:
    """Whether contacts can be started in this flow by hand: any live one, but for those a date starts as a whole."""
    cls = catalogue.triggers().get(flow.trigger_type)
    return flow.state == "active" and not flow.closed and cls is not None and not cls.one_shot


def choices() -> list[tuple[int, str]]:
    """``[(id, name)]`` of the flows that contacts can be started in now."""
    found = db.session.scalars(sa.select(Flow).where(*ALIVE).order_by(sa.func.lower(Flow.name)))
    return [(flow.id, flow.name) for flow in found if offered(flow)]


def _open(flow_id: int) -> Flow:
    flow = flows.get(flow_id, lock=True)
    if offered(flow):
        return flow
    db.session.rollback()
    if flow.state == "active" and not flow.closed:
        raise Conflict(N_("This flow starts at its date, for everybody at once"))
    raise Conflict(N_("Nobody can enter this flow now. It must be live and its door open"))


# --- whom --------------------------------------------------------------------------------------------------


def group(list: Any = None, segment: Any = None) -> dict[str, Any]:
    """The rule for everybody who is on a list or in a segment now, given by id or name. Raises :class:`Invalid`."""
    kind, given = ("list", list) if list is not None else ("segment", segment)
    wanted = {"trigger": {"type": "fixed_date", kind: given}}
    resolved, unknown = options.look_up(wanted)
    if unknown:
        raise Invalid({kind: next(iter(unknown.values()))})
    until = {"until": clock.now().isoformat()}
    id = resolved["trigger"][kind]
    return {"members": {"list": id, **until}} if kind == "list" else {"segment": {"segment": id, **until}}


def some(ids: Sequence[int]) -> dict[str, Any]:
    """The rule for these contacts. Raises :class:`Invalid` by place for those there are none of."""
    if not ids:
        raise Invalid({"contacts": [N_("Name at least one contact")]})
    known = set(db.session.scalars(sa.select(Contact.id).where(Contact.id.in_(ids))))
    missing = {n: [N_("There is no such contact")] for n, id in enumerate(ids) if id not in known}
    if missing:
        raise Invalid({"contacts": missing})
    return {"contacts": sorted(known)}


def one(address: str) -> int:
    """The contact with this e-mail address, mobile number or customer number. Raises :class:`Invalid`."""
    address = address.strip()
    if not address:
        raise Invalid({"contact": [N_("Enter an e-mail address, mobile number or customer number")]})
    for key in ("email", "phone", "external_id"):
        try:
            value = people_of.book().read({key: address})[key]
        except Invalid:
            continue
        found = db.session.scalar(sa.select(Contact.id).where(getattr(Contact, key) == value))
        if found is not None:
            return found
    raise Invalid({"contact": [Text("There is no contact with %(address)s", address=address[:120])]})


def reach(flow: Flow, rule: Mapping[str, Any]) -> Reach:
    """How many a rule means, and how many of them the flow's re-entry rule lets in now."""
    if "segment" in rule:
        found = segments.count(rule["segment"]["segment"], seconds=3)
        return Reach(found.contacts, found.contacts, found.complete)
    people = audience.people(rule, flow.workspace_id)
    connection = db.session.connection()
    total = connection.scalar(sa.select(sa.func.count()).select_from(people.subquery())) or 0
    barred = enrollment.count_barred(flow.id, compiled(flow.version_id or 0), people, clock.now())
    return Reach(total, total - barred)


# --- starting ----------------------------------------------------------------------------------------------


def begin(
    flow_id: int, rule: Mapping[str, Any], *, by: str = "hand", key: str = "", user_id: int | None = None
) -> FlowStart:
    """Start everybody a rule means (of :func:`some`, :func:`group`). Commits. A few enter at once, groups by a job.

    ``key`` makes a repetition harmless: the same one again gives back what it began. Raises :class:`NotFound`,
    :class:`Conflict` when nobody can enter the flow, or the key stood for other contacts.
    """
    flow = _open(flow_id)
    whole = f"{by}:{key or uuid.uuid4().hex}"[:100]
    before = db.session.scalar(sa.select(FlowStart).where(FlowStart.flow_id == flow.id, FlowStart.key == whole))
    if before is not None:
        db.session.rollback()
        return _same(get(flow_id, before.id), rule)
    now = clock.now()
    row = FlowStart(
        workspace_id=flow.workspace_id, flow_id=flow.id, key=whole, by=by, rule=dict(rule), at=now, created_at=now,
        user_id=user_id, after=0, entered=0,
    )  # fmt: skip
    db.session.add(row)
    try:
        db.session.flush()
    except IntegrityError:  # the same key, this very moment
        db.session.rollback()
        again = db.session.scalar(sa.select(FlowStart).where(FlowStart.flow_id == flow_id, FlowStart.key == whole))
        if again is None:
            raise
        return _same(again, rule)
    start_id = row.id
    jobqueue.wake_after_commit(db.session, "start", start_id)
    db.session.commit()
    if "contacts" in rule:
        starts.work(start_id)
    return get(flow_id, start_id)


def _same(row: FlowStart, rule: Mapping[str, Any]) -> FlowStart:
    if _timeless(row.rule) != _timeless(rule):
        raise Conflict(N_("This key was used to start other contacts. Use another key"))
    return row


def _timeless(rule: Mapping[str, Any]) -> Any:
    kind, value = next(iter(rule.items()))
    return kind, {k: v for k, v in value.items() if k != "until"} if isinstance(value, Mapping) else value


# --- what was started --------------------------------------------------------------------------------------


def get(flow_id: int, start_id: int) -> FlowStart:
    """One start of a flow, fresh from the database. Raises :class:`NotFound`."""
    query = sa.select(FlowStart).where(FlowStart.id == start_id, FlowStart.flow_id == flow_id)
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound(N_("There is no such start"))
    return row


def latest(flow_id: int, most: int = 20) -> list[FlowStart]:
    """The latest starts of a flow, newest first."""
    query = sa.select(FlowStart).where(FlowStart.flow_id == flow_id).order_by(FlowStart.id.desc())
    return list(db.session.scalars(query.limit(most)))


def listing(flow_id: int, after: int, limit: int) -> tuple[list[FlowStart], int | None]:
    """A page of the starts of a flow, oldest first, and the id to go on after. Raises :class:`NotFound`."""
    flows.get(flow_id)
    query = sa.select(FlowStart).where(FlowStart.flow_id == flow_id, FlowStart.id > after).order_by(FlowStart.id)
    rows = list(db.session.scalars(query.limit(limit + 1)))
    return (rows[:limit], rows[limit - 1].id) if len(rows) > limit else (rows, None)


def meant(rule: Mapping[str, Any], names: Any) -> Text:
    """Whom a start was for, in words."""
    if "members" in rule:
        return Text("Everybody on %(list)s", list=names("list", rule["members"]["list"]))
    if "segment" in rule:
        return Text("Everybody in %(segment)s", segment=names("segment", rule["segment"]["segment"]))
    if "contacts" in rule:
        count = len(rule["contacts"])
        return N_("One contact") if count == 1 else Text("%(n)s contacts", n=count)
    return N_("Contacts whose day it was")
