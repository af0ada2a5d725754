"""What a node sees and what it may answer: contacts, items, outcomes and the context it speaks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

EVENTS = frozenset(
    {
        "contact_created",
        "list_joined",  # subject: the list's id
        "tag_added",  # subject: the tag
        "field_changed",  # subject: the field's key
        "score_changed",
        "consent_changed",
        "form_filled",  # subject: the form's id
        "email_sent",
        "email_opened",
        "email_clicked",
        "email_bounced",
        "email_failed",
        "sms_sent",
        "sms_delivered",
        "sms_failed",
        "sms_silent",  # no final report within 72 hours
        "unsubscribed",
        "handed_over",  # subject: the flow's id
        "card_created",  # subject of these: the loyalty programme's id
        "points_assigned",
        "points_reversed",
        "points_given",  # by a step of a flow; the movement follows
        "reward_given",  # by a step of a flow; subject: the reward's id
        "reward_assigned",
        "reward_withdrawn",
        "reward_collected",
        "coupon_issued",  # subject of all four: the campaign's id
        "coupon_redeemed",
        "coupon_expired",  # without having been used
        "coupon_voided",
        "page_visited",  # subject: the monitor's id
        "page_stayed",  # subject: the monitor's id; the visitor stayed on a page for data["stay"] seconds
        "conversion_recorded",  # subject: the rule's id; a step asks for a conversion
        "converted",  # subject: the rule's id
        "conversion_undone",  # subject: the rule's id
        "purchase",  # subject: the order
        "refund",  # subject: the order
        "spend_changed",  # what a contact spent within the days that starting points ask about
        "cart_updated",  # subject: the cart
        "cart_abandoned",  # subject: the cart
        "event_registered",  # subject: the event
        "event_checked_in",  # subject: the event
        "document_requested",  # subject: the document
        "document_downloaded",  # subject: the document
        "app_installed",  # subject: the app
        "nps_answered",  # subject: the score
        "custom_event",  # stands for every other word, see heard_as
    }
)
"""The words for what can happen to a contact. Other words are custom events, which come in from outside."""

ACTIVITY = (
    "email_opened",
    "email_clicked",
    "page_visited",
    "form_filled",
    "purchase",
    "cart_updated",
    "event_registered",
    "event_checked_in",
    "document_requested",
    "document_downloaded",
    "app_installed",
    "nps_answered",
)
"""Signs of life: what a contact does itself. A refund or a custom event such as ``invoice_due`` may be somebody else's
doing, an open by a machine is nobody's, and unsubscribing is a goodbye."""


class AndCustomOnes(frozenset[str]):
    """Some words, and every word that is none of ours: those are custom events, whose names nobody knows beforehand."""

    def __contains__(self, word: object) -> bool:
        return super().__contains__(word) or word not in EVENTS


def heard_as(type: str) -> str:
    """The word under which starting points listen to an event of this type: all custom events are one word to them."""
    return type if type in EVENTS else "custom_event"


@dataclass(slots=True)
class Bought:
    """An order of the contact: what is left of its amount after refunds, and its goods."""

    at: datetime
    amount: float
    currency: str = ""
    items: Sequence[Any] = ()


@dataclass(slots=True)
class Contact:
    """One person as the nodes see it. Changes go through :meth:`Context.change_contact` and show here at once."""

    id: int
    workspace_id: int
    email: str | None = None
    phone: str | None = None  # E.164
    external_id: str | None = None
    first_name: str = ""
    last_name: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    score: int = 0
    email_consent: str = "none"  # none, given, withdrawn
    sms_consent: str = "none"
    web_push_consent: str = "none"
    mobile_push_consent: str = "none"
    ads_consent: str = "none"
    status: str = "active"  # active, suppressed, bounced
    owner_id: int | None = None
    locale: str = ""
    paused_until: datetime | None = None  # asked for no marketing messages until then
    tags: set[str] = field(default_factory=set)  # names; loaded where a node needs "tags"
    lists: set[int] = field(default_factory=set)  # ids; loaded where a node needs "lists"
    coupons: set[int] = field(default_factory=set)  # campaigns of which it used one; where a node needs "coupons"
    cards: dict[int, int] = field(default_factory=dict)  # balance by loyalty programme; where a node needs "loyalty"
    rewards: dict[int, int] = field(default_factory=dict)  # those collected, grant → reward; where it needs "loyalty"

    converted: frozenset[int] = frozenset()  # ids of conversion rules it met, not undone; where it needs "conversions"
    pages: Mapping[tuple[int, str], datetime] | None = None  # monitor and address → last seen; where it needs "visits"
    purchases: Sequence[Bought] = ()  # of the last 400 days, not given back; where a node needs "purchases"
    open_cart: bool = False  # goods lie in a cart nobody has bought; where a node needs "carts"


