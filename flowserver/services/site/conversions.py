"""Conversions: the rules that say what counts, and what was counted. A repetition counts nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import beacons, coupons, people, urls
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Conversion, ConversionRule, Monitor
from flowserver.services.engine import events
from flowserver.services.people import contacts, crowd, usage
from flowserver.text import N_, Text

SOURCES = ("any", "pages", "event", "manual")
MOST_PATTERNS = 50
LATELY = timedelta(days=30)


# --- rules: reading ------------------------------------------------------------------------------------------


def get(rule_id: int) -> ConversionRule:
    """The rule with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(ConversionRule).where(ConversionRule.id == rule_id))
    if found is None:
        raise NotFound(N_("There is no such conversion rule"))
    return found


@dataclass(frozen=True)
class Entry:
    """A rule as the pages show it. Numbers are of the last 30 days, without what was undone."""

    row: ConversionRule
    site: str  # name of its monitor
    count: int
    cents: int
    last_at: datetime | None


def everything() -> list[Entry]:
    """All rules of the client by name."""
    return _entries(ConversionRule.id > 0)


def entry(rule_id: int) -> Entry:
    """One rule with its numbers. Raises :class:`NotFound`."""
    get(rule_id)
    return _entries(ConversionRule.id == rule_id)[0]


def _entries(which: Any) -> list[Entry]:
    numbers = (
        sa.select(
            Conversion.rule_id,
            sa.func.count().label("count"),
            sa.func.sum(Conversion.amount_cents).label("cents"),
            sa.func.max(Conversion.at).label("last_at"),
        )
        .where(Conversion.undone_at.is_(None), Conversion.at > clock.now() - LATELY)
        .group_by(Conversion.rule_id)
        .subquery()
    )
    query = (
        sa.select(ConversionRule, Monitor.name, numbers.c.count, numbers.c.cents, numbers.c.last_at)
        .outerjoin(Monitor, Monitor.id == ConversionRule.monitor_id)
        .outerjoin(numbers, numbers.c.rule_id == ConversionRule.id)
        .where(which)
        .order_by(sa.func.lower(ConversionRule.name))
    )
    return [
        Entry(row, site or "", int(count or 0), int(cents or 0), last)
        for row, site, count, cents, last in db.session.execute(query)
    ]


def recent(rule_id: int, most: int = 30) -> list[tuple[Conversion, str]]:
    """The conversions of a rule that were counted last, each with what its contact is called; "" for one that was erased."""
    query = (
        sa.select(Conversion, Contact)
        .outerjoin(Contact, Contact.id == Conversion.contact_id)
        .where(Conversion.rule_id == rule_id)
        .order_by(Conversion.at.desc(), Conversion.id.desc())
    )
    return [
        (row, f"{one.first_name} {one.last_name}".strip() or one.email or one.phone or "" if one else "")
        for row, one in db.session.execute(query.limit(most))
    ]


def uses(rule_id: int) -> list[usage.Use]:
    """The flows that start with a rule or record it."""
    return list(dict.fromkeys([*usage.of("conversion_rule", rule_id), *usage.of("manual_rule", rule_id)]))


def unrecorded(rule_id: Any) -> Text | None:
    """What to say of a rule that nothing can meet yet: no step and no program records it, or its site was never visited."""
    row = db.session.get(ConversionRule, rule_id) if isinstance(rule_id, int) else None
    site = db.session.get(Monitor, row.monitor_id) if row is not None and row.monitor_id else None
    if row is not None and site is not None and site.verified_at is None:
        words = N_("No visit has come from %(site)s yet, so nobody can reach %(name)s. Put the script into its pages")
        return Text(words.msgid, site=site.name, name=row.name)
    if row is None or row.source != "manual" or usage.of("manual_rule", row.id) or counted(row.id):
        return None
    return Text(
        "Nothing records %(name)s yet. Add the step “Record a conversion” to another flow, or record it over the API",
        name=row.name,
    )


# --- rules: making -------------------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> ConversionRule:
    """Make a rule from ``name``, ``source`` (any, pages, event, manual), ``monitor`` (id), ``patterns`` (a list, or text
    with one a line), ``event``, ``each_time``, ``amount``, ``enabled``. Raises :class:`Invalid` by field."""
    row = ConversionRule(workspace_id=extensions.current_workspace(), created_at=clock.now())
    return _save(row, {"enabled": True, **values})


def update(rule_id: int, values: Mapping[str, Any]) -> ConversionRule:
    """Change a rule: ``values`` says all of it. What was counted stays. Raises :class:`NotFound`, :class:`Invalid`."""
    row = get(rule_id)
    with usage.told("conversion_rule", row.id), usage.told("manual_rule", row.id):
        return _save(row, values)


