"""Says texts of domain, nodes and services in the reader's language."""

from __future__ import annotations

from typing import Any

from babel import dates
from flask_babel import get_locale, gettext

from flowserver.text import Day, Text


def say(text: Any) -> Any:
    """``text`` in the language of the request.

    A :class:`Text` is looked up by its msgid and its values are put in (texts among them are said too);
    anything else is already in words and comes back as it is. ``None`` is the empty string.
    """
    if text is None:
        return ""
    if isinstance(text, Day):
        return dates.format_date(text.day, "d MMMM y", locale=get_locale() or "en")
    if isinstance(text, Text):
        return message(text.msgid, text.params)
    return text if hasattr(text, "__html__") else str(text)


def message(msgid: str, params: dict[str, Any] | None = None) -> str:
    """A stored msgid with its values, as alerts and history rows keep them."""
    values = {name: say(value) if isinstance(value, str) else value for name, value in (params or {}).items()}
    found = gettext(msgid) if msgid else ""
    return found % values if values else found
