"""Texts: how many segments one takes and why, who it comes from, and the words that mean stop."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowserver.domain import liquid
from flowserver.errors import Invalid
from flowserver.text import N_, Text

LONGEST = 1530  # characters; ten segments of plain letters

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_PLAIN = {
    "’": "'", "‘": "'", "‚": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-",
    "…": "...", "•": "-", "·": "-", "×": "x", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "",
    "\t": " ", "ł": "l", "Ł": "L", "ç": "Ç", "Đ": "D", "đ": "d", "œ": "oe", "Œ": "OE", "©": "(c)", "®": "(R)", "™": "(TM)",
    "₤": "£",
}  # fmt: skip

STOP_WORDS = frozenset({
    "STOP", "STOPALL", "STOPP", "UNSUBSCRIBE", "OPTOUT", "OPT-OUT", "CANCEL", "END", "QUIT", "BASTA", "ANNULLA",
    "CANCELLAMI", "REVOCA", "ARRET", "ARRETER", "REZYGNUJE", "REZYGNUJĘ", "WYPISZ",
})  # fmt: skip


@dataclass(slots=True, frozen=True)
class Count:
    """What a text takes. ``left``: characters until the next segment begins; ``culprit``: the first that is not GSM-7."""

    encoding: str  # "GSM-7" or "UCS-2"
    units: int  # septets or 16-bit units
    segments: int
    left: int
    culprit: str = ""
    replacement: str | None = None  # plain characters in its place; None where there are none


def count(text: str) -> Count:
    """Count the segments of a text as it will be sent: 160 or 153 septets, 70 or 67 units where a character needs UCS-2."""
    culprit = next((char for char in text if char not in _BASIC and char not in _EXTENDED), "")
    if culprit:
        sizes = [2 if ord(char) > 0xFFFF else 1 for char in text]
        segments, used, limit = _fill(sizes, 70, 67)
        return Count("UCS-2", sum(sizes), segments, limit - used, culprit, replacement(culprit))
    sizes = [2 if char in _EXTENDED else 1 for char in text]
    segments, used, limit = _fill(sizes, 160, 153)
    return Count("GSM-7", sum(sizes), segments, limit - used)


def _fill(sizes: list[int], alone: int, joined: int) -> tuple[int, int, int]:
    """Segments, units used in the last one, its limit. A character is never cut in two."""
    total = sum(sizes)
    if total <= alone:
        return (1 if total else 0), total, alone
    segments, used = 1, 0
    for size in sizes:
        if used + size > joined:
            segments, used = segments + 1, 0
        used += size
    return segments, used, joined


def replacement(char: str) -> str | None:
    """A plain way to write a character that is not in GSM-7: "’" → "'", "ą" → "a". ``None`` where there is none."""
    if char in _PLAIN:
        return _PLAIN[char]
    base = unicodedata.normalize("NFKD", char)
    plain = "".join(one for one in base if not unicodedata.combining(one))
    return plain if plain and plain != char and all(one in _BASIC or one in _EXTENDED for one in plain) else None


def plain(text: str) -> str:
    """The text with every character replaced that has a plain way to write it."""
    return "".join(char if char in _BASIC or char in _EXTENDED else _or(replacement(char), char) for char in text)


def _or(found: str | None, char: str) -> str:
    return char if found is None else found


def is_sender(sender: str) -> bool:
    """A name of up to 11 letters, digits and spaces with a letter in it, or a number such as +393331234567."""
    if re.fullmatch(r"\+[1-9]\d{5,14}", sender):
        return True
    return bool(
        re.fullmatch(r"[A-Za-z0-9 ]{1,11}", sender) and re.search(r"[A-Za-z]", sender) and sender == sender.strip()
    )


def sender_from(name: str) -> str:
    """A sender made of a client's name: "Caffè Lume" → "Caffe Lume"; "Info" where no letter is left."""
    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L"))
    kept = re.sub(r"[^A-Za-z0-9 ]", "", plain)
    short = " ".join(kept.split())[:11].strip()
    return short if is_sender(short) else "Info"


def is_stop(text: str) -> bool:
    """Whether an incoming text asks to stop: its first word, or all of it without spaces, is a stop word."""
    words = re.findall(r"[\w-]+", text.upper())
    return bool(words) and (words[0] in STOP_WORDS or "".join(words) in STOP_WORDS) and len(words) <= 4


@dataclass(slots=True, frozen=True)
class SmsTemplate:
    """A text compiled once; ``sender`` is a name or a number."""

    text: liquid.Template
    sender: str

    def render(
        self, contact: Mapping[str, Any], workspace: Mapping[str, Any], event: Mapping[str, Any] | None = None
    ) -> str:
        """The text for one contact; ``event``: what started the flow brought along. Raises :class:`Invalid`."""
        return self.text.render({"contact": contact, "event": event or {}, "workspace": workspace}).strip()


def compile_sms(content: Mapping[str, Any], sender: str, constants: Mapping[str, Any] | None = None) -> SmsTemplate:
    """Compile ``{"text", "sender"?}``; ``sender`` is the client's. Raises :class:`Invalid` with the field's name."""
    own = str(content.get("sender") or sender)
    if not is_sender(own):
        raise Invalid(
            {"sender": [N_("Use up to 11 letters and digits for the sender, or a number such as +393331234567")]}
        )
    return SmsTemplate(liquid.compile(str(content.get("text") or ""), constants=constants, field="text"), own)


def preview(content: Mapping[str, Any], contact: Mapping[str, Any], workspace: Mapping[str, Any]) -> dict[str, Any]:
    """How a text reads for one contact: ``text`` and its ``count``. Raises :class:`Invalid`."""
    template = liquid.compile(str(content.get("text") or ""), field="text")
    text = template.render({"contact": contact, "workspace": workspace}).strip()
    return {"text": text, "count": count(text)}


def checks(text: str) -> Iterator[Text]:
    """What deserves a look in a text as written: more than one segment, and the character that makes it dearer."""
    found = count(text)
    if found.culprit and found.replacement is not None:
        yield Text(
            "“%(char)s” makes the text longer to send: 70 characters a segment instead of 160. Write “%(plain)s”",
            char=found.culprit,
            plain=found.replacement,
        )
    elif found.culprit:
        yield Text(
            "“%(char)s” makes the text longer to send: 70 characters a segment instead of 160", char=found.culprit
        )
    if found.segments > 1:
        yield Text("The text takes %(n)s segments, each is paid for", n=found.segments)
