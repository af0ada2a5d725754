"""Wait a time, or until an hour, a weekday or a date of the client's time zone. A moment that has passed goes on at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import duration, localtime
from flowserver.domain.steps import Context, Go, Item, Outcome, Park
from flowserver.nodes import base
from flowserver.nodes.base import Action, Duration, DurationField, Names, NodeForm, span
from flowserver.text import N_, Text

_DAYS = {
    "monday": N_("Monday"),
    "tuesday": N_("Tuesday"),
    "wednesday": N_("Wednesday"),
    "thursday": N_("Thursday"),
    "friday": N_("Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
}


class Until(base.Settings):
    """``{time}``, ``{weekday, time}`` or ``{date, time}``; the time is 00:00 where it is left out beside a day."""

    date = fields.String()
    weekday = fields.String(validate=validate.OneOf(localtime.WEEKDAYS, error=N_("Choose a day of the week")))
    time = fields.String(load_default="00:00")

    @ma.validates("date")
    def _date(self, value: str, **_: Any) -> None:
        try:
            localtime.parse_date(value)
        except ValueError:
            raise ma.ValidationError(N_("Enter a date such as 2026-12-01")) from None

    @ma.validates("time")
    def _time(self, value: str, **_: Any) -> None:
        try:
            localtime.parse_time(value)
        except ValueError:
            raise ma.ValidationError(N_("Enter a time such as 09:00")) from None

    @ma.validates_schema(pass_original=True)
    def _one_kind(self, data: Mapping[str, Any], raw: Any, **_: Any) -> None:
        if not raw or ("date" in data and "weekday" in data):
            raise ma.ValidationError(N_("Name an hour, a weekday or a date"))


class Wait(Action):
    name = "wait"
    title = N_("Wait")
    icon = "clock"
    group = "time"
    waits = True

    class Settings(base.Settings):
        for_ = Duration(data_key="for", attribute="for")
        until = fields.Nested(Until)

        @ma.validates_schema
        def _one_kind(self, data: Mapping[str, Any], **_: Any) -> None:
            if ("for" in data) == ("until" in data):
                raise ma.ValidationError(N_("Say how long to wait, or until when"), "for")

    class Form(NodeForm):
        asks = {"until": "time", "until.weekday": "weekday", "until.date": "date", "until.time": "time"}
        shows = {"for": "kind=for", "weekday": "kind=weekday", "date": "kind=date", "time": "kind=time|weekday|date"}

        kind = wtforms.RadioField(
            N_("How to wait"),
            choices={
                "for": N_("A length of time"),
                "time": N_("Until an hour of the day"),
                "weekday": N_("Until a day of the week"),
                "date": N_("Until a date"),
            },
            default="for",
        )
        for_ = DurationField(N_("Wait"), name="for", default={"days": 1})
        weekday = wtforms.SelectField(N_("Day of the week"), choices=_DAYS)
        date = wtforms.StringField(N_("Date"), description=N_("For example 2026-12-01"))
        time = wtforms.StringField(N_("Hour"), description=N_("For example 09:00"), default="09:00")

        def to_settings(self) -> dict[str, Any]:
            time = {"time": (self.time.data or "").strip() or "00:00"}
            if self.kind.data == "time":
                return {"until": time}
            if self.kind.data in ("weekday", "date"):
                return {"until": {**time, self.kind.data: (self[self.kind.data].data or "").strip()}}
            return {"for": self.for_.data}

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            until = settings.get("until")
            if not isinstance(until, Mapping) or not until:
                return {"kind": "for", "for_": settings.get("for")}
            return {"kind": next((k for k in ("date", "weekday") if k in until), "time"), **until}

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        until, absolute = self.ends(ctx.now, ctx.zone), "until" in self.settings
        outcome: Outcome = Park(until, absolute=absolute) if until > ctx.now else Go()
        return [outcome] * len(batch)

    def resume(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [Go()] * len(batch)

    def ends(self, now: datetime, zone: ZoneInfo) -> datetime:
        """When a wait that begins ``now`` ends, UTC."""
        if "for" in self.settings:
            return now + span(self.settings["for"])
        until = self.settings["until"]
        at = localtime.parse_time(until["time"])
        if "date" in until:
            return localtime.instant(localtime.parse_date(until["date"]), at, zone)
        weekday = localtime.WEEKDAYS.index(until["weekday"]) if "weekday" in until else None
        return localtime.next_time(now, at, zone, weekday)

    def summary(self, names: Names) -> str:
        if "for" in self.settings:
            return Text("Wait %(time)s", time=duration.words(self.settings["for"]))
        if "until" not in self.settings:
            return self.title
        until = self.settings["until"]
        time = until.get("time", "…")
        if "date" in until:
            return Text("Wait until %(date)s, %(time)s", date=until["date"], time=time)
        if "weekday" in until:
            return Text("Wait until %(day)s, %(time)s", day=_DAYS[until["weekday"]], time=time)
        return Text("Wait until %(time)s", time=time)
