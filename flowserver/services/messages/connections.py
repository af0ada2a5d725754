"""The ways a client's messages go out: providers with their settings, secrets encrypted at rest."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app

from flowserver import clock, jobqueue
from flowserver.config import Config
from flowserver.domain.tokens import Signer
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Connection, Message
from flowserver.providers.base import EmailProvider, Provider, SmsProvider
from flowserver.registry import discover
from flowserver.services.engine import flow_state
from flowserver.text import N_

CHANNELS = ("email", "sms")
MASK = "********"
_SEALED = "sealed:"
_BASES: dict[str, tuple[str, type[Provider]]] = {
    "email": ("flowserver.providers.email", EmailProvider),
    "sms": ("flowserver.providers.sms", SmsProvider),
}


# --- providers ---------------------------------------------------------------------------------------------


def providers(channel: str) -> dict[str, type[Provider]]:
    """``{name: class}`` of what can carry messages of a channel."""
    package, base = _BASES[channel]
    return discover(package, base, "flowserver.providers")  # type: ignore[arg-type]


def provider_class(channel: str, name: str) -> type[Provider]:
    """The class of a provider. Raises :class:`Invalid` for one that does not exist."""
    found = providers(channel).get(name) if channel in _BASES else None
    if found is None:
        raise Invalid({"provider": [N_("Choose a provider from the list")]})
    return found


def provider(row: Any) -> Provider:
    """The provider of a connection (a row with ``channel``, ``provider``, ``settings``), secrets opened."""
    cls = provider_class(row.channel, row.provider)
    return cls(opened(cls, row.settings or {}), _config())


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# --- secrets -----------------------------------------------------------------------------------------------


def _box() -> MultiFernet:
    config = _config()
    return _made_box((config.secret_key, *config.old_secret_keys))


@lru_cache(4)
def _made_box(keys: tuple[str, ...]) -> MultiFernet:
    digests = (hashlib.sha256(b"flowserver:connection:" + key.encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def signer() -> Signer:
    """What signs our public links; keys of before still open theirs."""
    config = _config()
    return _made_signer((config.secret_key, *config.old_secret_keys))


@lru_cache(4)
def _made_signer(keys: tuple[str, ...]) -> Signer:
    return Signer(keys)


def sealed(cls: type[Provider], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings fit for the database: what is secret is encrypted."""
    box, secret = _box(), cls.secrets()
    return {
        name: _SEALED + box.encrypt(str(value).encode()).decode() if name in secret and value else value
        for name, value in settings.items()
    }


