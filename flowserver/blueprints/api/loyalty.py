"""Loyalty: programmes and rewards, cards, and what a till does with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import loyalty as schemas
from flowserver.errors import Invalid
from flowserver.services.loyalty import cards, ledger, listing, points, programmes
from flowserver.services.loyalty.ledger import By

resource = Resource(
    "Loyalty",
    45,
    "Cards that collect points at a till, and the rewards they earn. Cards, points and rewards start flows.",
    part="loyalty",
)

PROGRAMME, REWARD = f"/loyalty/programmes/{ID % 'programme_id'}", f"/loyalty/rewards/{ID % 'reward_id'}"
CARD = "/loyalty/cards/<card_number>"
BY = By("api")

PROGRAMME_EXAMPLE = {
    "id": 1,
    "name": "Lume Club",
    "amount_per_point": 1.0,
    "welcome_points": 5,
    "code": "qr",
    "color": "#8a3b12",
    "logo_url": "",
    "welcome_text": "Good to see you again",
    "form": None,
    "closed": False,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
REWARD_EXAMPLE = {
    "id": 1,
    "programme": 1,
    "title": "A coffee of your choice",
    "points": 10,
    "automatic": True,
    "uses_points": True,
    "active": True,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
CARD_EXAMPLE = {
    "number": "2123456789010",
    "programme": 1,
    "contact_id": 7,
    "balance": 17,
    "blocked": False,
    "url": "https://flowserver.example/k/uJ4mXo2vT9sWq1LrB7aZ",
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
MOVEMENT_EXAMPLE = {
    "id": 31,
    "card": "2123456789010",
    "kind": "amount",
    "points": 12,
    "balance": 17,
    "amount": 12.5,
    "receipt": "R-1042",
    "reason": "",
    "reverses": None,
    "source": "api",
    "at": "2026-05-04T09:00:00Z",
}
MOVED_EXAMPLE = {**MOVEMENT_EXAMPLE, "new_rewards": ["A coffee of your choice"], "withdrawn_rewards": []}
REVERSAL_EXAMPLE = {
    **MOVED_EXAMPLE,
    "id": 32,
    "kind": "reversal",
    "points": -12,
    "balance": 5,
    "receipt": None,
    "reverses": 31,
    "new_rewards": [],
}
GRANT_EXAMPLE = {
    "id": 3,
    "card": "2123456789010",
    "reward": 1,
    "title": "A coffee of your choice",
    "automatic": True,
    "granted_at": "2026-05-04T09:00:00Z",
    "collected_at": None,
    "withdrawn_at": None,
}


# --- programmes ------------------------------------------------------------------------------------------


def show_programme(row: Any) -> dict[str, Any]:
    """A programme as the API shows it."""
    kept = (
        "id",
        "name",
        "welcome_points",
        "code",
        "color",
        "logo_url",
        "welcome_text",
        "closed",
        "created_at",
        "updated_at",
    )
    found = {key: getattr(row, key) for key in kept}
    return {**found, "amount_per_point": row.cents_per_point / 100, "form": row.form_id}


def one_programme(programme_id: int) -> dict[str, Any]:
    """A programme of the present client. Raises ``NotFound``."""
    return show_programme(programmes.get(programme_id))


def _values(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"form_id" if key == "form" else key: value for key, value in body.items()}


def _named(error: Invalid) -> Invalid:
    """The messages with the API's own names."""
    return Invalid({"form" if key == "form_id" else key: texts for key, texts in error.messages.items()})


@resource.reads(
    "/loyalty/programmes",
    query=schemas.ProgrammeQuery,
    shows=schemas.ProgrammePage,
    example={"data": [PROGRAMME_EXAMPLE], "next": None},
)
def list_programmes(query: dict[str, Any]) -> Any:
    """List the loyalty programmes."""
    found = listing.programmes(
        query["cursor"], query["limit"], name=query.get("name", ""), updated_since=query.get("updated_since")
    )
    return paging.page(found, show_programme)


@resource.writes(
    "POST",
    "/loyalty/programmes",
    takes=schemas.ProgrammeIn,
    body_example={"name": "Lume Club", "amount_per_point": 1, "welcome_points": 5, "code": "qr", "color": "#8a3b12"},
    shows=schemas.Programme,
    example=PROGRAMME_EXAMPLE,
    status=201,
    tagged=True,
)
def make_programme(body: Mapping[str, Any]) -> Any:
    """Make a loyalty programme."""
    try:
        made = programmes.create(_values(body))
    except Invalid as error:
        raise _named(error) from None
    return Answer(one_programme(made.id), 201, {"Location": url_for(".get_programme", programme_id=made.id)})


