"""Who fetched a pixel or a link: a person, or a program on the way? Evidence goes in, one reason comes out.

Nothing is dropped for it: what a program did is stored with the flag, and shown apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

AT_ONCE = timedelta(seconds=1)  # nobody reads and clicks a mail within a second of its acceptance
SOON = timedelta(seconds=10)  # within this a click needs a sign of a hand (Sec-Fetch-User)
BURST = timedelta(seconds=10)  # several links of one mail within this: a scanner follows them all

_REAL_PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|via ggpht\.com", re.I)  # fetch when a person opens
# A scanner that runs a whole browser does not say so; it gives itself away by its haste, below.
_PROGRAMS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|scanner|preview|curl/|wget/|python-|httpx|aiohttp|go-http-client|java/"
    r"|okhttp|libwww|apache-httpclient|node-fetch|axios|barracuda|proofpoint|mimecast|trendmicro|symantec|safelinks|fortinet"
    r"|urldefense|google-read-aloud|facebookexternalhit|whatsapp|telegrambot|bitlybot|monitor",
    re.I,
)


@dataclass(slots=True, frozen=True)
class Visitor:
    """What a request tells about whoever made it. ``at``: when it came (UTC)."""

    at: datetime
    method: str = "GET"
    agent: str = ""
    purpose: str = ""  # Purpose or Sec-Purpose: a browser that fetches ahead says so
    by_hand: bool = False  # Sec-Fetch-User: a person pressed something

    def evidence(self, reason: str | None) -> dict[str, Any]:
        """What is kept of it. No addresses."""
        kept = {"agent": self.agent[:300], "method": self.method, "purpose": self.purpose[:40], "by_hand": self.by_hand}
        return {key: value for key, value in {**kept, "judged": reason}.items() if value not in ("", None, False)}


def _program(visitor: Visitor) -> str | None:
    if visitor.method == "HEAD":
        return "head"
    if "prefetch" in visitor.purpose.lower() or "preview" in visitor.purpose.lower():
        return "prefetch"
    if _REAL_PROXIES.search(visitor.agent):
        return None
    if not visitor.agent:
        return "no_agent"
    return "program" if _PROGRAMS.search(visitor.agent) else None


def judge_open(visitor: Visitor, accepted_at: datetime | None) -> str | None:
    """Why an open was a program's, as a code; ``None``: a person's."""
    reason = _program(visitor)
    if reason:
        return reason
    if visitor.agent.strip() == "Mozilla/5.0":  # how Apple Mail's privacy protection calls itself
        return "apple_prefetch"
    return "at_once" if accepted_at and visitor.at - accepted_at < AT_ONCE else None


def judge_click(
    visitor: Visitor, accepted_at: datetime | None, number: int, earlier: Sequence[tuple[int, datetime]], links: int
) -> str | None:
    """Why a click was a program's, as a code; ``None``: a person's.

    ``earlier``: the clicks before it in the same mail, link number and time; ``links``: how many links the mail has.
    """
    reason = _program(visitor)
    if reason:
        return reason
    age = visitor.at - accepted_at if accepted_at else None
    if age is not None and (age < AT_ONCE or (age < SOON and not visitor.by_hand)):
        return "at_once"
    lately = {link for link, at in earlier if visitor.at - at <= BURST} | {number}
    return "all_links" if len(lately) >= 3 and len(lately) >= min(links, 5) else None
