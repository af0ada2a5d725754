"""What a score rule can count: acts of a contact, what they can be narrowed to, how often one counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flowserver.domain import urls
from flowserver.domain.steps import heard_as
from flowserver.errors import Invalid
from flowserver.text import N_, Text

MOST = 1_000_000  # points, either way
FREQUENCIES = {
    "every": N_("Every time"),
    "daily": N_("Once a day"),
    "once": N_("Once ever"),
}


@dataclass(frozen=True)
class Act:
    """Something a contact does. ``source``: the kind of object it can be narrowed to; "text": words typed by hand."""

    title: Text
    source: str = ""


ACTS: Mapping[str, Act] = {
    "email_opened": Act(N_("Opens an e-mail")),
    "email_clicked": Act(N_("Clicks in an e-mail")),
    "form_filled": Act(N_("Fills in a form"), "form"),
    "list_joined": Act(N_("Joins a list"), "list"),
    "tag_added": Act(N_("Gets a tag"), "tag"),
    "page_visited": Act(N_("Visits the website"), "monitor"),
    "converted": Act(N_("Completes a conversion"), "conversion_rule"),
    "purchase": Act(N_("Buys something")),
    "cart_abandoned": Act(N_("Leaves a cart behind")),
    "coupon_redeemed": Act(N_("Uses a coupon"), "coupon_campaign"),
    "card_created": Act(N_("Gets a loyalty card"), "programme"),
    "points_assigned": Act(N_("Gets points on the loyalty card"), "programme"),
    "reward_collected": Act(N_("Collects a reward"), "programme"),
    "event_registered": Act(N_("Registers for an event"), "text"),
    "event_checked_in": Act(N_("Comes to an event"), "text"),
    "document_downloaded": Act(N_("Downloads a document"), "text"),
    "app_installed": Act(N_("Installs the app"), "text"),
    "nps_answered": Act(N_("Answers when asked for a recommendation")),
    "unsubscribed": Act(N_("Unsubscribes")),
    "email_bounced": Act(N_("Has an e-mail address that does not work")),
    "custom_event": Act(N_("An event of your own is reported")),
}


def counts(rule: Any, event: Any) -> bool:
    """Whether an event (``type``, ``subject``, ``data``) is what a rule counts (``act``, ``subject``, ``detail``).

    A visit counts once, with its first page; a page that is named counts whenever it is seen.
    """
    if rule.act != heard_as(event.type):
        return False
    if rule.act == "custom_event":
        return bool(event.type == rule.detail)
    if rule.subject and _fold(rule.subject) != _fold(event.subject):
        return False
    if rule.act == "page_visited":
        data = event.data or {}
        return _covers(rule.detail, str(data.get("url", ""))) if rule.detail else data.get("first") is True
    return True


def _fold(text: str) -> str:
    return text.strip().casefold()


def _covers(pattern: str, url: str) -> bool:
    try:
        return urls.matches(urls.parse(pattern), url)
    except Invalid:  # kept by another release
        return False


def slot(frequency: str, key: str, at: datetime, zone: ZoneInfo) -> str:
    """What a rule can count for a contact only once: the event with this ``key``, the day in ``zone``, or anything."""
    if frequency == "daily":
        return f"day:{at.astimezone(zone).date().isoformat()}"
    return key[:120] if frequency == "every" else "once"
