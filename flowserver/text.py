"""Words for people, written where they arise and translated where they are shown.

``domain``, ``nodes`` and ``services`` know nothing of Flask, so they cannot call gettext.
They return :class:`Text`: an ordinary English string that still remembers its message id and
its values, so that a page can say it in the reader's language.
"""

from __future__ import annotations

from datetime import date
from typing import Any


class Text(str):
    """An English sentence that can be translated later.

    ``Text("Wait at most %(days)s days", days=365)`` *is* the English string; ``msgid`` and
    ``params`` let the page look it up in a catalogue.
    """

    msgid: str
    params: dict[str, Any]

    def __new__(cls, msgid: str, **params: Any) -> Text:
        self = super().__new__(cls, msgid % params if params else msgid)
        self.msgid = msgid
        self.params = params
        return self

    def format(self, *args: Any, **kwargs: Any) -> Text:
        """Itself: libraries format the messages they are given, and a plain string could no longer be translated."""
        return self


def N_(msgid: str) -> Text:
    """Mark a string for the catalogue without translating it yet."""
    return Text(msgid)


class Day(Text):
    """A date as words: "1 December 2026" in English; a page says it as the reader's language does."""

    day: date

    def __new__(cls, day: date) -> Day:
        self: Day = str.__new__(cls, f"{day.day} {day:%B} {day.year}")
        self.msgid, self.params, self.day = str(self), {}, day
        return self


def whole(raw: str) -> int | None:
    """The number that an address or a form names, such as an id; ``None`` for anything but 1 to 18 plain digits."""
    return int(raw) if raw.isascii() and raw.isdecimal() and len(raw) < 19 else None
