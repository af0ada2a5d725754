"""What every page shares: language, time zone, words for numbers and times, navigation, security headers."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import flask_babel
from babel import Locale, dates, numbers
from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_babel import Babel, _, lazy_gettext
from flask_bootstrap import Bootstrap5
from flask_login import current_user

from flowserver import clock
from flowserver.blueprints import fieldkit
from flowserver.blueprints.say import message, say
from flowserver.services.accounts import accounts
from flowserver.services.messages import connections

LOCALES = {"en": "English", "it": "Italiano", "pl": "Polski"}

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data: https:",  # data: Bootstrap's own arrows and ticks; https: the clients' pictures
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def init_app(app: Flask) -> None:
    """Bind language, templates and headers to the app."""
    Babel().init_app(app, locale_selector=_locale, timezone_selector=_zone_name)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    Bootstrap5().init_app(app)
    app.jinja_env.filters.update(
        say=say,
        message=message,
        when=when,
        day=day,
        hour=hour,
        until=until,
        ago=ago,
        number=number,
        percent=percent,
        seconds=seconds,
        initials=initials,
        field_kind=fieldkit.field_kind,
        error_texts=fieldkit.error_texts,
        error_list=fieldkit.error_list,
        attributes=fieldkit.attributes,
    )
    app.context_processor(_shared)
    app.after_request(_headers)
    app.session_interface = _Sessions()


# --- language and zone -------------------------------------------------------------------------------


def speak(locale: str) -> None:
    """Use this language for the rest of the request: public pages speak the form's or the client's language."""
    g.locale = locale if locale in LOCALES else "en"
    flask_babel.refresh()


def _locale() -> str:
    chosen = g.get("locale") or (current_user.locale if _known() else "")
    return chosen if chosen in LOCALES else request.accept_languages.best_match(list(LOCALES), "en")


def _known() -> bool:
    return bool(current_user and current_user.is_authenticated)


def _zone_name() -> str:
    workspace = g.get("workspace")
    return workspace.time_zone if workspace else accounts.home_zone()


def zone() -> ZoneInfo:
    """The zone times are shown in: the client's inside a client, the agency's elsewhere."""
    if "zone" not in g:
        g.zone = ZoneInfo(_zone_name())
    return g.zone


# --- filters -------------------------------------------------------------------------------------------


def _lang() -> Locale:
    return flask_babel.get_locale() or Locale("en")


def local(moment: datetime) -> datetime:
    """An instant on the wall clock of the client."""
    return moment.astimezone(zone())


def when(moment: datetime | None) -> str:
    """``15 May 2026, 09:00`` on the client's clock."""
    return dates.format_datetime(local(moment), "d MMM y, HH:mm", locale=_lang()) if moment else "–"


def day(moment: datetime | date | None) -> str:
    """``Friday 15 May``, with the year where it is another one."""
    if moment is None:
        return "–"
    wall = local(moment) if isinstance(moment, datetime) else moment
    pattern = "EEEE d MMMM" if wall.year == local(clock.now()).year else "EEEE d MMMM y"
    return dates.format_date(wall, pattern, locale=_lang())


def until(moment: datetime | None) -> str:
    """When something stops: ``the end of 31 Dec 2026`` where that is midnight, as no calendar says 1 January for it."""
    if moment is None:
        return "–"
    wall = local(moment)
    if wall.time() != time(0):
        return when(moment)
    return _("the end of %(day)s", day=dates.format_date(wall - timedelta(days=1), "d MMM y", locale=_lang()))


def hour(moment: datetime | None) -> str:
    """``09:00`` on the client's clock."""
    return dates.format_time(local(moment), "HH:mm", locale=_lang()) if moment else "–"


def ago(moment: datetime | None) -> str:
    """``3 minutes ago``, ``in 2 days``."""
    if moment is None:
        return "–"
    return dates.format_timedelta(moment - clock.now(), add_direction=True, locale=_lang())


def number(value: float | None) -> str:
    """``4,218``, as the reader's language writes it."""
    return "–" if value is None else _decimal(value)


def _decimal(value: float) -> str:
    groups = _lang().language != "pl" or abs(value) >= 10_000  # Polish leaves four digits together; Babel does not know
    return numbers.format_decimal(value, locale=_lang(), group_separator=groups)


def percent(share: float | None, digits: int = 0) -> str:
    """``0.462`` → ``46 %`` (``digits`` after the point)."""
    return "–" if share is None else _("%(number)s %%", number=_decimal(round(share * 100, digits)))


def seconds(value: float) -> str:
    """A delay in words short enough for a tile: ``4 s``, ``12 min``, ``3 h``."""
    if value < 90:
        return _("%(number)s s", number=number(round(value)))
    if value < 90 * 60:
        return _("%(number)s min", number=number(round(value / 60)))
    return _("%(number)s h", number=number(round(value / 3600)))


