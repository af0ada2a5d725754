"""The error tree. Services raise these; pages, the API and jobs each know what to do with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class FlowserverError(Exception):
    """Base of everything flowserver raises on purpose. ``str(error)`` is fit to be shown."""

    status = 500
    slug = "error"


class NotFound(FlowserverError):
    """The thing asked for does not exist, or belongs to somebody else."""

    status = 404
    slug = "not-found"


class Forbidden(FlowserverError):
    """The person is known but may not do this."""

    status = 403
    slug = "forbidden"


class Conflict(FlowserverError):
    """The request is well-formed but does not fit the present state (in use, already done)."""

    status = 409
    slug = "conflict"


class Gone(FlowserverError):
    """It was there and is good no longer: expired, or made void."""

    status = 410
    slug = "gone"


class Unavailable(FlowserverError):
    """A part we lean on cannot be reached just now; nothing was done."""

    status = 503
    slug = "unavailable"


class TooLarge(FlowserverError):
    """More than we take in one go; the text names the limit."""

    status = 413
    slug = "too-large"


class Invalid(FlowserverError):
    """Input that breaks a rule: ``messages`` is ``{field: [text]}``, nested where the input is."""

    status = 422
    slug = "invalid"

    def __init__(self, messages: Mapping[str, Any] | str):
        self.messages: dict[str, Any] = {"_": [messages]} if isinstance(messages, str) else dict(messages)
        super().__init__("; ".join(flat(self.messages)))


class Broken(Invalid):
    """What the input refers to was deleted or switched off meanwhile: the input was right once, the state is not."""

    status = 409
    slug = "conflict"


class ProviderError(FlowserverError):
    """A provider refused for good; ``code`` is its own word or number for the reason."""

    status = 422
    slug = "provider-error"

    def __init__(self, text: str = "", code: str = ""):
        super().__init__(text)
        self.code = code


class ProviderUnavailable(ProviderError):
    """Time-out, 429 or 5xx: try again later."""

    status = 503
    slug = "provider-unavailable"


class ProviderAuthFailed(ProviderError):
    """The credentials were refused: nothing on this connection will work until they are mended."""

    slug = "provider-auth-failed"


def flat(messages: Any) -> list[str]:
    """All texts of a (nested) message dict or list, in order."""
    if isinstance(messages, Mapping):
        return [text for value in messages.values() for text in flat(value)]
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        return [text for value in messages for text in flat(value)]
    return [messages]
