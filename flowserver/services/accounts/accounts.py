"""Who may do what, where: users, their log-ins and passwords, and the way from a user to the clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa
import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from itsdangerous import BadSignature, URLSafeTimedSerializer

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound, ProviderError
from flowserver.extensions import db
from flowserver.models import Access, Agency, Alert, User, Workspace
from flowserver.services.messages import console_mail
from flowserver.services.operations.checked import checked
from flowserver.text import N_, Text

log = structlog.get_logger()

ROLES = ("admin", "staff", "client")
LOCALES = ("en", "it", "pl")
THEMES = ("", "light", "dark")
PASSWORD_LENGTH = 10  # characters, at least
PASSWORD_MOST = 200
RESET_SECONDS = 3600


# --- whose clients -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """What stands round every console page."""

    agency: str
    workspaces: list[Workspace]  # those the person may open, by name
    alerts: int  # open alerts in them


def frame(user: User) -> Frame:
    """Agency name, the person's clients and how many alerts are open there."""
    found = agency()
    return Frame(found.name if found else "flowserver", workspaces(user), open_alerts(user))


def agency() -> Agency | None:
    """The agency this installation belongs to; ``None`` before the first run."""
    return db.session.scalar(sa.select(Agency).limit(1))


def open_alerts(user: User) -> int:
    """How many alerts wait for somebody, in the clients this person may open."""
    query = sa.select(sa.func.count(Alert.id)).where(Alert.resolved_at.is_(None))
    with extensions.every_workspace():
        return db.session.scalar(query.where(Alert.workspace_id.in_(visible(user)))) or 0


def home_zone() -> str:
    """The time zone of pages that belong to no client: the agency's own, UTC until it has one."""
    found = agency()
    return str(found.settings.get("time_zone", "UTC")) if found else "UTC"


def visible(user: User) -> sa.Select[int]:
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


def by_slug(slug: str) -> Workspace:
    """The client behind ``slug``, for commands on the server itself. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Workspace).where(Workspace.slug == slug, Workspace.archived_at.is_(None)))
    if found is None:
        raise NotFound(Text("There is no client “%(name)s”", name=slug))
    return found


def enter(slug: str, user: User) -> Workspace:
    """Open a client for the rest of the request: ORM queries see its rows only. Strangers get :class:`NotFound`."""
    workspace = open_workspace(user, slug)
    extensions.enter_workspace(workspace.id)
    return workspace


# --- users ---------------------------------------------------------------------------------------------


def get_user(user_id: int) -> User | None:
    """The active user with this id."""
    user = db.session.get(User, user_id)
    return user if user and user.active else None


def by_session(value: str) -> User | None:
    """The user a session cookie names, ``<id>:<session_version>``; nobody once the version was raised."""
    number, _colon, version = value.partition(":")
    if not (number.isdecimal() and version.isdecimal()):
        return None
    user = get_user(int(number))
    return user if user and user.session_version == int(version) else None


def by_email(email: str) -> User | None:
    """The user with this address, active or not, however it is written."""
    return db.session.scalar(sa.select(User).where(User.email == email.strip().lower()))


@contextmanager
def reading() -> Iterator[None]:
    """Within the block the database is only read, so that slow work (a hash, a mail) keeps nobody from writing.

    Begins and ends its own transaction: nothing may be pending in the session.
    """
    before = extensions.is_read_only()
    db.session.rollback()
    extensions.read_only(True)
    try:
        yield
    finally:
        db.session.rollback()
        extensions.read_only(before)


# --- passwords -----------------------------------------------------------------------------------------


@cache
def hasher() -> PasswordHasher:
    """Argon2id with the library's present advice."""
    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash no password fits, so that an unknown address takes as long as a wrong password."""
    return hasher().hash("nobody has this password")


def new_password(password: str, email: str = "") -> str:
    """The hash of a new password. Raises :class:`Invalid` for one that is too short, too long or the address itself."""
    if len(password) < PASSWORD_LENGTH:
        raise Invalid(Text("Use at least %(least)s characters for the password", least=PASSWORD_LENGTH))
    if len(password) > PASSWORD_MOST:
        raise Invalid(Text("Use at most %(most)s characters for the password", most=PASSWORD_MOST))
    if email and password.strip().lower() == email.strip().lower():
        raise Invalid(N_("Choose a password that is not your e-mail address"))
    return hasher().hash(password)


def fits(user: User | None, password: str) -> bool:
    """Whether the password is this user's. Takes the same time for nobody."""
    kept = user.password_hash if user and user.active and user.password_hash else _nobody()
    try:
        hasher().verify(kept, password[: PASSWORD_MOST + 1])
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return kept != _nobody()


def log_in(email: str, password: str) -> User:
    """The user these belong to, with the log-in noted. Raises :class:`Invalid`, always with the same words."""
    with reading():
        user = by_email(email)
        good = fits(user, password)
        renewed = hasher().hash(password) if good and user and hasher().check_needs_rehash(user.password_hash) else ""
    if not good or user is None:
        log.info("login.refused", user=user.id if user else None)
        raise Invalid({"password": [N_("E-mail address and password do not match")]})
    user.password_hash = renewed or user.password_hash
    user.last_login_at = clock.now()
    db.session.commit()
    log.info("login.done", user=user.id)
    return user


