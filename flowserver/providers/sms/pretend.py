"""The pretend phone of ``flowserver up``: takes texts over HTTP, reports back over a signed webhook.

``POST /messages`` ``{"to", "from", "text", "ref", "callback"}`` with ``X-Phone-Secret`` → 202 ``{"id"}``. To ``callback`` it
posts ``{"id", "ref", "status": "delivered" | "failed", "error"?, "at", "part"?, "parts"?}`` or ``{"type": "incoming", "id", "from", "to",
"text", "at"}`` with ``X-Phone-Signature``: hex HMAC-SHA256 of the raw body, keyed with the secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import fields, validate

from flowserver.errors import Invalid, ProviderAuthFailed, ProviderError, ProviderUnavailable
from flowserver.providers import base
from flowserver.providers.base import (
    ACCEPTED,
    FAILED,
    RETRY,
    UNKNOWN,
    UNSENT,
    Answer,
    DeliveryEvent,
    Incoming,
    Sms,
    SmsProvider,
    WebhookRequest,
)
from flowserver.providers.http import Door, Unanswered
from flowserver.text import N_


class Pretend(SmsProvider):
    name = "pretend"
    title = N_("Pretend phone")
    reports = True
    kinds = {"delivered": "delivered", "failed": "failed"}

    class Settings(base.Settings):
        secret = fields.String(load_default="", metadata={"secret": True}, validate=validate.Length(max=200))

    def __init__(self, settings: Any, config: Any):
        super().__init__(settings, config)
        phone = urlsplit(config.phone_url).hostname or ""  # the operator's own word, so it may be private
        self.http = Door((*config.private_hosts, phone))

    @property
    def lines(self) -> int:
        return 4

    def hook_secret(self) -> str:
        return str(self.settings.get("secret") or self.config.phone_secret)

    def session(self) -> base.Session:
        return _Session(self)

    def is_genuine(self, request: WebhookRequest) -> bool:
        secret = self.hook_secret()
        if not secret:
            return False
        expected = hmac.digest(secret.encode(), request.body, "sha256").hex()
        return hmac.compare_digest(expected.encode(), request.headers.get("X-Phone-Signature", "").encode())

    def events(self, request: WebhookRequest) -> Sequence[DeliveryEvent | Incoming]:
        try:
            row = orjson.loads(request.body)
            at = base.instant(row.get("at"))
            said = {name: str(value).replace("\0", "") for name, value in row.items() if value is not None}
            if row.get("type") == "incoming":
                words = (said.get("from", ""), said.get("to", ""), said.get("text", ""))
                return [Incoming(*words, at, said.get("id", ""))]
            kind = self.kinds.get(said.get("status", ""), "unknown")
            reason, phone_id = said.get("error", "")[:300], said.get("id") or None
            part, parts = base.part_of(row.get("part"), row.get("parts"))
            return [DeliveryEvent(said.get("ref", ""), kind, at, reason, phone_id, said, part, parts)]
        except (ValueError, AttributeError, TypeError) as error:
            raise Invalid(N_("The report cannot be read")) from error


class _Session(base.Session):
    def __init__(self, provider: Pretend):
        self._provider = provider

    def send(self, message: Sms) -> Answer:
        provider = self._provider
        url = provider.config.phone_url
        if not url:
            return Answer(UNSENT, N_("No pretend phone is running"))
        body = {
            "to": message.to,
            "from": message.sender,
            "text": message.text,
            "ref": message.ref,
            "callback": message.callback,
        }
        try:
            reply = provider.http.post(
                f"{url.rstrip('/')}/messages", json=body, headers={"X-Phone-Secret": provider.hook_secret()}
            )
        except Unanswered as error:
            return Answer(UNKNOWN, str(error))
        except ProviderUnavailable as error:  # with a code it answered (429, 5xx), without one it is away
            return Answer(RETRY if error.code else UNSENT, str(error), error.code)
        except ProviderAuthFailed:
            raise
        except ProviderError as error:
            return Answer(FAILED, str(error), error.code)
        try:
            return Answer(ACCEPTED, ref=str(reply.json().get("id") or "") or None)
        except (ProviderError, AttributeError):
            return Answer(ACCEPTED)
