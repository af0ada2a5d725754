"""The first run: from an empty database to an agency with a client, a user and ways to send."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from flask import current_app
from sqlalchemy.exc import IntegrityError

from flowserver import jobqueue
from flowserver.domain import people
from flowserver.errors import Conflict, Invalid
from flowserver.extensions import db
from flowserver.models import Agency, Contact, Flow, User, Workspace
from flowserver.services.accounts import accounts, api_keys, clients
from flowserver.services.messages import connections
from flowserver.services.operations.checked import checked
from flowserver.text import N_

log = structlog.get_logger()


def is_set_up() -> bool:
    """Whether an agency exists. Remembered once true: an installation does not become empty again."""
    if not current_app.extensions.get("flowserver-set-up"):
        current_app.extensions["flowserver-set-up"] = accounts.agency() is not None
    return bool(current_app.extensions["flowserver-set-up"])


def first_run_token() -> str:
    """What opens the first-run page; empty once the installation is set up.

    It follows from the secret key, so every process and every start knows the same one; it opens nothing any more as
    soon as an agency exists.
    """
    return "" if is_set_up() else _token()


def _token() -> str:
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"flowserver:first-run", "sha256")[:18]).decode()


def is_token(token: str) -> bool:
    """Whether this opens the first-run page now."""
    return not is_set_up() and hmac.compare_digest(token.strip().encode(), _token().encode())


def first_run(
    *,
    agency: str,
    client: str,
    time_zone: str,
    email: str,
    password: str,
    name: str = "",
    sender: str = "",
    sender_name: str = "",
    country: str = "",
    locale: str = "en",
    with_api_key: bool = False,
) -> dict[str, Any]:
    """Make the agency, its first client and its first admin, with default connections and a list.

    ``sender`` is the client's sender address (the admin's unless given), ``sender_name`` its name (the client's name
    unless given), ``locale`` the admin's language. Returns ``{"workspace": id, "user": id, "api_key": secret or None}``.
    Raises :class:`Conflict` when something is there already, :class:`Invalid` by field.
    """
    if accounts.agency() is not None:
        raise Conflict(N_("This installation is set up already. Log in instead"))
    values = checked(
        agency=lambda: _filled(agency, N_("Enter the agency’s name")),
        name=lambda: people.name(name),
        email=lambda: people.email(email),
        password=lambda: accounts.new_password(password, email),
        client=lambda: clients.free_name(client),
        time_zone=lambda: accounts.time_zone(time_zone),
        country=lambda: clients.country_code(country),
        sender_name=lambda: people.name(sender_name),
        sender=lambda: people.email(sender) if sender.strip() else "",
    )
    try:
        made = _make(values, locale if locale in accounts.LOCALES else "en", with_api_key)
        db.session.commit()
    except IntegrityError:  # somebody else was quicker by a moment
        db.session.rollback()
        raise Conflict(N_("This installation is set up already. Log in instead")) from None
    log.info("setup.done", workspace=made["workspace"])
    return made


def _make(values: dict[str, Any], locale: str, with_api_key: bool) -> dict[str, Any]:
    db.session.add(Agency(id=1, name=values["agency"], settings={"time_zone": values["time_zone"]}))
    user = User(
        email=values["email"], name=values["name"], role="admin", password_hash=values["password"], locale=locale
    )
    db.session.add(user)
    workspace = clients.make(
        {
            "name": values["client"],
            "time_zone": values["time_zone"],
            "country": values["country"],
            "sender_name": values["sender_name"],
            "sender_email": values["sender"] or values["email"],
            "notify_email": values["email"],
        }
    )
    secret = api_keys.issue(workspace.id, "setup")[1] if with_api_key else None
    db.session.flush()
    return {"workspace": workspace.id, "user": user.id, "api_key": secret}


def _filled(name: str, otherwise: str) -> str:
    found = people.name(name)
    if not found:
        raise Invalid(otherwise)
    return found


def start_demo() -> dict[str, Any]:
    """Set up with the demo's first client and user, and have a worker load the rest: that takes a minute or two.

    Returns ``{"user": id, "email": address, "password": text}``: the password is shown once.
    """
    from flowserver.services.operations import demo  # it sets the installation up with this module

    made = demo.first_user()
    jobqueue.wake("load_demo")
    return made


# --- what to do next -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a client is: which of the first tasks are done."""

    connected: bool  # e-mail leaves through a server somebody chose
    contacts: int
    flows: int


def progress(workspace: Workspace) -> Progress:
    """How far the present client is."""
    return Progress(
        connected=connections.default("email") is not None and not connections.stays_here("email"),
        contacts=db.session.scalar(sa.select(sa.func.count(Contact.id))) or 0,
        flows=db.session.scalar(sa.select(sa.func.count(Flow.id))) or 0,
    )