def _keep_password(user: User, hashed: str) -> None:
    """Keep a new password and end every log-in made with the old one. Commits."""
    user.password_hash = hashed
    user.session_version += 1
    db.session.commit()


def change_password(user: User, old: str, new: str) -> None:
    """Change one's own password; the old one must fit. All other log-ins end."""
    with reading():
        if not fits(user, old):
            raise Invalid({"old": [N_("This is not your present password")]})
        hashed = checked(new=lambda: new_password(new, user.email))["new"]
    _keep_password(user, hashed)


def change_profile(user: User, *, name: str, locale: str, theme: str) -> None:
    """Change one's own name, language (``en``, ``it``, ``pl``) and theme (empty: as the system is)."""
    values = checked(
        name=lambda: people.name(name),
        locale=lambda: one_of(locale, LOCALES),
        theme=lambda: one_of(theme, THEMES),
    )
    user.name, user.locale, user.theme = values["name"], values["locale"], values["theme"]
    db.session.commit()


def change_theme(user: User, theme: str) -> None:
    """Remember light or dark, or follow the system (empty)."""
    user.theme = one_of(theme, THEMES)
    db.session.commit()


def one_of(value: str, allowed: Sequence[str]) -> str:
    """``value`` if it is allowed. Raises :class:`Invalid`."""
    if value not in allowed:
        raise Invalid(N_("Choose one of the options"))
    return value


def time_zone(name: str) -> str:
    """The name of a time zone that exists. Raises :class:`Invalid`."""
    if name not in time_zones():
        raise Invalid(N_("Choose a time zone from the list, for example Europe/Rome"))
    return name


@cache
def time_zones() -> tuple[str, ...]:
    """The names of all time zones that may be set: places, and UTC."""
    places = {
        name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/", "right/"))
    }
    return ("UTC", *sorted(places))


@cache
def offered_time_zones() -> tuple[str, ...]:
    """Those people choose from: UTC, and each place once under its present name, as ``zone.tab`` of tzdata lists them."""
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    listed = {line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#")}
    return tuple(name for name in time_zones() if name in listed or name == "UTC")


# --- signed links --------------------------------------------------------------------------------------


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Signs tokens that are good for one purpose only. Old keys still open what they signed."""
    keys = [*(current_app.config.get("SECRET_KEY_FALLBACKS") or []), current_app.config["SECRET_KEY"]]
    return URLSafeTimedSerializer(keys, salt=f"flowserver:{purpose}")


def address(path: str) -> str:
    """The full address of a path, as people reach us; never taken from what a request claims."""
    return str(current_app.extensions["config"].url) + path


def opened(purpose: str, token: str, seconds: int) -> Any:
    """What a signed token holds; ``None`` when it is forged, of another purpose or older than ``seconds``."""
    try:
        return signer(purpose).loads(token, max_age=seconds)
    except BadSignature:
        return None


# --- forgotten passwords -------------------------------------------------------------------------------


def _state(user: User) -> str:
    """Changes with the password and with every ended log-in, so that a used link is dead."""
    return sha256(f"{user.password_hash}:{user.session_version}".encode()).hexdigest()[:16]


def ask_reset(email: str) -> None:
    """Mail a link to set a new password, good for one hour. Says nothing about whether the address is known."""
    with reading():
        user = by_email(email)
        if user is not None and user.active:
            _mail_reset(user)


def _mail_reset(user: User) -> None:
    link = address("/reset/" + signer("reset").dumps([user.id, _state(user)]))
    with force_locale(user.locale):
        subject = _("Set a new password")
        text = _(
            "Hello,\n\nsomebody asked for a new password for your flowserver account. "
            "Open this address within one hour to set one:\n\n%(link)s\n\n"
            "If it was not you, do nothing: your password stays as it is.\n",
            link=link,
        )
    try:
        console_mail.send(user.email, subject, text)
    except ProviderError as error:  # the answer must not tell a known address from an unknown one
        log.error("reset.not_sent", user=user.id, why=type(error).__name__)


def reset_user(token: str) -> User:
    """The user a reset link belongs to. Raises :class:`NotFound` once it is used, old or forged."""
    found = opened("reset", token, RESET_SECONDS)
    user = get_user(found[0]) if isinstance(found, list) and len(found) == 2 else None
    if user is None or _state(user) != found[1]:
        raise NotFound(N_("This link was used already or is older than one hour. Ask for a new one."))
    return user


def reset(token: str, password: str) -> User:
    """Set the new password of a reset link; the link and all log-ins end with it."""
    with reading():
        email = reset_user(token).email
        hashed = checked(password=lambda: new_password(password, email))["password"]
    user = reset_user(token)  # asked again: somebody may have used the link meanwhile
    _keep_password(user, hashed)
    return user
