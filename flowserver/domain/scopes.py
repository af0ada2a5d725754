"""What a key of the API may do: read or write everything, or only some parts.

A scope is a verb (``read``, ``write``: all parts) or a part and a verb (``coupons:write``). Every resource of the API
belongs to one part, or to none: then only the plain verbs open it.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowserver.text import N_

VERBS = {"read": N_("Read"), "write": N_("Write")}
PARTS = {
    "contacts": N_("Contacts, lists, tags, fields, segments, imports"),
    "events": N_("Events, purchases and carts"),
    "flows": N_("Flows and who is in them"),
    "campaigns": N_("Campaigns and messages"),
    "loyalty": N_("Loyalty cards"),
    "coupons": N_("Coupons"),
    "site": N_("Forms, website, conversions"),
    "team": N_("People who may open the client"),
}
SCOPES = (*VERBS, *(f"{part}:{verb}" for part in PARTS for verb in VERBS))


def may(scopes: Iterable[str], part: str, verb: str) -> bool:
    """Whether these scopes let a key do ``verb`` (``read``, ``write``) to things of a part (``""``: of none)."""
    return verb in scopes or (part != "" and f"{part}:{verb}" in scopes)


def ordered(scopes: Iterable[str]) -> list[str]:
    """The scopes there are among these, in one order, without those that a plain verb holds already."""
    wanted = set(scopes)
    return [one for one in SCOPES if one in wanted and (one in VERBS or one.rpartition(":")[2] not in wanted)]
