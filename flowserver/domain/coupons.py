"""Coupon codes: how they are written and compared, how new ones are made, how long they are good."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from flowserver.domain import localtime, people
from flowserver.errors import Invalid
from flowserver.text import N_, Text

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # without 0 O, 1 I L, U: what people mix up or read aloud wrongly
LONGEST = 40
SHORTEST_CHANCE, LONGEST_CHANCE = 6, 20  # six characters are 729 million codes
MOST_USES = 100_000
MOST_DAYS = 3650
MOST_AMOUNT = Decimal("9999999999.99")
STATES = ("free", "issued", "redeemed", "expired", "void")
_SIGNS = re.compile(r"[\w.+*:@$!=-]+")
_HEADINGS = frozenset({"code", "codes", "coupon", "coupons", "coupon code", "voucher", "codice", "kod", "kupon"})


# --- codes ---------------------------------------------------------------------------------------------


def code(raw: Any) -> str:
    """A code as it is kept: no white space, 1 to 40 letters, digits and a few signs. Raises :class:`Invalid`."""
    text = "".join(people.clean(raw).split())
    if not text:
        raise Invalid(N_("Enter the code"))
    if len(text) > LONGEST:
        raise Invalid(Text("Use at most %(most)s characters", most=LONGEST))
    if not _SIGNS.fullmatch(text):
        raise Invalid(N_("Use letters, digits and the signs - _ . + * : @ $ ! = only"))
    return text


def fold(text: str) -> str:
    """A code as codes are compared: however it is capitalised and spaced."""
    return unicodedata.normalize("NFC", "".join(text.split()).casefold())[:80]


def prefix(raw: Any) -> str:
    """What the codes of a campaign begin with, in capitals; may be empty. Raises :class:`Invalid`."""
    text = "".join(people.clean(raw).split()).upper()
    if len(text) > 12:
        raise Invalid(Text("Use at most %(most)s characters", most=12))
    if text and not _SIGNS.fullmatch(text):
        raise Invalid(N_("Use letters, digits and the signs - _ . + * : @ $ ! = only"))
    return text


def is_heading(line: int, text: str) -> bool:
    """Whether this is the first line of a file and names its column."""
    return line == 1 and " ".join(text.split()).casefold() in _HEADINGS


def from_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """``(line, code as written)`` of a text file: the first cell of every line, blank lines and the heading left out."""
    for number, line in enumerate(lines, 1):
        cell = re.split(r"[;,\t|]", line.strip().lstrip("\ufeff"), maxsplit=1)[0].strip().strip('"').strip()
        if not is_heading(number, cell):
            yield number, cell


# --- how long they are good --------------------------------------------------------------------------------


def begins(starts_on: date | None, zone: ZoneInfo) -> datetime | None:
    """The instant from which codes of a campaign are good; ``None``: at once."""
    return localtime.instant(starts_on, time(0), zone) if starts_on else None


def ends(ends_on: date | None, zone: ZoneInfo) -> datetime | None:
    """The first instant after the last day of a campaign; ``None``: it has none."""
    return localtime.instant(ends_on + timedelta(days=1), time(0), zone) if ends_on else None


def expires(now: datetime, ends_on: date | None, days: int | None, zone: ZoneInfo) -> datetime | None:
    """When a code given out ``now`` stops being good: after ``days`` of 24 hours, with the campaign at the latest."""
    limits = [ends(ends_on, zone), now + timedelta(days=days) if days else None]
    return min((one for one in limits if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class Taken:
    """A code that a step of a flow gives out, before it is written."""

    id: int | None  # of a code of the pool; None: a new one
    code: str
    campaign: Any  # its row
    validity: Mapping[str, Any]  # columns of the coupon
    until: str  # the last day, as 2026-06-03; "" without end


# --- what people type --------------------------------------------------------------------------------------


def day(raw: Any) -> date | None:
    """A day such as ``2026-12-01``; ``None`` when nothing was written. Raises :class:`Invalid`."""
    if raw in (None, ""):
        return None
    if isinstance(raw, date):
        return raw
    try:
        return localtime.parse_date(str(raw).strip())
    except ValueError:
        raise Invalid(N_("Write a day like 2026-12-01")) from None


def whole(raw: Any, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``. Raises :class:`Invalid`."""
    text = str(raw).strip() if not isinstance(raw, bool) and raw is not None else ""
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise Invalid(Text("Write a number from %(least)s to %(most)s", least=f"{least:,}", most=f"{most:,}"))
    return int(text)


def amount(raw: Any) -> Decimal | None:
    """An amount of money, 0 or more, with two digits after the point or comma; ``None`` when nothing was written.

    Raises :class:`Invalid`.
    """
    if raw in (None, "") or (isinstance(raw, str) and not raw.strip()):
        return None
    text = "" if isinstance(raw, bool) else str(raw).strip().replace(" ", "").replace("\u00a0", "")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise Invalid(N_("Write an amount like 12.50")) from None
    if not found.is_finite():
        raise Invalid(N_("Write an amount like 12.50"))
    if found < 0:
        raise Invalid(N_("The amount cannot be less than 0"))
    if found > MOST_AMOUNT:
        raise Invalid(N_("The amount is too large"))
    if found != round(found, 2):
        raise Invalid(N_("Write an amount like 12.50"))
    return round(found, 2)
