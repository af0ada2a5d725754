"""What other systems report about contacts, read and checked: the words, who is meant, when, and what they bring.

Plain decisions. Who the contacts are and what is written, ``services/people/reported.py`` knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson
from babel.numbers import get_territory_currencies

from flowserver.domain import people
from flowserver.domain.steps import EVENTS
from flowserver.errors import Invalid
from flowserver.text import N_, Text

WORD = re.compile("[a-z][a-z0-9_.]{0,59}")
ADDRESSES = ("email", "phone", "external_id")
AHEAD = timedelta(minutes=5)  # how far another system's clock may be ahead of ours
OLDEST = timedelta(days=3653)  # ten years
HISTORY = timedelta(days=7)  # what happened longer ago is kept, but starts nothing any more
MOST_BYTES = 16 * 1024  # of the properties, as JSON
DEEPEST = 6  # objects and lists in the properties, inside one another
MOST_ITEMS = 100  # of a purchase or cart
MOST_AMOUNT = 1_000_000_000
LONGEST_ID = 100  # characters of an order's, a cart's or an event's id
OURS = frozenset({"chain", "start"})  # names of properties that mean something to the engine


@dataclass(slots=True)
class Report:
    """One reported event, checked. ``who`` has some of id, email, phone and external_id."""

    type: str
    who: Mapping[str, Any]
    at: datetime
    key: str  # the same key again is the same event; "" where nothing says so
    subject: str
    data: dict[str, Any]
    old: bool = False  # it happened too long ago to start anything


@dataclass(frozen=True)
class House:
    """The customs of the client the report is made to: its country, and the currency it sells in."""

    customs: people.Customs
    currency: str = ""


@cache
def currency_of(country: str) -> str:
    """The currency of a country (``IT`` → ``EUR``); "" where it is not known."""
    found = get_territory_currencies(country) if country else []
    return found[-1] if found else ""


def read(raw: Mapping[str, Any], now: datetime, house: Callable[[], House]) -> Report:
    """Check a report: ``type``, ``contact``, and perhaps ``occurred_at`` (aware), ``id`` and ``properties``.

    ``house`` is asked only where a phone number or a price needs it. Raises :class:`Invalid` by path.
    """
    mistakes: dict[str, Any] = {}
    type_ = raw["type"]
    _note(mistakes, "type", lambda: check_word(type_))
    who = _note(mistakes, "contact", lambda: _who(raw["contact"], house))
    at = _note(mistakes, "occurred_at", lambda: _moment(raw.get("occurred_at"), now))
    key = _note(mistakes, "id", lambda: _own_id(raw.get("id")))
    found = _note(mistakes, "properties", lambda: _properties(type_, raw.get("properties") or {}, house))
    if mistakes:
        raise Invalid(mistakes)
    data, subject, given = found
    return Report(type_, who, at, given or key, subject, data, at < now - HISTORY)


def _note(mistakes: dict[str, Any], name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Invalid as error:
        mistakes[name] = error.messages.get("_", error.messages)
        return None


# --- the word, the contact, the moment -------------------------------------------------------------------


def check_word(word: str) -> None:
    """Raise :class:`Invalid` for a type that cannot be reported: no word, or one of our own."""
    if not WORD.fullmatch(word):
        raise Invalid(N_("Write a word of small letters, digits, _ and ., at most 60 characters, like order_paid"))
    if word in EVENTS and word not in TYPES:
        raise Invalid(Text("We raise “%(type)s” ourselves. Use another word", type=word))


def _who(raw: Mapping[str, Any], house: Callable[[], House]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": raw["id"]} if raw.get("id") is not None else {}
    mistakes: dict[str, Any] = {}
    for key in ADDRESSES:
        if raw.get(key):
            try:
                found[key] = _address(key, raw[key], house().customs if key == "phone" else _NO_CUSTOMS)
            except Invalid as error:
                mistakes[key] = error.messages["_"]
    if mistakes:
        raise Invalid(mistakes)
    if not any(value for value in found.values()):
        raise Invalid(N_("Name the contact by external_id, email, phone or id"))
    return found


_NO_CUSTOMS = people.Customs()


@lru_cache(4096)  # the same customers come again and again; reading an address costs more than finding it
def _address(key: str, raw: str, customs: people.Customs) -> str | None:
    return people.contact_text(key, raw, customs)


def _moment(at: datetime | None, now: datetime) -> datetime:
    if at is None:
        return now
    if at > now + AHEAD:
        raise Invalid(N_("Write a moment that has passed"))
    if at < now - OLDEST:
        raise Invalid(N_("Write a moment of the last ten years"))
    return min(at, now)


def _own_id(raw: str | int | None) -> str:
    if raw is None:
        return ""
    return f"api:{_id(raw)}"


def _id(raw: Any) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise Invalid(N_("Write it as text"))
    text = people.clean(raw)
    if not text:
        raise Invalid(N_("Fill this in, or leave it out"))
    if len(text) > LONGEST_ID:
        raise Invalid(Text("Use at most %(most)s characters", most=LONGEST_ID))
    return text


# --- what it brings --------------------------------------------------------------------------------------


def _properties(type_: str, raw: Mapping[str, Any], house: Callable[[], House]) -> tuple[dict[str, Any], str, str]:
    """``(properties, subject, key)``; the key is "" unless what it is about can only happen once."""
    _check_size(raw)
    reserved = OURS & set(raw)
    if reserved:
        name = min(reserved)
        raise Invalid({name: [Text("“%(name)s” is a name of our own. Call it otherwise", name=name)]})
    reader = TYPES.get(type_)
    if reader is None:
        return dict(raw), "", ""
    values = _Values(raw, house)
    subject, key = reader(values)
    if values.mistakes:
        raise Invalid(values.mistakes)
    return values.data, subject, key


def _check_size(raw: Mapping[str, Any]) -> None:
    if not raw:
        return
    try:
        size = len(orjson.dumps(raw))
    except (TypeError, RecursionError):
        size = MOST_BYTES + 1
    if size > MOST_BYTES:
        raise Invalid(Text("Send at most %(most)s KB of properties", most=MOST_BYTES // 1024))
    if _depth(raw, 1) > DEEPEST:
        raise Invalid(Text("Nest objects and lists at most %(most)s deep", most=DEEPEST))


def _depth(value: Any, level: int) -> int:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return max((_depth(one, level + 1) for one in inner if isinstance(one, Mapping | list)), default=level)


class _Values:
    """Properties while they are read: ``data`` is what they become, ``mistakes`` what is wrong, by path."""

    def __init__(self, raw: Mapping[str, Any], house: Callable[[], House]):
        self.data = dict(raw)
        self.house = house
        self.mistakes: dict[str, Any] = {}

    def take(self, name: str, read: Callable[[Any], Any], required: bool = False) -> Any:
        """Read one property; an empty one is left out. ``None`` for what is missing or wrong."""
        given = self.data.get(name)
        if given is None or (isinstance(given, str) and not given.strip()):
            self.data.pop(name, None)
            if required:
                self.mistakes[name] = [N_("Fill this in")]
            return None
        try:
            self.data[name] = read(given)
        except Invalid as error:
            self.mistakes[name] = error.messages.get("_", error.messages)
            return None
        return self.data[name]

    def currency(self) -> None:
        """The currency, the client's own where none is said."""
        if self.take("currency", _currency) is None and "currency" not in self.mistakes and self.house().currency:
            self.data["currency"] = self.house().currency


