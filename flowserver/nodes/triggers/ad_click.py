"""A contact we know comes to your website by an advertisement or a campaign link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger, length
from flowserver.text import N_, Text

_PAID = ("cpc", "ppc", "cpm", "cpv", "paid", "paidsearch", "paid-search", "paid_search", "paid-social", "paid_social")
_PAID_TOO = ("paidsocial", "display", "banner", "ads", "retargeting", "remarketing", "affiliate")
PAID = frozenset((*_PAID, *_PAID_TOO))
"""What stands in utm_medium of an advertisement, as Google Analytics groups its channels."""
_SENTENCES = {
    "any": N_("When a known contact comes to %(monitor)s by an advertisement"),
    "google": N_("When a known contact comes to %(monitor)s by a Google ad"),
    "meta": N_("When a known contact comes to %(monitor)s by a Facebook or Instagram ad"),
    "microsoft": N_("When a known contact comes to %(monitor)s by a Microsoft ad"),
    "utm": N_("When a known contact comes to %(monitor)s by a campaign link"),
}


class AdClick(Trigger):
    """Ad click: a page whose address carries what the advertisement hung on: gclid, fbclid, msclkid, or utm_… parts."""

    name = "ad_click"
    title = N_("Ad click")
    icon = "target"
    listens_to = ("page_visited",)
    reentry = "after_finish"
    cooldown = {"hours": 24}

    class Settings(base.Settings):
        monitor = Ref("monitor", required=True, error_messages={"required": N_("Choose the site")})
        network = fields.String(
            load_default="any", validate=validate.OneOf(list(_SENTENCES), error=N_("Choose the kind of ad"))
        )
        campaign = fields.String(validate=length(120))
        source = fields.String(validate=length(120))

    class Form(NodeForm):
        monitor = ChoiceOf(N_("Site"), source="monitor")
        network = wtforms.RadioField(
            N_("By what"),
            choices={
                "any": N_("Any advertisement"),
                "google": N_("Google (gclid)"),
                "meta": N_("Facebook or Instagram (fbclid)"),
                "microsoft": N_("Microsoft (msclkid)"),
                "utm": N_("Any link with utm_source"),
            },
            default="any",
        )
        campaign = wtforms.StringField(
            N_("Only the campaign"),
            description=N_("As in utm_campaign of the link. Leave it empty for all."),
            render_kw={"maxlength": 120, "autocomplete": "off"},
        )
        source = wtforms.StringField(
            N_("Only from"),
            description=N_("As in utm_source of the link, for example newsletter. Leave it empty for all."),
            render_kw={"maxlength": 120, "autocomplete": "off"},
        )

        def to_settings(self) -> dict[str, Any]:
            given = {field.short_name: field.data for field in self}
            clean = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
            return {name: value for name, value in clean.items() if value not in (None, "")}

    def admits(self, event: Fact) -> bool:
        data = event.data or {}
        if event.subject != str(self.settings["monitor"]) or not _came_by(self.settings["network"], data):
            return False
        wanted = {"utm_campaign": self.settings.get("campaign"), "utm_source": self.settings.get("source")}
        return all(_same(data.get(name), value) for name, value in wanted.items() if value)

    def sentence(self, names: Names) -> Text:
        words = _SENTENCES[self.settings.get("network") or "any"]
        return Text(words.msgid, monitor=names("monitor", self.settings.get("monitor")))


def _came_by(network: str, data: Mapping[str, Any]) -> bool:
    clicks = {"google": "gclid", "meta": "fbclid", "microsoft": "msclkid", "utm": "utm_source"}
    if network in clicks:
        return bool(data.get(clicks[network]))
    paid = str(data.get("utm_medium", "")).lower() in PAID
    return paid or any(data.get(name) for name in ("gclid", "fbclid", "msclkid"))


def _same(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and given.strip().casefold() == wanted.casefold()
