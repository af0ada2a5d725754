"""Lists and who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Membership
from flowserver.services import crowd
from flowserver.text import N_, Text


def get(list_id: int) -> ContactList:
    """The list with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(ContactList).where(ContactList.id == list_id))
    if found is None:
        raise NotFound(N_("There is no such list"))
    return found


def join(
    list_id: int,
    contact_ids: Sequence[int],
    *,
    silent: bool = False,
    chain: int = 0,
    origin: int | None = None,
    commit: bool = True,
) -> int:
    """Put contacts on a list; how many were not on it before. Only those are events (``list_joined``)."""
    workspace_id = get(list_id).workspace_id
    ids = sa.select(Contact.id).where(Contact.id.in_(contact_ids))
    now = clock.now()
    rows = [
        {"list_id": list_id, "contact_id": contact_id, "workspace_id": workspace_id, "joined_at": now}
        for contact_id in db.session.scalars(ids)
    ]
    joined = [row[0] for row in crowd.insert_new(Membership, rows, ("contact_id",))]
    if joined and not silent:
        crowd.tell(joined, "list_joined", subject=str(list_id), at=now, chain=chain, origin=origin)
    if commit:
        db.session.commit()
    return len(joined)
