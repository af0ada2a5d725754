"""Tracked sites, who visits them, and conversions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import current_app, url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import site as schemas
from flowserver.services.shop import coupon_codes
from flowserver.services.site import conversions, listing, monitors, recognition

resource = Resource(
    "Website", 85, "Sites that carry our script, who visits them, and what counts as a conversion.", "site"
)

SITE = f"/monitors/{ID % 'monitor_id'}"
RULE = f"/conversion-rules/{ID % 'conversion_rule_id'}"
DONE = f"/conversions/{ID % 'conversion_id'}"
MONITOR = {
    "id": 1,
    "name": "Online shop",
    "domains": ["shop.example"],
    "ask_consent": True,
    "enabled": True,
    "key": "5f0c9a1e2b3d4c6f",
    "script": "https://flow.agency.example/t/5f0c9a1e2b3d4c6f.js",
    "verified_at": "2026-05-04T09:12:00Z",
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:12:00Z",
}
ORDER_RULE = {
    "id": 1,
    "name": "First order",
    "source": "manual",
    "monitor_id": None,
    "patterns": [],
    "event": "",
    "each_time": False,
    "amount": 12.5,
    "enabled": True,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
CONVERSION = {
    "id": 3,
    "rule_id": 1,
    "contact_id": 7,
    "at": "2026-05-04T09:00:00Z",
    "amount": 24.5,
    "key": "A-1042",
    "source": "api",
    "url": "",
    "undone_at": None,
    "updated_at": "2026-05-04T09:00:00Z",
}
SEEN = {
    "id": 9,
    "monitor_id": 1,
    "visit_id": 4,
    "url": "https://shop.example/espresso",
    "at": "2026-05-04T09:12:00Z",
    "first": True,
    "stay": 0,
}


# --- sites -----------------------------------------------------------------------------------------------


def show_monitor(row: Any) -> dict[str, Any]:
    """A site as the API shows it."""
    kept = ("id", "name", "ask_consent", "enabled", "verified_at", "created_at", "updated_at")
    script = current_app.extensions["config"].url + url_for("collect.script", public_id=row.public_id)
    more = {"domains": list(row.domains), "key": row.public_id, "script": script}
    return {**{name: getattr(row, name) for name in kept}, **more}


@resource.reads(
    "/monitors", query=paging.SyncQuery, shows=schemas.MonitorPage, example={"data": [MONITOR], "next": None}
)
def list_monitors(query: Mapping[str, Any]) -> Any:
    """List the sites."""
    return paging.page(listing.monitors(query["cursor"], query["limit"], query.get("updated_since")), show_monitor)


@resource.writes(
    "POST",
    "/monitors",
    takes=schemas.MonitorIn,
    body_example={"name": "Online shop", "domains": ["shop.example"], "ask_consent": True},
    shows=schemas.Monitor,
    example={**MONITOR, "verified_at": None},
    status=201,
    tagged=True,
)
def make_monitor(body: Mapping[str, Any]) -> Any:
    """Track a site.

    Put `<script src="…" defer></script>` with the address in `script` into the head of its pages. Flows can start with
    visits once the first one has come.
    """
    made = monitors.create(body)
    return Answer(show_monitor(made), 201, {"Location": url_for(".get_monitor", monitor_id=made.id)})


@resource.reads(SITE, shows=schemas.Monitor, example=MONITOR, tagged=True)
def get_monitor(monitor_id: int) -> Any:
    """Get a site."""
    return show_monitor(monitors.get(monitor_id))


@resource.writes(
    "PATCH",
    SITE,
    takes=schemas.MonitorChange,
    body_example={"ask_consent": False},
    shows=schemas.Monitor,
    example={**MONITOR, "ask_consent": False},
    tagged=True,
    if_match=True,
)
def change_monitor(monitor_id: int, body: Mapping[str, Any]) -> Any:
    """Change a site.

    With other domains it waits for its first visit again.
    """
    unchanged("monitor", monitor_id, lambda: show_monitor(monitors.get(monitor_id)))
    return show_monitor(monitors.update(monitor_id, body))


@resource.writes("DELETE", SITE, status=204, if_match=True)
def delete_monitor(monitor_id: int) -> None:
    """Delete a site.

    Refused with 409 while a flow or a conversion rule needs it; `uses` says which.
    """
    unchanged("monitor", monitor_id, lambda: show_monitor(monitors.get(monitor_id)))
    monitors.delete(monitor_id)


@resource.writes(
    "POST",
    "/identity-tokens",
    takes=schemas.TokenIn,
    body_example={"contact": {"email": "ada@example.com"}},
    shows=schemas.Token,
    example={
        "token": "1-7-6a1f0c20-0-5e6f708192.1b2c3d4e5f60718293a4b5c6",
        "contact_id": 7,
        "expires_at": "2026-05-04T10:00:00Z",
    },
    status=201,
)
def make_identity_token(body: Mapping[str, Any]) -> Any:
    """Say who has logged in on a site.

    Hand the token to the page, which calls `flowserver.identify(token)`: from then on the browser's visits are this
    contact's. The contact must be there already.
    """
    contact = coupon_codes.whose(body["contact"])
    token, until = recognition.token_for(contact.id, timedelta(seconds=body["valid_for"]))
    return Answer({"token": token, "contact_id": contact.id, "expires_at": until}, 201)


@resource.reads(
    f"/contacts/{ID % 'contact_id'}/visits",
    query=paging.PageQuery,
    shows=schemas.SeenPage,
    example={"data": [SEEN], "next": None},
)
def list_visits(contact_id: int, query: Mapping[str, Any]) -> Any:
    """List the pages a contact saw.

    Since it was known, for half a year.
    """
    found = listing.seen_by(contact_id, query["cursor"], query["limit"])
    return paging.page(found, lambda row: {name: getattr(row, name) for name in SEEN})


# --- conversion rules ------------------------------------------------------------------------------------


def show_rule(row: Any) -> dict[str, Any]:
    """A conversion rule as the API shows it."""
    shown = conversions.shown(row)
    shown["monitor_id"] = shown.pop("monitor")
    return {"id": row.id, **shown, "created_at": row.created_at, "updated_at": row.updated_at}


def _asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent, with the site's id for its name."""
    if body.get("monitor") is None:
        return dict(body)
    return {**body, "monitor": listing.monitor_id(body["monitor"])}