LOADED = ("purchases", "open_cart", "converted", "pages", "tags", "lists", "coupons", "cards", "rewards")
"""What of a contact is no column of its row."""


@dataclass(slots=True)
class Sent:
    """What became of an earlier message of the same enrollment. Instants are UTC."""

    state: str
    planned_at: datetime
    accepted_at: datetime | None = None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None


@dataclass(slots=True)
class Fact:
    """An event of the contact, as a waiting step or a condition sees it."""

    type: str
    at: datetime
    subject: str = ""
    data: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Item:
    """One contact standing at one step.

    ``parked_at`` is when it began to wait at this step; ``None`` while it arrives. ``messages`` maps the key of an
    earlier step to what became of its message; ``events`` are the contact's events since it began to wait.
    """

    enrollment_id: int
    contact: Contact
    flow_id: int = 0
    step: str = ""
    visit: int = 1
    parked_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    messages: dict[str, Sent] = field(default_factory=dict)
    events: Sequence[Fact] = ()
    triggered_at: datetime | None = None  # when the cause happened; loaded where a node needs "purchases"
    due_at: datetime | None = None  # when what it waits for is over, however late anybody looks
    cause: Sent | None = None  # the message whose fate started the run; loaded where a trigger needs "cause"


# Outcomes are shared between contacts, so nobody changes one. They are not frozen: that would double what each costs.


@dataclass(slots=True, unsafe_hash=True)
class Go:
    """Go on through ``port``. ``skipped`` says in one reason code why the step did nothing."""

    port: str = "next"
    skipped: str | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(slots=True, unsafe_hash=True)
class Park:
    """Stay at this step until ``until`` (UTC), or until the event ``awaits`` happens.

    ``absolute`` marks a date rather than a duration: a pause of the flow does not move it.
    """

    until: datetime
    awaits: str | None = None
    absolute: bool = False
    reason: str | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(slots=True, unsafe_hash=True)
class Leave:
    """End the enrollment with ``reason``; ``label`` and ``outcome`` are the author's words for the report."""

    reason: str
    label: str | None = None
    outcome: str | None = None
    facts: Mapping[str, Any] | None = None


Outcome = Go | Park | Leave


@dataclass(slots=True, frozen=True)
class Plan:
    """Answer to a wish to send: planned (``ok``), or why not, or until when it must be held."""

    ok: bool
    reason: str | None = None
    hold_until: datetime | None = None


class Context(Protocol):
    """The only way out for a node. It performs nothing: it collects what the engine will write."""

    now: datetime
    zone: ZoneInfo  # the client's
    segments: Mapping[int, Any]  # id → its rule, where a node needs "segment:<id>"

    def send(self, batch: Sequence[Item], channel: str, settings: Mapping[str, Any]) -> Sequence[Plan]:
        """Plan one message per item through ``channel`` (``email``, ``sms``); an answer each, in order."""

    def change_contact(self, item: Item, **changes: Any) -> bool:
        """Change core fields or ``fields={key: value}`` (``None`` clears); raises ``field_changed`` where it differs.

        ``False``, and nothing is changed, when a value does not fit its field (a word for a number).
        """

    def add_tag(self, item: Item, tag: str) -> bool:
        """Put a tag on; ``False`` when it was there."""

    def remove_tag(self, item: Item, tag: str) -> bool:
        """Take a tag off; ``False`` when it was not there."""

    def join_list(self, item: Item, list_id: int) -> bool:
        """Add to a list; ``False`` when already on it."""

    def leave_list(self, item: Item, list_id: int) -> bool:
        """Take off a list; ``False`` when not on it."""

    def leave_flow(self, item: Item, flow_id: int) -> None:
        """End the contact's run of another flow, if it is in it."""

    def change_score(self, item: Item, points: int, reason: str) -> None:
        """Add ``points`` (may be negative) to the score ledger."""

    def give_coupons(self, batch: Sequence[Item], campaign: int) -> Sequence[str | None]:
        """Give each item a coupon of a campaign: its code, ``None`` where there is none. It goes into the item's data."""

    def notify(self, item: Item, to: Sequence[str]) -> Plan:
        """Plan this step's mail to the team, or to the contact's owner when ``to`` is empty. Never counted as contact mail."""

    def emit(self, item: Item, type: str, subject: str = "", data: Mapping[str, Any] | None = None) -> None:
        """Record an event about the contact; it may start other flows."""

    def pick(self, item: Item, weights: Sequence[int]) -> int:
        """A fixed choice for this contact and step: the index of one weight. Same input, same answer, for ever."""
