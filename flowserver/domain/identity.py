"""Signed tokens that say who a visitor of a site is. They are bound to their client, to a time, and to what they came by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flowserver.domain.tokens import Signer, number, short

PURPOSE = "visitor"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token names. ``proof`` is set where the token is good for one browser only: a link of a mail can be passed on."""

    workspace_id: int
    contact_id: int
    until: datetime
    proof: str = ""


def sign(signer: Signer, workspace_id: int, contact_id: int, until: datetime, chance: str, message_id: int = 0) -> str:
    """A token for a contact, good until an instant; ``chance`` (letters and digits) makes it one of its kind.

    With a message it is good for the first browser that shows it.
    """
    parts = [*map(short, (workspace_id, contact_id, int(until.timestamp()), message_id)), chance]
    return signer.sign(PURPOSE, "-".join(parts))


def read(signer: Signer, token: str, now: datetime) -> Identity | None:
    """Who a token names; ``None`` for one that is forged, made for something else, or too old."""
    payload = signer.open(PURPOSE, token)
    if not payload:
        return None
    *numbers, nonce = payload.split("-")
    workspace_id, contact_id, until, message_id = (number(part) or 0 for part in numbers)
    end = datetime.fromtimestamp(until, UTC)
    if end < now:
        return None
    return Identity(workspace_id, contact_id, end, f"{short(message_id)}-{nonce}" if message_id else "")
