"""What our script on a client's site sends: small JSON objects, from anybody, so nothing in them is believed.

``{"t": "view", "v": visitor, "p": view, "u": address, "r": referrer, "i": token}``, ``{"t": "stay", …, "s": seconds}``,
``{"t": "event", …, "n": name, "d": properties}`` and ``{"t": "identify", …, "i": token}``. Ids are 32 hex digits the
script made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowserver.domain import reported, urls
from flowserver.domain.steps import EVENTS

MOST_BYTES = 8 * 1024
LONGEST_STAY = 24 * 3600  # seconds
IDENTITY = "fs_id"  # the parameter a link of a mail carries to the site
_KINDS = ("view", "stay", "event", "identify")
_ID = re.compile("[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,59}")
_OWN = ("url", "path", "monitor", "visit", "chain", "start")  # what we say about a custom event, never its sender
_MOST_PROPERTIES, _LONGEST_VALUE = 30, 500


@dataclass(frozen=True, slots=True)
class Beacon:
    """One message of the script, cleaned. ``uid`` names the page view or event, so that a repetition is one."""

    kind: str
    visitor: str
    uid: str = ""
    url: str = ""
    referrer: str = ""
    token: str = ""
    stay: int = 0
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


def read(raw: bytes) -> Beacon | None:
    """A message, or ``None`` for anything that is none: too long, no JSON, an id or a page that cannot be."""
    if len(raw) > MOST_BYTES:
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("t") not in _KINDS or not is_id(found.get("v")):
        return None
    beacon = Beacon(
        kind=found["t"],
        visitor=found["v"],
        uid=found["p"] if is_id(found.get("p")) else "",
        url=address(_text(found.get("u"))),
        referrer=bare(_text(found.get("r"))),
        token=_text(found.get("i"))[:200],
        stay=_seconds(found.get("s")),
        name=event_name(found.get("n")),
        properties=_properties(found.get("d")),
    )
    return beacon if _is_whole(beacon) else None


def is_id(value: Any) -> bool:
    """Whether this is an id as the script makes them up."""
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _is_whole(beacon: Beacon) -> bool:
    needs = {
        "view": beacon.uid and beacon.url,
        "stay": beacon.uid and beacon.stay,
        "event": beacon.uid and beacon.url and beacon.name,
        "identify": beacon.token,
    }
    return bool(needs[beacon.kind])


def _text(value: Any) -> str:
    """Text a database keeps: without NUL and without halves of characters."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "ignore").decode()


def _seconds(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), LONGEST_STAY) if whole else 0


def event_name(value: Any) -> str:
    """The word of a custom event (``Order placed`` → ``order_placed``).

    "" for one that is none, or a word of ours: nobody may claim that a mail was opened.
    """
    word = re.sub(r"[\s:-]+", "_", value.strip().lower()) if isinstance(value, str) else ""
    return word if reported.WORD.fullmatch(word) and word not in EVENTS else ""


def _properties(value: Any) -> dict[str, Any]:
    """The first thirty plain values under sensible names."""
    given = value.items() if isinstance(value, dict) else ()
    plain = [(name, _plain(one)) for name, one in given if _NAME.fullmatch(name) and name not in _OWN]
    return dict([(name, one) for name, one in plain if one is not None][:_MOST_PROPERTIES])


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)[:_LONGEST_VALUE]
    if isinstance(value, bool):
        return value
    return value if isinstance(value, int | float) and abs(value) < 1e15 else None


def address(url: str) -> str:
    """The address of a page as it is kept: without fragment and without our own parameter; "" for none."""
    url = url.strip().partition("#")[0]
    path, mark, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != IDENTITY]
    url = path + (mark + "&".join(kept) if kept else "")
    return url[: urls.LONGEST] if urls.read(url) else ""


def bare(url: str) -> str:
    """Where a visitor came from, without query and fragment: other sites' secrets are none of our business."""
    url = re.split(r"[?#]", url.strip(), maxsplit=1)[0]
    return url[:300] if urls.read(url) else ""
