"""Loyalty programmes: what an amount is worth, how cards look, who gets one. And the rewards to be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import loyalty, people
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Form, Programme, Reward
from flowserver.services.accounts import settings
from flowserver.services.people import contacts, usage
from flowserver.text import N_, Text

CODES = ("qr", "barcode")


@dataclass(frozen=True)
class Entry:
    """A programme as the page of all programmes shows it."""

    row: Programme
    cards: int
    points: int  # on all cards together
    waiting: int  # rewards that were given and are not collected yet


@dataclass(frozen=True)
class RewardEntry:
    """A reward with how often it was given and collected."""

    row: Reward
    given: int
    collected: int


# --- reading ---------------------------------------------------------------------------------------------


def get(programme_id: int) -> Programme:
    """The programme with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Programme).where(Programme.id == programme_id))
    if found is None:
        raise NotFound(N_("There is no such loyalty programme"))
    return found


def everything() -> list[Entry]:
    """All programmes of the client by name, with their figures."""
    return _entries(Programme.id > 0)


def entry(programme_id: int) -> Entry:
    """One programme with its figures. Raises :class:`NotFound`."""
    get(programme_id)
    return _entries(Programme.id == programme_id)[0]


def _entries(which: sa.ColumnElement[bool]) -> list[Entry]:
    totals = (
        sa.select(Card.programme_id, sa.func.count().label("cards"), sa.func.sum(Card.balance).label("points"))
        .group_by(Card.programme_id)
        .subquery()
    )
    open_ = sa.and_(CardReward.collected_at.is_(None), CardReward.withdrawn_at.is_(None))
    waiting = (
        sa.select(Reward.programme_id, sa.func.count().label("waiting"))
        .join(CardReward, sa.and_(CardReward.reward_id == Reward.id, open_))
        .group_by(Reward.programme_id)
        .subquery()
    )
    query = (
        sa.select(Programme, totals.c.cards, totals.c.points, waiting.c.waiting)
        .outerjoin(totals, totals.c.programme_id == Programme.id)
        .outerjoin(waiting, waiting.c.programme_id == Programme.id)
        .where(which)
        .order_by(sa.func.lower(Programme.name))
    )
    return [Entry(row, int(n or 0), int(points or 0), int(w or 0)) for row, n, points, w in db.session.execute(query)]


def choices(open_only: bool = False) -> list[tuple[int, str]]:
    """``[(id, name)]`` of all programmes, or of those that still give cards."""
    query = sa.select(Programme.id, Programme.name).order_by(sa.func.lower(Programme.name))
    return [(row.id, row.name) for row in db.session.execute(query.where(~Programme.closed) if open_only else query)]


# --- writing ---------------------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> Programme:
    """Make a programme. Raises :class:`Invalid` by field."""
    row = Programme(workspace_id=extensions.current_workspace(), created_at=clock.now())
    return _save(row, {"code": "qr", **values})


def update(programme_id: int, values: Mapping[str, Any]) -> Programme:
    """Change a programme; points given already stay as they are. Raises :class:`NotFound`, :class:`Invalid`."""
    row = get(programme_id)
    with usage.told("programme", row.id):
        return _save(row, {**as_given(row), **values})


def delete(programme_id: int) -> None:
    """Delete a programme without cards. Raises :class:`Conflict` while it has any, or a flow needs it."""
    row = get(programme_id)
    usage.refuse_if_used("programme", row.id, row.name)
    for reward in rewards_of(row.id):
        usage.refuse_if_used("reward", reward.id, reward.title)
    if db.session.scalar(sa.select(Card.id).where(Card.programme_id == row.id).limit(1)):
        raise Conflict(N_("The programme has cards. Close it instead: it then takes no new cards and gives no points"))
    db.session.execute(sa.delete(Reward).where(Reward.programme_id == row.id))
    db.session.delete(row)
    db.session.commit()


def as_given(row: Programme) -> dict[str, Any]:
    """A programme in the shape :func:`create` and :func:`update` take."""
    kept = ("name", "welcome_points", "code", "color", "logo_url", "welcome_text", "form_id", "closed")
    return {**{key: getattr(row, key) for key in kept}, "amount_per_point": row.cents_per_point / 100}


def _save(row: Programme, values: Mapping[str, Any]) -> Programme:
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: _name(
            values.get("name"), Programme, Programme.name, row.id, N_("Enter a name for the programme")
        ),
        "amount_per_point": lambda: _per_point(values.get("amount_per_point")),
        "welcome_points": lambda: loyalty.read_points(values.get("welcome_points") or 0, least=0, zero=True),
        "code": lambda: _code(values.get("code")),
        "color": lambda: settings.color(str(values["color"])) if values.get("color") else "",
        "logo_url": lambda: _address(values.get("logo_url")),
        "welcome_text": lambda: _text(values.get("welcome_text")),
        "form_id": lambda: _form(values.get("form_id")),
    }
    found = checked(checks)
    found["cents_per_point"] = found.pop("amount_per_point")
    return _write(row, {**found, "closed": bool(values.get("closed"))}, "name")


