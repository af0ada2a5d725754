"""Tags and who has them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactTag, Tag
from flowserver.services import crowd
from flowserver.text import N_


def get(tag_id: int) -> Tag:
    """The tag with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Tag).where(Tag.id == tag_id))
    if found is None:
        raise NotFound(N_("There is no such tag"))
    return found


def ids(names: Sequence[str]) -> dict[str, int]:
    """``{name: id}`` of these tags; those nobody used yet are made. Runs in the caller's transaction."""
    wanted = sorted({people.tag(name) for name in names})
    now, workspace_id = clock.now(), extensions.current_workspace()
    crowd.insert_new(Tag, [{"workspace_id": workspace_id, "name": name, "created_at": now} for name in wanted])
    return dict(db.session.execute(sa.select(Tag.name, Tag.id).where(Tag.name.in_(wanted))).tuples().all())


def add(contact_ids: Sequence[int], names: Sequence[str], *, silent: bool = False, commit: bool = True) -> int:
    """Put tags on contacts, making new tags as needed; how many were put on that were not there before."""
    known = db.session.scalars(sa.select(Contact.id).where(Contact.id.in_(contact_ids))).all()
    now, workspace_id = clock.now(), extensions.current_workspace()
    added = 0
    for name, tag_id in ids(names).items():
        rows = [
            {"tag_id": tag_id, "contact_id": contact_id, "workspace_id": workspace_id, "added_at": now}
            for contact_id in known
        ]
        new = [row[0] for row in crowd.insert_new(ContactTag, rows, ("contact_id",))]
        added += len(new)
        if new and not silent:
            crowd.tell(new, "tag_added", subject=name, at=now)
    if commit:
        db.session.commit()
    return added


def remove(contact_ids: Sequence[int], name: str, *, commit: bool = True) -> int:
    """Take a tag off contacts; how many had it."""
    tag_id = sa.select(Tag.id).where(Tag.name == people.tag(name)).scalar_subquery()
    gone = db.session.execute(
        sa.delete(ContactTag).where(ContactTag.tag_id == tag_id, ContactTag.contact_id.in_(contact_ids))
    )
    if commit:
        db.session.commit()
    return int(gone.rowcount)