@resource.reads(PROGRAMME, shows=schemas.Programme, example=PROGRAMME_EXAMPLE, tagged=True)
def get_programme(programme_id: int) -> Any:
    """Get a loyalty programme."""
    return one_programme(programme_id)


@resource.writes(
    "PATCH",
    PROGRAMME,
    takes=schemas.ProgrammeChange,
    body_example={"name": "Lume Friends"},
    shows=schemas.Programme,
    example={**PROGRAMME_EXAMPLE, "name": "Lume Friends"},
    tagged=True,
    if_match=True,
)
def change_programme(programme_id: int, body: Mapping[str, Any]) -> Any:
    """Change a loyalty programme.

    Points that were given stay as they are. A programme with cards is closed rather than deleted.
    """
    unchanged("programme", programme_id, lambda: one_programme(programme_id))
    try:
        programmes.update(programme_id, _values(body))
    except Invalid as error:
        raise _named(error) from None
    return one_programme(programme_id)


@resource.writes("DELETE", PROGRAMME, status=204, if_match=True)
def delete_programme(programme_id: int) -> None:
    """Delete a loyalty programme.

    Refused with 409 while it has cards, or while a flow needs it.
    """
    unchanged("programme", programme_id, lambda: one_programme(programme_id))
    programmes.delete(programme_id)


# --- rewards ---------------------------------------------------------------------------------------------


def show_reward(row: Any) -> dict[str, Any]:
    """A reward as the API shows it."""
    kept = ("id", "title", "points", "automatic", "uses_points", "active", "created_at", "updated_at")
    return {**{key: getattr(row, key) for key in kept}, "programme": row.programme_id}


def one_reward(reward_id: int) -> dict[str, Any]:
    """A reward of the present client. Raises ``NotFound``."""
    return show_reward(programmes.get_reward(reward_id))


