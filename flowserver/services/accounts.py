"""Who may do what, where: users, clients and the way from one to the other."""

from __future__ import annotations

import sqlalchemy as sa

from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Access, User, Workspace


def get_user(user_id: int) -> User | None:
    """The active user with this id."""
    user = db.session.get(User, user_id)
    return user if user and user.active else None


def workspaces(user: User) -> list[Workspace]:
    """The clients this user may see, by name."""
    query = sa.select(Workspace).where(Workspace.archived_at.is_(None)).order_by(Workspace.name)
    if user.role != "admin":
        query = query.join(Access, Access.workspace_id == Workspace.id).where(Access.user_id == user.id)
    return list(db.session.scalars(query))


def open_workspace(user: User, slug: str) -> Workspace:
    """The client behind ``slug``. Raises :class:`NotFound` for a stranger, so that names cannot be guessed."""
    found = next((workspace for workspace in workspaces(user) if workspace.slug == slug), None)
    if found is None:
        raise NotFound(slug)
    return found