def opened(cls: type[Provider], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings with their secrets readable. One that no key opens is empty: the page asks for it again."""
    return {name: _open(value) for name, value in settings.items()}


def _open(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(_SEALED):
        return value
    try:
        return _box().decrypt(value.removeprefix(_SEALED).encode()).decode()
    except InvalidToken:
        return ""


def masked(row: Connection) -> dict[str, Any]:
    """Settings for a form: a secret that is set shows as stars."""
    secret = provider_class(row.channel, row.provider).secrets()
    return {name: MASK if name in secret and value else value for name, value in (row.settings or {}).items()}


# --- a client's connections --------------------------------------------------------------------------------


def listing() -> list[Connection]:
    """The connections of the present client, e-mail first, the default one of each channel first."""
    query = sa.select(Connection).order_by(Connection.channel, Connection.is_default.desc(), Connection.id)
    return list(db.session.scalars(query))


def get(connection_id: int) -> Connection:
    """A connection of the present client. Raises :class:`NotFound`."""
    row = db.session.scalar(sa.select(Connection).where(Connection.id == connection_id))
    if row is None:
        raise NotFound(N_("This connection does not exist"))
    return row


def hook_address(row: Connection) -> str:
    """Where the provider of a connection sends its reports to."""
    return f"{_config().url}/hooks/{row.provider}/{row.hook_token}"


def default(channel: str) -> Connection | None:
    """The connection that new messages of a channel go through."""
    query = sa.select(Connection).where(Connection.channel == channel, Connection.is_default).order_by(Connection.id)
    return db.session.scalars(query.limit(1)).first()


def stays_here(channel: str) -> bool:
    """Whether new messages of a channel go to the test mailbox or the test phone of this machine and reach nobody."""
    row = default(channel)
    if row is None:
        return False
    if channel == "sms":
        return row.provider == "pretend"
    return row.provider == "smtp" and not row.settings and not _config().mail_server


def make(
    channel: str,
    provider: str,
    name: str,
    settings: Mapping[str, Any],
    *,
    workspace_id: int | None = None,
    is_default: bool = False,
) -> Connection:
    """A new connection row with checked, sealed settings, in the caller's transaction. Raises :class:`Invalid`."""
    cls = provider_class(channel, provider)
    row = Connection(
        workspace_id=workspace_id or current_workspace(),
        channel=channel,
        provider=provider,
        name=_name(name, cls),
        settings=sealed(cls, cls.load(settings)),
        hook_token=secrets.token_urlsafe(24),
        is_default=is_default or default(channel) is None,
    )
    db.session.add(row)
    db.session.flush()
    return row


def _name(name: str, cls: type[Provider]) -> str:
    found = " ".join(name.split()) or str(cls.title)
    if len(found) > 120:
        raise Invalid({"name": [N_("The name can have 120 characters at most")]})
    return found


def save(
    connection_id: int,
    settings: Mapping[str, Any],
    *,
    name: str | None = None,
    per_minute: int | None = None,
    try_out: bool = True,
) -> Connection:
    """Change a connection's settings. A secret given as stars keeps what it was; ``per_minute`` ``None``: no limit.

    ``try_out`` opens a line with the new settings first: raises :class:`~flowserver.errors.ProviderAuthFailed` or
    :class:`~flowserver.errors.ProviderUnavailable` when that fails, :class:`Invalid` for settings that break a rule.
    A connection that was paused because of its credentials goes on.
    """
    row = get(connection_id)
    cls = provider_class(row.channel, row.provider)
    before = opened(cls, row.settings or {})
    given = {
        key: before.get(key, "") if key in cls.secrets() and value == MASK else value for key, value in settings.items()
    }
    checked = cls.load(given)
    _check_rate(per_minute)
    if try_out:
        _try_out(cls, checked)
        row = get(connection_id)
    row.settings = sealed(cls, checked)
    row.name = _name(name, cls) if name is not None else row.name
    row.per_minute = per_minute
    _go_on(row)
    db.session.commit()
    return row


def add(
    channel: str,
    provider: str,
    settings: Mapping[str, Any],
    *,
    name: str = "",
    per_minute: int | None = None,
    try_out: bool = True,
) -> Connection:
    """A new connection of the present client; tried first and refused as in :func:`save`. Commits."""
    cls = provider_class(channel, provider)
    checked = cls.load(settings)
    _check_rate(per_minute)
    if try_out:
        _try_out(cls, checked)
    row = make(channel, provider, name, checked)
    row.per_minute = per_minute
    db.session.commit()
    return row


def _check_rate(per_minute: int | None) -> None:
    if per_minute is not None and not 1 <= per_minute <= 1_000_000:
        raise Invalid({"per_minute": [N_("Enter a number from 1 to 1,000,000, or nothing")]})


def _try_out(cls: type[Provider], settings: Mapping[str, Any]) -> None:
    """Open a line; the other side may take long to answer, so the database is let go of meanwhile."""
    db.session.rollback()
    cls(settings, _config()).check()


def make_default(connection_id: int) -> None:
    """Send new messages of this channel through this connection."""
    row = get(connection_id)
    db.session.execute(
        sa.update(Connection).where(Connection.channel == row.channel).values(is_default=Connection.id == row.id)
    )
    db.session.commit()


def remove(connection_id: int) -> None:
    """Delete a connection. Raises :class:`Conflict` for the default one and while messages wait for it."""
    row = get(connection_id)
    if row.is_default:
        raise Conflict(N_("New messages go through this connection. Choose another one first"))
    if waiting([row.id]):
        raise Conflict(N_("Messages wait for this connection. Let them leave first"))
    db.session.delete(row)
    db.session.commit()


def waiting(ids: Sequence[int]) -> int:
    """How many messages wait for these connections."""
    m = Message.__table__.c
    query = sa.select(sa.func.count()).where(m.connection_id.in_(ids), m.state.in_(("planned", "claimed")))
    return db.session.connection().scalar(query) or 0


def pause(connection_id: int, reason: str = "") -> None:
    """Send nothing through this connection until it is resumed; messages wait."""
    row = get(connection_id)
    row.paused_at, row.paused_reason = row.paused_at or clock.now(), reason[:300]
    db.session.commit()


def resume(connection_id: int) -> None:
    """Send again, at once."""
    row = get(connection_id)
    _go_on(row)
    db.session.commit()


def _go_on(row: Connection) -> None:
    row.paused_at, row.paused_reason = None, ""
    row.down_since = row.retry_at = None
    row.down_told = False
    flow_state.resolve_alerts(row.workspace_id, f"connection:{row.id}")
    jobqueue.wake_after_commit(db.session, "deliver", row.id)


def check(connection_id: int) -> None:
    """Try a connection as it is set up. Raises :class:`~flowserver.errors.ProviderError` or one of its kinds."""
    found = provider(get(connection_id))
    db.session.rollback()  # the other side may take long to answer
    found.check()
