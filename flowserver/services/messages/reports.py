"""What providers report later: delivered, bounced, failed, complained; and texts that people send to us.

Reports may come late, twice, and in any order: a message only moves forward, so every order ends the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions
from flowserver.domain import sms
from flowserver.domain.tokens import number
from flowserver.errors import Forbidden, NotFound
from flowserver.extensions import db
from flowserver.models import Connection, Consent, Contact, Engagement, Message
from flowserver.providers.base import DeliveryEvent, Incoming, WebhookRequest
from flowserver.services.engine import events
from flowserver.services.messages import connections, outcomes
from flowserver.services.people import consents
from flowserver.text import N_

log = structlog.get_logger()

RANK = {"planned": 0, "claimed": 1, "handed": 2, "unknown": 3, "accepted": 4, "failed": 5, "delivered": 6, "bounced": 7}
_M, _N, _C = Message.__table__.c, Engagement.__table__.c, Contact.__table__.c


def receive(provider_name: str, token: str, request: WebhookRequest) -> int:
    """Take a webhook request; returns how many of its reports changed something. Commits.

    Raises :class:`NotFound` for an address that is nobody's, :class:`Forbidden` when no secret is set or the proof is
    missing, :class:`Invalid` when a genuine request cannot be read.
    """
    k = Connection.__table__.c
    row = db.session.connection().execute(sa.select(Connection.__table__).where(k.hook_token == token)).first()
    if row is None or row.provider != provider_name:
        raise NotFound(N_("Nothing is here"))
    extensions.enter_workspace(row.workspace_id)
    provider = connections.provider(row)
    if not provider.hook_secret() or not provider.is_genuine(request):
        log.warning("hook.refused", connection=row.id)
        raise Forbidden(N_("The signature does not fit"))
    found = provider.events(request)
    changed = record(row.id, [one for one in found if isinstance(one, DeliveryEvent)])
    return changed + sum(incoming(row, one) for one in found if isinstance(one, Incoming))


def record(connection_id: int, reports: Sequence[DeliveryEvent]) -> int:
    """Write down reports about messages of a connection; returns how many changed something. Commits."""
    changed = 0
    for report in reports:
        row = _message(connection_id, report)
        if row is None:
            log.info("report.of_nobody", connection=connection_id, kind=report.kind)
            continue
        changed += _record(row, report)
    db.session.commit()
    return changed


def _message(connection_id: int, report: DeliveryEvent) -> Any:
    query = sa.select(*outcomes.COLUMNS, _M.accepted_at).where(_M.connection_id == connection_id)
    mine = number(report.ref) if report.ref else None
    if mine is not None and mine < 2**63:
        row = db.session.connection().execute(query.where(_M.id == mine)).first()
        if row is not None:
            return row
    theirs = report.provider_ref or report.ref
    if not theirs:
        return None
    return db.session.connection().execute(query.where(_M.provider_ref == theirs[:120])).first()


def _record(row: Any, report: DeliveryEvent) -> bool:
    at = min(report.at or clock.now(), clock.now())
    if report.kind in ("complained", "unsubscribed"):
        return _left(row, report, at)
    state = "failed" if report.kind == "bounced" and row.channel == "sms" else report.kind
    if report.parts > 1 and state in ("delivered", "failed"):
        state = _of_all_parts(row, report, state, at)
    if state not in RANK or not _move(row, state, report, at):
        return False
    log.info("report.taken", message=row.id, state=state)
    if state in ("failed", "bounced"):
        _told_late(row, at)
        if state == "bounced":
            outcomes.suppress(row, row.address, "hard_bounce", report.reason, at)
        outcomes.after_refusal(row, state, report.reason, at)
    elif state == "delivered":
        _evidence(row, "delivered", report, at)
        _told_late(row, at)
        outcomes.tell(row, "sms_delivered" if row.channel == "sms" else None, at)
    return True


def _of_all_parts(row: Any, report: DeliveryEvent, state: str, at: datetime) -> str:
    """What a part that was delivered, or not, makes of its message: one that failed fails it, all of them deliver it.

    ``""`` while some are still to come.
    """
    connection = db.session.connection()
    connection.execute(sa.select(_M.id).where(_M.id == row.id).with_for_update())  # two parts may be told at once
    mine = (_N.message_id == row.id, _N.kind == "part")
    seen = {one.link: one.evidence["state"] for one in connection.execute(sa.select(_N.link, _N.evidence).where(*mine))}
    if report.part not in seen:
        about = {"workspace_id": row.workspace_id, "message_id": row.id, "contact_id": row.contact_id, "at": at}
        db.session.add(Engagement(**about, kind="part", link=report.part, evidence={"state": state}))
    known = {**seen, report.part: seen.get(report.part, state)}
    if "failed" in known.values():
        return "failed"
    return "delivered" if len(known) >= report.parts else ""


def _told_late(row: Any, at: datetime) -> None:
    """A report about a message whose answer was never heard: it was sent after all."""
    if row.kind == "campaign" and row.accepted_at is None:
        outcomes.tell(row, f"{row.channel}_sent", at)


def _move(row: Any, state: str, report: DeliveryEvent, at: datetime) -> bool:
    """Move the message forward; ``False`` when it is already there or further on."""
    behind = [name for name, rank in RANK.items() if rank < RANK[state]]
    values: dict[str, Any] = {"state": state, "accepted_at": sa.func.coalesce(_M.accepted_at, at)}
    if report.provider_ref:
        values["provider_ref"] = report.provider_ref[:120]
    if state == "delivered":
        values |= {"delivered_at": at, "failed_at": None, "reason": None}
    elif state in ("failed", "bounced"):
        values |= {"failed_at": at, "reason": report.reason[:300] or state}
    statement = sa.update(Message.__table__).where(_M.id == row.id, _M.state.in_(behind)).values(**values)
    return bool(db.session.connection().execute(statement).rowcount)


def _evidence(row: Any, kind: str, report: DeliveryEvent, at: datetime) -> bool:
    """Keep the raw report, once a kind and message."""
    seen = sa.select(_N.id).where(_N.message_id == row.id, _N.kind == kind).limit(1)
    if db.session.connection().execute(seen).first() is not None:
        return False
    db.session.add(
        Engagement(
            workspace_id=row.workspace_id,
            message_id=row.id,
            contact_id=row.contact_id,
            kind=kind,
            at=at,
            evidence={"report": {str(key)[:60]: str(value)[:300] for key, value in list(report.raw.items())[:20]}},
        )
    )
    return True


def _left(row: Any, report: DeliveryEvent, at: datetime) -> bool:
    """Somebody pressed "spam" or the provider's own unsubscribe: no more marketing to them."""
    if not _evidence(row, report.kind, report, at):
        return False
    if report.kind == "complained":
        outcomes.suppress(row, row.address, "complaint", report.reason, at)
    contact = db.session.get(Contact, row.contact_id) if row.contact_id is not None else None
    if contact is not None and getattr(contact, f"{row.channel}_consent") != "withdrawn":
        consents.change(contact, row.channel, "withdrawn", source=report.kind, at=at)
        events.record(contact.id, "unsubscribed", subject=row.channel, key=f"message:{row.id}:{report.kind}", at=at)
    return True


