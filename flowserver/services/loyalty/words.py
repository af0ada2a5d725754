"""Events about loyalty cards in words, for a contact's history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.text import N_, Text

# type → icon, colour of the dot, words
EVENTS: Mapping[str, tuple[str, str, Text]] = {
    "card_created": ("card", "ok", N_("Got a card of %(programme)s")),
    "points_assigned": ("card", "ok", N_("Got %(points)s points on %(programme)s")),
    "points_reversed": ("undo", "warn", N_("%(points)s points on %(programme)s were undone")),
    "reward_assigned": ("flag", "ok", N_("Got the reward “%(reward)s”")),
    "reward_withdrawn": ("undo", "warn", N_("The reward “%(reward)s” was taken back")),
    "reward_collected": ("check", "ok", N_("Collected the reward “%(reward)s”")),
}


def said(type_: str, data: Mapping[str, Any]) -> tuple[str, str, Text, Text | str]:
    """``(icon, colour, words, more words)`` of an event in :data:`EVENTS`."""
    icon, kind, words = EVENTS[type_]
    points = data.get("points")
    shown = {
        "programme": str(data.get("programme") or "…"),
        "reward": str(data.get("reward") or "…"),
        "points": abs(points) if isinstance(points, int) else "…",
    }
    balance = data.get("balance")
    more = Text("The card has %(balance)s points now", balance=balance) if isinstance(balance, int) else ""
    return icon, kind, Text(words.msgid, **shown), more
