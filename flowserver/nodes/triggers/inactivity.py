"""A contact has shown no sign of life for some days: no click, no open by a person, no visit, no purchase, no form filled.

What counts is said once, in ``domain/steps.py``: ``ACTIVITY``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import wtforms

from flowserver.domain import localtime
from flowserver.domain.steps import ACTIVITY, Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger
from flowserver.nodes.triggers.date_field import Days
from flowserver.nodes.triggers.fixed_date import ClockTime
from flowserver.text import N_, Text


class Inactivity(Trigger):
    """No activity: once a day, for those who have crossed the line since the last look."""

    name = "inactivity"
    title = N_("No activity")
    icon = "moon"
    timed = True
    catches_up = True
    asks_wait = False
    default_wait = {"minutes": 0}
    reentry = "after_finish"
    offers_existing = True
    revoked_by = ACTIVITY

    class Settings(base.Settings):
        days = Days(most=3650, required=True, error_messages={"required": N_("Enter the days as a whole number")})
        time = ClockTime(load_default="09:00")

    class Form(NodeForm):
        days = wtforms.StringField(
            N_("Days without activity"), default="90", render_kw={"class": "w-num num", "inputmode": "numeric"}
        )
        time = wtforms.StringField(
            N_("Time of the daily look"),
            widget=wtforms.widgets.TimeInput(),
            default="09:00",
            description=N_("Contacts enter at this time, on the client’s clock."),
            render_kw={"class": "w-time num"},
        )

    def admits(self, event: Fact) -> bool:
        return False

    def next_time(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        at = localtime.parse_time(self.settings["time"])
        return localtime.next_time(after + timedelta(microseconds=1), at, zone)

    def audience(self, moment: datetime, since: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
        span = {"since": since.isoformat(), "until": moment.isoformat()}
        return {"idle": {"days": self.settings["days"], **span}}

    def existing(self) -> Mapping[str, Any]:
        return {"idle": {"days": self.settings["days"]}}

    def sentence(self, names: Names) -> Text:
        return Text(
            "When a contact has shown no activity for %(days)s days", days=str(self.settings.get("days") or "…")
        )
