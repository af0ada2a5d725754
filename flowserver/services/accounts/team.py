"""The people of the agency: invitations by mail, roles, access to clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from flask_babel import force_locale
from flask_babel import gettext as _

from flowserver import clock
from flowserver.domain import people
from flowserver.errors import Conflict, Invalid, NotFound, ProviderError
from flowserver.extensions import db
from flowserver.models import Access, Invitation, User, Workspace
from flowserver.services.accounts import accounts
from flowserver.services.messages import console_mail
from flowserver.services.operations.checked import checked
from flowserver.text import N_

log = structlog.get_logger()

INVITED_DAYS = 7


@dataclass(frozen=True)
class Member:
    """A person with the names of the clients they may open; an admin's list is empty, they may open all."""

    user: User
    clients: list[str]


def members() -> list[Member]:
    """Everybody with an account, by name, with their clients. Two queries."""
    users = list(db.session.scalars(sa.select(User).order_by(User.active.desc(), User.name, User.email)))
    rows = db.session.execute(
        sa.select(Access.user_id, Workspace.name)
        .join(Workspace, Workspace.id == Access.workspace_id)
        .where(Workspace.archived_at.is_(None))
        .order_by(Workspace.name)
    )
    clients: dict[int, list[str]] = {}
    for user_id, name in rows:
        clients.setdefault(user_id, []).append(name)
    return [Member(user, clients.get(user.id, []) if user.role != "admin" else []) for user in users]


def member(user_id: int) -> User:
    """A person of the team. Raises :class:`NotFound`."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(str(user_id))
    return user


def access_of(user: User) -> list[int]:
    """Ids of the clients given to this person."""
    return list(db.session.scalars(sa.select(Access.workspace_id).where(Access.user_id == user.id)))


# --- invitations ---------------------------------------------------------------------------------------


def invitations() -> list[Invitation]:
    """Invitations that can still be accepted, newest first."""
    query = sa.select(Invitation).where(Invitation.accepted_at.is_(None), Invitation.expires_at > clock.now())
    return list(db.session.scalars(query.order_by(Invitation.created_at.desc())))


def invite(by: User, *, email: str, role: str, workspace_ids: Iterable[int] = ()) -> Invitation:
    """Invite a person by mail. The link is good once, for seven days; an earlier one to the same address dies.

    Raises :class:`Invalid` by field, and :class:`~flowserver.errors.ProviderError` when the mail cannot leave: then
    the invitation is withdrawn.
    """
    values = checked(
        email=lambda: _free_address(email),
        role=lambda: accounts.one_of(role, accounts.ROLES),
        workspaces=lambda: _clients(role, workspace_ids),
    )
    db.session.execute(_open().where(Invitation.email == values["email"]).values(expires_at=clock.now()))
    found = Invitation(
        email=values["email"],
        role=role,
        workspace_ids=values["workspaces"],
        invited_by=by.id,
        expires_at=clock.now() + timedelta(days=INVITED_DAYS),
    )
    db.session.add(found)
    db.session.commit()
    _mail_invitation(found, by)
    log.info("team.invited", invitation=found.id, by=by.id, role=role)
    return found


def _open() -> sa.Update:
    """Ends open invitations. They stay in the table: SQLite would give a deleted one's number, and link, to the next."""
    return sa.update(Invitation).where(Invitation.accepted_at.is_(None), Invitation.expires_at > clock.now())


def _free_address(email: str) -> str:
    address = people.email(email)
    if accounts.by_email(address):
        raise Invalid(N_("This person has an account already. Change their role below"))
    return address


def _clients(role: str, ids: Iterable[int]) -> list[int]:
    """The ids that exist; at least one for everybody but admins, who see all."""
    if role == "admin":
        return []
    wanted = sorted(set(ids))
    known = db.session.scalars(sa.select(Workspace.id).where(Workspace.id.in_(wanted), Workspace.archived_at.is_(None)))
    if not wanted:
        raise Invalid(N_("Choose at least one client this person may open"))
    if len(list(known)) != len(wanted):
        raise Invalid(N_("One of these clients does not exist any more. Reload the page"))
    return wanted


