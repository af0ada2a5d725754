"""Addresses of pages: which page a visitor saw, and whether it is one that a pattern means.

A pattern is a whole address, ``https://shop.example/coffee/*``. Its host is compared without case and without ``www.``,
its path exactly but for a slash at the end. ``*`` stands for anything within one part of the path, ``**`` for anything
across parts. What follows a ``?`` counts only where the pattern has one: then the page must have these parts, in any
order and among others. What follows a ``#`` never counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from flowserver.errors import Invalid
from flowserver.text import N_, Text

LONGEST = 1000  # characters of an address that are kept
LONGEST_PATTERN = 500
ANY = ("*", "**")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_BAD = re.compile(r"[\x00-\x20\x7f<>\"\\]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
_WHOLE = N_("Enter the whole address, from https:// on, like https://shop.example/coffee")
_NAME = N_("Enter a domain like shop.example")


@dataclass(frozen=True, slots=True)
class Address:
    """A page: ``host`` without ``www.``, ``path`` decoded and without a slash at its end, the parts of the query."""

    host: str
    path: str
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which pages are meant. ``host`` "": any page. Stars in ``path`` and in the values of ``query`` stand for anything."""

    host: str = ""
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()


# --- reading -----------------------------------------------------------------------------------------------


def host(text: str) -> str:
    """A host as it is compared: lower case, ASCII, without port, final dot and ``www.``; "" for what is none."""
    name = text.strip().rstrip(".").lower()
    name = re.sub(r":\d{0,5}$", "", name)
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    name = name.removeprefix("www.") or name
    return name if _HOST.fullmatch(name) else ""


def domain(text: str) -> str:
    """A domain as somebody pastes it (``https://www.Shop.example/en?x=1``) → ``shop.example``. Raises :class:`Invalid`."""
    name = re.sub(r"^https?://", "", str(text).strip(), flags=re.I)
    found = "" if "://" in name else host(re.split(r"[/?#]", name, maxsplit=1)[0])
    if not found:
        raise Invalid(_NAME)
    return found


def read(url: str) -> Address | None:
    """The page behind a web address; ``None`` for anything that is none."""
    if len(url) > 4 * LONGEST or not url.lower().startswith(("https://", "http://")):
        return None
    try:
        parts = urlsplit(url)
        name = host(parts.hostname or "")
    except ValueError:
        return None
    if not name:
        return None
    query = tuple(parse_qsl(parts.query, keep_blank_values=True, errors="replace"))
    return Address(name, _path(parts.path), query)


def _path(path: str) -> str:
    """A path decoded part by part, so that an encoded slash stays one, without slashes at its end."""
    return "/".join(_decoded(part) for part in path.split("/")).rstrip("/")


def _decoded(part: str) -> str:
    return unquote(part, errors="replace").replace("/", "%2F")


def parse(text: str) -> Pattern:
    """Read a pattern. Raises :class:`Invalid` for one that is no whole web address."""
    text = str(text).strip()
    if text in ANY:
        return Pattern()
    if not text:
        raise Invalid(N_("Enter the address of the page"))
    if len(text) > LONGEST_PATTERN:
        raise Invalid(Text("Use %(n)s characters at most", n=LONGEST_PATTERN))
    if not text.lower().startswith(("https://", "http://")):
        scheme = _SCHEME.match(text)
        raise Invalid(N_("Only web addresses can be visited: begin with https://") if scheme else _WHOLE)
    if _BAD.search(text):
        raise Invalid(N_("Leave out spaces and signs that no address has"))
    rest = text.partition("://")[2].partition("#")[0]
    place, mark, query = rest.partition("?")
    name, slash, path = place.partition("/")
    if "*" in name:
        raise Invalid(N_("Write the name of the site out. A star can stand in the path only"))
    found = host(name)
    if not found:
        raise Invalid(_WHOLE)
    parts = tuple(parse_qsl(query, keep_blank_values=True, errors="replace")) if mark else ()
    return Pattern(found, _path(slash + path), parts)


# --- matching ----------------------------------------------------------------------------------------------


def matches(pattern: Pattern, url: str | Address) -> bool:
    """Whether the page is one the pattern means."""
    return why_not(pattern, url) is None


def why_not(pattern: Pattern, url: str | Address) -> Text | None:
    """Why a page is none the pattern means, in words; ``None``: it is one."""
    page = read(url.strip()) if isinstance(url, str) else url
    if page is None:
        return _WHOLE
    if not pattern.host:
        return None
    if page.host != pattern.host:
        return Text("It is on %(page)s, not on %(pattern)s", page=page.host, pattern=pattern.host)
    if not _covers(pattern.path, page.path):
        return Text("Its path is %(page)s, not %(pattern)s", page=page.path or "/", pattern=pattern.path or "/")
    return _query_why_not(pattern.query, page.query)


def _query_why_not(wanted: Sequence[tuple[str, str]], given: Sequence[tuple[str, str]]) -> Text | None:
    for name, value in wanted:
        found = [one for key, one in given if key == name]
        if not found:
            return Text("It has no %(name)s after the question mark", name=name)
        if value and not any(_covers(value.replace("**", "*"), one, across=True) for one in found):
            return Text("Its %(name)s is %(page)s, not %(pattern)s", name=name, page=found[0], pattern=value)
    return None


def _covers(pattern: str, text: str, across: bool = False) -> bool:
    """Whether a pattern with stars covers all of a text, in time proportional to both: no pattern can hang us.

    ``across``: a single star stands for a slash, too. ``/**`` at the end, or before a slash, also stands for nothing.
    """
    at: set[int] = _skip(pattern, {0})
    for char in text:
        following: set[int] = set()
        for place in at:
            if place >= len(pattern):
                continue
            if pattern[place] == "*":
                if char != "/" or across or _double(pattern, place):
                    following.add(place)
            elif pattern[place] == char:
                following.add(place + 1)
        at = _skip(pattern, following)
        if not at:
            return False
    return len(pattern) in at


def _double(pattern: str, place: int) -> bool:
    return pattern[place : place + 2] == "**" or (place > 0 and pattern[place - 1 : place + 1] == "**")


def _skip(pattern: str, places: set[int]) -> set[int]:
    """The places one can stand at without reading on: behind a star, and behind ``/**`` that stands for nothing."""
    todo, found = list(places), set(places)
    while todo:
        place = todo.pop()
        further = []
        if pattern[place : place + 1] == "*":
            further.append(place + 1)
        if pattern[place : place + 3] == "/**" and pattern[place + 3 : place + 4] in ("", "/"):
            further.append(place + 3)
        fresh = [one for one in further if one not in found]
        found.update(fresh)
        todo.extend(fresh)
    return found


# --- campaigns ---------------------------------------------------------------------------------------------

MARKS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "fbclid", "msclkid")
"""What advertisements and campaigns put into the address of the page they lead to."""


def marks(page: Address) -> dict[str, str]:
    """The marks of the advertisement a page was reached by, each once, 120 characters at most."""
    found: dict[str, str] = {}
    for name, value in page.query:
        if name.lower() in MARKS and value:
            found.setdefault(name.lower(), value[:120])
    return found


def belongs(url_host: str, domains: Iterable[str]) -> bool:
    """Whether a host is one of the domains of a site."""
    name = host(url_host)
    return bool(name) and name in {host(one) for one in domains}
