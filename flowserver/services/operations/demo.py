"""Demo data: two clients with 2,000 contacts and five weeks of history.

Nothing is painted on: the flows go live five weeks ago on a shifted clock and the real engine carries everybody
through them. Only the sending is played, with a fixed seed, so that no mail leaves.
"""

from __future__ import annotations

import heapq
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver import clock, extensions
from flowserver.errors import Conflict
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Field, Form, Message, User, Workspace
from flowserver.services.accounts import clients, setup
from flowserver.services.engine import bulk, engine, events
from flowserver.services.flows import flows
from flowserver.services.messages import campaigns
from flowserver.services.operations import demo_site
from flowserver.services.operations.demo_loyalty import Shop
from flowserver.services.people import score_rules, segments
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons
from flowserver.text import N_

log = structlog.get_logger()

DAYS = 35
SLOT = timedelta(hours=2)

FIRST = [
    "Marta",
    "Luca",
    "Giulia",
    "Paolo",
    "Elena",
    "Andrea",
    "Chiara",
    "Matteo",
    "Sofia",
    "Davide",
    "Anna",
    "Piotr",
    "Kasia",
    "Tomasz",
    "Ewa",
    "Marek",
    "Zofia",
    "Jan",
]
LAST = [
    "Rossi",
    "Bianchi",
    "Ferrari",
    "Conti",
    "Greco",
    "Romano",
    "Gallo",
    "Costa",
    "Nowak",
    "Kowalska",
    "Wójcik",
    "Lewandowski",
    "Zielińska",
    "Kamiński",
]
CITIES = {"IT": ["Torino", "Milano", "Bologna", "Genova"], "PL": ["Kraków", "Warszawa", "Poznań", "Łódź"]}

CLIENTS = (
    {
        "name": "Caffè Lume",
        "time_zone": "Europe/Rome",
        "country": "IT",
        "sender_name": "Caffè Lume",
        "sender_email": "ciao@caffelume.example",
        "sms_sender": "CaffeLume",
        "brand_color": "#8a3b12",
        "postal_address": "Caffè Lume, Via Po 12, 10123 Torino",
        "cap_day": 2,
        "cap_week": 5,
        "old": 500,
        "new": 800,
    },
    {
        "name": "Kino Pod Lipą",
        "time_zone": "Europe/Warsaw",
        "country": "PL",
        "locale": "pl",
        "sender_name": "Kino Pod Lipą",
        "sender_email": "kino@podlipa.example",
        "sms_sender": "PodLipa",
        "brand_color": "#1d4f8f",
        "postal_address": "Kino Pod Lipą, ul. Lipowa 3, 31-002 Kraków",
        "old": 250,
        "new": 450,
    },
)

RULES = (
    {"title": "Opened an e-mail", "act": "email_opened", "points": 1, "frequency": "daily"},
    {"title": "Clicked in an e-mail", "act": "email_clicked", "points": 5},
    {"title": "Bought something", "act": "purchase", "points": 20},
)
_AGREED = {"type": "has_consent", "channel": "email"}
_WARM = {"type": "score_compares", "operator": "at_least", "points": 10}


def load() -> dict[str, Any]:
    """Make the demo clients. Sets the installation up first where it is new.

    Returns ``{"user": id, "email": address, "password": text or ""}``. Raises :class:`Conflict` when it was loaded before.
    """
    with extensions.every_workspace():
        if db.session.scalar(sa.select(Workspace.id).where(Workspace.name == CLIENTS[1]["name"])):
            raise Conflict(N_("The demo data is loaded already"))
        made = first_user()
        stories = [_Story(_workspace(raw), raw, random.Random(n), made["user"]) for n, raw in enumerate(CLIENTS)]
        for story in stories:
            with extensions.workspace(story.workspace.id):
                story.tell()
        for story in stories:
            story.send()  # what the engine planned for one client while the story of another was told
    log.info("demo.loaded")
    return made


