"""Addresses nothing may be sent to: look them up, add one by hand, take one off with a reason."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Suppression, User, Workspace
from flowserver.models.people import SuppressionChange
from flowserver.services.accounts import accounts
from flowserver.services.operations.checked import checked
from flowserver.text import N_

log = structlog.get_logger()

CHANNELS = ("email", "sms")
PAGE = 50
REASONS = {
    "hard_bounce": N_("The mailbox does not exist"),
    "complaint": N_("Reported as spam"),
    "stop": N_("Answered STOP"),
    "unsubscribed": N_("Unsubscribed"),
    "by_hand": N_("Added by hand"),
}


@dataclass(frozen=True)
class Page:
    """Some rows of the list, newest first; ``after`` is the cursor of the next page, ``None`` at the end."""

    rows: list[Suppression]
    after: int | None


def listing(search: str = "", channel: str = "", before: int | None = None) -> Page:
    """The suppressed addresses of the present client whose address holds ``search``."""
    query = sa.select(Suppression).order_by(Suppression.id.desc()).limit(PAGE + 1)
    wanted = people.clean(search).lower().replace(" ", "")
    if wanted:
        query = query.where(Suppression.address.contains(wanted, autoescape=True))
    if channel in CHANNELS:
        query = query.where(Suppression.channel == channel)
    if before:
        query = query.where(Suppression.id < before)
    rows = list(db.session.scalars(query))
    return Page(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def changes(most: int = 20) -> list[tuple[SuppressionChange, str]]:
    """What people changed by hand lately, newest first, with the name of who did it."""
    query = (
        sa.select(SuppressionChange, sa.func.coalesce(sa.func.nullif(User.name, ""), User.email, ""))
        .outerjoin(User, User.id == SuppressionChange.user_id)
        .order_by(SuppressionChange.id.desc())
        .limit(most)
    )
    return [(row, str(name)) for row, name in db.session.execute(query)]


def add(by: User, workspace: Workspace, *, channel: str, address: str, reason: str) -> Suppression:
    """Send nothing to this address any more. Raises :class:`Invalid` by field."""
    values = checked(
        channel=lambda: accounts.one_of(channel, CHANNELS),
        address=lambda: people.email(address) if channel == "email" else people.phone(address, workspace.country),
        reason=lambda: _reason(reason),
    )
    taken = sa.select(Suppression.id).where(Suppression.channel == channel, Suppression.address == values["address"])
    if db.session.scalar(taken):
        raise Invalid({"address": [N_("This address is on the list already")]})
    row = Suppression(
        workspace_id=workspace.id, channel=channel, address=values["address"], reason="by_hand", source=values["reason"]
    )
    db.session.add(row)
    _note(by, row, "added", values["reason"])
    db.session.commit()
    log.info("suppression.added", workspace=workspace.id, suppression=row.id, by=by.id)
    return row


def get(suppression_id: int) -> Suppression:
    """A suppressed address of the present client. Raises :class:`NotFound`."""
    row = db.session.scalar(sa.select(Suppression).where(Suppression.id == suppression_id))
    if row is None:
        raise NotFound(str(suppression_id))
    return row


def remove(by: User, suppression_id: int, *, reason: str) -> None:
    """Let messages go to this address again; the reason is kept. Consent is another matter and stays as it is."""
    row = get(suppression_id)
    values = checked(reason=lambda: _reason(reason))
    _note(by, row, "removed", values["reason"])
    if row.channel == "email":
        stopped = Contact.status.in_(("bounced", "suppressed"))
        db.session.execute(sa.update(Contact).where(Contact.email == row.address, stopped).values(status="active"))
    db.session.delete(row)
    db.session.commit()
    log.info("suppression.removed", workspace=row.workspace_id, suppression=suppression_id, by=by.id)


def _reason(reason: str) -> str:
    found = people.line(reason, 300)
    if not found:
        raise Invalid(N_("Say why, so that others understand it later"))
    return found


def _note(by: User, row: Suppression, what: str, reason: str) -> None:
    db.session.add(
        SuppressionChange(
            workspace_id=row.workspace_id,
            user_id=by.id,
            channel=row.channel,
            address=row.address,
            what=what,
            reason=reason,
        )
    )
