"""The error tree as pages for people and ``application/problem+json`` (RFC 9457) for programs."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask_babel import gettext as _
from flask_login import AnonymousUserMixin, current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from flowserver.blueprints.fieldkit import error_texts
from flowserver.blueprints.say import say
from flowserver.blueprints.scope import is_json
from flowserver.errors import FlowserverError, Invalid
from flowserver.text import Text

log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Bind the handlers; anything that is no error of ours becomes a 500 with a reference."""
    app.register_error_handler(FlowserverError, _ours)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(InternalServerError, _bug)


def problem(status: int, slug: str, title: str, detail: str = "", **more: Any) -> Response:
    """A ``problem+json`` answer with a stable type."""
    body = {"type": f"urn:flowserver:problem:{slug}", "title": title, "status": status, "detail": detail, **more}
    response = jsonify({key: value for key, value in body.items() if value not in ("", None)})
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def _answer(status: int, slug: str, title: str, detail: str, **more: Any) -> Response:
    _roll_back()
    if is_json():
        return problem(status, slug, title, detail, **more)
    page = render_template(
        "errors/error.html", base=_frame(status), status=status, heading=title, detail=detail, **more
    )
    return make_response(page, status)


def _roll_back() -> None:
    current_app.extensions["sqlalchemy"].session.rollback()


def _frame(status: int) -> str:
    """Inside the console for people who are logged in; on its own for strangers and when we broke."""
    known = status < 500 and bool(current_user) and current_user.is_authenticated
    return "layout.html" if known else "public.html"


def _ours(error: FlowserverError) -> Response:
    title, words = _words(error.status)
    detail = str(say(error.args[0])) if error.args and isinstance(error.args[0], Text) else ""
    more: dict[str, Any] = {}
    if isinstance(error, Invalid):
        more["errors"] = _said(error.messages)
        detail = " ".join(error_texts(error.messages)) if is_json() else ""
    elif error.status in (403, 409, 410, 413, 422, 503):
        detail = detail or str(error)
    return _answer(error.status, error.slug, title, detail or words, **more)


def _said(messages: Any) -> Any:
    if isinstance(messages, dict):
        return {str(key): _said(value) for key, value in messages.items()}
    if isinstance(messages, list | tuple):
        return [_said(value) for value in messages]
    return str(say(messages))


def _csrf(error: CSRFError) -> Response:
    return _answer(
        400,
        "csrf",
        _("This page was open for too long"),
        _("Nothing was saved. Go back, reload the page and send it again."),
    )


def _http(error: HTTPException) -> Response:
    if error.response is not None or (error.code or 500) < 400:
        return error.get_response()  # type: ignore[return-value]
    status = error.code or 500
    title, words = _words(status)
    response = _answer(status, error.name.lower().replace(" ", "-"), title, words)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _bug(error: InternalServerError) -> Response:
    g._login_user = AnonymousUserMixin()  # the page must not ask a database that may be away
    reference = secrets.token_hex(4)
    cause = error.original_exception or error
    log.error("request.failed", reference=reference, endpoint=request.endpoint, method=request.method, exc_info=cause)
    g.workspace = None
    title, words = _words(500)
    return _answer(500, "error", title, words, reference=reference)


def _words(status: int) -> tuple[str, str]:
    """Title and sentence for a status: what happened and the way out."""
    known = {
        400: (_("We could not read this request"), _("Go back, reload the page and send it again.")),
        401: (_("Log in first"), _("This address needs a log-in.")),
        403: (_("You cannot do this"), _("Your role does not allow it. Ask an agency admin.")),
        404: (_("This page does not exist"), _("The address may be wrong, or the thing it showed was deleted.")),
        405: (_("This address does not take that"), _("Go back and try again from the page before.")),
        409: (_("This does not fit the present state"), _("Reload the page to see what changed.")),
        410: (_("This is good no longer"), _("It was there before, but its time is over.")),
        413: (_("This is too large"), _("Send less in one go.")),
        415: (_("We cannot read this kind of content"), _("Send it in the documented format.")),
        422: (_("There is a problem"), _("Correct what is named here and send it again.")),
        429: (_("Too many tries"), _("Wait a minute, then try again.")),
        503: (_("Something we need is away"), _("Nothing is lost. Try again in a few minutes.")),
    }
    return known.get(status, (_("Something broke on our side"), _("Nothing you did was wrong. Try again in a moment.")))
