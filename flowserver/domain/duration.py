"""Durations as people write them: exactly one of minutes, hours, days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flowserver.errors import Invalid
from flowserver.text import N_, Text

UNITS = ("minutes", "hours", "days")
LONGEST = timedelta(days=365)


def parse(raw: Any) -> timedelta:
    """``{"days": 3}`` → three times 24 hours. Raises :class:`Invalid` for anything but 0 to 365 days in one unit."""
    if not isinstance(raw, Mapping) or len(raw) != 1 or next(iter(raw)) not in UNITS:
        raise Invalid(N_("Name exactly one of minutes, hours or days"))
    unit, amount = next(iter(raw.items()))
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise Invalid(N_("Enter the waiting time as a whole number"))
    if amount < 0:
        raise Invalid(N_("The waiting time cannot be below 0"))
    if amount > 600_000 or timedelta(**{unit: amount}) > LONGEST:
        raise Invalid(N_("The waiting time can be 365 days at most"))
    return timedelta(**{unit: amount})


def words(raw: Mapping[str, int]) -> Text:
    """``{"days": 1}`` → "1 day", as text a page can translate."""
    unit, amount = next(iter(raw.items()))
    singular = {"minutes": N_("%(n)s minute"), "hours": N_("%(n)s hour"), "days": N_("%(n)s day")}
    plural = {"minutes": N_("%(n)s minutes"), "hours": N_("%(n)s hours"), "days": N_("%(n)s days")}
    return Text((singular if amount == 1 else plural)[unit].msgid, n=amount)
