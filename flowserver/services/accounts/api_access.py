"""Programs at the door: whose key is this, what may it do, and from then on only its client's rows are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flowserver import extensions
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Flow, Form, Workspace
from flowserver.services.accounts import api_keys

_TABLES: dict[str, Any] = {"contact": Contact, "list": ContactList, "form": Form, "flow": Flow}


@dataclass(frozen=True)
class Caller:
    """A program that showed a good key."""

    key_id: int
    key_name: str
    workspace_id: int
    scopes: frozenset[str]


def enter(secret: str, writes: bool) -> Caller | None:
    """Open the key's client for the rest of the request; ``None`` when the key opens nothing.

    The look-up only reads, so that a request waits for the database's writer no sooner than it must; ``writes``
    says which kind of transaction follows.
    """
    extensions.read_only(True)
    try:
        key = api_keys.check(secret)
        caller = _caller(key) if key else None
        db.session.rollback()
    finally:
        extensions.read_only(not writes)
    if caller:
        extensions.enter_workspace(caller.workspace_id)
    return caller


def _caller(key: Any) -> Caller | None:
    open_ = sa.select(Workspace.id).where(Workspace.id == key.workspace_id, Workspace.archived_at.is_(None))
    if db.session.scalar(open_) is None:
        return None
    return Caller(key.id, key.name, key.workspace_id, frozenset(key.scopes))


def hold(kind: str, id: int) -> None:
    """Keep others from changing this object until the present transaction ends, so that it can be compared first."""
    table = _TABLES[kind]
    db.session.execute(sa.select(table.id).where(table.id == id).with_for_update())


def roll_back() -> None:
    """Give up what the request did not commit."""
    db.session.rollback()
