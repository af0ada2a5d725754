"""The flow starts once, at one moment, for everyone on a list or in a segment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import localtime
from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import AudienceOf, Names, NodeForm, Ref, Trigger
from flowserver.text import N_, Day, Text


class ClockTime(fields.String):
    """A time of day as people write it: ``9:00`` is kept as ``09:00``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return f"{localtime.parse_time(value):%H:%M}"
        except (TypeError, ValueError):
            raise ma.ValidationError(N_("Enter a time such as 09:00")) from None


class CalendarDate(fields.String):
    """A date there is, as ``2026-12-01``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return localtime.parse_date(value).isoformat()
        except TypeError:
            raise ma.ValidationError(N_("Enter a date such as 2026-12-01")) from None
        except ValueError:
            if localtime.looks_like_a_date(value):
                words = Text("%(date)s is not in the calendar. Choose another date", date=value)
                raise ma.ValidationError(words) from None
            raise ma.ValidationError(N_("Enter a date such as 2026-12-01")) from None


class ZoneName(fields.String):
    """The IANA name of a time zone, such as ``Europe/Rome``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or not localtime.is_zone(value):
            raise ma.ValidationError(N_("Name a time zone such as Europe/Rome"))
        return value


class FixedDate(Trigger):
    """Fixed date: the wall clock and its zone are kept as they are, the instant is computed late."""

    name = "fixed_date"
    title = N_("Fixed date")
    icon = "calendar"
    group = "calendar"
    timed = True
    one_shot = True
    asks_wait = False
    default_wait = {"minutes": 0}
    in_full = N_("%(start)s to the first step.")

    class Settings(base.Settings):
        date = CalendarDate(required=True, error_messages={"required": N_("Enter the date")})
        time = ClockTime(required=True, error_messages={"required": N_("Enter the time")})
        zone = ZoneName()  # the client's, unless it says another one
        list = Ref("list")
        segment = Ref("segment")

        @ma.validates_schema(pass_original=True, skip_on_field_errors=False)
        def _one_audience(self, data: Mapping[str, Any], raw: Mapping[str, Any], **_: Any) -> None:
            if not {"list", "segment"} & set(raw):
                raise ma.ValidationError(N_("Choose who should get the messages"), "list")
            if data.get("list") and data.get("segment"):
                raise ma.ValidationError(N_("Name a list or a segment, not both"), "segment")

        @ma.validates_schema(skip_on_field_errors=True)
        def _is_on_the_clock(self, data: Mapping[str, Any], **_: Any) -> None:
            zone = data.get("zone")
            day, at = localtime.parse_date(data["date"]), localtime.parse_time(data["time"])
            if zone and not localtime.exists(day, at, ZoneInfo(zone)):
                words = N_("On %(date)s the clocks in %(zone)s skip %(time)s. Choose another time")
                raise ma.ValidationError(Text(words.msgid, date=Day(day), zone=zone, time=data["time"]), "time")

    class Form(NodeForm):
        elsewhere = frozenset({"zone"})
        asks = {"zone": "time", "list": "who", "segment": "who"}
        beside = {"date": (N_("Date and time"), ("date", "time"))}
        date = wtforms.StringField(N_("Date"), widget=wtforms.widgets.DateInput(), render_kw={"class": "w-date num"})
        time = wtforms.StringField(
            N_("Time"), widget=wtforms.widgets.TimeInput(), default="09:00", render_kw={"class": "w-time num"}
        )
        who = AudienceOf(
            N_("Who should get the messages?"),
            description=N_("Contacts on the list at that moment. Later joiners are not included."),
        )

        def to_settings(self) -> dict[str, Any]:
            given = {"date": (self.date.data or "").strip(), "time": (self.time.data or "").strip()}
            return {name: value for name, value in given.items() if value} | self.who.chosen()

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            return {**settings, "who": AudienceOf.of(settings)}

    def admits(self, event: Fact) -> bool:
        return False

    def next_time(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        moment = self.moment(zone)
        return moment if moment > after else None

    def moment(self, zone: ZoneInfo) -> datetime:
        """The one moment it is about, UTC. ``zone`` is the client's, for settings that name none."""
        kept = self.settings.get("zone")
        day, at = localtime.parse_date(self.settings["date"]), localtime.parse_time(self.settings["time"])
        return localtime.instant(day, at, ZoneInfo(kept) if kept else zone)

    def passed(self, now: datetime, zone: ZoneInfo) -> tuple[str, Text] | None:
        if self.moment(zone) > now:
            return None
        day = localtime.parse_date(self.settings["date"])
        kept = self.settings.get("zone")
        if day == now.astimezone(ZoneInfo(kept) if kept else zone).date():
            return "time", Text("The time must be in the future. %(time)s has passed", time=self.settings["time"])
        return "date", Text("The date must be in the future. %(date)s has passed", date=Day(day))

    def audience(self, moment: datetime, since: datetime, zone: ZoneInfo) -> Mapping[str, Any]:
        until = {"until": moment.isoformat()}
        if self.settings.get("segment"):
            return {"segment": {"segment": self.settings["segment"], **until}}
        return {"members": {"list": self.settings["list"], **until}}

    def sentence(self, names: Names) -> Text:
        segment = self.settings.get("segment")
        words = (
            N_("On %(date)s at %(time)s, send everyone in %(who)s")
            if segment
            else N_("On %(date)s at %(time)s, send everyone on %(who)s")
        )
        return Text(
            words.msgid,
            date=_shown(self.settings.get("date")),
            time=self.settings.get("time") or "…",
            who=names("segment", segment) if segment else names("list", self.settings.get("list")),
        )


def _shown(raw: Any) -> str:
    try:
        return Day(date.fromisoformat(raw))
    except (TypeError, ValueError):
        return "…"
