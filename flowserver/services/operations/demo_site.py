"""Demo data for the website: a tracked shop, visitors of the last days, and orders that count as conversions."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import db
from flowserver.models import Contact, Workspace
from flowserver.services.site import conversions, monitors, recognition, visits

DAYS = 4
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAGES = ("/", "/coffee", "/coffee/espresso", "/coffee/filter", "/gifts?utm_source=newsletter", "/about")


def load(workspace: Workspace) -> None:
    """Track the client's shop, let people look around for some days, and count the orders of some. Commits."""
    chance = random.Random(11)
    site = monitors.create({"name": "Online shop", "domains": [workspace.sender_email.rpartition("@")[2]]})
    shop = f"https://{site.domains[0]}"
    order = {"name": "Order placed", "source": "pages", "monitor": site.id, "patterns": [f"{shop}/thanks"]}
    conversions.create({**order, "amount": 24, "each_time": True})
    conversions.create({"name": "Tasting booked", "source": "manual"})
    people = list(db.session.scalars(sa.select(Contact.id).order_by(Contact.id.desc()).limit(30)))
    for hours in range(24 * DAYS, 0, -4):
        with clock.shifted(timedelta(hours=-hours, minutes=chance.randrange(60))):
            _look_around(site.public_id, shop, chance.choice([None, *chance.sample(people, 2)]), chance)


def _look_around(public_id: str, shop: str, contact_id: int | None, chance: random.Random) -> None:
    """One visitor, perhaps somebody we know, looks at a few pages and perhaps orders."""
    token = recognition.token_for(contact_id)[0] if contact_id else ""
    ends = ["/thanks"] if contact_id and chance.random() < 0.5 else []
    visitor = f"{chance.getrandbits(128):032x}"
    site = visits.welcome(public_id, shop)
    for path in [*chance.sample(PAGES, chance.randrange(1, 4)), *ends]:
        message = {"t": "view", "v": visitor, "p": f"{chance.getrandbits(128):032x}", "u": shop + path, "i": token}
        visits.receive(site, json.dumps(message).encode(), visits.Sender(shop, AGENT))
