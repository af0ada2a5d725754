"""Loyalty cards: making them, finding them at the till, whose they are, blocking and replacing them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from flowserver import clock, extensions
from flowserver.domain import loyalty, people
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Contact, Movement, Programme, Reward, User, Workspace
from flowserver.services.engine import events
from flowserver.services.loyalty import ledger, listing, points, programmes
from flowserver.services.loyalty.ledger import By, Entry
from flowserver.services.people import contacts, crowd
from flowserver.text import N_

_TRIES = 5  # so many numbers are drawn, should one be taken
_PAGE = re.compile(r"/k/([A-Za-z0-9_-]{8,22})(?:[/?#].*)?$")


@dataclass(frozen=True)
class Held:
    """A reward that a card was given, with its words."""

    grant: CardReward
    reward: Reward

    @property
    def open(self) -> bool:
        """Whether it is still to be collected."""
        return ledger.is_open(self.grant)


@dataclass(frozen=True)
class Line:
    """A movement as the ledger shows it: who made it, and whether it was undone or may be."""

    row: Movement
    who: str
    undone: bool

    @property
    def undoable(self) -> bool:
        """Whether it can be undone."""
        return not self.undone and self.row.kind in points.UNDOABLE


@dataclass(frozen=True)
class View:
    """A card with all that hangs on it."""

    card: Card
    programme: Programme
    contact: Contact | None
    held: list[Held]  # rewards, the newest first, without those taken back
    offers: list[Reward]  # rewards that could be given by hand now


@dataclass(frozen=True)
class Page:
    """Some cards, newest first, and the ids to go on from."""

    items: list[tuple[Card, Programme, Contact | None]]
    older: int | None
    newer: int | None


# --- finding ---------------------------------------------------------------------------------------------


def get(card_id: int) -> Card:
    """The card with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Card).where(Card.id == card_id))
    if found is None:
        raise NotFound(N_("There is no such card"))
    return found


def find(typed: Any) -> Card:
    """The card whose number was scanned or typed, or the address of its page.

    Raises :class:`Invalid` for what is no card number, :class:`NotFound` for a card that is not there, and
    :class:`Conflict` for one that was replaced.
    """
    page = _PAGE.search(str(typed)[:500].strip())
    if page is None:
        return listing.card(loyalty.read_number(typed))
    found = db.session.scalar(sa.select(Card).where(Card.public_id == page[1]))
    if found is None:
        raise NotFound(N_("There is no such card"))
    return found


def view(card_id: int) -> View:
    """A card with its programme, contact and rewards. Raises :class:`NotFound`."""
    card = get(card_id)
    programme = programmes.get(card.programme_id)
    contact = contacts.get(card.contact_id) if card.contact_id else None
    held = held_by(card)
    return View(card, programme, contact, held, _offers(card, programme, held))


def held_by(card: Card) -> list[Held]:
    """The rewards of a card, the newest first, without those that were taken back."""
    query = (
        sa.select(CardReward, Reward)
        .join(Reward, Reward.id == CardReward.reward_id)
        .where(CardReward.card_id == card.id, CardReward.withdrawn_at.is_(None))
        .order_by(CardReward.granted_at.desc(), CardReward.id.desc())
    )
    return [Held(grant, reward) for grant, reward in db.session.execute(query)]


def _offers(card: Card, programme: Programme, held: Sequence[Held]) -> list[Reward]:
    if card.blocked or programme.closed:
        return []
    waiting = {one.reward.id for one in held if one.open}
    rewards = programmes.rewards_of(programme.id, active_only=True)
    grants = ledger.grants_of([card.id])
    return [
        one
        for one in rewards
        if one.points <= card.balance
        and one.id not in waiting
        and not ledger.had_for_good(one, grants.get((card.id, one.id), []))
    ]


