"""May this message go out, and when? Consent, quiet hours and caps as plain functions.

The engine asks when it plans a message; ``services/messages/deliveries.py`` asks again at the moment of hand-off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from flowserver.domain.localtime import instant


class Reachable(Protocol):
    """What must be known of a contact to decide; the domain contact and its row both fit."""

    @property
    def email(self) -> str | None: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def email_consent(self) -> str: ...
    @property
    def sms_consent(self) -> str: ...
    @property
    def status(self) -> str: ...


def may_send(contact: Reachable | None, channel: str, class_: str, suppressed: bool) -> str | None:
    """Why nothing may go to this contact through ``channel``, as a reason code; ``None`` when it may.

    ``contact`` is ``None`` when it was deleted; ``class_`` is ``marketing`` or ``service`` (which needs no consent);
    ``suppressed`` says whether the address stands on the client's suppression list. Codes: ``deleted``,
    ``no_email``, ``no_phone``, ``suppressed``, ``bounced``, ``unsubscribed`` (consent withdrawn), ``no_consent``.
    """
    if contact is None:
        return "deleted"
    if not (contact.email if channel == "email" else contact.phone):
        return "no_email" if channel == "email" else "no_phone"
    if suppressed or contact.status == "suppressed":
        return "suppressed"
    if channel == "email" and contact.status == "bounced":
        return "bounced"
    consent = contact.email_consent if channel == "email" else contact.sms_consent
    if class_ != "marketing" or consent == "given":
        return None
    return "unsubscribed" if consent == "withdrawn" else "no_consent"


def quiet_until(now: datetime, zone: ZoneInfo, quiet_from: str, quiet_to: str) -> datetime | None:
    """When the quiet hours that hold ``now`` end (UTC); ``None`` when sending is fine.

    ``quiet_from`` and ``quiet_to`` are wall-clock times ("21:00", "08:00") in ``zone``; the first minute is quiet, the
    last is not. Empty or equal times mean no quiet hours. Summer time is honoured.
    """
    if not quiet_from or not quiet_to or quiet_from == quiet_to:
        return None
    begins, ends = time.fromisoformat(quiet_from), time.fromisoformat(quiet_to)
    overnight = timedelta(days=1 if ends < begins else 0)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        end = instant(day + overnight, ends, zone)
        if instant(day, begins, zone) <= now < end:
            return end
    return None


@dataclass(frozen=True, slots=True)
class Hours:
    """When a flow may send marketing messages: on these days (0 = Monday), from a wall-clock time to another."""

    days: frozenset[int]
    opens: time
    closes: time

    def opening(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """When sending is fine again (UTC); ``None``: it is now. A day that ends at 00:00 ends at midnight."""
        today = now.astimezone(zone).date()
        for ahead in range(9):
            day = today + timedelta(days=ahead)
            closing = day + timedelta(days=1 if self.closes == time(0) else 0)
            begins, ends = instant(day, self.opens, zone), instant(closing, self.closes, zone)
            if day.weekday() in self.days and now < ends and begins < ends:
                return begins if begins > now else None
        return now + timedelta(days=7)  # a time that this week's change of clocks leaves out


def hold_until(
    now: datetime, zone: ZoneInfo, quiet: tuple[str, str] | None, hours: Hours | None
) -> tuple[datetime, str] | None:
    """Until when a message must wait, and for what: ``quiet_hours`` or ``sending_hours``; ``None``: it may go.

    Where both apply the stricter wins: the moment both allow.
    """
    moment, why = now, ""
    for _ in range(16):
        later = hours.opening(moment, zone) if hours else None
        reason = "sending_hours"
        if later is None and quiet is not None:
            later, reason = quiet_until(moment, zone, *quiet), "quiet_hours"
        if later is None:
            break
        moment, why = later, reason
    return (moment, why) if why else None


def free_from(
    now: datetime, zone: ZoneInfo, sent: Iterable[datetime], per_day: int | None, per_week: int | None
) -> datetime | None:
    """When a capped contact may get the next marketing message of a channel; ``None``: at once.

    ``sent`` are the instants of those it got or will get (eight days back suffice); a week is seven calendar days in
    ``zone``, today included. The answer is the same wall-clock time on the next free day.
    """
    if per_day is None and per_week is None:
        return None
    counts = Counter(at.astimezone(zone).date() for at in sent)

    def free(day: date) -> bool:
        week = sum(counts[day - timedelta(days=n)] for n in range(7))
        return (per_day is None or counts[day] < per_day) and (per_week is None or week < per_week)

    local = now.astimezone(zone)
    if free(local.date()):
        return None
    days = (local.date() + timedelta(days=n) for n in range(1, 366))
    day = next((day for day in days if free(day)), local.date() + timedelta(days=365))
    return instant(day, local.time().replace(fold=0), zone)
