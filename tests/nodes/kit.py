"""A context and people for trying nodes: the real context, nothing behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flowserver.domain.context import BatchContext, Client, Wishes
from flowserver.domain.steps import Contact, Item
from flowserver.errors import Invalid

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)  # a Monday, 11:00 in Rome
ROME = ZoneInfo("Europe/Rome")


def context(now: datetime = NOW, zone: ZoneInfo = ROME, **given: Any) -> BatchContext:
    """A context of flow 7; ``given`` are parts of the client or of the context."""
    own = {name: given.pop(name) for name in ("suppressed", "recent", "owners", "skip_sends", "take") if name in given}
    client = {"connections": {"email": 1, "sms": 2}, "heard": frozenset({"field_changed", "score_changed"}), **given}
    return BatchContext(
        now=now,
        client=Client(id=1, zone=zone, **client),
        flow_id=7,
        version_id=70,
        wishes=Wishes(),
        **{"suppressed": set(), "recent": {}, **own},
    )


def person(id: int = 1, **given: Any) -> Contact:
    """A contact who may get everything."""
    reachable = {
        "email": f"c{id}@example.org",
        "phone": f"+39333123{id:04d}",
        "email_consent": "given",
        "sms_consent": "given",
    }
    return Contact(id=id, workspace_id=1, **{**reachable, **given})


def item(contact: Contact | None = None, **given: Any) -> Item:
    """One contact standing at the step ``here``."""
    contact = contact or person()
    return Item(enrollment_id=contact.id * 10, contact=contact, **{"flow_id": 7, "step": "here", **given})


def names(source: str, id: Any) -> str:
    """What an id is called."""
    return "…" if id in (None, "") else f"the {source} {id}"


def mistakes(cls: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """What is wrong with raw settings, by field; empty when they are right."""
    try:
        cls.load(raw)
    except Invalid as error:
        return error.messages
    return {}


def decide(cls: Any, settings: dict[str, Any], one: Item, ctx: Any = None) -> Any:
    """The outcome of one item that arrives at an action with these settings."""
    return cls(cls.load(settings)).execute([one], ctx or context())[0]


def holds(cls: Any, settings: dict[str, Any], contact: Contact | None = None, **given: Any) -> bool:
    """The answer of a condition with these settings."""
    return cls(cls.load(settings)).holds(item(contact, **given), context())
