"""Schemas of loyalty programmes, rewards, cards and their movements."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.domain.loyalty import MOST_POINTS
from flowserver.text import N_

KINDS = ("welcome", "amount", "by_hand", "flow", "reward", "reversal")
CODES = ("qr", "barcode")


class Amount(fields.Words, plain.Float):
    """An amount of money, as a JSON number with two decimals at most."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Write an amount as a number, like 12.5")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        return value


class Holder(fields.Input):
    """Whose card it is: found by id, external_id, email, phone. Somebody new needs an email or a phone."""

    id = fields.Id(metadata={"description": "Id of the contact here."})
    external_id = fields.Text(120, allow_none=True, metadata={"description": "Your own id of this person."})
    email = fields.Text(320, allow_none=True)
    phone = fields.Text(60, allow_none=True)

    @ma.validates_schema
    def _names_somebody(self, data: Any, **_: Any) -> None:
        if not any(data.values()):
            raise ma.ValidationError(N_("Name the contact by id, external_id, email or phone"))


# --- programmes ------------------------------------------------------------------------------------------


class ProgrammeQuery(paging.SyncQuery):
    """Which programmes."""

    name = fields.Text(120, metadata={"description": "The programme of this name, however it is capitalised."})


class ProgrammeChange(fields.Input):
    """What changes about a programme."""

    name = fields.Text(120, metadata={"description": "Unique in the client."})
    amount_per_point = Amount(metadata={"description": "What must be paid for one point; points are rounded down."})
    welcome_points = fields.Whole(0, MOST_POINTS, metadata={"description": "On every new card."})
    code = fields.Word(CODES, metadata={"description": "How the card shows its number."})
    color = fields.Text(7, metadata={"description": "Like #0b6478; empty for the client's colour."})
    logo_url = fields.Text(500, metadata={"description": "An https address, or empty."})
    welcome_text = fields.Text(600, metadata={"description": "Words on the card's page."})
    form = fields.Id(allow_none=True, metadata={"description": "Id of the form whose senders get a card."})
    closed = fields.YesNo(metadata={"description": "No new cards, and no more points."})


