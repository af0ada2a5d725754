"""Bearer keys of the agency's own programs: they act for the client they name, and what they did is kept for a year."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import AgencyKey, AgencyKeyUse, User, Workspace
from flowserver.services.accounts import api_keys
from flowserver.text import N_

log = structlog.get_logger()

WORD = "fsa"
KEPT = timedelta(days=365)


@dataclass(frozen=True)
class Use:
    """Something an agency key asked of a client."""

    at: datetime
    key: str
    client: str
    method: str
    path: str


def make(name: str, scopes: Iterable[str] = api_keys.EVERYTHING, by: User | None = None) -> tuple[AgencyKey, str]:
    """Make a key and commit: ``(row, secret)``. The secret is shown this once. Raises :class:`Invalid` by field."""
    values, secret = api_keys.fresh(WORD, name, scopes)
    row = AgencyKey(**values, made_by=by.id if by else None)
    db.session.add(row)
    db.session.commit()
    log.info("agency_key.made", key=row.id, by=row.made_by)
    return row, secret


def is_one(secret: str) -> bool:
    """Whether this looks like a key of the agency."""
    return secret.startswith(WORD + "_")


def check(secret: str) -> AgencyKey | None:
    """The agency key this secret belongs to; ``None`` for unknown and revoked ones."""
    row: AgencyKey | None = api_keys.known(AgencyKey, secret)
    return row


def note(key: AgencyKey, workspace_id: int | None, method: str, path: str) -> None:
    """Write down that a key is about to do this: each write, and reads of one client once a minute. Commits."""
    now = clock.now()
    notes: list[sa.Update | sa.Insert] = []
    if api_keys.stale(key.last_used_at):
        notes.append(sa.update(AgencyKey).where(AgencyKey.id == key.id).values(last_used_at=now))
    if workspace_id and (method not in ("GET", "HEAD", "OPTIONS") or _silent(key.id, workspace_id, now)):
        use = {"key_id": key.id, "workspace_id": workspace_id, "method": method, "path": path[:300]}
        notes.append(sa.insert(AgencyKeyUse.__table__).values(**use, created_at=now))
    if notes:
        api_keys.note(*notes)


def _silent(key_id: int, workspace_id: int, now: datetime) -> bool:
    """Whether nothing of this key is noted at this client within the last minute."""
    use = AgencyKeyUse.__table__.c
    lately = sa.select(use.id).where(
        use.key_id == key_id, use.workspace_id == workspace_id, use.created_at > now - timedelta(minutes=1)
    )
    return db.session.connection().scalar(lately.limit(1)) is None


def keys() -> list[AgencyKey]:
    """The keys that still work, newest first."""
    query = sa.select(AgencyKey).where(AgencyKey.revoked_at.is_(None)).order_by(AgencyKey.id.desc())
    return list(db.session.scalars(query))


def uses(limit: int = 50) -> list[Use]:
    """What agency keys did last, of all clients, newest first."""
    query = (
        sa.select(
            AgencyKeyUse.created_at.label("at"),
            AgencyKey.name.label("key"),
            Workspace.name.label("client"),
            AgencyKeyUse.method,
            AgencyKeyUse.path,
        )
        .join(AgencyKey, AgencyKey.id == AgencyKeyUse.key_id)
        .join(Workspace, Workspace.id == AgencyKeyUse.workspace_id)
        .order_by(AgencyKeyUse.id.desc())
        .limit(limit)
    )
    with extensions.every_workspace():
        return [Use(*row) for row in db.session.execute(query)]


def revoke(key_id: int) -> AgencyKey:
    """Make a key useless from now on. Raises :class:`NotFound`."""
    row = db.session.scalar(sa.select(AgencyKey).where(AgencyKey.id == key_id, AgencyKey.revoked_at.is_(None)))
    if row is None:
        raise NotFound(N_("There is no such key"))
    row.revoked_at = clock.now()
    db.session.commit()
    log.info("agency_key.revoked", key=row.id)
    return row


def maker(key_id: int) -> User | None:
    """In whose name a key invites people: who made it, or else the first admin; ``None`` when both are gone."""
    made = sa.select(AgencyKey.made_by).where(AgencyKey.id == key_id).scalar_subquery()
    admin = sa.select(User).where(User.active, User.role == "admin")
    return db.session.scalar(admin.where(User.id == made)) or db.session.scalar(admin.order_by(User.id).limit(1))


def expire(now: datetime, chunk: int = 1000) -> None:
    """Forget what was done more than a year ago, chunk by chunk. The clock calls this."""
    use = AgencyKeyUse.__table__
    while ids := list(
        db.session.connection().scalars(sa.select(use.c.id).where(use.c.created_at < now - KEPT).limit(chunk))
    ):
        db.session.execute(sa.delete(use).where(use.c.id.in_(ids)))
        db.session.commit()