def shown(row: ConversionRule) -> dict[str, Any]:
    """A rule as :func:`create` takes it."""
    return {
        "name": row.name,
        "source": row.source,
        "monitor": row.monitor_id,
        "patterns": list(row.patterns),
        "event": row.event,
        "each_time": row.each_time,
        "amount": row.amount_cents / 100 if row.amount_cents is not None else None,
        "enabled": row.enabled,
    }


def _save(row: ConversionRule, values: Mapping[str, Any]) -> ConversionRule:
    mistakes: dict[str, Any] = {}
    clean = _checked(row, values, mistakes)
    if mistakes:
        raise Invalid(mistakes)
    for key, value in clean.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [Text(_TAKEN.msgid, name=clean["name"])]}) from None
    return row


_TAKEN = N_("There is already a conversion rule called %(name)s")


def _checked(row: ConversionRule, values: Mapping[str, Any], mistakes: dict[str, Any]) -> dict[str, Any]:
    source = values.get("source")
    if source not in SOURCES:
        mistakes["source"] = [N_("Choose what counts as a conversion")]
    site = _site(values.get("monitor")) if source in ("any", "pages", "event") else None
    if source in ("any", "pages", "event") and site is None:
        mistakes["monitor"] = [N_("Choose the site")]
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: _name(values.get("name"), row.id),
        "patterns": lambda: _patterns(values.get("patterns"), site) if source == "pages" else [],
        "event": lambda: _event(values.get("event")) if source == "event" else "",
        "amount": lambda: cents(values.get("amount")),
    }
    clean: dict[str, Any] = {"source": source, "monitor_id": site.id if site else None}
    for key, read in readers.items():
        try:
            clean["amount_cents" if key == "amount" else key] = read()
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    return {**clean, "each_time": bool(values.get("each_time")), "enabled": bool(values.get("enabled"))}


def _site(raw: Any) -> Monitor | None:
    text = str(raw if raw is not None else "")
    if not text.isdecimal() or len(text) > 18:
        return None
    return db.session.scalar(sa.select(Monitor).where(Monitor.id == int(text)))


