"""Bearer keys for programs: shown once, kept as a hash, bound to one client."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import ApiKey
from flowserver.services.operations.checked import checked
from flowserver.text import N_

log = structlog.get_logger()

SCOPES = ("read", "write")
_WORD = "fsk"  # so that a key is recognised in logs and by scanners for secrets


def issue(workspace_id: int, name: str, scopes: Iterable[str] = SCOPES) -> tuple[ApiKey, str]:
    """Make a key in the caller's transaction. The secret is known to nobody afterwards."""
    values = checked(name=lambda: _name(name), scopes=lambda: _scopes(scopes))
    prefix = f"{_WORD}_{secrets.token_hex(5)}"
    secret = f"{prefix}_{secrets.token_urlsafe(30)}"
    row = ApiKey(
        workspace_id=workspace_id, name=values["name"], prefix=prefix, key_hash=_hash(secret), scopes=values["scopes"]
    )
    db.session.add(row)
    return row, secret


def make(workspace_id: int, name: str, scopes: Iterable[str] = SCOPES) -> tuple[ApiKey, str]:
    """Make a key and commit: ``(row, secret)``. The secret is shown this once. Raises :class:`Invalid` by field."""
    row, secret = issue(workspace_id, name, scopes)
    db.session.commit()
    log.info("api_key.made", key=row.id, workspace=workspace_id)
    return row, secret


def check(secret: str) -> ApiKey | None:
    """The key this secret belongs to, with its use noted to the minute; ``None`` for unknown and revoked ones."""
    prefix = secret[: len(_WORD) + 11]
    with extensions.every_workspace():
        row = db.session.scalar(sa.select(ApiKey).where(ApiKey.prefix == prefix))
        good = hmac.compare_digest(row.key_hash if row else _hash(""), _hash(secret))
        if row is None or not good or row.revoked_at:
            return None
        if row.last_used_at is None or clock.now() - row.last_used_at > timedelta(minutes=1):
            _note_use(row)
        return row


def _note_use(row: ApiKey) -> None:
    """In a transaction of its own that may write, even where the request itself only reads."""
    reading = extensions.is_read_only()
    db.session.rollback()
    extensions.read_only(False)
    try:
        db.session.execute(sa.update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=clock.now()))
        db.session.commit()
    finally:
        extensions.read_only(reading)


def keys() -> list[ApiKey]:
    """The keys of the present client that still work, newest first."""
    query = sa.select(ApiKey).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.id.desc())
    return list(db.session.scalars(query))


def revoke(key_id: int) -> ApiKey:
    """Make a key of the present client useless from now on."""
    row = db.session.scalar(sa.select(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)))
    if row is None:
        raise NotFound(str(key_id))
    row.revoked_at = clock.now()
    db.session.commit()
    log.info("api_key.revoked", key=row.id)
    return row


def _name(name: str) -> str:
    if not people.clean(name):
        raise Invalid(N_("Enter a name, for example the program that will use the key"))
    return people.name(name)


def _scopes(scopes: Iterable[str]) -> list[str]:
    wanted = [scope for scope in SCOPES if scope in set(scopes)]
    if not wanted or set(scopes) - set(SCOPES):
        raise Invalid(N_("Choose what the key may do"))
    return wanted


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
