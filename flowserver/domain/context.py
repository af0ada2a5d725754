"""The context nodes speak to: it performs nothing, it collects rows. Production and simulation use this same class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from flowserver.domain import people, sending
from flowserver.domain.coupons import Taken
from flowserver.domain.steps import Contact, Item, Plan, Sent
from flowserver.errors import Invalid

_PLANNED = Plan(True)
_SAMPLE = "SAMPLE-CODE"
_REFUSED: dict[str, Plan] = {}


@dataclass(slots=True)
class Client:
    """What the engine must know of a client account to decide."""

    id: int
    zone: ZoneInfo
    quiet_from: str = ""
    quiet_until: str = ""
    cap_day: int | None = None
    cap_week: int | None = None
    connections: Mapping[str, int] = field(default_factory=dict)  # channel → connection id
    notify_email: str = ""
    heard: frozenset[str] = frozenset()  # event types that some live flow of the client starts with or waits for
    fields: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # key → type, choices
    customs: people.Customs = field(default_factory=people.Customs)


@dataclass(slots=True)
class Wishes:
    """Everything a batch wants written, as rows."""

    messages: list[tuple[Any, ...]] = field(default_factory=list)
    decisions: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    score: list[tuple[Any, ...]] = field(default_factory=list)
    contacts: dict[int, Contact] = field(default_factory=dict)  # those changed, by id
    changed: set[str] = field(default_factory=set)  # names of what changed in any of them
    tags: dict[tuple[int, int, str], bool] = field(default_factory=dict)  # workspace, contact, name → on or off
    coupons: list[tuple[Taken, int, int]] = field(default_factory=list)  # what for which contact and enrollment
    without: dict[int, int] = field(default_factory=dict)  # campaign → contacts who got no coupon
    data: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # enrollment → its data, where a step changed it
    lists: dict[tuple[int, int, int], bool] = field(default_factory=dict)  # workspace, contact, list → on or off
    left: dict[int, list[int]] = field(default_factory=dict)  # flow → contacts who leave it


MESSAGE_COLUMNS = (
    "workspace_id",
    "key",
    "kind",
    "channel",
    "class",
    "connection_id",
    "priority",
    "contact_id",
    "address",
    "flow_id",
    "version_id",
    "enrollment_id",
    "step",
    "visit",
    "state",
    "reason",
    "attempts",
    "planned_at",
    "due_at",
)
DECISION_COLUMNS = ("workspace_id", "enrollment_id", "step", "visit", "at", "outcome", "reason", "facts")
EVENT_COLUMNS = ("workspace_id", "contact_id", "type", "subject", "key", "at", "data", "chain", "origin", "matched")
SCORE_COLUMNS = ("workspace_id", "contact_id", "points", "reason", "at", "created_at")


class BatchContext:
    """Context of one flow version within a batch. ``wishes`` and ``recent`` are shared by the whole batch.

    ``load`` is called before a step with the facts it needs, so that they are fetched for the batch when the first
    step asks for them, and not at all when nobody comes that far. It fills ``suppressed``, ``recent`` and the items.
    """

    def __init__(
        self,
        *,
        now: datetime,
        client: Client,
        flow_id: int,
        version_id: int,
        wishes: Wishes,
        suppressed: set[tuple[str, str]],
        recent: dict[tuple[int, str], list[datetime]],
        owners: Mapping[int, str] | None = None,
        segments: Mapping[int, Any] | None = None,
        hours: sending.Hours | None = None,
        skip_sends: bool = False,
        load: Callable[[Iterable[str]], None] | None = None,
        take: Callable[[Client, int, int], Sequence[Taken]] | None = None,
    ):
        self.now = now
        self.zone = client.zone
        self.client = client
        self.flow_id = flow_id
        self.version_id = version_id
        self.wishes = wishes
        self.suppressed = suppressed
        self.recent = recent
        self.owners = owners or {}
        self.segments = {} if segments is None else segments
        self.skip_sends = skip_sends
        self._load = load
        self._take = take
        self._planned = Sent("planned", now)
        self.typed: dict[tuple[str, type, Any], Any] = {}
        quiet = {"sms": (client.quiet_from, client.quiet_until)}
        self.holds = {
            channel: sending.hold_until(now, client.zone, quiet.get(channel), hours) for channel in ("email", "sms")
        }
        self.capped = client.cap_day is not None or client.cap_week is not None

    def need(self, facts: frozenset[str]) -> None:
        """Make sure that these kinds of facts are there for the whole batch."""
        if facts and self._load is not None:
            self._load(facts)

    # --- messages ------------------------------------------------------------------------------------------

    def send(self, batch: Sequence[Item], channel: str, settings: Mapping[str, Any]) -> Sequence[Plan]:
        class_ = settings.get("class", "marketing")
        connection = self.client.connections.get(channel)
        if self.skip_sends or connection is None:
            refusal = _refused("paused" if self.skip_sends else "no_connection")
            return [self._skip(item, channel, class_, refusal, connection) for item in batch]
        hold = self.holds.get(channel) if class_ == "marketing" else None
        return [self._plan(item, channel, class_, connection, hold) for item in batch]

    def _plan(self, item: Item, channel: str, class_: str, connection: int, hold: tuple[datetime, str] | None) -> Plan:
        contact = item.contact
        address = contact.email if channel == "email" else contact.phone
        reason = sending.may_send(
            contact, channel, class_, bool(self.suppressed) and (channel, address) in self.suppressed
        )
        if reason:
            return self._skip(item, channel, class_, _refused(reason), connection)
        if class_ == "marketing" and contact.paused_until is not None and contact.paused_until > self.now:
            return self._skip(item, channel, class_, _refused("on_pause"), connection)
        if hold:
            return Plan(False, hold[1], hold[0])
        if class_ == "marketing":
            free = self._cap(contact.id, channel)
            if free:
                return Plan(False, "message_limit", free)
        self._message(item, "flow", channel, class_, connection, address or "", "planned", None, 5)
        item.messages[item.step] = self._planned
        return _PLANNED

    def _cap(self, contact_id: int, channel: str) -> datetime | None:
        """When the client's message limit lets the next one out; notes this one if that is now."""
        if not self.capped:
            return None
        sent = self.recent.setdefault((contact_id, channel), [])
        if sent or self.client.cap_day == 0 or self.client.cap_week == 0:
            free = sending.free_from(self.now, self.zone, sent, self.client.cap_day, self.client.cap_week)
            if free:
                return free
        sent.append(self.now)
        return None

    def _skip(self, item: Item, channel: str, class_: str, plan: Plan, connection: int | None) -> Plan:
        """A send that is left out is a row too, so that "why not" has an answer."""
        self._message(item, "flow", channel, class_, connection or 0, "", "skipped", plan.reason, 5)
        item.messages[item.step] = Sent("skipped", self.now)
        return plan

    def _message(
        self,
        item: Item,
        kind: str,
        channel: str,
        class_: str,
        connection: int,
        address: str,
        state: str,
        reason: str | None,
        priority: int,
        suffix: str = "",
    ) -> None:
        contact, now = item.contact, self.now
        self.wishes.messages.append(
            (
                contact.workspace_id,
                f"{item.enrollment_id}:{item.step}:{item.visit}{suffix}",
                kind,
                channel,
                class_,
                connection,
                priority,
                contact.id,
                address,
                self.flow_id,
                self.version_id,
                item.enrollment_id,
                item.step,
                item.visit,
                state,
                reason,
                0,
                now,
                now,
            )
        )

    def notify(self, item: Item, to: Sequence[str]) -> Plan:
        owner = self.owners.get(item.contact.owner_id or 0) or self.client.notify_email
        addresses = list(dict.fromkeys(to)) or ([owner] if owner else [])
        connection = self.client.connections.get("email")
        if not addresses or connection is None:
            return _refused("no_connection" if addresses else "nobody_to_tell")
        for n, address in enumerate(addresses):
            self._message(item, "team", "email", "service", connection, address, "planned", None, 3, f":{n}")
        return _PLANNED

    # --- the contact -----------------------------------------------------------------------------------------

    def change_contact(self, item: Item, **changes: Any) -> bool:
        contact = item.contact
        try:
            fields = {key: self._typed(key, value) for key, value in changes.pop("fields", {}).items()}
        except Invalid:
            return False
        for key, value in changes.items():
            old = getattr(contact, key)
            if old != value:
                setattr(contact, key, value)
                self._changed(item, key, old, value)
        for key, value in fields.items():
            old = contact.fields.get(key)
            if old != value:
                contact.fields = {**contact.fields, key: value}
                if value is None:
                    del contact.fields[key]
                self._changed(item, key, old, value, "fields")
        return True

    def _typed(self, key: str, value: Any) -> Any:
        """A value as its custom field keeps it; a batch mostly writes the same one. Raises :class:`Invalid`."""
        if key not in self.client.fields:
            return value
        asked = (key, type(value), value)
        if asked not in self.typed:
            type_, choices = self.client.fields[key]
            self.typed[asked] = people.value(type_, value, choices, self.client.customs)
        return self.typed[asked]

    def _changed(self, item: Item, key: str, old: Any, new: Any, column: str = "") -> None:
        self.wishes.contacts[item.contact.id] = item.contact
        self.wishes.changed.add(column or key)
        self.emit(item, "field_changed", key, {"old": old, "new": new})

    def add_tag(self, item: Item, tag: str) -> bool:
        if tag in item.contact.tags:
            return False
        item.contact.tags.add(tag)
        self.wishes.tags[item.contact.workspace_id, item.contact.id, tag] = True
        self.emit(item, "tag_added", tag)
        return True

    def remove_tag(self, item: Item, tag: str) -> bool:
        if tag not in item.contact.tags:
            return False
        item.contact.tags.discard(tag)
        self.wishes.tags[item.contact.workspace_id, item.contact.id, tag] = False
        return True

    def join_list(self, item: Item, list_id: int) -> bool:
        if list_id in item.contact.lists:
            return False
        item.contact.lists.add(list_id)
        self.wishes.lists[item.contact.workspace_id, item.contact.id, list_id] = True
        self.emit(item, "list_joined", str(list_id))
        return True

    def leave_list(self, item: Item, list_id: int) -> bool:
        if list_id not in item.contact.lists:
            return False
        item.contact.lists.discard(list_id)
        self.wishes.lists[item.contact.workspace_id, item.contact.id, list_id] = False
        return True

    def leave_flow(self, item: Item, flow_id: int) -> None:
        self.wishes.left.setdefault(flow_id, []).append(item.contact.id)

    def change_score(self, item: Item, points: int, reason: str) -> None:
        contact = item.contact
        old = contact.score
        contact.score = old + points
        self.wishes.contacts[contact.id] = contact
        self.wishes.changed.add("score")
        self.wishes.score.append((contact.workspace_id, contact.id, points, reason, self.now, self.now))
        self.emit(item, "score_changed", "", {"old": old, "new": contact.score})

    def give_coupons(self, batch: Sequence[Item], campaign: int) -> Sequence[str | None]:
        if self._take is None:  # nothing stands behind a rehearsal: everybody gets one
            return [self._give(item, campaign, _SAMPLE, "", "") for item in batch]
        taken = self._take(self.client, campaign, len(batch))
        if len(taken) < len(batch):
            self.wishes.without[campaign] = self.wishes.without.get(campaign, 0) + len(batch) - len(taken)
        for item, one in zip(batch, taken, strict=False):
            self.wishes.coupons.append((one, item.contact.id, item.enrollment_id))
            self._give(item, campaign, one.code, one.campaign.value, one.until, one.campaign.name)
        return [*(one.code for one in taken), *[None] * (len(batch) - len(taken))]

    def _give(self, item: Item, campaign: int, code: str, value: str, until: str, name: str = "") -> str:
        item.data = {**item.data, "coupon": code, "coupon_value": value, "coupon_until": until}
        self.wishes.data[item.enrollment_id] = item.data
        self.emit(item, "coupon_issued", str(campaign), {"code": code, "campaign": name, "value": value})
        return code

    def emit(self, item: Item, type: str, subject: str = "", data: Mapping[str, Any] | None = None) -> None:
        """A change of a field or score that nobody starts with is in the decisions already, so it is no event."""
        if type in ("field_changed", "score_changed") and type not in self.client.heard:
            return
        key = f"{item.enrollment_id}:{item.step}:{item.visit}:{type}:{subject}"[:120]
        chain = [*item.data.get("chain", ()), self.flow_id]
        row = (
            item.contact.workspace_id,
            item.contact.id,
            type,
            subject,
            key,
            self.now,
            {**(data or {}), "chain": chain},
            len(chain),
            self.flow_id,
            False,
        )
        self.wishes.events.append(row)

    # --- decisions ---------------------------------------------------------------------------------------------

    def log(self, item: Item, step: str, outcome: str, reason: str | None, facts: Mapping[str, Any] | None) -> None:
        """Write down one decision: the narrow row "why did it get this" is answered from."""
        self.wishes.decisions.append(
            (
                self.client.id,
                item.enrollment_id,
                step,
                item.visit,
                self.now,
                outcome,
                reason,
                orjson.dumps(facts, default=str).decode() if facts else None,
            )
        )

    def pick(self, item: Item, weights: Sequence[int]) -> int:
        digest = hashlib.sha256(f"{self.flow_id}:{item.contact.id}:{item.step}".encode()).digest()
        point = int.from_bytes(digest[:8], "big") % max(sum(weights), 1)
        for index, weight in enumerate(weights):
            if point < weight:
                return index
            point -= weight
        return len(weights) - 1


def _refused(reason: str) -> Plan:
    """The plan that says no for a reason; one object a reason."""
    plan = _REFUSED.get(reason)
    if plan is None:
        plan = _REFUSED[reason] = Plan(False, reason)
    return plan
