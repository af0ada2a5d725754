"""Bearer keys for programs: shown once, kept as a hash, bound to one client."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions
from flowserver.domain import people, scopes
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import ApiKey
from flowserver.services.operations.checked import checked
from flowserver.text import N_

log = structlog.get_logger()

EVERYTHING = ("read", "write")
_WORD = "fsk"  # so that a key is recognised in logs and by scanners for secrets


def issue(workspace_id: int, name: str, scopes: Iterable[str] = EVERYTHING) -> tuple[ApiKey, str]:
    """Make a key in the caller's transaction. The secret is known to nobody afterwards."""
    values, secret = fresh(_WORD, name, scopes)
    row = ApiKey(workspace_id=workspace_id, **values)
    db.session.add(row)
    return row, secret


def make(workspace_id: int, name: str, scopes: Iterable[str] = EVERYTHING) -> tuple[ApiKey, str]:
    """Make a key and commit: ``(row, secret)``. The secret is shown this once. Raises :class:`Invalid` by field.

    ``scopes``: see :mod:`flowserver.domain.scopes`.
    """
    row, secret = issue(workspace_id, name, scopes)
    db.session.commit()
    log.info("api_key.made", key=row.id, workspace=workspace_id)
    return row, secret


def fresh(word: str, name: str, scopes: Iterable[str]) -> tuple[dict[str, Any], str]:
    """The columns of a new key, and its secret: ``<word>_<prefix>_<rest>``. Raises :class:`Invalid` by field."""
    values = checked(name=lambda: _name(name), scopes=lambda: _scopes(scopes))
    prefix = f"{word}_{secrets.token_hex(5)}"
    secret = f"{prefix}_{secrets.token_urlsafe(30)}"
    return {**values, "prefix": prefix, "key_hash": _hash(secret)}, secret


def check(secret: str) -> ApiKey | None:
    """The key this secret belongs to, with its use noted to the minute; ``None`` for unknown and revoked ones."""
    with extensions.every_workspace():
        row: ApiKey | None = known(ApiKey, secret)
        if row is not None and stale(row.last_used_at):
            _note_use(row)
        return row


def known(table: Any, secret: str) -> Any:
    """The row of a table of keys that this secret belongs to; ``None`` for unknown and revoked ones."""
    row = db.session.scalar(sa.select(table).where(table.prefix == secret[: len(_WORD) + 11]))
    good = hmac.compare_digest(row.key_hash if row else _hash(""), _hash(secret))
    return row if row is not None and good and not row.revoked_at else None


def stale(moment: Any) -> bool:
    """Whether a use noted then is more than a minute old (``None``: there was none), so that the next is noted."""
    return moment is None or clock.now() - moment > timedelta(minutes=1)


def _note_use(row: ApiKey) -> None:
    """In a transaction of its own that may write, even where the request itself only reads."""
    note(sa.update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=clock.now()))


def note(*statements: Any) -> None:
    """Write something small down while a request is at the door, in a transaction of its own. Commits."""
    reading = extensions.is_read_only()
    db.session.rollback()
    extensions.read_only(False)
    try:
        for statement in statements:
            db.session.execute(statement)
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
        raise NotFound(N_("There is no such key"))
    row.revoked_at = clock.now()
    db.session.commit()
    log.info("api_key.revoked", key=row.id)
    return row


def _name(name: str) -> str:
    if not people.clean(name):
        raise Invalid(N_("Enter a name, for example the program that will use the key"))
    return people.name(name)


def _scopes(wanted: Iterable[str]) -> list[str]:
    chosen = set(wanted)
    if not chosen or chosen - set(scopes.SCOPES):
        raise Invalid(N_("Choose what the key may do"))
    return scopes.ordered(chosen)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
