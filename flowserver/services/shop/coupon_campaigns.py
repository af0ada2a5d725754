"""Coupon campaigns: what their coupons are worth, how long they are good, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import coupons as rules
from flowserver.domain import people
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Alert, Coupon, CouponCampaign, CouponRedemption, Workspace
from flowserver.services.engine import flow_state
from flowserver.services.operations.checked import checked
from flowserver.services.people import usage
from flowserver.text import N_, Text

FIELDS = (
    "name", "value", "message", "codes", "prefix", "length", "starts_on", "ends_on", "days", "uses", "replaces",
    "low_at",
)  # fmt: skip


@dataclass(frozen=True)
class Numbers:
    """How many codes of a campaign are in which state, how often they were used, and for how much money."""

    states: Mapping[str, int] = field(default_factory=dict)
    uses: int = 0
    amount: Decimal = Decimal(0)

    @property
    def given(self) -> int:
        """Codes that were given out, whatever became of them."""
        return sum(count for state, count in self.states.items() if state != "free")

    @property
    def all(self) -> int:
        """All codes."""
        return sum(self.states.values())


# --- reading -------------------------------------------------------------------------------------------


def get(campaign_id: int) -> CouponCampaign:
    """The coupon campaign with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(CouponCampaign).where(CouponCampaign.id == campaign_id))
    if found is None:
        raise NotFound(N_("There is no such coupon campaign"))
    return found


def find(reference: int | str) -> CouponCampaign:
    """The coupon campaign with this id or name. Raises :class:`Invalid` where there is none."""
    if isinstance(reference, int):
        same = CouponCampaign.id == reference
    else:
        same = sa.func.lower(CouponCampaign.name) == people.clean(reference).lower()
    found = db.session.scalar(sa.select(CouponCampaign).where(same))
    if found is None:
        raise Invalid(Text("There is no coupon campaign “%(name)s” in this client", name=str(reference)[:120]))
    return found


def everything() -> list[CouponCampaign]:
    """All coupon campaigns of the client by name."""
    return list(db.session.scalars(sa.select(CouponCampaign).order_by(sa.func.lower(CouponCampaign.name))))


def page(after: int, limit: int, updated_since: datetime | None = None) -> list[CouponCampaign]:
    """The next campaigns whose id is above ``after``, one more than ``limit`` where there are more."""
    query = sa.select(CouponCampaign).where(CouponCampaign.id > after).order_by(CouponCampaign.id)
    if updated_since is not None:
        query = query.where(CouponCampaign.updated_at >= updated_since)
    return list(db.session.scalars(query.limit(limit + 1)))


def numbers(ids: list[int]) -> dict[int, Numbers]:
    """The numbers of some campaigns, in two queries."""
    states: dict[int, dict[str, int]] = {one: {} for one in ids}
    counted = sa.select(Coupon.campaign_id, Coupon.state, sa.func.count()).where(Coupon.campaign_id.in_(ids))
    for campaign_id, state, count in db.session.execute(counted.group_by(Coupon.campaign_id, Coupon.state)):
        states[campaign_id][state] = count
    used = (
        sa.select(CouponRedemption.campaign_id, sa.func.count(), sa.func.sum(CouponRedemption.amount))
        .where(CouponRedemption.campaign_id.in_(ids), CouponRedemption.voided_at.is_(None))
        .group_by(CouponRedemption.campaign_id)
    )
    uses = {row[0]: (row[1], Decimal(row[2] or 0)) for row in db.session.execute(used)}
    return {one: Numbers(states[one], *uses.get(one, (0, Decimal(0)))) for one in ids}


def zone() -> ZoneInfo:
    """The time zone of the present client, by which days of campaigns begin and end."""
    mine = sa.select(Workspace.time_zone).where(Workspace.id == extensions.current_workspace())
    return ZoneInfo(db.session.scalar(mine) or "UTC")


def is_over(row: CouponCampaign) -> bool:
    """Whether the last day of a campaign has passed."""
    over = rules.ends(row.ends_on, zone())
    return over is not None and over <= clock.now()


# --- writing -------------------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> CouponCampaign:
    """Make a coupon campaign. Raises :class:`Invalid` by field."""
    row = CouponCampaign(
        workspace_id=extensions.current_workspace(), created_at=clock.now(), **_checked({**_USUAL, **values}, None)
    )
    db.session.add(row)
    return _committed(row)


def update(campaign_id: int, values: Mapping[str, Any]) -> CouponCampaign:
    """Change a coupon campaign. Codes that were given out keep their validity and their number of uses.

    Raises :class:`NotFound`, :class:`Invalid`.
    """
    row = get(campaign_id)
    checked = _checked({**{name: getattr(row, name) for name in FIELDS}, **values}, row)
    with usage.told("coupon_campaign", row.id):
        for key, value in checked.items():
            setattr(row, key, value)
        _committed(row)
        note_pool(row)
    return row


JUST_OVER = timedelta(days=3)


def end(now: datetime) -> None:
    """Write on live flows that the coupon campaign they lean on has come to its last day; for all clients. Commits.

    Looks at those that ended within three days: again finds the same.
    """
    c = CouponCampaign.__table__.c
    days = (now - JUST_OVER).date(), (now + timedelta(days=1)).date()
    query = sa.select(c.workspace_id, c.id).where(c.ends_on.between(*days)).order_by(c.workspace_id, c.id)
    for workspace_id, campaign_id in db.session.connection().execute(query).all():
        with extensions.workspace(workspace_id):
            usage.gone("coupon_campaign", campaign_id)
    db.session.commit()


