"""A birthday, an anniversary or another date of the contact: on the day, some days before it or some days after it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import localtime
from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.nodes.triggers.fixed_date import ClockTime
from flowserver.text import N_, Text

_SENTENCES = {
    ("on", "year"): N_("Each year on %(field)s, at %(time)s"),
    ("before", "year"): N_("Each year %(days)s days before %(field)s, at %(time)s"),
    ("after", "year"): N_("Each year %(days)s days after %(field)s, at %(time)s"),
    ("on", "once"): N_("On the day of %(field)s, at %(time)s"),
    ("before", "once"): N_("%(days)s days before %(field)s, at %(time)s"),
    ("after", "once"): N_("%(days)s days after %(field)s, at %(time)s"),
}


class Days(fields.Field[int]):
    """A number of days, 1 to ``most``, typed as a number or as digits."""

    def __init__(self, most: int = 365, **kwargs: Any):
        self.most = most
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        digits = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
            raise ma.ValidationError(N_("Enter the days as a whole number"))
        if not 1 <= int(digits) <= self.most:
            raise ma.ValidationError(Text("Enter 1 to %(most)s days", most=self.most))
        return int(digits)


class DateField(Trigger):
    """A date field: nothing is planned ahead, every day asks the fields as they are then."""

    name = "date_field"
    title = N_("Birthday or other date")
    icon = "calendar"
    timed = True
    asks_wait = False
    default_wait = {"minutes": 0}
    reentry = "after_finish"

    class Settings(base.Settings):
        field = Ref("date", required=True, error_messages={"required": N_("Choose a date field")})
        when = fields.String(
            load_default="on",
            validate=validate.OneOf(["on", "before", "after"], error=N_("Choose on the day, before it or after it")),
        )
        days = Days()
        time = ClockTime(load_default="09:00")
        every = fields.String(
            load_default="year", validate=validate.OneOf(["year", "once"], error=N_("Choose every year or once"))
        )

        @ma.validates_schema(skip_on_field_errors=True)
        def _days_where_needed(self, data: Mapping[str, Any], **_: Any) -> None:
            if data["when"] != "on" and not data.get("days"):
                raise ma.ValidationError(N_("Enter the days as a whole number"), "days")
            if data["when"] == "on" and data.get("days"):
                raise ma.ValidationError(N_("Choose before or after to name days"), "days")

    class Form(NodeForm):
        shows = {"days": "when=before|after"}
        field = ChoiceOf(N_("Date field"), source="date")
        when = wtforms.RadioField(
            N_("When"),
            choices={"on": N_("On the day"), "before": N_("Days before it"), "after": N_("Days after it")},
            default="on",
        )
        days = wtforms.StringField(N_("How many days"), render_kw={"class": "w-num num", "inputmode": "numeric"})
        time = wtforms.StringField(
            N_("Time"),
            widget=wtforms.widgets.TimeInput(),
            default="09:00",
            description=N_("On the client’s clock."),
            render_kw={"class": "w-time num"},
        )
        every = wtforms.RadioField(
            N_("How often"),
            choices={"year": N_("Every year, as a birthday"), "once": N_("Once, in the year of the date")},
            default="year",
        )

        def to_settings(self) -> dict[str, Any]:
            found = super().to_settings()
            if found.get("when") == "on":
                found.pop("days", None)
            return found

    def admits(self, event: Fact) -> bool:
        return False

    def next_time(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        at = localtime.parse_time(self.settings["time"])
        return localtime.next_time(after + timedelta(microseconds=1), at, zone)

    def audience(self, moment: datetime, since: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
        apart = timedelta(days=self.settings.get("days") or 0)
        today = moment.astimezone(zone).date()
        day = today + apart if self.settings["when"] == "before" else today - apart
        yearly = self.settings["every"] == "year"
        return {"date": {"field": self.settings["field"], "day": day.isoformat(), "yearly": yearly}}

    def sentence(self, names: Names) -> Text:
        which = self.settings.get("when") or "on", self.settings.get("every") or "year"
        return Text(
            _SENTENCES.get(which, _SENTENCES["on", "year"]).msgid,
            field=names("date", self.settings.get("field")),
            days=str(self.settings.get("days") or "…"),
            time=self.settings.get("time") or "…",
        )