def invitation_link(found: Invitation) -> str:
    """The address that accepts this invitation."""
    return accounts.address("/invitation/" + accounts.signer("invitation").dumps(found.id))


def _mail_invitation(found: Invitation, by: User) -> None:
    number = found.id
    try:
        with accounts.reading():
            console_mail.send(found.email, *_letter(found, by))
    except ProviderError:
        withdraw(number)
        raise


def _letter(found: Invitation, by: User) -> tuple[str, str]:
    agency = accounts.agency()
    with force_locale(by.locale):
        subject = _("%(agency)s invites you to flowserver", agency=agency.name if agency else "flowserver")
        text = _(
            "Hello,\n\n%(name)s invites you to work with flowserver. "
            "Open this address within 7 days and choose a password:\n\n%(link)s\n",
            name=by.name or by.email,
            link=invitation_link(found),
        )
    return subject, text


def withdraw(invitation_id: int) -> None:
    """Take an invitation back; its link is dead from now on."""
    found = _waiting(invitation_id)
    found.expires_at = clock.now()
    db.session.commit()


def _waiting(invitation_id: int) -> Invitation:
    found = db.session.get(Invitation, invitation_id)
    if found is None or found.accepted_at or found.expires_at <= clock.now():
        raise NotFound(str(invitation_id))
    return found


def open_invitation(token: str) -> Invitation:
    """The invitation a link belongs to. Raises :class:`NotFound` once it is used, withdrawn, old or forged."""
    number = accounts.opened("invitation", token, INVITED_DAYS * 86400)
    found = db.session.get(Invitation, number) if isinstance(number, int) else None
    if found is None or found.accepted_at or found.expires_at <= clock.now() or accounts.by_email(found.email):
        raise NotFound(N_("This invitation was used already or is older than 7 days. Ask for a new one."))
    return found


def accept(token: str, *, name: str, password: str) -> User:
    """Make the account of an invited person. The link works this once."""
    with accounts.reading():
        email = open_invitation(token).email
        values = checked(name=lambda: _name(name), password=lambda: accounts.new_password(password, email))
    found = open_invitation(token)  # asked again: somebody may have used the link meanwhile
    user = User(email=found.email, name=values["name"], role=found.role, password_hash=values["password"])
    user.locale, user.theme = "en", ""
    db.session.add(user)
    db.session.flush()
    _give(user, found.workspace_ids)
    found.accepted_at = user.last_login_at = clock.now()
    db.session.commit()
    log.info("team.joined", user=user.id, invitation=found.id)
    return user


def _name(name: str) -> str:
    if not people.clean(name):
        raise Invalid(N_("Enter your name"))
    return people.name(name)


# --- roles and access ----------------------------------------------------------------------------------


def change(by: User, user_id: int, *, role: str, workspace_ids: Iterable[int] = ()) -> User:
    """Give a person another role and other clients. The last admin stays admin."""
    user = member(user_id)
    values = checked(
        role=lambda: _role(user, role),
        workspaces=lambda: _clients(role, workspace_ids),
    )
    user.role = values["role"]
    db.session.execute(sa.delete(Access).where(Access.user_id == user.id))
    _give(user, values["workspaces"])
    db.session.commit()
    log.info("team.changed", user=user.id, by=by.id, role=role)
    return user


def _role(user: User, role: str) -> str:
    if user.role == "admin" and role != "admin" and not _other_admin(user):
        raise Invalid(N_("This is the only admin. Make somebody else admin first"))
    return accounts.one_of(role, accounts.ROLES)


def _other_admin(user: User) -> bool:
    query = sa.select(User.id).where(User.role == "admin", User.active, User.id != user.id).limit(1)
    return db.session.scalar(query) is not None


def _give(user: User, workspace_ids: Iterable[int]) -> None:
    known = db.session.scalars(sa.select(Workspace.id).where(Workspace.id.in_(list(workspace_ids))))
    db.session.add_all(Access(user_id=user.id, workspace_id=one) for one in known)


