"""Segments: saved rules over contacts, computed when they are used.

The conditions of a rule are plain Python, so contacts are looked at in bounded chunks, each with one query per kind of
fact the rule needs. Nothing is kept between the chunks: memory stays flat however large the address book is.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import context, people, rules
from flowserver.domain.steps import LOADED, Contact, Item
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact as ContactRow
from flowserver.models import Segment
from flowserver.nodes import catalogue
from flowserver.services.engine import bulk
from flowserver.services.engine.facts import Facts
from flowserver.services.flows import options
from flowserver.services.people import usage
from flowserver.text import N_, Text

CHUNK = 1000
SHOWN = 10  # contacts of a preview
_C = ContactRow.__table__.c
_COLUMNS = tuple(_C[name] for name in Contact.__dataclass_fields__ if name not in LOADED)


# --- the segments themselves -------------------------------------------------------------------------------


def get(segment_id: int) -> Segment:
    """The segment with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Segment).where(Segment.id == segment_id))
    if found is None:
        raise NotFound(N_("There is no such segment"))
    return found


def all() -> list[Segment]:
    """All segments of the client, by name."""
    return list(db.session.scalars(sa.select(Segment).order_by(sa.func.lower(Segment.name), Segment.id)))


def create(name: str, rule: Any) -> Segment:
    """Make a segment; ``rule`` names objects by id or name. Raises :class:`Invalid` by field (``rule`` nested)."""
    now = clock.now()
    return _save(Segment(workspace_id=extensions.current_workspace(), created_at=now), name, rule)


def update(segment_id: int, name: str, rule: Any) -> Segment:
    """Change a segment; what uses it asks the new rule from now on. Raises :class:`NotFound`, :class:`Invalid`."""
    return _save(get(segment_id), name, rule)


def _save(row: Segment, name: str, rule: Any) -> Segment:
    mistakes: dict[str, Any] = {}
    values: dict[str, Any] = {"updated_at": clock.now()}
    for key, read in (("name", lambda: _name(name, row.id)), ("rule", lambda: checked(rule))):
        try:
            values[key] = read()
        except Invalid as error:
            mistakes[key] = error.messages.get("_", error.messages)
    if mistakes:
        raise Invalid(mistakes)
    for key, value in values.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [_taken(values["name"])]}) from None
    return row


