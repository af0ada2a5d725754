"""The clock's look once a second: one indexed query each, a ring only when something is due. Two clocks do no harm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import extensions, jobqueue
from flowserver.extensions import db
from flowserver.models import Campaign, Connection, Contact, ContactList, Enrollment, Event, Flow, Import, Message
from flowserver.services.engine import flow_state, missed, starts, timetable

log = structlog.get_logger()

LATE = timedelta(minutes=5)


def tick(now: datetime) -> None:
    """Look at everything that can become due. A look that fails is logged and does not stop the others."""
    with extensions.every_workspace():
        for look in (_advance, _match, _deliver, _leases, _existing, _moments, _crowds, _imports, _carts, _campaigns):
            _safely(look, now)
        if now.second % 10 == 0:
            _safely(_resumed, now)
            _safely(_missed, now)
            _safely(_completed, now)
            _safely(_coupons, now)
        if now.second == 0 and now.minute % 10 == 0:
            for look in (_lists, _signups, _orphans, _unsettled, _answers, _visits, _silence, _over):
                _safely(look, now)


def _safely(look: Callable[[datetime], Any], now: datetime) -> None:
    try:
        look(now)
    except Exception as error:
        log.warning("tick.failed", look=look.__name__, why=type(error).__name__)
    finally:
        db.session.rollback()


def _advance(now: datetime) -> None:
    e = Enrollment.__table__.c
    if db.session.execute(sa.select(e.id).where(e.due_at <= now, ~e.held).limit(1)).first():
        jobqueue.wake("advance")


def _match(now: datetime) -> None:
    e = Event.__table__.c
    if db.session.execute(sa.select(e.id).where(~e.matched).limit(1)).first():
        jobqueue.wake("match")


def _deliver(now: datetime) -> None:
    """Connections that have something to send, are not paused and not waiting for an unreachable server."""
    c, m = Connection.__table__.c, Message.__table__.c
    waiting = sa.exists().where(m.connection_id == c.id, m.state == "planned", m.due_at <= now)
    ready = sa.and_(c.paused_at.is_(None), sa.or_(c.retry_at.is_(None), c.retry_at <= now))
    for connection_id in db.session.scalars(sa.select(c.id).where(ready, waiting)):
        jobqueue.wake("deliver", connection_id)


def _leases(now: datetime) -> None:
    from flowserver.services.messages import deliveries

    deliveries.take_back(now)


def _existing(now: datetime) -> None:
    f = Flow.__table__.c
    waiting = sa.and_(f.existing_after.is_not(None), f.state == "active", ~f.closed)
    for flow_id in db.session.scalars(sa.select(f.id).where(waiting)):
        jobqueue.wake("enroll", flow_id)


def _moments(now: datetime) -> None:
    """Flows that time starts, now."""
    for flow_id in timetable.due(now):
        jobqueue.wake("moment", flow_id)


def _crowds(now: datetime) -> None:
    """Crowds whose job was lost."""
    for start_id in starts.undone():
        jobqueue.wake("start", start_id)


def _campaigns(now: datetime) -> None:
    """Campaigns that are due or under way; those that only wait for their last messages every ten seconds."""
    c = Campaign.__table__.c
    due = sa.or_(c.state != "scheduled", c.send_at <= now)
    waits = sa.and_(c.state == "sending", sa.or_(c.planned_after.is_(None), c.held != ""))
    query = sa.select(c.id).where(c.busy, due)
    for campaign_id in db.session.scalars(query if now.second % 10 == 0 else query.where(~waits)):
        jobqueue.wake("campaign", campaign_id)


def _silence(now: datetime) -> None:
    """SMS of campaigns whose 72 hours are over, where a flow asks about them."""
    from flowserver.services.messages import silence

    if silence.due():
        jobqueue.wake("silence")


def _resumed(now: datetime) -> None:
    """Flows that go on after a pause and still have people to let go."""
    f = Flow.__table__.c
    for flow_id in db.session.scalars(sa.select(f.id).where(f.state == "active", f.paused_at.is_not(None))):
        jobqueue.wake("settle", flow_id)


def _completed(now: datetime) -> None:
    """Flows whose one moment has come and whose people have all left."""
    from flowserver.services.flows import moments

    moments.complete(now)


def _missed(now: datetime) -> None:
    """Flows that went on after a pause and let in who would have started meanwhile."""
    for flow_id in missed.pending():
        jobqueue.wake("let_in", flow_id)


def _imports(now: datetime) -> None:
    """Running imports whose job has fallen silent."""
    i = Import.__table__.c
    silent = sa.or_(i.seen_at.is_(None), i.seen_at < now - timedelta(seconds=15))
    for import_id in db.session.scalars(sa.select(i.id).where(i.state == "running", silent)):
        jobqueue.wake("import_contacts", import_id)


def _carts(now: datetime) -> None:
    from flowserver.services.people import sales

    if sales.idle(now):
        jobqueue.wake("abandon_carts")


def _lists(now: datetime) -> None:
    """Large lists whose deletion was interrupted."""
    c = ContactList.__table__.c
    for list_id in db.session.scalars(sa.select(c.id).where(c.leaving != "")):
        jobqueue.wake("delete_list", list_id)


def _signups(now: datetime) -> None:
    from flowserver.services.people import signups

    signups.expire(now)


def _unsettled(now: datetime) -> None:
    """People whom a crash left held in a flow that is not paused: nobody would ever find them due."""
    for flow_id in flow_state.unsettled():
        jobqueue.wake("settle", flow_id)


def _coupons(now: datetime) -> None:
    """Coupons that have run out, and campaigns whose coupons are on their way to a list."""
    from flowserver.services.shop import coupons

    if coupons.expired_any(now):
        jobqueue.wake("expire_coupons")
    for campaign_id in coupons.giving():
        jobqueue.wake("give_coupons", campaign_id)


def _answers(now: datetime) -> None:
    from flowserver.services.accounts import agency_keys
    from flowserver.services.operations import idempotency

    idempotency.expire(now)
    agency_keys.expire(now)


def _over(now: datetime) -> None:
    """Coupon campaigns whose last day has passed, on the flows that need them."""
    from flowserver.services.shop import coupon_campaigns

    coupon_campaigns.end(now)


def _visits(now: datetime) -> None:
    from flowserver.services.site import visits

    visits.expire(now)


def _orphans(now: datetime) -> None:
    """Live enrollments whose contact is gone would never be claimed: end them, so that nobody is lost."""
    e, c = Enrollment.__table__.c, Contact.__table__.c
    gone = sa.select(e.id).where(e.due_at <= now, ~sa.exists().where(c.id == e.contact_id)).limit(1000)
    ids = list(db.session.scalars(gone))
    if ids:
        db.session.execute(
            sa.update(Enrollment.__table__)
            .where(e.id.in_(ids))
            .values(due_at=None, ended_at=now, end_reason="contact_deleted", awaits=None)
        )
        db.session.commit()