def deactivate(by: User, user_id: int) -> None:
    """Take a person's way in and end their log-ins. What they made stays."""
    user = member(user_id)
    if user.id == by.id:
        raise Conflict(N_("You cannot deactivate yourself. Ask another admin"))
    if user.role == "admin" and not _other_admin(user):
        raise Conflict(N_("This is the only admin. Make somebody else admin first"))
    user.active = False
    user.session_version += 1
    db.session.commit()
    log.info("team.deactivated", user=user.id, by=by.id)


def activate(by: User, user_id: int) -> None:
    """Let a person in again."""
    user = member(user_id)
    user.active = True
    db.session.commit()
    log.info("team.activated", user=user.id, by=by.id)


def end_sessions(by: User, user_id: int) -> None:
    """End all log-ins of a person, wherever they are."""
    user = member(user_id)
    user.session_version += 1
    db.session.commit()
    log.info("team.sessions_ended", user=user.id, by=by.id)


def resend(by: User, invitation_id: int) -> Invitation:
    """Send an invitation again, with seven new days."""
    found = _waiting(invitation_id)
    found.expires_at = clock.now() + timedelta(days=INVITED_DAYS)
    db.session.commit()
    _mail_invitation(found, by)
    return found


# --- the people of one client --------------------------------------------------------------------------


def _of_client(workspace_id: int) -> sa.Select[User]:
    """The people who may open a client: its own, and the admins."""
    given = sa.select(Access.user_id).where(Access.workspace_id == workspace_id)
    return sa.select(User).where(sa.or_(User.role == "admin", User.id.in_(given)))


def page_of_client(
    workspace_id: int, after: int, limit: int, updated_since: datetime | None = None
) -> tuple[list[User], int | None]:
    """The people who may open a client, by id, and the id the next page goes on after.

    ``updated_since``: who changed or was let in since.
    """
    query = _of_client(workspace_id).where(User.id > after).order_by(User.id).limit(limit + 1)
    if updated_since is not None:
        given = sa.and_(Access.workspace_id == workspace_id, Access.created_at >= updated_since)
        query = query.where(
            sa.or_(User.updated_at >= updated_since, User.id.in_(sa.select(Access.user_id).where(given)))
        )
    rows = list(db.session.scalars(query))
    return (rows[:limit], rows[limit - 1].id) if len(rows) > limit else (rows, None)


def one_of_client(workspace_id: int, user_id: int) -> User:
    """A person who may open a client. Raises :class:`NotFound`."""
    user = db.session.scalar(_of_client(workspace_id).where(User.id == user_id))
    if user is None:
        raise NotFound(N_("There is no such person"))
    return user


def let_in(by: User, workspace_id: int, *, email: str, role: str) -> User | Invitation:
    """Let somebody into a client: a person with an account at once, anybody else by an invitation. Commits.

    ``role``: staff or client; a person with an account keeps theirs. Raises :class:`Invalid` by field and what
    :func:`invite` raises.
    """
    values = checked(email=lambda: people.email(email), role=lambda: accounts.one_of(role, ("staff", "client")))
    user = accounts.by_email(values["email"])
    if user is None:
        return invite(by, email=values["email"], role=values["role"], workspace_ids=[workspace_id])
    if user.role != "admin" and workspace_id not in access_of(user):
        db.session.add(Access(user_id=user.id, workspace_id=workspace_id))
        db.session.commit()
        log.info("team.let_in", user=user.id, by=by.id, workspace=workspace_id)
    return user


def keep_out(by: User, workspace_id: int, user_id: int) -> None:
    """Take a person's way into one client. Raises :class:`NotFound`, :class:`Conflict` for admins, who open all."""
    user = one_of_client(workspace_id, user_id)
    if user.role == "admin":
        raise Conflict(N_("Admins open all clients. Give the person another role first"))
    db.session.execute(sa.delete(Access).where(Access.user_id == user.id, Access.workspace_id == workspace_id))
    db.session.commit()
    log.info("team.kept_out", user=user.id, by=by.id, workspace=workspace_id)
