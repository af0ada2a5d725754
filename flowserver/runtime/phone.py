"""The pretend phone of `flowserver up`: takes texts over HTTP and reports back over a real webhook.

``POST /messages`` with the header ``X-Phone-Secret`` and JSON ``{"to", "from", "text", "ref", "callback"}`` answers
202 ``{"id"}``. About a second later it posts ``{"id", "ref", "status": "delivered" | "failed", "error"?, "at"}`` to
``callback``, and what is typed on the phone as ``{"type": "incoming", "id", "from", "to", "text", "at"}``, both with
``X-Phone-Signature``: hex HMAC-SHA256 of the raw body with the secret. Numbers that end in 99 fail.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import structlog

from flowserver.config import Config
from flowserver.services.messages.phone import LONGEST, Handset, Sms

log = structlog.get_logger()

_LOOK_EVERY = 0.25  # seconds
_MOST_BODY = 64 * 1024
_STATUS = {
    202: "202 Accepted",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    404: "404 Not Found",
    422: "422 Unprocessable Content",
}


class Refused(Exception):
    """A request we cannot take: status and words."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


class Phone:
    """The HTTP side (a WSGI application) and the reporting side of one pretend phone."""

    def __init__(self, handset: Handset, secret: str, report_after: float = 1.0):
        self.handset = handset
        self.secret = secret
        self.report_after = report_after
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    # --- taking texts ------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        try:
            status, answer = 202, {"id": f"p{self._take(environ)}"}
        except Refused as refusal:
            status, answer = refusal.status, {"error": str(refusal)}
        body = json.dumps(answer).encode()
        start_response(_STATUS[status], [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _take(self, environ: dict[str, Any]) -> int:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/messages"):
            raise Refused(404, "only POST /messages is here")
        if not hmac.compare_digest(environ.get("HTTP_X_PHONE_SECRET", "").encode("latin-1"), self.secret.encode()):
            raise Refused(401, "wrong secret")
        message = _read(environ)
        number = self.handset.take(
            message["to"], message["from"], message["text"], message["ref"], message["callback"], self.report_after
        )
        log.info("phone.took", text=number)
        return number

    # --- reporting ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to report from a thread; what was left over from before comes first."""
        self._thread = threading.Thread(target=self._report_on, name="reports", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the reports in hand."""
        self._over.set()
        if self._thread:
            self._thread.join(timeout=15)

    def _report_on(self) -> None:
        with ThreadPoolExecutor(4) as pool, requests.Session() as session:
            session.trust_env = False  # the callback is on this machine; no proxy stands between
            while not self._over.is_set():
                try:
                    due = self.handset.to_report()
                    list(pool.map(lambda text: self._report(session, text), due))
                except sqlite3.Error as error:  # a full disk, for example: it may have room again later
                    log.error("phone.cannot_keep", why=str(error))
                    due = []
                if not due:
                    self._over.wait(_LOOK_EVERY)

    def _report(self, session: requests.Session, text: Sms) -> None:
        body = json.dumps(self._words(text)).encode()
        headers = {"Content-Type": "application/json", "X-Phone-Signature": sign(body, self.secret)}
        try:
            answer = session.post(text.callback, data=body, headers=headers, timeout=10, allow_redirects=False)
            taken = answer.status_code < 300
        except requests.RequestException:
            taken = False
        if taken:
            self.handset.reported(text.id)
        else:
            self.handset.report_later(text)
            log.warning("phone.report_refused", text=text.id, tries=text.tries + 1)

    def _words(self, text: Sms) -> dict[str, str]:
        if text.incoming:
            return {
                "type": "incoming",
                "id": f"p{text.id}",
                "from": text.number,
                "to": text.line,
                "text": text.body,
                "at": text.at.isoformat(),
            }
        status = "failed" if text.number.endswith("99") else "delivered"
        self.handset.set_status(text.id, status)
        words = {"id": f"p{text.id}", "ref": text.ref, "status": status, "at": text.at.isoformat()}
        return {**words, "error": "numbers ending in 99 never answer"} if status == "failed" else words


def sign(body: bytes, secret: str) -> str:
    """The signature of a callback's raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _read(environ: dict[str, Any]) -> dict[str, str]:
    """The request's JSON, checked. Raises :class:`Refused`."""
    try:
        message = json.loads(environ["wsgi.input"].read(_MOST_BODY))
        fields = {name: message.get(name, "") for name in ("to", "from", "text", "ref", "callback")}
    except (ValueError, AttributeError):
        raise Refused(400, "send a JSON object") from None
    if not all(isinstance(value, str) for value in fields.values()):
        raise Refused(422, "to, from, text, ref and callback are texts")
    if not re.fullmatch(r"\+[1-9]\d{6,14}", fields["to"]):
        raise Refused(422, "to must be a number like +447700900123")
    if not fields["text"] or len(fields["text"]) > LONGEST:
        raise Refused(422, f"text has 1 to {LONGEST} characters")
    if fields["callback"] and not fields["callback"].startswith(("http://", "https://")):
        raise Refused(422, "callback must be a web address")
    return fields


def serve(config: Config, listener: socket.socket) -> None:
    """Be a phone on ``listener`` until SIGTERM."""
    import waitress

    handset = Handset(config.data)
    phone = Phone(handset, config.phone_secret)
    phone.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    log.info("phone.ready", port=listener.getsockname()[1])
    try:
        waitress.serve(phone, sockets=[listener], threads=4, ident=None)
    finally:
        phone.stop()
        handset.close()


def _leave(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