def ledger_of(card_id: int, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """Movements of a card, newest first; ``before`` is the id of the last one shown."""
    back = aliased(Movement)
    query = (
        sa.select(Movement, User.name, User.email, back.id)
        .outerjoin(User, User.id == Movement.user_id)
        .outerjoin(back, back.reverses_id == Movement.id)
        .where(Movement.card_id == card_id)
        .order_by(Movement.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Movement.id < before)
    return [
        Line(row, name or email or "", undone is not None) for row, name, email, undone in db.session.execute(query)
    ]


def of_contact(contact_id: int) -> list[tuple[Card, Programme]]:
    """The cards of a contact with their programmes."""
    query = (
        sa.select(Card, Programme)
        .join(Programme, Programme.id == Card.programme_id)
        .where(Card.contact_id == contact_id)
        .order_by(sa.func.lower(Programme.name))
    )
    return [(card, programme) for card, programme in db.session.execute(query)]


def offers_for(contact_id: int) -> list[tuple[int, str]]:
    """``[(id, name)]`` of the open programmes this contact has no card of."""
    has = sa.select(Card.programme_id).where(Card.contact_id == contact_id)
    query = sa.select(Programme.id, Programme.name).where(~Programme.closed, Programme.id.not_in(has))
    return [(row.id, row.name) for row in db.session.execute(query.order_by(sa.func.lower(Programme.name)))]


def search(
    q: str = "",
    programme_id: int | None = None,
    *,
    limit: int = 50,
    older: int | None = None,
    newer: int | None = None,
) -> Page:
    """Cards, newest first: by some digits of the number, or by words of the contact's name or address."""
    query = (
        sa.select(Card, Programme, Contact)
        .join(Programme, Programme.id == Card.programme_id)
        .outerjoin(Contact, Contact.id == Card.contact_id)
        .limit(limit + 1)
    )
    query = query.where(*_conditions(q, programme_id))
    if newer is not None:
        found = _rows(query.where(Card.id > newer).order_by(Card.id))
        items = found[:limit][::-1]
        return Page(items, items[-1][0].id if items else None, items[0][0].id if len(found) > limit else None)
    if older is not None:
        query = query.where(Card.id < older)
    found = _rows(query.order_by(Card.id.desc()))
    items = found[:limit]
    more = items[-1][0].id if len(found) > limit else None
    return Page(items, more, items[0][0].id if older is not None and items else None)


def _rows(query: Any) -> list[tuple[Card, Programme, Contact | None]]:
    return [(card, programme, contact) for card, programme, contact in db.session.execute(query)]


def _conditions(q: str, programme_id: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [Card.programme_id == programme_id] if programme_id else []
    text = people.clean(q)[:120]
    digits = re.sub(r"[\s-]", "", text)
    if digits.isascii() and digits.isdecimal():
        return [*found, sa.or_(Card.number.contains(digits), Contact.phone.contains(digits.lstrip("0") or digits))]
    return [*found, *contacts.words(text)]


def public(public_id: str) -> tuple[View, Workspace]:
    """The card whose page strangers with its address see, and its client, whose rows the request sees from now on.

    Raises :class:`NotFound` also when the client was put away.
    """
    with extensions.every_workspace():
        card = db.session.scalar(sa.select(Card).where(Card.public_id == public_id))
    workspace = db.session.get(Workspace, card.workspace_id) if card else None
    if card is None or workspace is None or workspace.archived_at:
        raise NotFound(N_("There is no such card"))
    extensions.enter_workspace(workspace.id)
    return view(card.id), workspace


# --- making ----------------------------------------------------------------------------------------------


def make(
    programme_id: int, contact_id: int | None = None, *, by: By, at: datetime | None = None, commit: bool = True
) -> tuple[Card, bool]:
    """Make a card, or find the one the contact has in this programme; ``(card, whether it is new)``.

    Welcome points are on it at once. Raises :class:`NotFound`, :class:`Conflict` for a closed programme.
    """
    programme = programmes.get(programme_id)
    if contact_id is not None:
        contacts.get(contact_id)
        events.lock_contacts([contact_id])
        known = _of(programme.id, contact_id)
        if known is not None:
            return known, False
    if programme.closed:
        raise Conflict(N_("The loyalty programme is closed"))
    now = at or clock.now()
    card = _insert(programme, contact_id, now)
    if programme.welcome_points:
        ledger.write([Entry(card, "welcome", programme.welcome_points, by)], now)
    ledger.tell([_created(card, by)], now)
    if commit:
        db.session.commit()
    return card, True


def _of(programme_id: int, contact_id: int) -> Card | None:
    query = sa.select(Card).where(Card.programme_id == programme_id, Card.contact_id == contact_id)
    return db.session.scalar(query.execution_options(populate_existing=True))


def _insert(programme: Programme, contact_id: int | None, now: datetime) -> Card:
    for _ in range(_TRIES):
        row = {
            "workspace_id": programme.workspace_id,
            "programme_id": programme.id,
            "number": new_number(),
            "public_id": _public_id(),
            "contact_id": contact_id,
            "balance": 0,
            "blocked": False,
            "created_at": now,
            "updated_at": now,
        }
        made = crowd.insert_new(Card, [row], ("id",))
        if made:
            return ledger.lock(Card.id == made[0][0])[0]
    raise Conflict(N_("No free card number was found. Try again"))


def new_number() -> str:
    """A card number nobody can guess."""
    return loyalty.card_number(secrets.randbelow(10**11))


def _public_id() -> str:
    return secrets.token_urlsafe(15)  # 120 bits: the address is all it takes to see the card


def _created(card: Card, by: By) -> events.NewEvent | None:
    return ledger.event("card_created", card, f"card:{card.id}:created", by)


def whom(reference: Mapping[str, Any], *, source: str) -> int:
    """The id of the contact that ``{id}``, ``{email}``, ``{phone}`` or ``{external_id}`` names; in the caller's transaction.

    Somebody not known yet by e-mail or phone becomes a contact without consent. Raises :class:`Invalid` by field.
    """
    if reference.get("id") is not None:
        found = db.session.scalar(sa.select(Contact.id).where(Contact.id == reference["id"]))
        if found is None:
            raise Invalid({"id": [N_("There is no such contact")]})
        return int(found)
    values = contacts.book().read({key: value for key, value in reference.items() if key != "id"})
    known = contacts.match(values)
    if known is not None:
        return known.id
    if not values.get("email") and not values.get("phone"):
        field = next(iter(reference), "email")
        raise Invalid({field: [N_("There is no such contact")]})
    return contacts.put(values, source=source)[0].id


# --- changing --------------------------------------------------------------------------------------------


def attach(card_id: int, contact_id: int, *, by: By) -> Card:
    """Say whose card it is; from now on it starts flows. Raises :class:`NotFound`, :class:`Conflict`."""
    contact = contacts.get(contact_id)
    events.lock_contacts([contact.id])
    card = ledger.lock(Card.id == get(card_id).id)[0]
    if card.contact_id == contact.id:
        return card
    if card.contact_id is not None:
        raise Conflict(N_("This card belongs to somebody already"))
    if _of(card.programme_id, contact.id) is not None:
        raise Conflict(N_("The contact has a card of this programme already"))
    now = clock.now()
    card.contact_id, card.updated_at = contact.id, now
    db.session.flush()
    ledger.tell([_created(card, by)], now)
    db.session.commit()
    return card


def block(card_id: int, blocked: bool = True) -> Card:
    """Block a card that was lost or misused, or free it again. Raises :class:`NotFound`."""
    card = ledger.hold(card_id)
    card.blocked, card.updated_at = blocked, clock.now()
    db.session.commit()
    return card


def replace(card_id: int) -> Card:
    """Give a card a new number and a new page; points and rewards stay, what was printed before is worth nothing.

    Raises :class:`NotFound`.
    """
    card = ledger.hold(card_id)
    card.replaced_number, card.number, card.public_id = card.number, new_number(), _public_id()
    card.blocked, card.updated_at = False, clock.now()
    db.session.commit()
    return card