def first_user() -> dict[str, Any]:
    """The first admin: the one there is, or a new one with a password of chance."""
    if setup.is_set_up():
        user = db.session.scalars(sa.select(User).where(User.role == "admin").order_by(User.id)).first()
        return {"user": user.id if user else None, "email": user.email if user else "", "password": ""}
    password = secrets.token_urlsafe(12)
    email = "demo@flowserver.example"
    first = CLIENTS[0]
    made = setup.first_run(
        agency="Studio Ponte",
        client=str(first["name"]),
        time_zone=str(first["time_zone"]),
        email=email,
        password=password,
        name="Giulia Rossi",
        sender=str(first["sender_email"]),
        country=str(first["country"]),
    )
    return {"user": made["user"], "email": email, "password": password}


def _workspace(raw: Mapping[str, Any]) -> Workspace:
    given = {key: value for key, value in raw.items() if key not in ("old", "new")}
    workspace = db.session.scalars(sa.select(Workspace).where(Workspace.name == raw["name"])).first()
    if workspace is None:
        workspace = clients.make(given)
    for key, value in given.items():
        setattr(workspace, key, value)
    db.session.commit()
    return workspace


@dataclass
class _Story:
    """Five weeks of one client, told in slots of two hours on a shifted clock."""

    workspace: Workspace
    raw: Mapping[str, Any]
    chance: random.Random
    user_id: int | None
    reactions: list[tuple[datetime, int, str, int, int, str]] = field(default_factory=list)  # a heap by time
    serial: int = 0

    def tell(self) -> None:
        begin = clock.now() - timedelta(days=DAYS)
        slots = int(timedelta(days=DAYS) / SLOT)
        with clock.shifted(begin - clock.now()):
            self._furnish()
            self._people(self.raw["old"], silent=True)
        for slot in range(1, slots):
            moment = begin + SLOT * slot + timedelta(seconds=self.chance.randrange(5400))
            with clock.shifted(moment - clock.now()):
                self._slot(slot, slots)
        self._unfinished()
        self._coupons()
        demo_site.load(self.workspace)

    def _furnish(self) -> None:
        """Lists, a field, a form and the live flows."""
        names = ("Newsletter", "Customers")
        have = set(db.session.scalars(sa.select(ContactList.name)))
        workspace_id = self.workspace.id
        db.session.add_all(
            ContactList(workspace_id=workspace_id, name=name, public=True) for name in names if name not in have
        )
        if not db.session.scalar(sa.select(Field.id).where(Field.key == "city")):
            db.session.add(Field(workspace_id=workspace_id, key="city", label="City", type="text", choices=[]))
        db.session.flush()
        self.newsletter = db.session.scalars(sa.select(ContactList.id).where(ContactList.name == "Newsletter")).one()
        db.session.add(
            Form(
                workspace_id=workspace_id,
                public_id=secrets.token_hex(6),
                name="Newsletter",
                title=f"News from {self.workspace.name}",
                button="Sign up",
                list_id=self.newsletter,
                fields=[{"key": "first_name", "label": "First name", "required": False}],
                email_consent_text=f"I want e-mails from {self.workspace.name}. I can stop them at any time.",
            )
        )
        db.session.commit()
        for rule in RULES:
            score_rules.create(rule)
        segments.create("Reachable by e-mail", {"all": [{"type": "has_email"}, _AGREED]})
        segments.create("Warm, not yet customers", {"all": [_WARM, {"not": {"type": "in_list", "list": "Customers"}}]})
        self.shop = Shop(self.workspace, random.Random(7))  # a chance of its own: the other figures stay as they are
        for definition in (_welcome(self.workspace.name), _nurturing(self.workspace.name)):
            flow = flows.create(definition, self.user_id)
            flows.publish(flow.id, self.user_id, include_existing=False)

    def _unfinished(self) -> None:
        """A draft with something to fix, a paused flow, a campaign to be sent: what a real week looks like."""
        body = [
            {"type": "heading", "text": "What is new in the shop"},
            {"type": "text", "text": "Hello {{ contact.first_name | default: 'there' }}, this is what came in."},
            {"type": "button", "label": "Have a look", "url": "https://example.com/new"},
        ]
        content = {"subject": "What is new this month", "body": body}
        campaigns.create("email", "Monthly letter", self.user_id, content=content, list_id=self.newsletter)
        flows.create(_win_back(), self.user_id)
        paused = flows.create(_thanks(), self.user_id)
        flows.publish(paused.id, self.user_id, include_existing=False)
        flows.pause(paused.id, "freeze", self.user_id)

    def _coupons(self) -> None:
        """A campaign half of whose coupons were used, and one whose imported codes are nearly gone."""
        beans = coupon_campaigns.create(
            {"name": "Spring offer", "value": "15 %", "message": "Not on gift cards", "prefix": "SPRING-", "days": 30}
        )
        pool = coupon_campaigns.create({"name": "Partner voucher", "value": "€ 5", "codes": "pool", "low_at": 10})
        coupon_codes.import_text(pool.id, "\n".join(f"PV{self.chance.randrange(10**8):08d}" for _ in range(12)))
        known = sa.select(Contact.id).where(Contact.created_at < clock.now() - timedelta(days=14))
        ids = list(db.session.scalars(known.order_by(Contact.id.desc()).limit(48)))
        with clock.shifted(timedelta(days=-12)):
            codes = [row["code"] for row in coupons.issue_many(beans.id, ids).rows]
            coupons.issue_many(pool.id, ids[:5])
        for day, code in enumerate(codes[:22]):
            with clock.shifted(timedelta(days=-11 + day // 2, hours=day % 5)):
                paid = f"{self.chance.randrange(600, 4800) / 100:.2f}"
                coupons.redeem(code, place=str(self.workspace.name), receipt=f"R-{1200 + day}", amount=paid)

    def _slot(self, slot: int, slots: int) -> None:
        count = round(self.raw["new"] * slot / (slots - 1)) - (self.serial - self.raw["old"])
        if count:
            self._people(count)
        self._react()
        self.shop.open()
        while engine.batch():
            pass
        while events.match_unmatched():
            pass
        self.send()

    def _people(self, count: int, silent: bool = False) -> None:
        """New contacts on the newsletter: an old address book silently, new ones through the form."""
        now = clock.now()
        rows = [self._person(silent, now) for _ in range(count)]
        db.session.add_all(rows)
        db.session.flush()
        ids = [row.id for row in rows]
        connection = db.session.connection()
        members = [(self.newsletter, contact_id, self.workspace.id, now) for contact_id in ids]
        bulk.insert(connection, "membership", ("list_id", "contact_id", "workspace_id", "joined_at"), members)
        proof = ("workspace_id", "contact_id", "channel", "state", "at", "source", "words", "created_at")
        words = f"I want e-mails from {self.workspace.name}."
        source = "import" if silent else "form"
        bulk.insert(
            connection,
            "consent",
            proof,
            [(self.workspace.id, i, "email", "given", now, source, words, now) for i in ids],
        )
        if not silent:
            made = [
                events.NewEvent(self.workspace.id, i, kind, subject)
                for i in ids
                for kind, subject in (("contact_created", ""), ("list_joined", str(self.newsletter)))
            ]
            events.record_many(made)
        db.session.commit()

    def _person(self, silent: bool, now: datetime) -> Contact:
        self.serial += 1
        first, last = self.chance.choice(FIRST), self.chance.choice(LAST)
        country = self.raw["country"]
        phone = f"+39333{self.serial:07d}" if country == "IT" else f"+48600{self.serial:06d}"
        has_phone = self.chance.random() < 0.45
        return Contact(
            workspace_id=self.workspace.id,
            email=f"{_plain(first)}.{_plain(last)}{self.serial}@mail.example",
            phone=phone if has_phone else None,
            first_name=first if self.chance.random() < 0.9 else "",
            last_name=last,
            fields={"city": self.chance.choice(CITIES[country])},
            email_consent="given",
            sms_consent="given" if has_phone and self.chance.random() < 0.8 else "none",
            source="import" if silent else "form",
            created_at=now - timedelta(days=200) if silent else now,
            updated_at=now,
        )

    def send(self) -> None:
        """Play the provider: accept what is planned, bounce a little, and let people react later."""
        now = clock.now()
        t = Message.__table__.c
        query = sa.select(t.id, t.channel, t.contact_id, t.enrollment_id, t.step).where(
            t.workspace_id == self.workspace.id, t.state == "planned"
        )
        rows = []
        for message in db.session.execute(query).all():
            bad = self.chance.random() < 0.012
            rows.append(self._accepted(message, now, bad))
            if not bad and message.channel == "email":
                self._plan_reactions(message, now)
        columns = ("state", "reason", "attempts", "handed_at", "accepted_at", "delivered_at", "failed_at")
        bulk.update(db.session.connection(), "message", columns, rows)
        db.session.commit()

    def _accepted(self, message: Any, now: datetime, bad: bool) -> tuple[Any, ...]:
        if message.channel == "sms":
            state = "failed" if bad else "delivered"
            return (
                message.id,
                state,
                "absent" if bad else None,
                1,
                now,
                now,
                None if bad else now,
                now if bad else None,
            )
        state = "bounced" if bad else "accepted"
        return (
            message.id,
            state,
            "550 no such user" if bad else None,
            1,
            now,
            None if bad else now,
            None,
            now if bad else None,
        )

    def _plan_reactions(self, message: Any, now: datetime) -> None:
        if self.chance.random() > 0.47:
            return
        opened = now + timedelta(minutes=self.chance.expovariate(1 / 300) + 2)
        self._later(opened, message, "open")
        if self.chance.random() < 0.26:
            self._later(opened + timedelta(minutes=self.chance.randrange(1, 20)), message, "click")

    def _later(self, at: datetime, message: Any, kind: str) -> None:
        heapq.heappush(self.reactions, (at, message.id, kind, message.contact_id, message.enrollment_id, message.step))

    def _react(self) -> None:
        """Opens and clicks whose moment has come."""
        due = []
        while self.reactions and self.reactions[0][0] <= clock.now():
            due.append(heapq.heappop(self.reactions))
        workspace_id = self.workspace.id
        connection = db.session.connection()
        columns = ("workspace_id", "message_id", "contact_id", "kind", "at", "link", "url", "machine", "evidence")
        rows = [
            (
                workspace_id,
                message,
                contact,
                kind,
                at,
                0 if kind == "click" else None,
                LINK if kind == "click" else None,
                False,
                {"agent": "demo"},
            )
            for at, message, kind, contact, _, _ in due
        ]
        bulk.insert(connection, "engagement", columns, rows)
        for kind, column in (("open", "opened_at"), ("click", "clicked_at")):
            stamps = [(message, at) for at, message, what, *_ in due if what == kind]
            bulk.update(connection, "message", (column,), stamps)
        seen = {contact: at for at, _, _, contact, _, _ in due}
        bulk.update(connection, "contact", ("last_activity_at",), list(seen.items()))
        events.record_many(
            [
                events.NewEvent(
                    workspace_id,
                    contact,
                    "email_opened" if kind == "open" else "email_clicked",
                    at=at,
                    key=f"{kind}:{message}",
                    message=(run, step),
                )
                for at, message, kind, contact, run, step in due
            ]
        )
        db.session.commit()


LINK = "https://shop.example/new"


def _plain(name: str) -> str:
    """A name as it stands in an address."""
    return name.lower().translate(str.maketrans("ąćęłńóśźż", "acelnoszz"))


# --- the flows ---------------------------------------------------------------------------------------------


def _mail(key: str, subject: str, text: str, label: str) -> dict[str, Any]:
    body = [
        {"type": "heading", "text": "Hello {{ contact.first_name | default: 'there' }}"},
        {"type": "text", "text": text},
        {"type": "button", "label": label, "url": LINK},
    ]
    return {"key": key, "type": "send_email", "subject": subject, "body": body}


def _welcome(name: str) -> dict[str, Any]:
    return {
        "name": "Welcome series",
        "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 10}},
        "steps": [
            _mail(
                "welcome", f"Welcome to {name}", "Good to have you with us. Here is what you can expect.", "Have a look"
            ),
            {"key": "pause", "type": "wait", "for": {"days": 2}},
            _mail(
                "story",
                "Who we are",
                "Three people, one machine and a lot of care: our story in two minutes.",
                "Read the story",
            ),
            {"key": "rest", "type": "wait", "for": {"days": 3}},
            {
                "key": "clicked",
                "type": "if_else",
                "if": {"any": [{"type": "email_clicked", "of": "welcome"}, {"type": "email_clicked", "of": "story"}]},
                "then": [
                    {"key": "points", "type": "change_score", "points": 10, "reason": "Clicked in the welcome series"},
                    {"key": "engaged", "type": "add_tag", "tag": "engaged"},
                ],
                "else": [
                    _mail("interests", "What would you like to read?", "Tell us what interests you.", "Choose topics")
                ],
            },
            {"key": "later", "type": "wait", "for": {"days": 4}},
            _mail("offer", "A first treat for you", "Ten per cent off your first order, for one week.", "Use it"),
            {"key": "done", "type": "end", "label": "welcomed", "outcome": "positive"},
        ],
    }


def _nurturing(name: str) -> dict[str, Any]:
    return {
        "name": "Lead nurturing, new subscribers",
        "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"days": 7}},
        "steps": [
            _mail("season", f"New at {name}", "What arrived this week, and what we like best.", "See what is new"),
            {
                "key": "opened",
                "type": "wait_for_event",
                "event": "email_opened",
                "of": "season",
                "at_most": {"days": 2},
                "then": [
                    _mail("backstage", "Behind the counter", "How it is made, step by step.", "Look behind"),
                    {"key": "breath", "type": "wait", "for": {"days": 3}},
                    _mail(
                        "first", "Made for a first visit", "Bring this mail and we add something small.", "Plan a visit"
                    ),
                ],
                "else": [
                    {
                        "key": "phone",
                        "type": "if_else",
                        "if": {"type": "has_phone"},
                        "then": [
                            {
                                "key": "nudge",
                                "type": "send_sms",
                                "text": f"A story from {name} waits in your inbox. Stop: reply STOP",
                            }
                        ],
                        "else": [{"key": "quiet", "type": "add_tag", "tag": "quiet"}],
                    }
                ],
            },
            {"key": "night", "type": "wait", "for": {"days": 1}},
            {"key": "score", "type": "change_score", "points": 5, "reason": "Went through the nurturing"},
        ],
    }


def _win_back() -> dict[str, Any]:
    return {
        "name": "Win back quiet contacts",
        "trigger": {"type": "list_joined", "list": "Customers", "wait": {"days": 30}},
        "steps": [
            _mail("miss", "We have not seen you for a while", "Here is what is new.", "Have a look"),
            {"key": "week", "type": "wait", "for": {"days": 7}},
            {"key": "code", "type": "send_sms", "text": ""},
        ],
    }


def _thanks() -> dict[str, Any]:
    return {
        "name": "Thank you, new customers",
        "trigger": {"type": "list_joined", "list": "Customers", "wait": {"hours": 1}},
        "steps": [_mail("thanks", "Thank you for your order", "It is on its way.", "Track it")],
    }