@resource.reads(
    "/loyalty/rewards",
    query=schemas.RewardQuery,
    shows=schemas.RewardPage,
    example={"data": [REWARD_EXAMPLE], "next": None},
)
def list_rewards(query: dict[str, Any]) -> Any:
    """List the rewards."""
    found = listing.rewards(
        query["cursor"],
        query["limit"],
        programme_id=query.get("programme"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(found, show_reward)


@resource.writes(
    "POST",
    "/loyalty/rewards",
    takes=schemas.RewardIn,
    body_example={"programme": "Lume Club", "title": "A coffee of your choice", "points": 10, "uses_points": True},
    shows=schemas.Reward,
    example=REWARD_EXAMPLE,
    status=201,
    tagged=True,
)
def make_reward(body: Mapping[str, Any]) -> Any:
    """Make a reward.

    It is given by itself as soon as a card has the points, unless `automatic` is false.
    """
    rest = {key: value for key, value in body.items() if key != "programme"}
    made = programmes.create_reward(listing.programme_id(body["programme"]), rest)
    return Answer(show_reward(made), 201, {"Location": url_for(".get_reward", reward_id=made.id)})


@resource.reads(REWARD, shows=schemas.Reward, example=REWARD_EXAMPLE, tagged=True)
def get_reward(reward_id: int) -> Any:
    """Get a reward."""
    return one_reward(reward_id)


@resource.writes(
    "PATCH",
    REWARD,
    takes=schemas.RewardChange,
    body_example={"active": False},
    shows=schemas.Reward,
    example={**REWARD_EXAMPLE, "active": False},
    tagged=True,
    if_match=True,
)
def change_reward(reward_id: int, body: Mapping[str, Any]) -> Any:
    """Change a reward.

    Cards that were given it keep it.
    """
    unchanged("reward", reward_id, lambda: one_reward(reward_id))
    programmes.update_reward(reward_id, body)
    return one_reward(reward_id)


@resource.writes("DELETE", REWARD, status=204, if_match=True)
def delete_reward(reward_id: int) -> None:
    """Delete a reward.

    Refused with 409 once a card was given it, or while a flow needs it: switch it off instead.
    """
    unchanged("reward", reward_id, lambda: one_reward(reward_id))
    programmes.delete_reward(reward_id)


# --- cards -----------------------------------------------------------------------------------------------


def show_card(row: Any) -> dict[str, Any]:
    """A card as the API shows it."""
    kept = ("number", "contact_id", "balance", "blocked", "created_at", "updated_at")
    return {**{key: getattr(row, key) for key in kept}, "programme": row.programme_id, "url": ledger.address(row)}


@resource.reads(
    "/loyalty/cards",
    query=schemas.CardQuery,
    shows=schemas.CardPage,
    example={"data": [CARD_EXAMPLE], "next": None},
)
def list_cards(query: dict[str, Any]) -> Any:
    """List the cards."""
    found = listing.cards(
        query["cursor"],
        query["limit"],
        programme_id=query.get("programme"),
        contact_id=query.get("contact"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(found, show_card)


@resource.writes(
    "POST",
    "/loyalty/cards",
    takes=schemas.CardIn,
    body_example={"programme": "Lume Club", "contact": {"email": "ada@example.com"}},
    shows=schemas.Card,
    example=CARD_EXAMPLE,
    status=201,
    also={200: "The contact has a card of this programme already; here it is."},
)
def make_card(body: Mapping[str, Any]) -> Any:
    """Make a card.

    A contact has one card of a programme. Somebody who is not known yet becomes a contact without consent. The
    programme's welcome points are on it at once. A card without a contact counts points, but starts no flows.
    """
    programme = listing.programme_id(body["programme"])
    card, new = cards.make(programme, _whom(body.get("contact")), by=BY)
    where = {"Location": url_for(".get_card", card_number=card.number)}
    return Answer(show_card(card), 201 if new else 200, where if new else {})


def _whom(reference: Mapping[str, Any] | None) -> int | None:
    if reference is None:
        return None
    try:
        return cards.whom(reference, source="api")
    except Invalid as error:
        raise Invalid({f"contact.{key}": texts for key, texts in error.messages.items()}) from None


@resource.reads(CARD, shows=schemas.Card, example=CARD_EXAMPLE, tagged=True, conflicts=True)
def get_card(card_number: str) -> Any:
    """Get a card by its number.

    Answers 409 for a number that was replaced by a new one.
    """
    return show_card(listing.card(card_number))


@resource.writes(
    "PATCH",
    CARD,
    takes=schemas.CardChange,
    body_example={"blocked": True},
    shows=schemas.Card,
    example={**CARD_EXAMPLE, "blocked": True},
    tagged=True,
    if_match=True,
)
def change_card(card_number: str, body: Mapping[str, Any]) -> Any:
    """Block a card, free it, or say whose it is.

    A card that has a contact keeps it.
    """
    card = listing.card(card_number)
    unchanged("loyalty_card", card.id, lambda: show_card(listing.card(card_number)))
    if "contact" in body:
        cards.attach(card.id, _whom(body["contact"]) or 0, by=BY)
    if "blocked" in body:
        cards.block(card.id, body["blocked"])
    return show_card(cards.get(card.id))


@resource.writes(
    "POST", f"{CARD}/replacement", shows=schemas.Card, example={**CARD_EXAMPLE, "number": "2987654321096"}, status=201
)
def replace_card(card_number: str) -> Any:
    """Give a lost card a new number.

    Points and rewards stay. The old number and the old page are worth nothing from now on.
    """
    card = cards.replace(listing.card(card_number).id)
    return Answer(show_card(card), 201, {"Location": url_for(".get_card", card_number=card.number)})


# --- points ----------------------------------------------------------------------------------------------


def show_movement(row: Any, number: str = "") -> dict[str, Any]:
    """A movement as the API shows it."""
    kept = ("id", "kind", "balance", "reason", "source", "at")
    receipt = row.receipt if row.kind in ("amount", "by_hand") and not (row.receipt or "").startswith("once-") else None
    return {
        **{key: getattr(row, key) for key in kept},
        "card": number or row.number,
        "points": row.delta,
        "amount": None if row.amount is None else row.amount / 100,
        "receipt": receipt,
        "reverses": row.reverses_id,
    }


def _moved(done: points.Done) -> dict[str, Any]:
    return {
        **show_movement(done.movement, done.card.number),
        "new_rewards": [reward.title for reward in done.given],
        "withdrawn_rewards": [reward.title for reward in done.withdrawn],
    }


@resource.reads(
    f"{CARD}/movements",
    query=paging.PageQuery,
    shows=schemas.MovementPage,
    example={"data": [MOVEMENT_EXAMPLE], "next": None},
    conflicts=True,
)
def list_movements(card_number: str, query: dict[str, Any]) -> Any:
    """List the movements of a card.

    Their sum is the balance.
    """
    found = listing.movements(listing.card(card_number).id, query["cursor"], query["limit"])
    return paging.page(found, show_movement)


@resource.writes(
    "POST",
    f"{CARD}/movements",
    takes=schemas.MovementIn,
    body_example={"amount": 12.5, "receipt": "R-1042"},
    shows=schemas.Moved,
    example=MOVED_EXAMPLE,
    status=201,
    also={200: "The receipt was known already: nothing was changed, here is what it did."},
)
def move_points(card_number: str, body: Mapping[str, Any]) -> Any:
    """Add what was paid, or points by hand.

    An amount becomes whole points, rounded down; what is left over does not count for the next receipt. A receipt counts
    once in a programme: sent again it changes nothing, with another card or amount it is refused with 409, as are
    blocked cards and closed programmes.
    """
    card, receipt = listing.card(card_number), body.get("receipt", "")
    if "amount" in body:
        done = points.add_amount(card.id, body["amount"], receipt, by=BY)
    else:
        done = points.add_points(card.id, body["points"], body.get("reason", ""), receipt, by=BY)
    return Answer(_moved(done), 200 if done.repeated else 201)


@resource.writes(
    "POST",
    f"{CARD}/reversals",
    takes=schemas.ReversalIn,
    body_example={"receipt": "R-1042"},
    shows=schemas.Moved,
    example=REVERSAL_EXAMPLE,
    status=201,
)
def reverse_points(card_number: str, body: Mapping[str, Any]) -> Any:
    """Undo a receipt, or another movement.

    A movement of its own stands against the first one. Flows that still wait to start because of it do not start;
    rewards that were given for these points and are not collected are taken back. What was undone before: 409.
    """
    card = listing.card(card_number)
    if "receipt" in body:
        done = points.undo_receipt(card.id, body["receipt"], by=BY)
    else:
        done = points.undo(card.id, body["movement"], by=BY)
    return Answer(_moved(done), 201)


# --- rewards of a card -----------------------------------------------------------------------------------


def show_grant(row: Any) -> dict[str, Any]:
    """A reward of a card as the API shows it."""
    kept = ("id", "title", "automatic", "granted_at", "collected_at", "withdrawn_at")
    return {**{key: getattr(row, key) for key in kept}, "card": row.number, "reward": row.reward_id}


@resource.reads(
    f"{CARD}/rewards",
    query=schemas.GrantQuery,
    shows=schemas.GrantPage,
    example={"data": [GRANT_EXAMPLE], "next": None},
    conflicts=True,
)
def list_card_rewards(card_number: str, query: dict[str, Any]) -> Any:
    """List the rewards a card was given."""
    card = listing.card(card_number)
    found = listing.grants(card.id, query["cursor"], query["limit"], open_only=query.get("open", False))
    return paging.page(found, show_grant)


@resource.writes(
    "POST",
    f"{CARD}/rewards",
    takes=schemas.GrantIn,
    body_example={"reward": "A coffee of your choice"},
    shows=schemas.Grant,
    example={**GRANT_EXAMPLE, "automatic": False},
    status=201,
)
def give_reward(card_number: str, body: Mapping[str, Any]) -> Any:
    """Give a card a reward by hand.

    Refused with 409 where the points are not reached, or the card has it and has not collected it.
    """
    card = listing.card(card_number)
    _card, grant = points.give(card.id, listing.reward_id(body["reward"]), by=BY)
    return Answer(show_grant(listing.grant(grant.id)), 201)


@resource.writes(
    "POST",
    f"{CARD}/rewards/{ID % 'grant_id'}/collection",
    shows=schemas.Grant,
    example={**GRANT_EXAMPLE, "collected_at": "2026-05-05T10:30:00Z"},
)
def collect_reward(card_number: str, grant_id: int) -> Any:
    """Hand out a reward.

    Takes its points off where it costs some. Collected before, or taken back: 409.
    """
    points.collect(listing.card(card_number).id, grant_id, by=BY)
    return show_grant(listing.grant(grant_id))
