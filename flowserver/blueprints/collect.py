"""The script that sites of clients carry, and the door its messages come in by. No cookie, no log-in, no believing."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import TooManyRequests

from flowserver.blueprints.limits import count_try
from flowserver.domain import beacons
from flowserver.services.site import monitors, visits

bp = Blueprint("collect", __name__)

PER_ADDRESS = "600 per minute"
PER_SITE = "20000 per minute"
KEPT = 300  # seconds a browser keeps the script, which knows what live flows ask for
_PLACE = "{/*what the server knows*/}"
_OFF = "window.flowserver=window.flowserver||{track:function(){},identify:function(){},consent:function(){}};\n"


def init_app(app: Flask) -> None:
    """Messages come from other sites, without a session."""
    app.extensions["csrf"].exempt(bp)


@cache
def source() -> str:
    """The script as it stands in the repository, without its comments."""
    text = (Path(current_app.static_folder or "") / "site.js").read_text(encoding="utf-8")
    return re.sub(r"^/\*.*\*/\n", "", text, flags=re.M)


@bp.get("/t/<public_id>.js")
def script(public_id: str) -> Response:
    """The script of a site; one that does nothing where the site is switched off or unknown, so that pages stay whole."""
    count_try(PER_ADDRESS, "site-script")
    site = visits.monitor(public_id)
    text = source().replace(_PLACE, json.dumps(_told(site), separators=(",", ":"))) if site is not None else _OFF
    response = Response(text, mimetype="text/javascript")
    response.set_etag(hashlib.sha256(text.encode()).hexdigest()[:24])
    response.headers.update(
        {
            "Cache-Control": f"public, max-age={KEPT}",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
    )
    response.make_conditional(request)
    return response


def _told(site: Any) -> dict[str, Any]:
    """Where we are, the key, whether to ask first, which stays are asked for."""
    return {
        "o": current_app.extensions["config"].url,
        "k": site.public_id,
        "c": int(site.ask_consent),
        "s": monitors.stays(site.id, site.workspace_id),
    }


@bp.route("/t/<public_id>", methods=["POST", "OPTIONS"])
def receive(public_id: str) -> Response:
    """204 whatever comes: a page must not learn what we know, nor show an error for it."""
    response = Response(status=204)
    response.headers["Vary"] = "Origin"
    sender = _sender()
    if not sender.origin or not _wanted(public_id):
        return response
    site = visits.welcome(public_id, sender.origin)
    if site is None:
        return response
    response.headers["Access-Control-Allow-Origin"] = sender.origin
    response.headers["Access-Control-Allow-Credentials"] = "true"  # beacons ask for it; there is nothing to read
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = "86400"
    else:
        visits.receive(site, request.get_data(cache=False), sender)
    return response


def _wanted(public_id: str) -> bool:
    """Whether to look at a message at all: not one that is too long, nor the thousandth of a minute."""
    if request.method == "POST" and not 0 < (request.content_length or 0) <= beacons.MOST_BYTES:
        return False
    try:
        count_try(PER_ADDRESS, "site")
        count_try(PER_SITE, "site", public_id)
    except TooManyRequests:
        return False
    return True


def _sender() -> visits.Sender:
    head = request.headers
    return visits.Sender(
        origin=head.get("Origin", "")[:300],
        agent=head.get("User-Agent", "")[:500],
        refuses=head.get("DNT") == "1" or head.get("Sec-GPC") == "1",
    )
