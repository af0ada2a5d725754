"""Consent and its proof: when it was given or withdrawn, where, in which words."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from flowserver import clock
from flowserver.domain.consent import ADDRESSES, column
from flowserver.extensions import db
from flowserver.models import Consent, Contact, Suppression
from flowserver.services.engine import events

LIFTED_BY_CONSENT = ("unsubscribed", "stop")  # the person's own wish, which the person may change


def change(
    contact: Contact,
    channel: str,
    state: str,
    *,
    source: str,
    words: str = "",
    at: datetime | None = None,
    key: str | None = None,
    silent: bool = False,
) -> bool:
    """Record that the contact gave or withdrew consent for ``channel``; ``False`` when that was already so.

    Giving it again is still written down, because newer words are better proof; but only a change is an event.
    Runs in the caller's transaction. ``source`` says where ("form Footer"), ``words`` what was agreed to.
    """
    at = at or clock.now()
    name = column(channel)
    old = getattr(contact, name)
    if old == state == "withdrawn":
        return False
    db.session.add(
        Consent(
            workspace_id=contact.workspace_id,
            contact_id=contact.id,
            channel=channel,
            state=state,
            at=at,
            source=source[:80],
            words=words,
            created_at=at,
        )
    )
    if state == "given":
        _lift(contact, channel)
    if old == state:
        return False
    setattr(contact, name, state)
    contact.updated_at = clock.now()  # it may have been given long ago
    db.session.flush()
    if not silent:
        data = {"channel": channel, "old": old, "new": state, "source": source[:80]}
        events.record(contact.id, "consent_changed", subject=channel, key=key, at=at, data=data)
    return True


def _lift(contact: Contact, channel: str) -> None:
    """Take the address off the suppression list where the contact had put it there."""
    if channel not in ADDRESSES:
        return
    address = getattr(contact, ADDRESSES[channel])
    db.session.execute(
        sa.delete(Suppression).where(
            Suppression.workspace_id == contact.workspace_id,
            Suppression.channel == channel,
            Suppression.address == address,
            Suppression.reason.in_(LIFTED_BY_CONSENT),
        )
    )


def history(contact_id: int) -> list[Consent]:
    """All changes of consent of a contact, newest first."""
    query = sa.select(Consent).where(Consent.contact_id == contact_id).order_by(Consent.at.desc(), Consent.id.desc())
    return list(db.session.scalars(query))