@resource.reads(
    "/conversion-rules", query=paging.SyncQuery, shows=schemas.RulePage, example={"data": [ORDER_RULE], "next": None}
)
def list_conversion_rules(query: Mapping[str, Any]) -> Any:
    """List the conversion rules."""
    return paging.page(listing.rules(query["cursor"], query["limit"], query.get("updated_since")), show_rule)


@resource.writes(
    "POST",
    "/conversion-rules",
    takes=schemas.RuleIn,
    body_example={"name": "First order", "source": "manual", "amount": 12.5},
    shows=schemas.Rule,
    example=ORDER_RULE,
    status=201,
    tagged=True,
)
def make_conversion_rule(body: Mapping[str, Any]) -> Any:
    """Make a conversion rule."""
    made = conversions.create(_asked(body))
    return Answer(show_rule(made), 201, {"Location": url_for(".get_conversion_rule", conversion_rule_id=made.id)})


@resource.reads(RULE, shows=schemas.Rule, example=ORDER_RULE, tagged=True)
def get_conversion_rule(conversion_rule_id: int) -> Any:
    """Get a conversion rule."""
    return show_rule(conversions.get(conversion_rule_id))


@resource.writes(
    "PATCH",
    RULE,
    takes=schemas.RuleChange,
    body_example={"each_time": True},
    shows=schemas.Rule,
    example={**ORDER_RULE, "each_time": True},
    tagged=True,
    if_match=True,
)
def change_conversion_rule(conversion_rule_id: int, body: Mapping[str, Any]) -> Any:
    """Change a conversion rule.

    What was counted stays as it is.
    """
    unchanged("conversion_rule", conversion_rule_id, lambda: show_rule(conversions.get(conversion_rule_id)))
    now = conversions.shown(conversions.get(conversion_rule_id))
    return show_rule(conversions.update(conversion_rule_id, {**now, **_asked(body)}))


@resource.writes("DELETE", RULE, status=204, if_match=True)
def delete_conversion_rule(conversion_rule_id: int) -> None:
    """Delete a conversion rule.

    Refused with 409 while a flow needs it (`uses` says which), and once it has counted something: switch it off instead.
    """
    unchanged("conversion_rule", conversion_rule_id, lambda: show_rule(conversions.get(conversion_rule_id)))
    conversions.delete(conversion_rule_id)


# --- conversions -----------------------------------------------------------------------------------------


def show_conversion(row: Any) -> dict[str, Any]:
    """A conversion as the API shows it."""
    kept = ("id", "rule_id", "contact_id", "at", "source", "url", "undone_at", "updated_at")
    amount = None if row.amount_cents is None else row.amount_cents / 100
    return {**{name: getattr(row, name) for name in kept}, "amount": amount, "key": row.dedupe_key}


@resource.reads(
    "/conversions",
    query=schemas.ConversionQuery,
    shows=schemas.ConversionPage,
    example={"data": [CONVERSION], "next": None},
)
def list_conversions(query: Mapping[str, Any]) -> Any:
    """List the conversions, those that were undone too."""
    found = listing.conversions(
        query["cursor"],
        query["limit"],
        rule_id=query.get("rule"),
        contact_id=query.get("contact"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(found, show_conversion)


@resource.writes(
    "POST",
    "/conversions",
    takes=schemas.ConversionIn,
    body_example={
        "rule": "First order",
        "contact": {"email": "ada@example.com"},
        "amount": 24.5,
        "key": "A-1042",
    },
    shows=schemas.Conversion,
    example=CONVERSION,
    status=201,
    also={200: "It was counted before."},
)
def record_conversion(body: Mapping[str, Any]) -> Any:
    """Record a conversion.

    For rules that are recorded (`source` is manual). The same `key` again, or a second time by a rule that counts each
    contact once, is answered with the first and 200. Refused with 409 when the rule is off, or the key was recorded for
    another contact.
    """
    rule, contact = listing.rule_id(body["rule"]), coupon_codes.whose(body["contact"])
    given = {name: body[name] for name in ("amount", "key", "at") if body.get(name) is not None}
    row, new = conversions.record(rule, contact.id, **given)
    where = {"Location": url_for(".get_conversion", conversion_id=row.id)} if new else {}
    return Answer(show_conversion(row), 201 if new else 200, where)


@resource.reads(DONE, shows=schemas.Conversion, example=CONVERSION, tagged=True)
def get_conversion(conversion_id: int) -> Any:
    """Get a conversion."""
    return show_conversion(listing.one_conversion(conversion_id))


@resource.writes(
    "POST",
    f"{DONE}/undo",
    shows=schemas.Conversion,
    example={**CONVERSION, "undone_at": "2026-05-04T09:30:00Z"},
)
def undo_conversion(conversion_id: int) -> Any:
    """Undo a conversion.

    Whoever still waits to start a flow for it does not start. Doing it twice is harmless.
    """
    return show_conversion(conversions.undo(conversion_id))