def _text(most: int) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise Invalid(N_("Write text"))
        text = people.clean(raw)
        if len(text) > most:
            raise Invalid(Text("Use at most %(most)s characters", most=most))
        return text

    return read


_name = _text(120)


def _amount(raw: Any) -> float:
    """Money, or how many: zero or more."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise Invalid(N_("Write a number, like 12 or 3.5"))
    if not 0 <= raw <= MOST_AMOUNT:
        raise Invalid(Text("Write a number from %(least)s to %(most)s", least=0, most=f"{MOST_AMOUNT:,}"))
    rounded = round(raw, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _price(raw: Any) -> float:
    """What was paid. What is given back is a report of its own."""
    if isinstance(raw, int | float) and not isinstance(raw, bool) and raw < 0:
        raise Invalid(N_("Write zero or more. Report what you give back as “refund”"))
    return _amount(raw)


def _currency(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch("[A-Za-z]{3}", raw.strip(), re.ASCII):
        raise Invalid(N_("Write the currency as three letters, like EUR"))
    return raw.strip().upper()


def _url(raw: Any) -> str:
    """An address of the web that may stand in a mail."""
    if not isinstance(raw, str) or len(raw) > 2000 or not raw.isprintable() or " " in raw.strip():
        raise Invalid(_NO_URL)
    try:
        parts = urlsplit(raw.strip())
    except ValueError:
        raise Invalid(_NO_URL) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(_NO_URL)
    return raw.strip()


_NO_URL = N_("Write an address that begins with https://")


def _instant(raw: Any) -> str:
    """A moment with its zone, in UTC."""
    try:
        found = datetime.fromisoformat(raw[:40] if isinstance(raw, str) else "")
    except ValueError:
        raise Invalid(_NO_MOMENT) from None
    if found.tzinfo is None or not 1970 <= found.year <= 2200:
        raise Invalid(_NO_MOMENT)
    return found.astimezone(UTC).isoformat().replace("+00:00", "Z")


_NO_MOMENT = N_("Write a moment with its zone, like 2026-05-04T09:00:00Z")
_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "sku": _text(LONGEST_ID),
    "name": _text(200),
    "category": _text(200),
    "price": _amount,
    "quantity": _amount,
    "url": _url,
    "image": _url,
}


def _items(raw: Any) -> list[dict[str, Any]]:
    """Goods: objects with sku, name, category, price, quantity, url and image, as far as they are known."""
    if not isinstance(raw, list):
        raise Invalid(N_("Send a list"))
    if len(raw) > MOST_ITEMS:
        raise Invalid(Text("Send at most %(most)s", most=MOST_ITEMS))
    found: list[dict[str, Any]] = []
    mistakes: dict[Any, Any] = {}
    for place, one in enumerate(raw):
        if not isinstance(one, Mapping):
            mistakes[place] = [N_("Send a JSON object")]
            continue
        values = _Values(one, lambda: House(_NO_CUSTOMS))
        for name, read in _PARTS.items():
            values.take(name, read)
        if values.mistakes:
            mistakes[place] = values.mistakes
        found.append(values.data)
    if mistakes:
        raise Invalid(mistakes)
    return found


def total(items: Sequence[Mapping[str, Any]]) -> float | None:
    """What the goods cost together; ``None`` unless each has a price."""
    if not items or any("price" not in one for one in items):
        return None
    return _amount(sum(one["price"] * one.get("quantity", 1) for one in items))


# --- one reader a type: the subject, and the key of what can only happen once ------------------------------


def _purchase(values: _Values) -> tuple[str, str]:
    order = values.take("order", _id, required=True)
    values.take("amount", _price, required=True)
    values.currency()
    values.take("items", _items)
    values.take("cart", _id)
    values.take("url", _url)
    return order or "", f"purchase:{order}"


def _refund(values: _Values) -> tuple[str, str]:
    order = values.take("order", _id, required=True)
    if values.take("amount", _amount) == 0:
        values.mistakes["amount"] = [N_("Write how much was given back, or leave it out for all of it")]
    return order or "", ""


def _cart(values: _Values) -> tuple[str, str]:
    cart = values.take("cart", _id, required=True)
    items = values.take("items", _items)
    if values.take("amount", _price) is None and "amount" not in values.mistakes and items:
        try:
            amount = total(items)
        except Invalid as error:
            values.mistakes["items"] = error.messages["_"]
        else:
            values.data.update({} if amount is None else {"amount": amount})
    values.currency()
    values.take("url", _url)
    return cart or "", ""


def _happening(values: _Values) -> tuple[str, str]:
    event = values.take("event", _name, required=True)
    starts, ends = values.take("starts_at", _instant), values.take("ends_at", _instant)
    if starts and ends and datetime.fromisoformat(ends) < datetime.fromisoformat(starts):
        values.mistakes["ends_at"] = [N_("It cannot end before it starts")]
    values.take("place", _text(300))
    values.take("url", _url)
    return event or "", ""


def _document(values: _Values) -> tuple[str, str]:
    document = values.take("document", _name, required=True)
    values.take("url", _url)
    return document or "", ""


def _app(values: _Values) -> tuple[str, str]:
    values.take("platform", _name)
    return values.take("app", _name) or "", ""


def _answer(values: _Values) -> tuple[str, str]:
    score = values.take("score", _score, required=True)
    values.take("comment", _text(2000))
    return "" if score is None else str(score), ""


def _score(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= 10:
        raise Invalid(Text("Write a whole number from %(least)s to %(most)s", least=0, most=10))
    return raw


TYPES: Mapping[str, Callable[[_Values], tuple[str, str]]] = {
    "purchase": _purchase,
    "refund": _refund,
    "cart_updated": _cart,
    "event_registered": _happening,
    "event_checked_in": _happening,
    "document_requested": _document,
    "document_downloaded": _document,
    "app_installed": _app,
    "nps_answered": _answer,
}
"""The words that mean something to us: what they bring is checked. All others are custom events."""