def checked(checks: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """The values of all checks. Raises :class:`Invalid` with every mistake by field."""
    found: dict[str, Any] = {}
    mistakes: dict[str, Any] = {}
    for key, check in checks.items():
        try:
            found[key] = check()
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    if mistakes:
        raise Invalid(mistakes)
    return found


def _write(row: Any, found: Mapping[str, Any], named: str) -> Any:
    for key, value in found.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({named: [_taken(found[named])]}) from None
    return row


def _taken(name: str) -> Text:
    return Text("“%(name)s” is taken. Choose another name", name=name)


def _name(raw: Any, table: Any, column: Any, own_id: int | None, empty: Text) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(empty)
    query = sa.select(table.id).where(sa.func.lower(column) == name.lower(), table.id != (own_id or 0))
    if db.session.scalar(query):
        raise Invalid(_taken(name))
    return name


def _per_point(raw: Any) -> int:
    if raw is None or raw == "":
        raise Invalid(N_("Enter the amount that gives one point, like 1 or 2.50"))
    return loyalty.read_money(raw, contacts.book().customs)


def _code(raw: Any) -> str:
    if raw not in CODES:
        raise Invalid(N_("Choose how the card shows its number"))
    return str(raw)


def _address(raw: Any) -> str:
    text = people.clean(raw or "")
    if not text:
        return ""
    parts = urlsplit(text) if len(text) <= 500 and " " not in text and '"' not in text else None
    if parts is None or parts.scheme != "https" or not parts.hostname:
        raise Invalid(N_("Enter an address that starts with https://"))
    return text


def _text(raw: Any) -> str:
    text = "\n".join(people.clean(line) for line in str(raw or "").splitlines()).strip()
    if len(text) > 600:
        raise Invalid(Text("Use at most %(most)s characters", most=600))
    return text


def _form(raw: Any) -> int | None:
    if raw in (None, "", 0):
        return None
    known = str(raw).isascii() and str(raw).isdecimal() and len(str(raw)) <= 18
    found = db.session.scalar(sa.select(Form.id).where(Form.id == int(str(raw)))) if known else None
    if found is None:
        raise Invalid(N_("Choose a form that exists"))
    return int(found)


# --- rewards ---------------------------------------------------------------------------------------------


def get_reward(reward_id: int) -> Reward:
    """The reward with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Reward).where(Reward.id == reward_id))
    if found is None:
        raise NotFound(N_("There is no such reward"))
    return found


def rewards_of(programme_id: int, active_only: bool = False) -> list[Reward]:
    """The rewards of a programme, those for the fewest points first."""
    query = sa.select(Reward).where(Reward.programme_id == programme_id)
    query = query.where(Reward.active) if active_only else query
    return list(db.session.scalars(query.order_by(Reward.points, sa.func.lower(Reward.title))))


def reward_entries(programme_id: int) -> list[RewardEntry]:
    """The rewards of a programme with how often each was given and collected."""
    query = (
        sa.select(CardReward.reward_id, sa.func.count(), sa.func.count(CardReward.collected_at))
        .where(CardReward.withdrawn_at.is_(None))
        .group_by(CardReward.reward_id)
    )
    counts = {row[0]: (row[1], row[2]) for row in db.session.execute(query)}
    return [RewardEntry(row, *counts.get(row.id, (0, 0))) for row in rewards_of(programme_id)]


def create_reward(programme_id: int, values: Mapping[str, Any]) -> Reward:
    """Make a reward of a programme. Raises :class:`NotFound`, :class:`Invalid` by field."""
    programme = get(programme_id)
    row = Reward(workspace_id=programme.workspace_id, programme_id=programme.id, created_at=clock.now())
    return _save_reward(row, {"automatic": True, "active": True, **values})


def update_reward(reward_id: int, values: Mapping[str, Any]) -> Reward:
    """Change a reward; what cards were given stays. Raises :class:`NotFound`, :class:`Invalid`."""
    row = get_reward(reward_id)
    kept = {key: getattr(row, key) for key in ("title", "points", "automatic", "uses_points", "active")}
    with usage.told("reward", row.id):
        return _save_reward(row, {**kept, **values})


def _save_reward(row: Reward, values: Mapping[str, Any]) -> Reward:
    automatic = bool(values.get("automatic"))
    found = checked(
        {
            "title": lambda: _name(values.get("title"), Reward, Reward.title, row.id, N_("Enter what the reward is")),
            "points": lambda: _threshold(values.get("points"), automatic),
        }
    )
    flags = {key: bool(values.get(key)) for key in ("automatic", "uses_points", "active")}
    return _write(row, {**found, **flags}, "title")


def _threshold(raw: Any, automatic: bool) -> int:
    points = loyalty.read_points("" if raw is None else raw, least=0, zero=True)
    if automatic and points == 0:
        raise Invalid(N_("A reward that is given automatically needs a number of points above 0"))
    return points


def delete_reward(reward_id: int) -> None:
    """Delete a reward nobody was given. Raises :class:`Conflict` otherwise, and while a flow needs it."""
    row = get_reward(reward_id)
    usage.refuse_if_used("reward", row.id, row.title)
    if db.session.scalar(sa.select(CardReward.id).where(CardReward.reward_id == row.id).limit(1)):
        raise Conflict(N_("Cards were given this reward. Switch it off instead: it is then not given any more"))
    db.session.delete(row)
    db.session.commit()
