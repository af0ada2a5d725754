"""The webhooks of all providers: ``POST /hooks/<provider>/<token>``. Closed unless the connection has a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flask import Blueprint, Flask, Response, request

from flowserver.errors import Invalid, TooLarge
from flowserver.providers.base import WebhookRequest
from flowserver.services.messages import reports
from flowserver.text import N_

bp = Blueprint("hooks", __name__)

MOST_BYTES = 1024 * 1024


def init_app(app: Flask) -> None:
    """Programs call here; their signature is the proof."""
    app.extensions["csrf"].exempt(bp)


@bp.post("/hooks/<provider>/<token>")
def receive(provider: str, token: str) -> Response:
    """204 for whatever is genuine, known or not: a provider that gets an error only repeats itself."""
    if (request.content_length or 0) > MOST_BYTES:
        raise TooLarge(N_("A report can have one megabyte at most"))
    request.max_content_length = MOST_BYTES
    found = WebhookRequest(request.get_data(cache=False), cast("Mapping[str, str]", request.headers))
    try:
        reports.receive(provider, token, found)
    except Invalid:
        return Response(status=400)
    return Response(status=204)
