"""Who may open which address, and whose rows a request sees.

Every address needs a log-in, unless its first part stands in ``PUBLIC``. Addresses under ``/c/<client>/`` open that
client for the request: ``g.workspace`` is set, ORM queries see its rows only, and ``url_for`` fills in ``client`` by
itself. Views under ``/c/<client>/`` do not take ``client`` as an argument. A client the person has no access to is
not found. People with the role ``client`` only read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, current_app, g, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.errors import Conflict, Forbidden
from flowserver.services.accounts import accounts, setup

PUBLIC = frozenset(
    {
        "static", "bootstrap",  # our files
        "login", "reset", "invitation",  # the door
        "f", "o",  # signup forms and their confirmation
        "k",  # loyalty cards
        "l", "t", "p", "u",  # clicks, opens, preferences, unsubscribe: signed tokens
        "hooks",  # providers, each with its own proof
        "api",  # bearer keys
        "healthz", "readyz", "metrics",
    }
)  # fmt: skip
_ALWAYS = frozenset({"static", "bootstrap", "setup", "healthz", "readyz", "metrics"})  # before first run, too


_OWN = frozenset({"profile", "logout"})  # what people with the role client may change: themselves


def init_app(app: Flask) -> None:
    """Bind the guards. They run before any view and after the request's transaction mode is set."""
    app.url_value_preprocessor(_take_client)
    app.url_defaults(_give_client)
    app.before_request(guard)


def me() -> Any:
    """The user who is logged in: the row itself, not Flask-Login's stand-in, which services must not get."""
    return current_user._get_current_object()


def admin_only(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view for the agency's admins."""

    @wraps(view)
    def _guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user.role != "admin":
            raise Forbidden(_("Only an agency admin can do this"))
        return view(*args, **kwargs)

    return _guarded


def first_part() -> str:
    """``/f/abc`` → ``f``: what decides whether an address is public."""
    return request.url_rule.rule.strip("/").split("/")[0] if request.url_rule else ""


def is_json() -> bool:
    """Whether the answer should be JSON: where programs call, or a caller that prefers it to HTML."""
    wanted = request.accept_mimetypes
    return (
        request.path.startswith(("/api/", "/hooks/"))
        or request.path == "/api"
        or wanted["application/json"] > wanted["text/html"]
    )


def _take_client(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.client = (values or {}).pop("client", None)
    g.workspace = None


def _give_client(endpoint: str, values: dict[str, Any]) -> None:
    workspace = g.get("workspace")
    if workspace and "client" not in values and current_app.url_map.is_endpoint_expecting(endpoint, "client"):
        values["client"] = workspace.slug


def guard() -> Response | None:
    """Send strangers to the door, and open the client named in the address."""
    if request.url_rule is None or first_part() in _ALWAYS:
        return None
    if not setup.is_set_up():
        if is_json():
            raise Conflict(_("This installation is not set up yet"))
        return redirect(url_for("setup.first"), 303)
    if first_part() in PUBLIC:
        return None
    if not current_user.is_authenticated:
        return _to_the_door()
    if g.client is not None:
        g.workspace = accounts.enter(g.client, me())
    reads = request.method in ("GET", "HEAD", "OPTIONS")
    if current_user.role == "client" and not reads and first_part() not in _OWN:
        raise Forbidden(_("Your account can look at everything of this client but change nothing"))
    return None


def _to_the_door() -> Response:
    if is_json():
        raise Forbidden(_("Log in first"))
    back = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("auth.login", next=back if back != "/" else None), 303)