def _name(raw: str, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the segment"))
    same = sa.select(Segment.id).where(sa.func.lower(Segment.name) == name.lower(), Segment.id != (own_id or 0))
    if db.session.scalar(same):
        raise Invalid(_taken(name))
    return name


def _taken(name: str) -> Text:
    return Text("There is already a segment called %(name)s", name=name)


def delete(segment_id: int) -> None:
    """Delete a segment; its contacts stay. Raises :class:`usage.InUse` while something uses it."""
    row = get(segment_id)
    usage.refuse_if_used("segment", row.id, row.name)
    db.session.delete(row)
    db.session.commit()


# --- rules -------------------------------------------------------------------------------------------------


class _Refused:
    """A condition that only makes sense inside a flow, in a rule that is asked about contacts at large."""

    @staticmethod
    def load(*_settings: Any) -> Any:
        raise Invalid({"type": [N_("This can only be asked inside a flow")]})


def askable() -> dict[str, Any]:
    """The conditions a segment knows; those it cannot ask say so in words."""
    return {**dict.fromkeys(catalogue.conditions(), _Refused), **catalogue.of_contacts()}


def checked(rule: Any) -> dict[str, Any]:
    """A rule with names turned into ids. Raises :class:`Invalid` in the shape of the rule."""
    rules.parse(rule, askable())
    found, unknown = options.look_up(options.as_definition(rule))
    if unknown:
        raise Invalid(_nested(unknown))
    return dict(found["steps"][0]["if"])


def _nested(unknown: Mapping[str, list[str]]) -> dict[str, Any]:
    """``steps[0].if.all[1].list`` as the rule has it: ``{"all": {1: {"list": …}}}``."""
    found: dict[Any, Any] = {}
    for path, texts in unknown.items():
        *before, last = _keys(path.removeprefix("steps[0].if."))
        place = found
        for key in before:
            place = place.setdefault(key, {})
        place[last] = texts
    return found


def _keys(path: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in path.replace("[", ".").replace("]", "").split(".")]


def by_name(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with ids turned into names, as programs read it. What was deleted keeps its id."""
    return dict(options.unresolve(options.as_definition(rule))["steps"][0]["if"])


@dataclass(frozen=True)
class Said:
    """A rule in words: one question (``turned``: the answer must be no), or several put together (``how``: all, any)."""

    how: str
    question: str = ""
    turned: bool = False
    parts: tuple[Said, ...] = ()


def words(rule: Mapping[str, Any], names: Any = None) -> Said:
    """A rule in words, as pages show it. ``names`` (:func:`options.namer`) may serve several rules."""
    return _words(rules.parse(rule, askable()), names or options.namer(), turned=False)


def _words(rule: Any, names: Any, turned: bool) -> Said:
    if not isinstance(rule, rules.Rule):
        return Said("is", rule.question(names), turned)
    if rule.how == "is":
        return Said("is", rule.parts[0].question(names), turned)
    if rule.how == "not":
        return _words(rule.parts[0], names, not turned)
    how = {"all": "any", "any": "all"}[rule.how] if turned else rule.how  # not all of them: one of them not
    return Said(how, parts=tuple(_words(part, names, turned) for part in rule.parts))


# --- who is in it ------------------------------------------------------------------------------------------


def matching(segment_id: int, contact_ids: Collection[int]) -> set[int]:
    """Those of some contacts (a bounded chunk) who are in the segment now. Raises :class:`NotFound`."""
    return holding(rules.parse(get(segment_id).rule, askable()), contact_ids)


def holding(rule: rules.Rule, contact_ids: Collection[int]) -> set[int]:
    """Those of some contacts for whom a rule holds now: one query per kind of fact it needs."""
    mine = _C.workspace_id == extensions.current_workspace()
    rows = db.session.connection().execute(sa.select(*_COLUMNS).where(mine, bulk.ids_in(_C.id, contact_ids)))
    return _holding(rule, [Contact(*row) for row in rows])


def _holding(rule: rules.Rule, contacts: list[Contact]) -> set[int]:
    items = [Item(0, contact) for contact in contacts]
    if not items:
        return set()
    now = clock.now()
    facts = Facts(now, {0: items}, with_fields=False)
    facts.load(set().union(*(condition.needs for condition in rule.conditions())))
    client = facts.clients[contacts[0].workspace_id]
    ctx = context.BatchContext(
        now=now,
        client=client,
        flow_id=0,
        version_id=0,
        wishes=context.Wishes(),
        suppressed=facts.suppressed[client.id],
        recent=facts.recent,
        segments=facts.segments,
        load=facts.load,
    )
    return {item.contact.id for item in items if rule.holds(item, ctx)}


def after(segment_id: int, last: int, size: int = CHUNK) -> tuple[list[int], int | None]:
    """Look at the next ``size`` contacts whose id is above ``last``: for going through a segment in resumable chunks.

    Returns the ids of those who are in it, in order, and the id to go on after; ``None`` when there is nobody else.
    """
    return _after(rules.parse(get(segment_id).rule, askable()), last, size)


def _after(rule: rules.Rule, last: int, size: int) -> tuple[list[int], int | None]:
    mine = (_C.workspace_id == extensions.current_workspace(), _C.id > last)
    rows = db.session.connection().execute(sa.select(*_COLUMNS).where(*mine).order_by(_C.id).limit(size)).all()
    found = sorted(_holding(rule, [Contact(*row) for row in rows]))
    return found, rows[-1].id if len(rows) == size else None


def page(segment_id: int, last: int, limit: int) -> tuple[list[int], int | None]:
    """Up to ``limit`` contacts of a segment above an id, from the next chunk; and the id to go on after, as :func:`after`."""
    found, following = after(segment_id, last)
    return (found[:limit], found[limit - 1]) if len(found) > limit else (found, following)


def listing(segment_id: int, last: int, limit: int = 50, seconds: float = 2.0) -> tuple[list[ContactRow], int | None]:
    """Up to ``limit`` contacts of a segment above an id, and the id to go on after.

    Where few match, looking ends after some seconds, with fewer and an id to go on after.
    """
    ends, found = time.monotonic() + seconds, list[int]()
    following: int | None = last
    while following is not None and len(found) < limit and time.monotonic() < ends:
        ids, following = page(segment_id, following, limit - len(found))
        found += ids
    return some(found), following


@dataclass
class Count:
    """How many contacts are in a segment. Not ``complete``: there are more than were counted."""

    contacts: int = 0
    complete: bool = True
    first: list[int] = field(default_factory=list)  # ids of the first few


def count(segment_id: int, most: int = 10_000, seconds: float | None = None) -> Count:
    """How many contacts are in a segment, counted until there are ``most``, or for some ``seconds``.

    Raises :class:`NotFound`.
    """
    return counted(get(segment_id).rule, most, seconds)


def counted(rule: Mapping[str, Any], most: int = 10_000, seconds: float | None = None) -> Count:
    """:func:`count` for a rule that was checked but need not be saved."""
    parsed = rules.parse(rule, askable())
    ends = None if seconds is None else time.monotonic() + seconds
    found, last = Count(), 0
    while True:
        ids, following = _after(parsed, last, CHUNK)
        found.first += ids[: SHOWN - len(found.first)]
        found.contacts += len(ids)
        if following is None:
            found.complete = found.contacts <= most
            found.contacts = min(found.contacts, most)
            return found
        if found.contacts > most or (ends is not None and time.monotonic() > ends):
            return Count(min(found.contacts, most), False, found.first)
        last = following


def some(ids: Collection[int]) -> list[ContactRow]:
    """These contacts, in the order of their ids: for showing the first few of a segment."""
    return list(db.session.scalars(sa.select(ContactRow).where(ContactRow.id.in_(ids)).order_by(ContactRow.id)))
