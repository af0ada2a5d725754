"""Coupons that steps of flows give out: taken while a batch is decided, written with it, a few statements for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver.domain import coupons as rules
from flowserver.domain.context import EVENT_COLUMNS, Client, Wishes
from flowserver.extensions import db
from flowserver.models import Coupon, CouponCampaign
from flowserver.services.engine import bulk
from flowserver.services.shop import coupon_campaigns, coupons

_K, _P = Coupon.__table__.c, CouponCampaign.__table__.c
_GIVEN = ("state", "issued_at", "valid_from", "expires_at", "most_uses", "contact_id", "enrollment_id", "updated_at")


class Counter:
    """Where the steps of one batch take coupons. Codes of a pool are locked for the batch's transaction."""

    def __init__(self, now: datetime):
        self.now = now
        self.campaigns: dict[tuple[int, int], Any] = {}
        self.held: dict[int, list[int]] = defaultdict(list)  # campaign → ids of codes taken in this batch

    def take(self, client: Client, campaign_id: int, count: int) -> list[rules.Taken]:
        """Up to ``count`` codes of a campaign; fewer, or none, when its pool runs out, it is over or was deleted."""
        campaign = self._campaign(client, campaign_id)
        if campaign is None:
            return []
        over = rules.ends(campaign.ends_on, client.zone)
        if over is not None and over <= self.now:
            return []
        until = rules.expires(self.now, campaign.ends_on, campaign.days, client.zone)
        day = until.astimezone(client.zone).date().isoformat() if until else ""
        validity = coupons.validity(campaign, self.now, client.zone)
        return [rules.Taken(number, code, campaign, validity, day) for number, code in self._codes(campaign, count)]

    def _campaign(self, client: Client, campaign_id: int) -> Any:
        key = client.id, campaign_id
        if key not in self.campaigns:
            query = sa.select(CouponCampaign.__table__).where(_P.id == campaign_id, _P.workspace_id == client.id)
            self.campaigns[key] = db.session.connection().execute(query).one_or_none()
        return self.campaigns[key]

    def _codes(self, campaign: Any, count: int) -> list[tuple[int | None, str]]:
        if campaign.codes == "generated":
            return [(None, code) for code in coupons.new_codes(campaign, count)]
        held = self.held[campaign.id]
        found = db.session.connection().execute(coupons.free(campaign, count, held)).all()
        held += [row.id for row in found]
        return [(row.id, row.code) for row in found]


def write(connection: sa.Connection, now: datetime, wishes: Wishes) -> None:
    """Write the coupons a batch gave out, what they replace, and what is told of empty pools. The caller commits."""
    by_campaign: dict[int, list[Any]] = defaultdict(list)
    for one in wishes.coupons:
        by_campaign[one[0].campaign.id].append(one)
    for given in by_campaign.values():
        _replace(connection, given)
    rows = [(taken, {**taken.validity, "contact_id": c, "enrollment_id": e}) for taken, c, e in wishes.coupons]
    bulk.update(
        connection,
        "coupon",
        _GIVEN,
        [(taken.id, *(row[name] for name in _GIVEN)) for taken, row in rows if taken.id is not None],
    )
    bulk.insert(
        connection, "coupon", coupons.COLUMNS, [_new(taken, row, now) for taken, row in rows if taken.id is None]
    )
    pools = {one[0].campaign.id: one[0].campaign for one in wishes.coupons if one[0].id is not None}
    for campaign_id in {*pools, *wishes.without}:
        _note(connection, campaign_id, wishes.without.get(campaign_id, 0))


def _new(taken: rules.Taken, row: dict[str, Any], now: datetime) -> tuple[Any, ...]:
    campaign = taken.campaign
    values = {
        **row,
        "workspace_id": campaign.workspace_id,
        "campaign_id": campaign.id,
        "code": taken.code,
        "folded": rules.fold(taken.code),
        "uses": 0,
        "void_reason": "",
        "created_at": now,
    }
    return tuple(values[column] for column in coupons.COLUMNS)


def _replace(connection: sa.Connection, given: Sequence[Any]) -> None:
    campaign = given[0][0].campaign
    if not campaign.replaces:
        return
    told = coupons.replace(campaign, [contact for _, contact, _ in given])
    rows = [(e.workspace_id, e.contact_id, e.type, e.subject, e.key, e.at, e.data, 0, None, False) for e in told]
    bulk.insert_new(connection, "event", EVENT_COLUMNS, rows)


def _note(connection: sa.Connection, campaign_id: int, wanting: int) -> None:
    row = connection.execute(sa.select(CouponCampaign.__table__).where(_P.id == campaign_id)).one_or_none()
    if row is not None and row.codes == "pool":
        coupon_campaigns.note_pool(row, wanting)
