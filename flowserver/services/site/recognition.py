"""How a visitor of a site becomes somebody we know: the link of a mail, the site's own log-in."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.domain import identity, urls
from flowserver.domain.beacons import IDENTITY
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Monitor
from flowserver.services.messages import connections
from flowserver.services.people import contacts
from flowserver.text import Text

LINK_GOOD_FOR = timedelta(minutes=15)  # from the click to the page: a copied address says nothing tomorrow
MAIL_GOOD_FOR = timedelta(days=60)  # a mail found again after years, or passed on, names nobody
TOKEN_GOOD_FOR = timedelta(hours=1)
LONGEST = timedelta(hours=24)


def carried(url: str, message: Any, now: datetime) -> str:
    """The address a person who clicked goes on to: with a token that says who they are, if it is a tracked site.

    ``message`` is the row of the mail. A link of an old mail, and one that leads elsewhere, stays as it is.
    """
    accepted = message.accepted_at
    if message.contact_id is None or accepted is None or now - accepted > MAIL_GOOD_FOR:
        return url
    page = urls.read(url)
    if page is None or not _tracked(page.host, message.workspace_id):
        return url
    signer = connections.signer()
    good_until, chance = now + LINK_GOOD_FOR, secrets.token_hex(5)
    token = identity.sign(signer, message.workspace_id, message.contact_id, good_until, chance, message.id)
    return with_parameter(url, IDENTITY, token)


def with_parameter(url: str, name: str, value: str) -> str:
    """The address with one more parameter, everything else as it was."""
    front, mark, fragment = url.partition("#")
    sign = "" if front.endswith(("?", "&")) else "&" if "?" in front else "?"
    return f"{front}{sign}{name}={value}{mark}{fragment}"


def _tracked(host: str, workspace_id: int) -> bool:
    """Whether a host belongs to a site of the client whose visitors need not be asked, or say yes there."""
    m = Monitor.__table__.c
    extensions.read_only(True)
    found = db.session.connection().scalars(sa.select(m.domains).where(m.workspace_id == workspace_id, m.enabled))
    domains = {one for row in found for one in row}
    db.session.rollback()
    return urls.belongs(host, domains)


def token_for(contact_id: int, valid_for: timedelta = TOKEN_GOOD_FOR) -> tuple[str, datetime]:
    """A token for ``flowserver.identify`` that the client's own site hands to somebody it has logged in, and its end.

    Raises :class:`NotFound` for somebody else's contact, :class:`Invalid` for a span that is not up to a day.
    """
    contact = contacts.get(contact_id)
    if not timedelta(seconds=60) <= valid_for <= LONGEST:
        raise Invalid({"valid_for": [Text("Choose %(least)s to %(most)s seconds", least=60, most=24 * 3600)]})
    until = clock.now() + valid_for
    return identity.sign(connections.signer(), contact.workspace_id, contact.id, until, secrets.token_hex(5)), until
