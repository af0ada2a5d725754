"""Clients of the agency: making one, with everything it needs to send its first message."""

from __future__ import annotations

import re
import secrets
import unicodedata
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver.domain import people
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Access, Connection, ContactList, User, Workspace
from flowserver.services.accounts import accounts
from flowserver.services.operations.checked import checked
from flowserver.text import N_, Text

log = structlog.get_logger()

DEFAULT_CONNECTIONS = (("email", "smtp", N_("E-mail")), ("sms", "pretend", N_("SMS")))
FIRST_LIST = "Newsletter"


def add(by: User, **answers: str) -> Workspace:
    """Make a client from what a person typed (see :func:`check`) and let that person in. Commits."""
    workspace = make(check(**answers))
    if by.role != "admin":
        db.session.add(Access(user_id=by.id, workspace_id=workspace.id))
    db.session.commit()
    log.info("client.added", workspace=workspace.id, by=by.id)
    return workspace


def check(
    *, name: str, time_zone: str, country: str = "", sender_name: str = "", sender_email: str = ""
) -> dict[str, Any]:
    """The answers about a new client, made uniform. Raises :class:`Invalid` by field."""
    return checked(
        name=lambda: free_name(name),
        time_zone=lambda: accounts.time_zone(time_zone),
        country=lambda: country_code(country),
        sender_name=lambda: people.name(sender_name),
        sender_email=lambda: people.email(sender_email) if sender_email.strip() else "",
    )


def make(values: dict[str, Any]) -> Workspace:
    """The rows of a new client, in the caller's transaction: the client, its ways to send, a first list."""
    name = values["name"]
    workspace = Workspace(**{**values, "sender_name": values.get("sender_name") or name}, slug=_slug(name), settings={})
    db.session.add(workspace)
    db.session.flush()
    for channel, provider, title in DEFAULT_CONNECTIONS:
        db.session.add(
            Connection(
                workspace_id=workspace.id,
                channel=channel,
                provider=provider,
                name=str(title),
                settings={},
                hook_token=secrets.token_urlsafe(24),
            )
        )
    db.session.add(ContactList(workspace_id=workspace.id, name=FIRST_LIST, public=True))
    return workspace


def free_name(name: str, but: int | None = None) -> str:
    """A client's name nobody else has; ``but`` is the id of the client that may keep it."""
    found = people.name(name)
    if not found:
        raise Invalid(N_("Enter the client’s name"))
    taken = db.session.scalar(sa.select(Workspace.id).where(sa.func.lower(Workspace.name) == found.lower()))
    if taken is not None and taken != but:
        raise Invalid(Text("There is a client called %(name)s already", name=found))
    return found


def country_code(country: str) -> str:
    """A country's two letters, or nothing. Raises :class:`Invalid`."""
    code = country.strip().upper()
    if code and code not in people.countries():
        raise Invalid(N_("Choose a country from the list"))
    return code


_LETTERS = str.maketrans({"ł": "l", "ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "œ": "oe", "ı": "i"})


def slug_of(name: str) -> str:
    """``Kino Pod Lipą`` → ``kino-pod-lipa``: what stands in the addresses of a client."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-") or "client"


def _slug(name: str) -> str:
    """A slug nobody has: ``lume``, ``lume-2`` …"""
    root = slug_of(name)
    taken = set(db.session.scalars(sa.select(Workspace.slug).where(Workspace.slug.startswith(root, autoescape=True))))
    if root not in taken:
        return root
    return next(f"{root}-{number}" for number in range(2, len(taken) + 3) if f"{root}-{number}" not in taken)
