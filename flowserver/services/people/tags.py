"""Tags and who has them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactTag, Tag
from flowserver.services.people import crowd, usage
from flowserver.text import N_, Text


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
    found = db.session.execute(sa.select(Tag.name, Tag.id).where(Tag.name.in_(wanted)).order_by(Tag.name))
    return {row.name: row.id for row in found}


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
    crowd.touch(contact_ids)
    if commit:
        db.session.commit()
    return int(getattr(gone, "rowcount", 0))


# --- the tags themselves ---------------------------------------------------------------------------------


def everything() -> list[tuple[Tag, int]]:
    """``(tag, contacts that have it)`` of the client, by name."""
    sizes = sa.select(ContactTag.tag_id, sa.func.count().label("n")).group_by(ContactTag.tag_id).subquery()
    query = sa.select(Tag, sizes.c.n).outerjoin(sizes, sizes.c.tag_id == Tag.id).order_by(Tag.name)
    return [(tag, int(n or 0)) for tag, n in db.session.execute(query)]


def create(name: str) -> Tag:
    """Make a tag nobody has yet. Raises :class:`Invalid` when it is there."""
    wanted = _named(name, None)
    tag = Tag(workspace_id=extensions.current_workspace(), name=wanted, created_at=clock.now())
    db.session.add(tag)
    return _commit(tag)


def rename(tag_id: int, name: str) -> Tag:
    """Call a tag something else on all its contacts. Raises :class:`usage.InUse` while a flow names it."""
    tag = get(tag_id)
    wanted = _named(name, tag.id)
    if wanted != tag.name:
        usage.refuse_if_used("tag", tag.name, tag.name)  # flows know tags by name
        tag.name = wanted
    return _commit(tag)


def _named(name: str, own_id: int | None) -> str:
    try:
        wanted = people.tag(name)
    except Invalid as error:
        raise Invalid({"name": error.messages["_"]}) from None
    if db.session.scalar(sa.select(Tag.id).where(Tag.name == wanted, Tag.id != (own_id or 0))):
        raise _taken(wanted)
    return wanted


def _taken(name: str) -> Invalid:
    return Invalid({"name": [Text("There is already a tag called %(name)s", name=name)]})


def _commit(tag: Tag) -> Tag:
    name = tag.name
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise _taken(name) from None
    return tag


def delete(tag_id: int) -> None:
    """Take a tag off everybody and delete it. Raises :class:`usage.InUse` while a flow names it."""
    tag = get(tag_id)
    usage.refuse_if_used("tag", tag.name, tag.name)
    db.session.delete(tag)
    db.session.commit()


def with_uses(tag_id: int) -> tuple[Tag, list[usage.Use]]:
    """A tag and what needs it. Raises :class:`NotFound`."""
    tag = get(tag_id)
    return tag, usage.of("tag", tag.name)
