"""What every provider is made of: settings with rules, sessions that hand messages over, reports read back.

A provider only translates. Whether a message may go out, when it is tried again and what a report changes is decided
in ``services/messages/deliveries.py``, the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import marshmallow as ma

from flowserver.config import Config
from flowserver.errors import Invalid
from flowserver.providers.http import Door
from flowserver.text import N_

# What a hand-over can come to. The vocabulary is closed: a provider says one of these.
ACCEPTED = "accepted"  # taken: the provider answers for it from now on
RETRY = "retry"  # refused for now: later it may be taken
BOUNCED = "bounced"  # the address does not exist: never try it again
FAILED = "failed"  # refused for good, for another reason
UNSENT = "unsent"  # surely not taken, and through no fault of the message: the server is away
UNKNOWN = "unknown"  # handed over, answer never heard: it may have been taken

# What a provider may report later.
MOST_PARTS = 255  # of one long SMS: 3GPP TS 23.040, 9.2.3.24.1
KINDS = frozenset({"accepted", "delivered", "bounced", "failed", "complained", "unsubscribed", "unknown"})


@dataclass(slots=True, frozen=True)
class Answer:
    """What a provider said to one message. ``ref`` is its own id for it, ``code`` its own word for the reason."""

    state: str
    reason: str = ""
    code: str = ""
    ref: str | None = None


TAKEN = Answer(ACCEPTED)


@dataclass(slots=True, frozen=True)
class Email:
    """One mail, built: envelope and bytes with CRLF line ends. ``key`` is the same at every attempt."""

    key: str
    sender: str
    to: str
    data: bytes


@dataclass(slots=True, frozen=True)
class Sms:
    """One text. ``sender`` is a name (≤ 11) or a number, ``ref`` our id, ``callback`` where reports go."""

    key: str
    sender: str
    to: str
    text: str
    ref: str = ""
    callback: str = ""


def part_of(part: Any, parts: Any) -> tuple[int, int]:
    """Which part of how many a report is about; ``(1, 1)``, the whole message, where that makes no sense."""
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (part, parts))
    return (part, parts) if whole and 1 <= part <= parts <= MOST_PARTS else (1, 1)


def instant(text: Any) -> datetime | None:
    """When something happened, in UTC, from ISO 8601 text (without a zone: UTC). ``None`` where it cannot be told: a
    report that cannot say when still says what."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True, frozen=True)
class WebhookRequest:
    """A request to ``/hooks/…``: raw body and headers as they came."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True, frozen=True)
class DeliveryEvent:
    """A report about one message, or about one ``part`` of the ``parts`` of a long SMS, counted from 1.

    ``ref``: our id or the provider's; ``kind``: one of :data:`KINDS`.
    """

    ref: str
    kind: str
    at: datetime | None = None
    reason: str = ""
    provider_ref: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    part: int = 1
    parts: int = 1


@dataclass(slots=True, frozen=True)
class Incoming:
    """A text that somebody sent to us."""

    sender: str
    to: str
    text: str
    at: datetime | None = None
    id: str = ""


class Settings(ma.Schema):
    """Rules of a connection's settings. ``metadata={"secret": True}`` marks what is encrypted and never shown."""

    class Meta:
        unknown = ma.RAISE

    error_messages = {"unknown": N_("Unknown setting"), "type": N_("Write the settings as an object")}


class Session:
    """One open line to a provider, used by one thread at a time and kept open across messages."""

    def send(self, message: Any) -> Answer:
        """Hand one message over. Never raises for what the other side does: the answer says it.

        Raises :class:`flowserver.errors.ProviderAuthFailed` when the credentials are refused.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Hang up. May be called twice."""


class Provider:
    """A way to carry messages. ``name`` is stored: never rename it."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    channel: ClassVar[str] = ""
    reports: ClassVar[bool] = False  # whether it reports deliveries over a webhook

    class Settings(Settings):
        """No settings."""

    def __init__(self, settings: Mapping[str, Any], config: Config):
        self.settings = settings
        self.config = config
        self.http = Door(config.private_hosts)

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """Names of the settings that are kept encrypted."""
        fields = cls.Settings().fields
        return frozenset(name for name, field in fields.items() if field.metadata.get("secret"))

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Check raw settings. Returns them cleaned; raises :class:`Invalid` with a message per field."""
        try:
            return dict(cls.Settings().load(dict(raw)))
        except ma.ValidationError as error:
            raise Invalid(error.normalized_messages()) from None

    @property
    def lines(self) -> int:
        """How many sessions may be open at once."""
        return 1

    def session(self) -> Session:
        """A new session; it opens its line with the first message."""
        raise NotImplementedError

    def check(self) -> None:
        """Try the credentials. Raises :class:`flowserver.errors.ProviderError` or one of its kinds."""

    def hook_secret(self) -> str:
        """What webhooks of this connection are signed with; "": it takes none."""
        return ""

    def is_genuine(self, request: WebhookRequest) -> bool:
        """Whether a webhook request really comes from the provider."""
        return False

    def events(self, request: WebhookRequest) -> Sequence[DeliveryEvent | Incoming]:
        """What a genuine webhook request reports. Raises :class:`Invalid` when it cannot be read."""
        return []


class EmailProvider(Provider):
    """Carries :class:`Email`."""

    channel = "email"


class SmsProvider(Provider):
    """Carries :class:`Sms`."""

    channel = "sms"
