"""Loyalty cards in plain Python: their numbers, and how an amount becomes points.

A number has 13 digits: a 2 (GS1 leaves the prefixes 20 to 29 to shops for cards of their own), eleven digits of chance
and the check digit of EAN-13, so that every scanner reads it and a mistyped digit is found at once.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from flowserver.domain import people
from flowserver.errors import Invalid
from flowserver.text import N_, Text

MOST_POINTS = 1_000_000
MOST_CENTS = 100_000_000  # a million, of whatever the client's till counts
_NUMBER = re.compile(r"2[0-9]{12}")


def card_number(chance: int) -> str:
    """One of a hundred thousand million card numbers, valid by its check digit; ``chance`` says which."""
    body = f"2{chance % 10**11:011d}"
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """The digit that completes twelve digits to an EAN-13 (ISO/IEC 15420): weights 1 and 3 in turn, filled up to tens."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)


def read_number(typed: Any) -> str:
    """A card number as scanned or typed, spaces and hyphens left out. Raises :class:`Invalid` in words."""
    found = re.sub(r"[\s-]", "", people.clean(str(typed)))
    if not found:
        raise Invalid(N_("Scan the card or enter its number"))
    if not _NUMBER.fullmatch(found):
        raise Invalid(N_("A card number has 13 digits and begins with 2"))
    if check_digit(found[:-1]) != found[-1]:
        raise Invalid(N_("A digit of this number is wrong. Compare it with the card"))
    return found


def show_number(number: str) -> str:
    """A number in groups, as it stands on the card: ``2123 4567 8901 2``."""
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def read_money(raw: Any, customs: people.Customs | None = None) -> int:
    """An amount in cents, from ``12.5``, ``"12,50"`` or what else people type. Raises :class:`Invalid` in words."""
    value = people.value("number", raw, customs=customs)
    if value is None:
        raise Invalid(N_("Enter the amount, like 12.50"))
    cents = Decimal(str(value)) * 100
    if cents != cents.to_integral_value():
        raise Invalid(N_("Enter the amount with two decimals at most"))
    if not 0 < cents <= MOST_CENTS:
        raise Invalid(Text("Enter an amount above 0 and up to %(most)s", most=f"{MOST_CENTS // 100:,}"))
    return int(cents)


def points_for(cents: int, cents_per_point: int) -> int:
    """Whole points for an amount: always rounded down, receipt by receipt. What is left over does not count later."""
    return cents // cents_per_point


def read_points(raw: Any, *, least: int = -MOST_POINTS, zero: bool = False) -> int:
    """A whole number of points from ``least`` to a million; 0 only where it makes sense. Raises :class:`Invalid`."""
    text = people.clean(str(raw)).replace("−", "-") if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
        raise Invalid(N_("Enter a whole number of points"))
    points = int(text)
    if points == 0 and not zero:
        raise Invalid(N_("Enter a whole number of points other than 0"))
    if not least <= points <= MOST_POINTS:
        words = N_("Enter a number of points between %(least)s and %(most)s")
        raise Invalid(Text(words.msgid, least=f"{least:,}", most=f"{MOST_POINTS:,}"))
    return points
