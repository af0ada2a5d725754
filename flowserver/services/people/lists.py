"""Lists and who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions, jobqueue
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Membership
from flowserver.services.engine import timetable
from flowserver.services.people import contacts as people_of
from flowserver.services.people import crowd, usage
from flowserver.text import N_, Text


def get(list_id: int) -> ContactList:
    """The list with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(ContactList).where(ContactList.id == list_id)) if list_id < 2**63 else None
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


def leave(list_id: int, contact_ids: Sequence[int], *, commit: bool = True) -> int:
    """Take contacts off a list; how many were on it."""
    get(list_id)
    timetable.note_leavers({list_id: contact_ids})
    gone = db.session.execute(
        sa.delete(Membership).where(Membership.list_id == list_id, Membership.contact_id.in_(contact_ids))
    )
    crowd.touch(contact_ids)
    if commit:
        db.session.commit()
    return int(getattr(gone, "rowcount", 0))


# --- the lists themselves --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A list as the page of all lists shows it."""

    row: ContactList
    members: int
    joined: int  # within the last 30 days


def everything() -> list[Entry]:
    """All lists of the client by name, with their sizes. Rings again for those whose deletion was interrupted."""
    found = _entries(ContactList.id > 0)
    for entry in found:
        if entry.row.leaving:
            jobqueue.wake("delete_list", entry.row.id)
    return found


def entry(list_id: int) -> Entry:
    """One list with its size. Raises :class:`NotFound`."""
    get(list_id)
    return _entries(ContactList.id == list_id)[0]


def _entries(which: sa.ColumnElement[bool]) -> list[Entry]:
    month = clock.now() - timedelta(days=30)
    sizes = (
        sa.select(
            Membership.list_id,
            sa.func.count().label("members"),
            sa.func.sum(sa.case((Membership.joined_at >= month, 1), else_=0)).label("joined"),
        )
        .where(Membership.list_id.in_(sa.select(ContactList.id).where(which)))
        .group_by(Membership.list_id)
        .subquery()
    )
    query = (
        sa.select(ContactList, sizes.c.members, sizes.c.joined)
        .outerjoin(sizes, sizes.c.list_id == ContactList.id)
        .where(which)
        .order_by(sa.func.lower(ContactList.name))
    )
    return [Entry(row, int(members or 0), int(joined or 0)) for row, members, joined in db.session.execute(query)]


def choices() -> list[tuple[int, str]]:
    """``[(id, name)]`` of all lists that are not being deleted."""
    query = sa.select(ContactList.id, ContactList.name).where(ContactList.leaving == "")
    return [(row.id, row.name) for row in db.session.execute(query.order_by(sa.func.lower(ContactList.name)))]


def create(name: str, description: str = "", public: bool = False) -> ContactList:
    """Make a list. Raises :class:`Invalid` by field."""
    row = ContactList(workspace_id=extensions.current_workspace(), created_at=clock.now(), leaving="")
    return _save(row, name, description, public)


def update(list_id: int, name: str, description: str = "", public: bool = False) -> ContactList:
    """Rename a list; flows that use it go on. Raises :class:`NotFound`, :class:`Invalid`."""
    return _save(get(list_id), name, description, public)


def _save(row: ContactList, name: str, description: str, public: bool) -> ContactList:
    mistakes: dict[str, Any] = {}
    values: dict[str, Any] = {"public": bool(public)}
    for key, read in (("name", lambda: _name(name, row.id)), ("description", lambda: people.line(description, 300))):
        try:
            values[key] = read()
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    if mistakes:
        raise Invalid(mistakes)
    for key, value in values.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [Text("There is already a list called %(name)s", name=values["name"])]}) from None
    return row


def _name(raw: str, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the list"))
    query = sa.select(ContactList.id).where(sa.func.lower(ContactList.name) == name.lower())
    if db.session.scalar(query.where(ContactList.id != (own_id or 0))):
        raise Invalid(Text("There is already a list called %(name)s", name=name))
    return name


def delete(list_id: int, contacts: str) -> bool:
    """Delete a list and ``keep`` or ``delete`` the contacts on it; whether it is gone already.

    Up to a chunk goes at once; a large list goes in the background, chunk by chunk. Raises :class:`usage.InUse`
    while a flow or form needs the list, :class:`Invalid` without a clear choice.
    """
    row = get(list_id)
    if contacts not in ("keep", "delete"):
        raise Invalid({"contacts": [N_("Choose what happens to the contacts on this list")]})
    usage.refuse_if_used("list", row.id, row.name)
    row.leaving = contacts
    db.session.commit()
    if not _delete_chunk(list_id):
        return True
    jobqueue.wake("delete_list", list_id)
    return False


def finish_deleting(list_id: int) -> None:
    """Carry a deletion to its end, however large the list; safe to run twice at once. Jobs call this."""
    with extensions.every_workspace():
        row = db.session.get(ContactList, list_id)
        workspace_id = row.workspace_id if row is not None and row.leaving else None
        db.session.commit()
    if workspace_id is not None:
        with extensions.workspace(workspace_id):
            while _delete_chunk(list_id):
                pass


def _delete_chunk(list_id: int, size: int = 500) -> bool:
    """Take some contacts off a list that is being deleted, in one short transaction; whether any are left."""
    query = sa.select(ContactList).where(ContactList.id == list_id).with_for_update()
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None or not row.leaving:
        db.session.rollback()
        return False
    members = sa.select(Membership.contact_id).where(Membership.list_id == list_id).limit(size)
    ids = db.session.scalars(members).all()
    if ids and row.leaving == "delete":
        people_of.erase(ids)
    timetable.note_leavers({list_id: ids})
    db.session.execute(sa.delete(Membership).where(Membership.list_id == list_id, Membership.contact_id.in_(ids)))
    if len(ids) < size:
        db.session.delete(row)
    db.session.commit()
    return len(ids) == size