def incoming(connection: Any, text: Incoming) -> bool:
    """A text came in on a connection: STOP ends SMS to that number, until the person agrees anew. Commits.

    ``True`` when it changed something. The same text told again, or one older than the last agreement, changes nothing.
    """
    if not sms.is_stop(text.text):
        log.info("incoming.text", connection=connection.id)
        return False
    now = min(text.at or clock.now(), clock.now())
    contact = db.session.scalar(sa.select(Contact).where(Contact.phone == text.sender))
    key = f"incoming:{connection.id}:{text.id}" if text.id else None
    if contact is not None and (_agreed_since(contact, now) or events.known(key)):
        log.info("incoming.stop_again", connection=connection.id)
        return False
    changed = False
    if contact is not None and contact.sms_consent != "withdrawn":
        changed = consents.change(contact, "sms", "withdrawn", source="STOP", words=text.text[:200], at=now)
        events.record(contact.id, "unsubscribed", subject="sms", key=key, at=now, data={"source": "STOP"})
    outcomes.suppress(_Stopped(connection.workspace_id, "sms"), text.sender[:254], "stop", "STOP", now)
    db.session.commit()
    log.info("incoming.stop", connection=connection.id)
    return changed


def _agreed_since(contact: Contact, moment: datetime) -> bool:
    given = (Consent.contact_id == contact.id, Consent.channel == "sms", Consent.state == "given", Consent.at > moment)
    return (
        contact.sms_consent == "given" and db.session.scalar(sa.select(Consent.id).where(*given).limit(1)) is not None
    )


class _Stopped:
    """Just enough of a message for :func:`outcomes.suppress`."""

    def __init__(self, workspace_id: int, channel: str):
        self.workspace_id, self.channel = workspace_id, channel
