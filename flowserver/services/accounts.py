"""Who may do what, where: users, clients and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from flowserver import extensions
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Access, Agency, Alert, User, Workspace

ROLES = ("admin", "staff", "client")


@dataclass(frozen=True)
class Frame:
    """What stands round every console page."""

    agency: str
    workspaces: list[Workspace]  # those the person may open, by name
    alerts: int  # open alerts in them


def frame(user: User) -> Frame:
    """Agency name, the person's clients and how many alerts are open there."""
    agency = db.session.scalar(sa.select(Agency).limit(1))
    return Frame(agency.name if agency else "flowserver", workspaces(user), open_alerts(user))


def open_alerts(user: User) -> int:
    """How many alerts wait for somebody, in the clients this person may open."""
    query = sa.select(sa.func.count(Alert.id)).where(Alert.resolved_at.is_(None))
    with extensions.every_workspace():
        return db.session.scalar(query.where(Alert.workspace_id.in_(visible(user)))) or 0


def home_zone() -> str:
    """The time zone of pages that belong to no client: the agency's own, UTC until it has one."""
    agency = db.session.scalar(sa.select(Agency).limit(1))
    return str(agency.settings.get("time_zone", "UTC")) if agency else "UTC"


def get_user(user_id: int) -> User | None:
    """The active user with this id."""
    user = db.session.get(User, user_id)
    return user if user and user.active else None


def visible(user: User) -> sa.Select[tuple[int]]:
    """A query for the ids of the clients this user may see: admins all, others those they have access to."""
    query = sa.select(Workspace.id).where(Workspace.archived_at.is_(None))
    if user.role == "admin":
        return query
    return query.join(Access, Access.workspace_id == Workspace.id).where(Access.user_id == user.id)


def workspaces(user: User) -> list[Workspace]:
    """The clients this user may see, by name."""
    query = sa.select(Workspace).where(Workspace.id.in_(visible(user))).order_by(Workspace.name)
    return list(db.session.scalars(query))


def open_workspace(user: User, slug: str) -> Workspace:
    """The client behind ``slug``. Raises :class:`NotFound` for a stranger, so that names cannot be guessed."""
    query = sa.select(Workspace).where(Workspace.slug == slug, Workspace.id.in_(visible(user)))
    found = db.session.scalar(query)
    if found is None:
        raise NotFound(slug)
    return found


def enter(slug: str, user: User) -> Workspace:
    """Open a client for the rest of the request: ORM queries see its rows only. Strangers get :class:`NotFound`."""
    workspace = open_workspace(user, slug)
    extensions.enter_workspace(workspace.id)
    return workspace


def by_session(value: str) -> User | None:
    """The user a session cookie names, ``<id>:<session_version>``; nobody once the version was raised."""
    number, _, version = value.partition(":")
    if not (number.isdigit() and version.isdigit()):
        return None
    user = get_user(int(number))
    return user if user and user.session_version == int(version) else None
