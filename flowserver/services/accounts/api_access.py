"""Programs at the door: whose key is this, what may it do, and from then on only one client's rows are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flowserver import extensions
from flowserver.domain import scopes
from flowserver.errors import Forbidden
from flowserver.extensions import db
from flowserver.models import (
    Contact,
    ContactList,
    ConversionRule,
    Field,
    Flow,
    Form,
    Monitor,
    Programme,
    Reward,
    ScoreRule,
    Segment,
    Tag,
    Workspace,
)
from flowserver.services.accounts import agency_keys, api_keys
from flowserver.text import N_, Text

_TABLES: dict[str, Any] = {
    "monitor": Monitor,
    "conversion_rule": ConversionRule,
    "contact": Contact,
    "list": ContactList,
    "tag": Tag,
    "field": Field,
    "form": Form,
    "flow": Flow,
    "segment": Segment,
    "score_rule": ScoreRule,
    "programme": Programme,
    "reward": Reward,
}


@dataclass(frozen=True)
class Call:
    """What a request asks for: method and path, the client it names (``""``: none), and what kind of door it is at.

    ``writes`` says which kind of transaction follows. ``anywhere``: an agency key need not name a client.
    """

    method: str = "GET"
    path: str = ""
    client: str = ""
    writes: bool = False
    anywhere: bool = False


@dataclass(frozen=True)
class Caller:
    """A program that showed a good key. ``workspace_id`` 0: an agency key that named no client."""

    key_id: int
    key_name: str
    workspace_id: int
    scopes: frozenset[str]
    agency: bool = False

    def may(self, part: str, verb: str) -> bool:
        """Whether the key may do this, see :mod:`flowserver.domain.scopes`."""
        return scopes.may(self.scopes, part, verb)


def enter(secret: str, call: Call) -> Caller | None:
    """Open a client for the rest of the request; ``None`` when the key opens nothing.

    That is the key's own, or for a key of the agency the one that the call names. Raises :class:`Forbidden` for one
    that the key cannot act for. The look-up only reads, so that a request waits for the database's writer no sooner
    than it must.
    """
    extensions.read_only(True)
    try:
        caller = _agency(secret, call) if agency_keys.is_one(secret) else _client(secret, call)
        db.session.rollback()
    finally:
        extensions.read_only(not call.writes)
    if caller and caller.workspace_id:
        extensions.enter_workspace(caller.workspace_id)
    return caller


def _client(secret: str, call: Call) -> Caller | None:
    key = api_keys.check(secret)
    open_ = sa.select(Workspace.slug).where(Workspace.archived_at.is_(None))
    slug = db.session.scalar(open_.where(Workspace.id == key.workspace_id)) if key else None
    if key is None or slug is None:
        return None
    if call.client and call.client != slug:  # said in the same words whether there is such a client or not
        raise Forbidden(N_("This key belongs to another client. Leave out the header Flowserver-Client"))
    return Caller(key.id, key.name, key.workspace_id, frozenset(key.scopes))


def _agency(secret: str, call: Call) -> Caller | None:
    key = agency_keys.check(secret)
    if key is None:
        return None
    workspace_id = _named(call)
    caller = Caller(key.id, key.name, workspace_id, frozenset(key.scopes), agency=True)
    agency_keys.note(key, workspace_id, call.method, call.path)
    return caller


def _named(call: Call) -> int:
    """The client a call names; 0 for none where it need not. Raises :class:`Forbidden`."""
    if not call.client:
        if call.anywhere:
            return 0
        raise Forbidden(N_("Name the client this key shall act for in the header Flowserver-Client"))
    open_ = sa.select(Workspace.id).where(Workspace.slug == call.client, Workspace.archived_at.is_(None))
    found = db.session.scalar(open_)
    if found is None:
        raise Forbidden(Text("There is no client “%(name)s” this key could act for", name=call.client[:60]))
    return found


def hold(kind: str, id: int) -> None:
    """Keep others from changing this object until the present transaction ends, so that it can be compared first."""
    table = _TABLES.get(kind) or _by_name(kind)
    db.session.execute(sa.select(table.id).where(table.id == id).with_for_update())


def _by_name(kind: str) -> Any:
    """The class of the table of this name."""
    return next(one.class_ for one in extensions.Base.registry.mappers if one.class_.__tablename__ == kind)


def clients(caller: Caller, after: int, limit: int) -> tuple[list[Any], int | None]:
    """The clients a key may act for, by id: all that are not put away, or its own. Like :mod:`browse`'s pages."""
    columns = (Workspace.id, Workspace.slug, Workspace.name, Workspace.time_zone, Workspace.locale)
    query = sa.select(*columns).where(Workspace.archived_at.is_(None), Workspace.id > after).order_by(Workspace.id)
    if not caller.agency:
        query = query.where(Workspace.id == caller.workspace_id)
    rows = list(db.session.execute(query.limit(limit + 1)))
    return (rows[:limit], rows[limit - 1].id) if len(rows) > limit else (rows, None)


def roll_back() -> None:
    """Give up what the request did not commit."""
    db.session.rollback()
