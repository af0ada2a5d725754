"""A contact we know looks at your website: any page, or one you name. Visitors nobody knows start nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import urls
from flowserver.domain.steps import Fact
from flowserver.errors import Invalid, flat
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text

LONGEST_STAY = 3600  # seconds


class SiteVisit(Trigger):
    """Website visit. ``any``: the first page of a visit, which ends after half an hour without a sign; ``page``: pages
    that a pattern means. With ``stay`` the page counts once it has been in front of the visitor for so many seconds."""

    name = "site_visit"
    title = N_("Website visit")
    icon = "globe"
    group = "calendar"
    listens_to = ("page_visited", "page_stayed")
    reentry = "after_finish"
    cooldown = {"hours": 24}

    class Settings(base.Settings):
        monitor = Ref("monitor", required=True, error_messages={"required": N_("Choose the site")})
        scope = fields.String(validate=validate.OneOf(["any", "page"], error=N_("Choose any page or one page")))
        url = fields.String()
        stay = WholeNumber()

        @ma.pre_load
        def _scope_from_url(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
            """A star alone means any page, and so does nothing at all."""
            given = {"scope": "page" if data.get("url") else "any", **data}
            if isinstance(given.get("url"), str) and given["url"].strip() in urls.ANY:
                given["scope"] = "any"
                del given["url"]
            return given

        @ma.validates("url")
        def _whole_address(self, value: str, **_: Any) -> None:
            try:
                urls.parse(value)
            except Invalid as error:
                raise ma.ValidationError(flat(error.messages)) from None

        @ma.validates("stay")
        def _some_seconds(self, value: int, **_: Any) -> None:
            if not 1 <= value <= LONGEST_STAY:
                raise ma.ValidationError(Text("Enter 1 to %(most)s seconds", most=f"{LONGEST_STAY:,}"))

        @ma.validates_schema
        def _url_goes_with_scope(self, data: Mapping[str, Any], **_: Any) -> None:
            if data["scope"] == "page" and not data.get("url"):
                raise ma.ValidationError(N_("Enter the address of the page"), "url")
            if data["scope"] == "any" and data.get("url"):
                raise ma.ValidationError(N_("Choose “one page” to name an address"), "url")

    class Form(NodeForm):
        shows = {"url": "scope=page", "address": "scope=page"}
        tries = {"address": N_("Would this address match?")}
        monitor = ChoiceOf(N_("Site"), source="monitor")
        scope = wtforms.RadioField(
            N_("Which page"),
            choices={"any": N_("Any page, once a visit"), "page": N_("One page, or pages that are alike")},
            default="any",
        )
        url = wtforms.StringField(
            N_("Address of the page"),
            description=N_(
                "From https:// on. * stands for anything up to the next slash, ** for anything at all:"
                " https://shop.example/coffee/*"
            ),
            render_kw={"maxlength": urls.LONGEST_PATTERN, "inputmode": "url", "autocomplete": "off"},
        )
        address = wtforms.StringField(
            N_("An address to try"),
            description=N_("Copy one from your browser to see whether it would start the flow. It is not saved."),
            render_kw={"maxlength": urls.LONGEST, "inputmode": "url", "autocomplete": "off"},
        )
        stay = wtforms.StringField(
            N_("Only after so many seconds on the page"),
            description=N_("Leave it empty to count every look. Time in a hidden tab does not count."),
            render_kw={"inputmode": "numeric", "class": "w-num", "autocomplete": "off"},
        )

        def to_settings(self) -> dict[str, Any]:
            one = self.scope.data == "page"
            given = {
                "monitor": self.monitor.data,
                "scope": self.scope.data or "",
                "url": (self.url.data or "").strip() if one else "",
                "stay": (self.stay.data or "").strip() if isinstance(self.stay.data, str) else self.stay.data,
            }
            return {name: value for name, value in given.items() if value not in (None, "") or name == "scope"}

        def tried(self, name: str) -> tuple[bool, Text]:
            """Whether the address that was typed is one of the pages, and why not."""
            try:
                pattern = urls.parse(self.url.data or "")
            except Invalid as error:
                return False, Text("%(why)s", why=flat(error.messages)[0])
            why = urls.why_not(pattern, self.address.data or "")
            if why is None:
                return True, N_("Yes, a visit to this address would start the flow")
            return False, Text("No. %(why)s", why=why)

    def admits(self, event: Fact) -> bool:
        data = event.data or {}
        if event.subject != str(self.settings["monitor"]) or not self._stayed(event, data):
            return False
        if self.settings["scope"] == "any":
            return data.get("first") is True
        return urls.matches(urls.parse(self.settings["url"]), str(data.get("url", "")))

    def _stayed(self, event: Fact, data: Mapping[str, Any]) -> bool:
        """Whether this event is the look itself, or the one with which the wanted stay is reached."""
        wanted = self.settings.get("stay")
        if not wanted:
            return event.type == "page_visited"
        reached, before = data.get("stay"), data.get("stay_before")
        whole = isinstance(reached, int) and isinstance(before, int)
        return event.type == "page_stayed" and whole and before < wanted <= reached

    def sentence(self, names: Names) -> Text:
        stay = self.settings.get("stay")
        if self.settings.get("scope") == "page":
            place = {"url": self.settings.get("url") or "…"}
            if stay:
                return Text("When a known contact visits %(url)s for %(stay)s seconds", stay=stay, **place)
            return Text("When a known contact visits %(url)s", **place)
        monitor = names("monitor", self.settings.get("monitor"))
        if stay:
            return Text("When a known contact visits %(monitor)s for %(stay)s seconds", monitor=monitor, stay=stay)
        return Text("When a known contact visits %(monitor)s", monitor=monitor)