def _name(raw: Any, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the conversion rule"))
    query = sa.select(ConversionRule.id).where(sa.func.lower(ConversionRule.name) == name.lower())
    if db.session.scalar(query.where(ConversionRule.id != (own_id or 0))):
        raise Invalid(Text(_TAKEN.msgid, name=name))
    return name


def _patterns(raw: Any, site: Monitor | None) -> list[str]:
    typed = [one.strip() for one in (raw.split("\n") if isinstance(raw, str) else list(raw or []))]
    typed = [one for one in dict.fromkeys(typed) if one]
    if not typed:
        raise Invalid(N_("Enter the address of a page"))
    if len(typed) > MOST_PATTERNS:
        raise Invalid(Text("Enter %(n)s addresses at most", n=MOST_PATTERNS))
    for one in typed:
        host = urls.parse(one).host
        if site is not None and host and host not in site.domains:
            words = N_("%(address)s is not on the site. Begin with https://%(domain)s")
            raise Invalid(Text(words.msgid, address=one[:80], domain=site.domains[0]))
    return typed


def _event(raw: Any) -> str:
    name = beacons.event_name(str(raw or "").strip())
    if not name:
        raise Invalid(N_("Enter the name the site's script gives the event, like order_placed"))
    return name


def cents(raw: Any) -> int | None:
    """An amount as it is kept; ``None``: none was given. Raises :class:`Invalid`, also for one below 0."""
    amount = coupons.amount(raw)
    return None if amount is None else int(amount * 100)


def delete(rule_id: int) -> None:
    """Delete a rule that counted nothing. Raises :class:`usage.InUse` while a flow needs it, :class:`Conflict` when it
    has conversions: these are kept."""
    row = get(rule_id)
    users = uses(rule_id)
    if users:
        names = ", ".join(use.name for use in users[:5])
        raise usage.InUse(Text("“%(name)s” is in use by: %(users)s", name=row.name, users=names), users)
    if counted(rule_id):
        raise Conflict(N_("This rule has counted conversions, which are kept. Switch it off instead"))
    db.session.delete(row)
    db.session.commit()


def counted(rule_id: int) -> bool:
    """Whether the rule ever counted a conversion."""
    return db.session.scalar(sa.select(Conversion.id).where(Conversion.rule_id == rule_id).limit(1)) is not None


# --- counting ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Claim:
    """A conversion that shall be counted, unless it was. ``once`` is what tells it from others of its rule."""

    rule: Any
    contact_id: int
    at: datetime
    source: str  # site, step, api, hand
    once: str
    cents: int | None = None
    dedupe_key: str = ""
    url: str = ""
    chain: Sequence[int] = field(default_factory=tuple)  # flows that led here


def count(claims: Sequence[Claim], now: datetime) -> list[int]:
    """Write what was not counted yet, with its events, in the caller's transaction; returns the ids of what is new.

    A rule that counts each contact once does so whatever a claim says of itself.
    """
    by_key = {(claim.rule.id, _key(claim)): claim for claim in reversed(claims)}
    rows = [
        {
            "workspace_id": claim.rule.workspace_id,
            "rule_id": rule_id,
            "contact_id": claim.contact_id,
            "key": key,
            "dedupe_key": claim.dedupe_key,
            "at": claim.at,
            "amount_cents": claim.cents if claim.cents is not None else claim.rule.amount_cents,
            "source": claim.source,
            "url": claim.url,
            "created_at": now,
        }
        for (rule_id, key), claim in by_key.items()
    ]
    written = crowd.insert_new(Conversion, rows, ("id", "rule_id", "key", "amount_cents"))
    events.record_many([_told(by_key[rule_id, key], id, amount) for id, rule_id, key, amount in sorted(written)])
    return sorted(row[0] for row in written)


def _key(claim: Claim) -> str:
    return claim.once if claim.rule.each_time else f"contact:{claim.contact_id}"


def _told(claim: Claim, conversion_id: int, amount: int | None) -> events.NewEvent:
    data: dict[str, Any] = {"conversion": conversion_id, "rule": claim.rule.name, "source": claim.source}
    more = {
        "amount": amount / 100 if amount is not None else None,
        "key": claim.dedupe_key,
        "url": claim.url,
        "chain": list(claim.chain),
    }
    data.update({name: value for name, value in more.items() if value not in (None, "", [])})
    return events.NewEvent(
        claim.rule.workspace_id,
        claim.contact_id,
        "converted",
        str(claim.rule.id),
        f"converted:{conversion_id}",
        claim.at,
        data,
        len(claim.chain),
        claim.chain[-1] if claim.chain else None,
    )


def record(
    rule_id: int,
    contact_id: int,
    *,
    amount: Any = None,
    key: str = "",
    at: datetime | None = None,
    source: str = "api",
) -> tuple[Conversion, bool]:
    """Count a conversion of a rule that is recorded; ``(the conversion, whether it is new)``. Commits.

    ``key`` is an order number or the like: the same one again is the same conversion. Raises :class:`Invalid` by field,
    :class:`NotFound` for a contact that does not exist, :class:`Conflict` for a rule that is off and for a key that was
    recorded for somebody else.
    """
    rule, now = _recordable(rule_id), clock.now()
    contact = contacts.get(contact_id)
    try:
        given = cents(amount)
    except Invalid as error:
        raise Invalid({"amount": error.messages["_"]}) from None
    if at is not None and at > now + timedelta(minutes=5):
        raise Invalid({"at": [N_("This moment is in the future")]})
    once = f"key:{key}" if key else f"{source}:{contact.id}:{now.timestamp()}:{events.fresh_key()}"
    claim = Claim(rule, contact.id, at or now, source, once, given, key)
    events.lock_contacts({contact.id})
    fresh = count([claim], now)
    found = db.session.scalar(sa.select(Conversion).where(Conversion.rule_id == rule.id, Conversion.key == _key(claim)))
    assert found is not None
    if found.contact_id != contact.id:
        db.session.rollback()
        raise Conflict(N_("This key was recorded for another contact"))
    db.session.commit()
    return found, found.id in fresh


def _recordable(rule_id: int) -> ConversionRule:
    rule = db.session.scalar(sa.select(ConversionRule).where(ConversionRule.id == rule_id))
    if rule is None:
        raise Invalid({"rule": [N_("There is no such conversion rule")]})
    if rule.source != "manual":
        raise Invalid({"rule": [N_("This rule counts by itself. Choose one that is recorded by a step or a program")]})
    if not rule.enabled:
        raise Conflict(Text("The conversion rule %(name)s is switched off", name=rule.name))
    return rule


def undo(conversion_id: int, rule_id: int | None = None) -> Conversion:
    """Take a conversion (of this rule) back, once. Whoever still waits to start a flow for it does not.

    Raises :class:`NotFound`. A contact that counts once can convert again; an order number stays used.
    """
    query = sa.select(Conversion).where(Conversion.id == conversion_id).with_for_update()
    row = db.session.scalar(query)
    if row is None or rule_id not in (None, row.rule_id):
        raise NotFound(N_("There is no such conversion"))
    if row.undone_at is None:
        row.undone_at = clock.now()
        if row.key.startswith("contact:"):
            row.key = f"undone:{row.id}"
        if row.contact_id is not None:
            data, key = {"conversion": row.id}, f"undone:{row.id}"
            events.record(
                row.contact_id, "conversion_undone", subject=str(row.rule_id), key=key, at=row.undone_at, data=data
            )
    db.session.commit()
    return row