class ProgrammeIn(ProgrammeChange):
    """A loyalty programme."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    amount_per_point = Amount(
        required=True, metadata={"description": "What must be paid for one point; points are rounded down."}
    )


class Programme(fields.Shown):
    """What an amount is worth in points, and what cards look like."""

    id = plain.Integer()
    name = plain.String()
    amount_per_point = plain.Float()
    welcome_points = plain.Integer()
    code = plain.String(metadata={"enum": list(CODES)})
    color = plain.String()
    logo_url = plain.String()
    welcome_text = plain.String()
    form = plain.Integer(allow_none=True)
    closed = plain.Boolean()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class ProgrammePage(fields.Shown):
    """A page of programmes."""

    data = plain.List(plain.Nested(Programme))
    next = plain.String(allow_none=True)


# --- rewards ---------------------------------------------------------------------------------------------


class RewardQuery(paging.SyncQuery):
    """Which rewards."""

    programme = fields.Count(metadata={"description": "Id of a programme."})


class RewardChange(fields.Input):
    """What changes about a reward."""

    title = fields.Text(120, metadata={"description": "Unique in the client."})
    points = fields.Whole(
        0, MOST_POINTS, metadata={"description": "How many a card must have; 0: by hand at any time."}
    )
    automatic = fields.YesNo(metadata={"description": "Given as soon as the points are reached."})
    uses_points = fields.YesNo(
        metadata={"description": "Collecting it takes the points off; it can then be earned again."}
    )
    active = fields.YesNo(metadata={"description": "Can be had now."})


class RewardIn(RewardChange):
    """A reward."""

    programme = fields.Reference(required=True, metadata={"description": "Id or name of the programme."})
    title = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    points = fields.Whole(
        0, MOST_POINTS, required=True, metadata={"description": "How many a card must have; 0: by hand at any time."}
    )


class Reward(fields.Shown):
    """Something a card can earn."""

    id = plain.Integer()
    programme = plain.Integer()
    title = plain.String()
    points = plain.Integer()
    automatic = plain.Boolean()
    uses_points = plain.Boolean()
    active = plain.Boolean()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class RewardPage(fields.Shown):
    """A page of rewards."""

    data = plain.List(plain.Nested(Reward))
    next = plain.String(allow_none=True)


# --- cards -----------------------------------------------------------------------------------------------


class CardQuery(paging.PageQuery):
    """Which cards."""

    programme = fields.Count(metadata={"description": "Id of a programme."})
    contact = fields.Count(metadata={"description": "Id of a contact."})
    updated_since = fields.Instant(metadata={"description": "Changed at this moment or later."})


class CardIn(fields.Input):
    """A card."""

    programme = fields.Reference(required=True, metadata={"description": "Id or name of the programme."})
    contact = fields.Part(
        Holder, allow_none=True, metadata={"description": "Whose card it is; without one it starts no flows."}
    )


class CardChange(fields.Input):
    """What changes about a card."""

    blocked = fields.YesNo(metadata={"description": "A blocked card takes no points and gives no rewards."})
    contact = fields.Part(Holder, metadata={"description": "Whose card it is, where it was nobody's."})


class Card(fields.Shown):
    """A card and its balance."""

    number = plain.String(metadata={"description": "13 digits, the last one a check digit."})
    programme = plain.Integer()
    contact_id = plain.Integer(allow_none=True)
    balance = plain.Integer()
    blocked = plain.Boolean()
    url = plain.String(metadata={"description": "The page of the one who has the card."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class CardPage(fields.Shown):
    """A page of cards."""

    data = plain.List(plain.Nested(Card))
    next = plain.String(allow_none=True)


# --- movements -------------------------------------------------------------------------------------------


class MovementIn(fields.Input):
    """Either what was paid, or points given or taken by hand."""

    amount = Amount(metadata={"description": "What was paid; becomes whole points, rounded down."})
    points = fields.Whole(
        -MOST_POINTS, MOST_POINTS, metadata={"description": "Points by hand instead; below 0 takes some off."}
    )
    receipt = fields.Text(
        80, metadata={"description": "The till's number of it: the same again in the programme changes nothing."}
    )
    reason = fields.Text(120, metadata={"description": "With points by hand: why."})

    @ma.validates_schema
    def _one_of_two(self, data: Any, **_: Any) -> None:
        if ("amount" in data) == ("points" in data):
            raise ma.ValidationError(N_("Send either an amount or points"), "amount")
        if "reason" in data and "points" not in data:
            raise ma.ValidationError(N_("A reason goes with points by hand"), "reason")


class ReversalIn(fields.Input):
    """What is undone."""

    receipt = fields.Text(80, metadata={"description": "The receipt it was entered with."})
    movement = fields.Id(metadata={"description": "Or the id of the movement."})

    @ma.validates_schema
    def _one_of_two(self, data: Any, **_: Any) -> None:
        if ("receipt" in data) == ("movement" in data):
            raise ma.ValidationError(N_("Send either a receipt or a movement"), "receipt")


class Movement(fields.Shown):
    """One movement of points."""

    id = plain.Integer()
    card = plain.String()
    kind = plain.String(metadata={"enum": list(KINDS)})
    points = plain.Integer()
    balance = plain.Integer(metadata={"description": "Of the card, after it."})
    amount = plain.Float(allow_none=True)
    receipt = plain.String(allow_none=True)
    reason = plain.String()
    reverses = plain.Integer(allow_none=True, metadata={"description": "Id of the movement it undoes."})
    source = plain.String(metadata={"description": "till, console, api, flow or form."})
    at = plain.DateTime()


class Moved(Movement):
    """A movement with what came of it."""

    new_rewards = plain.List(plain.String(), metadata={"description": "Titles of rewards the card was given."})
    withdrawn_rewards = plain.List(plain.String(), metadata={"description": "Titles of rewards taken back."})


class MovementPage(fields.Shown):
    """A page of movements."""

    data = plain.List(plain.Nested(Movement))
    next = plain.String(allow_none=True)


# --- rewards of a card -----------------------------------------------------------------------------------


class GrantQuery(paging.PageQuery):
    """Which rewards of a card."""

    open = fields.Flag(metadata={"description": "true: only those still to be collected."})


class GrantIn(fields.Input):
    """A reward to give."""

    reward = fields.Reference(required=True, metadata={"description": "Id or title of the reward."})


class Grant(fields.Shown):
    """A reward that a card was given."""

    id = plain.Integer()
    card = plain.String()
    reward = plain.Integer()
    title = plain.String()
    automatic = plain.Boolean()
    granted_at = plain.DateTime()
    collected_at = plain.DateTime(allow_none=True)
    withdrawn_at = plain.DateTime(allow_none=True, metadata={"description": "The points for it were taken back."})


class GrantPage(fields.Shown):
    """A page of a card's rewards."""

    data = plain.List(plain.Nested(Grant))
    next = plain.String(allow_none=True)
