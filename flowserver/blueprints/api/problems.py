"""Errors of the API as ``application/problem+json`` (RFC 9457), each with a stable ``type``.

``errors`` holds what is wrong by path, as the request has it: ``email``, ``lists[0]``, ``steps[1].then[0].subject``;
what concerns the whole request stands under ``_``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from flask import Blueprint, Response, g, request
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.exceptions import HTTPException, InternalServerError

from flowserver.blueprints import errors
from flowserver.blueprints.say import say
from flowserver.errors import FlowserverError, Invalid
from flowserver.services.accounts import api_access
from flowserver.services.operations.idempotency import InFlight

log = structlog.get_logger()

TYPE = "application/problem+json"
SLUGS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    410: "gone",
    412: "precondition-failed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
    429: "too-many-requests",
    500: "error",
    503: "unavailable",
}
MOST_SAID = 3  # texts that are repeated in ``detail``


def handle(resource: Blueprint) -> None:
    """Answer every error inside a resource."""
    resource.register_error_handler(FlowserverError, ours)
    resource.register_error_handler(HTTPException, http)
    resource.register_error_handler(IntegrityError, collision)
    resource.register_error_handler(OperationalError, away)
    resource.register_error_handler(InternalServerError, bug)


def unrouted() -> Response | None:
    """Answer addresses and methods of the API that do not exist, before any page does."""
    error = request.routing_exception
    if error is None or not request.path.startswith("/api/") or (error.code or 0) < 400:
        return None
    return http(error)


def problem(status: int, detail: str, slug: str = "", **more: Any) -> Response:
    """A problem. ``slug`` ends its type; the status has one of its own."""
    return errors.problem(status, slug or SLUGS.get(status, "error"), _title(status), detail, **more)


def ours(error: FlowserverError) -> Response:
    """What services raise."""
    api_access.roll_back()
    more: dict[str, Any] = {}
    detail = str(say(error.args[0])) if error.args else _words(error.status)
    if isinstance(error, Invalid):
        more["errors"] = by_path(error.messages)
        detail = _summary(more["errors"])
    for use in getattr(error, "uses", ()):
        more.setdefault("uses", []).append({"kind": use.kind, "id": use.id, "name": use.name})
    if isinstance(error, InFlight):
        g.again_in = error.again_in
    return problem(error.status, detail, error.slug, **more)


def http(error: HTTPException) -> Response:
    """What Flask, Werkzeug and the limits raise."""
    api_access.roll_back()
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    response = problem(status, getattr(error, "words", "") or _words(status), getattr(error, "slug", ""))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def collision(error: IntegrityError) -> Response:
    """Two requests wanted the same at the same moment, and this one came second: nothing of it is done."""
    api_access.roll_back()
    log.warning("api.collision", endpoint=request.endpoint, why=type(error.orig).__name__)
    return problem(409, _("Another request changed the same at the same moment. Send it again."))


def away(error: OperationalError) -> Response:
    """The database is busy or away: nothing is done."""
    api_access.roll_back()
    log.warning("api.database_away", endpoint=request.endpoint, why=type(error.orig).__name__)
    response = problem(503, _words(503))
    response.headers["Retry-After"] = "5"
    return response


def bug(error: InternalServerError) -> Response:
    """Anything else: logged with a reference that the answer carries."""
    api_access.roll_back()
    reference = secrets.token_hex(4)
    cause = error.original_exception or error
    log.error("api.failed", reference=reference, endpoint=request.endpoint, method=request.method, exc_info=cause)
    g.workspace = None
    return problem(500, _words(500), reference=reference)


# --- what is wrong, by path ------------------------------------------------------------------------------


def by_path(messages: Any) -> dict[str, list[str]]:
    """Nested messages as ``{path: [text]}``, said in the caller's language."""
    found: dict[str, list[str]] = {}
    for path, text in _walk(messages, ""):
        found.setdefault(path or "_", []).append(str(say(text)))
    return found


def _walk(messages: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _walk(inner, join(path, key))
    elif isinstance(messages, list | tuple):
        for text in messages:
            yield from _walk(text, path)
    else:
        yield path, messages


def join(path: str, key: Any) -> str:
    """``contacts`` and 0 → ``contacts[0]``; ``contacts[0]`` and ``email`` → ``contacts[0].email``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key in ("_", "_schema"):
        return path
    return f"{path}.{key}" if path else str(key)


def _summary(found: Mapping[str, list[str]]) -> str:
    texts = [text for texts in found.values() for text in texts]
    return " · ".join(texts[:MOST_SAID]) + (" · …" if len(texts) > MOST_SAID else "")


# --- words -----------------------------------------------------------------------------------------------


def _title(status: int) -> str:
    known = {
        400: _("We could not read this request"),
        401: _("A key is needed"),
        403: _("This key may not do that"),
        404: _("Not found"),
        405: _("This address does not take that method"),
        409: _("This does not fit the present state"),
        412: _("It has changed meanwhile"),
        413: _("This is too large"),
        415: _("We cannot read this kind of content"),
        422: _("There is a problem with what was sent"),
        429: _("Too many requests"),
        503: _("Something we need is away"),
    }
    return known.get(status, _("Something broke on our side"))


def _words(status: int) -> str:
    known = {
        400: _("Check the request against the documentation."),
        401: _("Send a key that works in the header: Authorization: Bearer <key>."),
        403: _("Use a key that has the scope this needs."),
        404: _("There is no such address or object."),
        405: _("The header Allow names the methods it takes."),
        412: _("Read it again, then repeat the change with its new ETag."),
        413: _("Send less in one request."),
        415: _("Send JSON in UTF-8, not compressed, with the header Content-Type: application/json."),
        429: _("Wait as long as the header Retry-After says."),
        503: _("Nothing is lost. Try again in a few minutes."),
    }
    return known.get(status, _("Nothing you did was wrong. Try again in a moment."))