def initials(name: str) -> str:
    """``Caffè Lume`` → ``CL``: what the square beside a name shows."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()] or ["?"]
    return (words[0][0] + (words[1][0] if len(words) > 1 else words[0][1:2])).upper()


# --- what every template knows -------------------------------------------------------------------------

_CLIENT_NAV = (
    ("flows", "flow", lazy_gettext("Flows")),
    ("campaigns", "send", lazy_gettext("Campaigns")),
    ("messages", "mail", lazy_gettext("Messages")),
    ("contacts", "users", lazy_gettext("Contacts")),
    ("lists", "list", lazy_gettext("Lists")),
    ("segments", "filter", lazy_gettext("Segments")),
    ("forms", "field", lazy_gettext("Forms")),
    ("scores", "score", lazy_gettext("Score rules")),
    ("loyalty", "card", lazy_gettext("Loyalty")),
    ("coupons", "ticket", lazy_gettext("Coupons")),
    ("till", "bag", lazy_gettext("Till")),
    ("sites", "globe", lazy_gettext("Website")),
    ("conversions", "target", lazy_gettext("Conversions")),
    ("reports", "chart", lazy_gettext("Reports")),
    ("settings", "gear", lazy_gettext("Settings")),
)
_AGENCY_NAV = (
    ("agency", "/", "building", lazy_gettext("All clients")),
    ("health", "/sending", "server", lazy_gettext("Sending health")),
    ("team", "/team", "users", lazy_gettext("Team and roles")),
    ("agency-keys", "/keys", "key", lazy_gettext("Agency keys")),
    ("agency-settings", "/agency", "gear", lazy_gettext("Agency settings")),
    ("mailbox", "/dev/mailbox", "inbox", lazy_gettext("Mailbox")),
    ("phone", "/dev/phone", "phone", lazy_gettext("Phone")),
)
_ADMIN_ONLY = {"team", "agency-keys", "agency-settings", "mailbox", "phone"}


def _shared() -> dict[str, Any]:
    return {
        "locale": str(_lang()),
        "locales": LOCALES,
        "workspace": g.get("workspace"),
        "frame": _frame,
        "client_nav": client_nav,
        "agency_nav": agency_nav,
        "page_if": page_if,
        "may_change": not (_known() and current_user.role == "client"),
        "now": clock.now,
        "stays_here": connections.stays_here,
        "box_of": box_of,
        "only_here": only_here,
    }


def box_of(channel: str) -> str:
    """Where the messages of a channel that stay on this machine are shown; empty for those who may not see it."""
    path = {"email": "/dev/mailbox/", "sms": "/dev/phone/"}[channel]
    return path if _exists(path) and getattr(current_user, "role", "") == "admin" else ""


def only_here() -> str:
    """The address people are given, where no other computer can open it; empty where they can."""
    config = current_app.extensions["config"]
    return config.url if config.only_here else ""


def _frame() -> accounts.Frame:
    """Agency, clients and open alerts for the frame round a page; asked once a request, only where it is drawn."""
    if "frame" not in g:
        g.frame = accounts.frame(current_user._get_current_object())
    return g.frame


def client_nav() -> list[tuple[str, str, str, str]]:
    """``[(key, icon, label, address)]`` of the pages of the present client that exist."""
    root = f"/c/{g.workspace.slug}/"
    return [(key, icon, label, root + key) for key, icon, label in _CLIENT_NAV if _exists("/c/x/" + key)]


def agency_nav() -> list[tuple[str, str, str, str]]:
    """``[(key, icon, label, address)]`` of the pages outside clients that this person may open."""
    return [
        (key, icon, label, address)
        for key, address, icon, label in _AGENCY_NAV
        if _exists(address) and (current_user.role == "admin" or key not in _ADMIN_ONLY)
    ]


def page_if(pattern: str) -> str:
    """``/c/%s/flows`` as an address of the present client; empty where there is no such page."""
    return pattern % g.workspace.slug if _exists(pattern % "x") else ""


def _exists(path: str) -> bool:
    known: dict[str, bool] = current_app.extensions.setdefault("flowserver-paths", {})
    if path not in known:
        known[path] = current_app.url_map.bind("").test(path, "GET")
    return known[path]


# --- headers -------------------------------------------------------------------------------------------


def policy(**changes: str) -> str:
    """The content policy, with some directives changed: ``policy(frame_ancestors="*")``."""
    merged = {**POLICY, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "; ".join(f"{name} {value}" for name, value in merged.items())


_POLICY = policy()


_OF_PAGES = {
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class _Sessions(SecureCookieSessionInterface):
    """Sessions are for people: a program that shows a key gets none, and nobody spends time on its cookies."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith("/api/") and "Authorization" in request.headers:
            return self.make_null_session(app)
        return super().open_session(app, request)


def _headers(response: Response) -> Response:
    defaults = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    if current_app.extensions["config"].secure:
        defaults["Strict-Transport-Security"] = "max-age=31536000"
    if response.mimetype == "text/html":
        defaults |= _OF_PAGES
    for name, value in defaults.items():
        response.headers.setdefault(name, value)
    return response
