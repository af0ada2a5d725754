"""The links in a mail: clicks, the open pixel, unsubscribe, the preference page. No cookie, no log-in, signed tokens."""

from __future__ import annotations

import base64
from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from flowserver import clock
from flowserver.blueprints import console
from flowserver.blueprints.limits import get_remote_address, limiter
from flowserver.domain.visitors import Visitor
from flowserver.errors import NotFound
from flowserver.services.accounts import brand
from flowserver.services.messages import tracking

bp = Blueprint("tracking", __name__)

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_UNSEEN = {"Cache-Control": "no-store, private", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


def init_app(app: Flask) -> None:
    """Mail programs press "unsubscribe" without a cookie; the signed token is the proof."""
    app.extensions["csrf"].exempt(bp)


def _who_and_where() -> str:
    return f"{get_remote_address()}:{request.path}"


def _visitor() -> Visitor:
    head = request.headers
    return Visitor(
        at=clock.now(),
        method=request.method,
        agent=head.get("User-Agent", ""),
        purpose=head.get("Sec-Purpose") or head.get("Purpose") or "",
        by_hand=head.get("Sec-Fetch-User") == "?1",
    )


# --- clicks and opens ----------------------------------------------------------------------------------


@bp.get("/l/<token>/<int:link>")
@limiter.limit("60 per minute", key_func=_who_and_where)
def click(token: str, link: int) -> Any:
    """On to where the link of the mail leads; the address comes from the mail, never from the request."""
    try:
        url = tracking.click(token, link, _visitor())
    except NotFound as error:
        return _gone(error)
    response = redirect(url, 302)
    response.headers.update(_UNSEEN)
    return response


@bp.get("/t/<token>.gif")
@limiter.limit("60 per minute", key_func=_who_and_where)
def pixel(token: str) -> Response:
    """One transparent pixel, whatever the token says."""
    tracking.open(token, _visitor())
    return Response(PIXEL, mimetype="image/gif", headers=_UNSEEN)


# --- leaving and choosing --------------------------------------------------------------------------------


@bp.post("/u/<token>")
@limiter.limit("30 per minute", key_func=_who_and_where)
def one_click(token: str) -> Any:
    """RFC 8058: a POST from a mail program, without cookie and without redirect."""
    try:
        g.workspace = tracking.unsubscribe(token)
    except NotFound as error:
        return _gone(error)
    return _page("stopped", token, everything=False)


@bp.get("/u/<token>")
@bp.get("/p/<token>")
@limiter.limit("60 per minute", key_func=_who_and_where)
def preferences(token: str) -> Any:
    """The preference page. Looking at it changes nothing."""
    try:
        found = tracking.choices(token)
    except NotFound as error:
        return _gone(error)
    g.workspace = found.workspace
    return _page("preferences", token, found=found, saved=request.args.get("saved"))


@bp.post("/p/<token>")
@limiter.limit("30 per minute", key_func=_who_and_where)
def choose(token: str) -> Any:
    """Save the choice, or stop everything."""
    form = request.form
    try:
        if form.get("act") == "stop":
            g.workspace = tracking.stop_everything(token)
            return _page("stopped", token, everything=True)
        tracking.choose(
            token,
            topics=[int(value) for value in form.getlist("topic") if value.isdecimal() and len(value) < 16],
            email="email" in form,
            sms="sms" in form,
            pause="pause" in form,
            words=_("Choose what you receive"),
        )
    except NotFound as error:
        return _gone(error)
    return redirect(url_for(".preferences", token=token, saved=1, lang=request.args.get("lang")), 303)


@bp.get("/p/<token>/brand.css")
def brand_css(token: str) -> Response:
    """The client's colour."""
    workspace = tracking.choices(token).workspace
    sheet = f".pub {{ --brand: {workspace.brand_color}; --on-brand: {brand.ink_on(workspace.brand_color)}; }}\n"
    return Response(sheet, mimetype="text/css", headers={"Cache-Control": "private, max-age=300"})


def _page(name: str, token: str, **more: Any) -> Response:
    console.speak(request.args.get("lang") or g.workspace.locale)
    page = render_template(f"tracking/{name}.html", client=g.workspace, token=token, pub_class="", **more)
    return Response(page, headers={key: value for key, value in _UNSEEN.items() if key != "X-Robots-Tag"})


def _gone(error: NotFound) -> Any:
    return render_template("tracking/gone.html", text=error.args[0], pub_class="plain"), 404