_USUAL = {
    "message": "", "codes": "generated", "prefix": "", "length": 8, "starts_on": None, "ends_on": None, "days": None,
    "uses": 1, "replaces": False, "low_at": 50,
}  # fmt: skip


def _committed(row: CouponCampaign) -> CouponCampaign:
    name = row.name
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"name": [Text("There is already a coupon campaign called %(name)s", name=name)]}) from None
    return row


def _checked(values: Mapping[str, Any], row: CouponCampaign | None) -> dict[str, Any]:
    """All columns a person decides, checked together."""
    found = checked(
        name=lambda: _name(values.get("name"), row.id if row else None),
        value=lambda: _value(values.get("value")),
        message=lambda: people.line(values.get("message") or "", 600),
        codes=lambda: _codes(values.get("codes"), row),
        prefix=lambda: rules.prefix(values.get("prefix") or ""),
        length=lambda: rules.whole(values.get("length"), rules.SHORTEST_CHANCE, rules.LONGEST_CHANCE),
        starts_on=lambda: rules.day(values.get("starts_on")),
        ends_on=lambda: rules.day(values.get("ends_on")),
        days=lambda: None if values.get("days") in (None, "") else rules.whole(values["days"], 1, rules.MOST_DAYS),
        uses=lambda: rules.whole(values.get("uses"), 1, rules.MOST_USES),
        low_at=lambda: rules.whole(values.get("low_at"), 0, 1_000_000),
    )
    if found["starts_on"] and found["ends_on"] and found["ends_on"] < found["starts_on"]:
        raise Invalid({"ends_on": [N_("The last day must not come before the first")]})
    over = rules.ends(found["ends_on"], zone())
    if row is None and over is not None and over <= clock.now():
        raise Invalid({"ends_on": [N_("This day has passed. Choose today or a later day")]})
    return {**found, "replaces": bool(values.get("replaces"))}


def _name(raw: Any, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the coupon campaign"))
    query = sa.select(CouponCampaign.id).where(sa.func.lower(CouponCampaign.name) == name.lower())
    if db.session.scalar(query.where(CouponCampaign.id != (own_id or 0))):
        raise Invalid(Text("There is already a coupon campaign called %(name)s", name=name))
    return name


def _value(raw: Any) -> str:
    value = people.line(raw, 60)
    if not value:
        raise Invalid(N_("Enter what a coupon is worth, like “5 € off” or “a free coffee”"))
    return value


def _codes(raw: Any, row: CouponCampaign | None) -> str:
    if raw not in ("generated", "pool"):
        raise Invalid(N_("Choose where the codes come from"))
    if row is not None and raw != row.codes and numbers([row.id])[row.id].all:
        raise Invalid(N_("There are codes already. Make another campaign for codes that come from elsewhere"))
    return str(raw)


def delete(campaign_id: int) -> None:
    """Delete a campaign with all its codes and what is known of their use.

    Raises :class:`usage.InUse` while a flow needs it, :class:`Conflict` while its coupons are being given out.
    """
    row = get(campaign_id)
    usage.refuse_if_used("coupon_campaign", row.id, row.name)
    if row.giving_list is not None:
        raise Conflict(N_("Its coupons are being given out right now. Try again in a moment"))
    flow_state.resolve_alerts(row.workspace_id, f"coupons:{row.id}")
    db.session.delete(row)
    db.session.commit()


# --- the pool ------------------------------------------------------------------------------------------


def left(campaign_id: int, most: int = 1_000_000) -> int:
    """How many codes of the pool nobody has yet, counted up to ``most``."""
    c = Coupon.__table__.c
    free = sa.select(c.id).where(c.campaign_id == campaign_id, c.state == "free").limit(most).subquery()
    return db.session.connection().scalar(sa.select(sa.func.count()).select_from(free)) or 0


def note_pool(row: Any, wanting: int = 0) -> None:
    """Say on the agency's attention list that a pool is empty or runs low, or that it is well again.

    ``row`` is the campaign; ``wanting``: contacts who just went without. The caller commits.
    """
    kind, subject = _pool_trouble(row, wanting), f"coupons:{row.id}"
    a = Alert.__table__.c
    others = sa.and_(a.workspace_id == row.workspace_id, a.subject == subject, a.kind != kind, a.resolved_at.is_(None))
    db.session.connection().execute(sa.update(Alert.__table__).where(others).values(resolved_at=clock.now()))
    if kind:
        flow_state.alert(row.workspace_id, kind, subject, Text(_POOL[kind].msgid, campaign=row.name))


def _pool_trouble(row: Any, wanting: int) -> str:
    """The kind of alert a campaign deserves; "" for none."""
    if row.codes != "pool":
        return ""
    free = left(row.id, max(row.low_at, 1))
    if wanting or not free:
        return "coupons_empty"
    return "coupons_low" if free < row.low_at else ""


_POOL = {
    "coupons_empty": N_("The coupon campaign %(campaign)s has no code left. Import more"),
    "coupons_low": N_("The coupon campaign %(campaign)s has only a few codes left. Import more"),
}
