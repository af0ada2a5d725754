"""Coupons: given to contacts, used at a till, made void, expired by the clock.

Whoever changes coupons of contacts locks the contacts first and the coupons afterwards, as the engine does.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flowserver import clock, extensions, jobqueue
from flowserver.domain import coupons as rules
from flowserver.domain import people
from flowserver.errors import Conflict, Gone, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Coupon, CouponCampaign, CouponRedemption, Membership
from flowserver.services.engine import bulk, events
from flowserver.services.operations.checked import checked
from flowserver.services.shop import coupon_campaigns
from flowserver.text import N_, Text

CHUNK = 500
AT_ONCE = 2000  # members of a list who get their coupons within the request
_K, _P, _R = Coupon.__table__.c, CouponCampaign.__table__.c, CouponRedemption.__table__.c
COLUMNS = (
    "workspace_id", "campaign_id", "code", "folded", "state", "contact_id", "enrollment_id", "issued_at",
    "valid_from", "expires_at", "uses", "most_uses", "void_reason", "created_at", "updated_at",
)  # fmt: skip


class UsedUp(Conflict):
    """All uses of the code are used."""

    slug = "coupon-used-up"


class NotYetGood(Conflict):
    """The code is good later, or nobody got it yet."""

    slug = "coupon-not-yet-good"


class Expired(Gone):
    """The code was good before."""

    slug = "coupon-expired"


class MadeVoid(Gone):
    """Somebody made the code void."""

    slug = "coupon-void"


class NoneLeft(Conflict):
    """The pool of the campaign has no code left."""

    slug = "no-coupon-left"


# --- giving out ------------------------------------------------------------------------------------------


Taker = tuple[int | None, int | None]
"""Who gets a coupon: a contact (``None``: nobody in particular), and the passage through a flow that gives it."""


@dataclass
class Given:
    """What became of giving coupons: the new ``rows``, the contacts ``without`` one for want of a code, and ids of nobody."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    without: list[int | None] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)


def issue(campaign_id: int, contact_id: int | None) -> Coupon:
    """Give one coupon to a contact, or make one for nobody in particular (``None``), to be printed.

    Raises :class:`NotFound`, :class:`NoneLeft` when the pool is empty, :class:`Conflict` after the campaign's last day.
    """
    campaign = coupon_campaigns.get(campaign_id)
    if contact_id is not None and not db.session.scalar(sa.select(Contact.id).where(Contact.id == contact_id)):
        raise NotFound(N_("There is no such contact"))
    _refuse_when_over(campaign)
    given = _to_contacts(campaign, [contact_id])
    if given.without:
        coupon_campaigns.note_pool(campaign, wanting=1)
        db.session.commit()
        raise NoneLeft(Text("The coupon campaign %(campaign)s has no code left", campaign=campaign.name))
    db.session.commit()
    return find(given.rows[0]["code"])


def issue_many(campaign_id: int, contact_ids: Sequence[int]) -> Given:
    """Give each of these contacts a coupon, in one go. Commits; at most some thousand at once.

    Raises :class:`NotFound`, :class:`Conflict` after the campaign's last day. Contacts of others are ``missing``.
    """
    campaign = coupon_campaigns.get(campaign_id)
    _refuse_when_over(campaign)
    here = db.session.scalars(sa.select(Contact.id).where(bulk.ids_in(Contact.__table__.c.id, contact_ids))).all()
    given = _to_contacts(campaign, sorted(here))
    given.missing = sorted(set(contact_ids).difference(here))
    if given.without:
        coupon_campaigns.note_pool(campaign, wanting=len(given.without))
    db.session.commit()
    return given


def _refuse_when_over(campaign: CouponCampaign) -> None:
    if coupon_campaigns.is_over(campaign):
        raise Conflict(Text("The coupon campaign %(campaign)s is over", campaign=campaign.name))


def _to_contacts(campaign: CouponCampaign, contact_ids: Sequence[int | None]) -> Given:
    """Give out in the caller's transaction, and record it."""
    events.lock_contacts({one for one in contact_ids if one is not None})
    now = clock.now()
    given, told = hand_out(campaign, [(one, None) for one in contact_ids], now, coupon_campaigns.zone())
    events.record_many(told)
    coupon_campaigns.note_pool(campaign)
    return given


def hand_out(
    campaign: Any, takers: Sequence[Taker], now: datetime, zone: ZoneInfo
) -> tuple[Given, list[events.NewEvent]]:
    """Write a coupon for each taker, whose contacts are locked; a few statements for all of them.

    ``campaign`` is a row of the table. Returns what was given and the events to record; the caller commits.
    """
    told = replace(campaign, [contact for contact, _ in takers if contact is not None]) if campaign.replaces else []
    write = _from_pool if campaign.codes == "pool" else _made
    rows = write(campaign, takers, now, zone)
    got = Counter((row["contact_id"], row["enrollment_id"]) for row in rows)
    without = Counter(takers) - got
    told += [
        _event(campaign, "coupon_issued", row["contact_id"], row["code"], f"coupon:{row['id']}:issued", now)
        for row in rows
        if row["contact_id"] is not None
    ]
    return Given(rows, [contact for contact, _ in without.elements()]), told


def validity(campaign: Any, now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """What a code that is given out now gets from its campaign."""
    return {
        "state": "issued",
        "issued_at": now,
        "valid_from": rules.begins(campaign.starts_on, zone),
        "expires_at": rules.expires(now, campaign.ends_on, campaign.days, zone),
        "most_uses": campaign.uses,
        "updated_at": now,
    }


def _made(campaign: Any, takers: Sequence[Taker], now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """New codes of chance."""
    common = {"workspace_id": campaign.workspace_id, "campaign_id": campaign.id, "uses": 0, "void_reason": ""}
    common |= {**validity(campaign, now, zone), "created_at": now}
    rows = [
        {**common, "code": code, "folded": rules.fold(code), "contact_id": contact_id, "enrollment_id": enrollment_id}
        for code, (contact_id, enrollment_id) in zip(new_codes(campaign, len(takers)), takers, strict=True)
    ]
    connection = db.session.connection()
    bulk.insert(connection, "coupon", COLUMNS, [tuple(row[column] for column in COLUMNS) for row in rows])
    ids = taken(campaign.workspace_id, [row["folded"] for row in rows])
    return [{**row, "id": ids[row["folded"]]} for row in rows]


def new_codes(campaign: Any, count: int) -> list[str]:
    """So many codes that nobody has."""
    found: dict[str, str] = {}
    while len(found) < count:
        fresh = [_chance(campaign.prefix, campaign.length) for _ in range(count - len(found))]
        found |= {rules.fold(code): code for code in fresh}
        for folded in taken(campaign.workspace_id, list(found)):
            del found[folded]
    return list(found.values())


def _chance(prefix: str, length: int) -> str:
    """A code nobody can guess: ``prefix`` and ``length`` characters of chance."""
    return prefix + "".join(secrets.choice(rules.ALPHABET) for _ in range(length))


def taken(workspace_id: int, folded: Sequence[str]) -> dict[str, int]:
    """Those of some codes that the client has already, with their ids."""
    query = sa.select(_K.folded, _K.id).where(_K.workspace_id == workspace_id, bulk.texts_named(_K.folded))
    found = db.session.connection().execute(query, {"texts": list(folded)})
    return {row.folded: row.id for row in found}


def _from_pool(campaign: Any, takers: Sequence[Taker], now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """The oldest free codes; the last takers go without where there are too few."""
    connection = db.session.connection()
    found = connection.execute(free(campaign, len(takers))).all()
    common = validity(campaign, now, zone)
    rows = [
        {**common, "id": row.id, "code": row.code, "contact_id": contact_id, "enrollment_id": enrollment_id}
        for row, (contact_id, enrollment_id) in zip(found, takers, strict=False)
    ]
    changed = (*common, "contact_id", "enrollment_id")
    bulk.update(connection, "coupon", changed, [(row["id"], *(row[name] for name in changed)) for row in rows])
    return rows


def free(campaign: Any, count: int, but: Sequence[int] = ()) -> sa.Select[Any]:
    """A query of the oldest free codes of a pool, ``id`` and ``code``, which locks them; those ``but`` are left out."""
    mine = sa.and_(_K.campaign_id == campaign.id, _K.workspace_id == campaign.workspace_id, _K.state == "free")
    query = sa.select(_K.id, _K.code).where(mine, ~bulk.ids_in(_K.id, but) if but else sa.true())
    return query.order_by(_K.id).limit(count).with_for_update(skip_locked=True)


def replace(campaign: Any, contact_ids: Sequence[int]) -> list[events.NewEvent]:
    """Make the open coupons these contacts have of the campaign void."""
    mine = sa.and_(
        _K.campaign_id == campaign.id,
        _K.workspace_id == campaign.workspace_id,
        _K.state == "issued",
        bulk.ids_in(_K.contact_id, contact_ids),
    )
    change = sa.update(Coupon.__table__).where(mine).values(state="void", void_reason="replaced")
    gone = db.session.connection().execute(change.returning(_K.id, _K.code, _K.contact_id)).all()
    now = clock.now()
    return [_event(campaign, "coupon_voided", row.contact_id, row.code, f"coupon:{row.id}:void", now) for row in gone]


def _event(
    campaign: Any, type_: str, contact_id: int, code: str, key: str, at: datetime, **more: Any
) -> events.NewEvent:
    data = {"code": code, "campaign": campaign.name, "value": campaign.value, **more}
    return events.NewEvent(campaign.workspace_id, contact_id, type_, str(campaign.id), key, at, data)


# --- giving to a whole list --------------------------------------------------------------------------------


def give_to_list(campaign_id: int, list_id: int) -> Given | None:
    """Give a coupon to everybody on a list who has no open one; ``None`` when a job has to do it (a large list).

    Raises :class:`NotFound`, :class:`Conflict` when the campaign is over or already being given out.
    """
    campaign = coupon_campaigns.get(campaign_id)
    _refuse_when_over(campaign)
    start = sa.update(CouponCampaign).where(CouponCampaign.id == campaign_id, CouponCampaign.giving_list.is_(None))
    if not db.session.execute(start.values(giving_list=list_id, giving_after=0)).rowcount:  # type: ignore[attr-defined]
        raise Conflict(N_("Coupons of this campaign are being given out already"))
    db.session.commit()
    members = sa.select(Membership.contact_id).where(Membership.list_id == list_id).limit(AT_ONCE + 1).subquery()
    if (db.session.scalar(sa.select(sa.func.count()).select_from(members)) or 0) > AT_ONCE:
        jobqueue.wake("give_coupons", campaign_id)
        return None
    total = Given()
    while (given := _give_chunk(campaign_id)) is not None:
        total.rows += given.rows
        total.without += given.without
    return total


def finish_giving(campaign_id: int) -> None:
    """Go on giving to the list where it stopped, however large it is; safe to run twice at once. Jobs call this."""
    c = CouponCampaign.__table__.c
    workspace_id = db.session.connection().scalar(sa.select(c.workspace_id).where(c.id == campaign_id))
    db.session.commit()
    if workspace_id is not None:
        with extensions.workspace(workspace_id):
            while _give_chunk(campaign_id) is not None:
                pass


def _give_chunk(campaign_id: int, size: int = CHUNK) -> Given | None:
    """Give to the next members by contact id, in one short transaction; ``None`` when nobody is left."""
    query = sa.select(CouponCampaign).where(CouponCampaign.id == campaign_id).with_for_update()
    campaign = db.session.scalar(query.execution_options(populate_existing=True))
    if campaign is None or campaign.giving_list is None:
        db.session.rollback()
        return None
    of_list = sa.and_(Membership.list_id == campaign.giving_list, Membership.contact_id > campaign.giving_after)
    ids = list(
        db.session.scalars(sa.select(Membership.contact_id).where(of_list).order_by(Membership.contact_id).limit(size))
    )
    if not ids:
        campaign.giving_list = None
        db.session.commit()
        return None
    given = _to_contacts(campaign, [one for one in ids if one not in _holders(campaign, ids)])
    campaign.giving_after = ids[-1]
    if given.without:  # nobody after them would get one
        campaign.giving_list = None
        coupon_campaigns.note_pool(campaign, wanting=len(given.without))
    db.session.commit()
    return given


def _holders(campaign: CouponCampaign, ids: Sequence[int]) -> set[int]:
    """Which of these contacts have an open coupon of the campaign, unless a new one replaces it."""
    if campaign.replaces:
        return set()
    query = sa.select(Coupon.contact_id).where(
        Coupon.campaign_id == campaign.id, Coupon.state == "issued", bulk.ids_in(_K.contact_id, ids)
    )
    return {one for one in db.session.scalars(query) if one is not None}


# --- looking at a code ---------------------------------------------------------------------------------------


def find(code: str) -> Coupon:
    """The coupon with this code, however it is capitalised. Raises :class:`NotFound`."""
    query = sa.select(Coupon).where(Coupon.folded == rules.fold(people.clean(code)[:200]))
    found = db.session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound(N_("We do not know this code"))
    return found


def trouble(coupon: Any, now: datetime) -> UsedUp | NotYetGood | Expired | MadeVoid | None:
    """Why a coupon cannot be used now; ``None`` when it can."""
    if coupon.state == "void":
        return MadeVoid(N_("This code was made void"))
    if coupon.state == "redeemed" or coupon.uses >= coupon.most_uses:
        return UsedUp(N_("This code is used up"))
    if coupon.state == "expired" or (coupon.expires_at is not None and coupon.expires_at <= now):
        return Expired(N_("This code has expired"))
    if coupon.state == "free":
        return NotYetGood(N_("This code was not given out yet"))
    if coupon.valid_from is not None and coupon.valid_from > now:
        return NotYetGood(N_("This code is not good yet"))
    return None


# --- using one -----------------------------------------------------------------------------------------------


def redeem(
    code: str, *, place: str = "", receipt: str = "", amount: Any = None, user_id: int | None = None
) -> CouponRedemption:
    """Use a code once. Of two tills that do so at the same moment one wins.

    The same code with the same receipt again is the same use. Raises :class:`NotFound` for an unknown code,
    :class:`UsedUp`, :class:`NotYetGood`, :class:`Expired`, :class:`MadeVoid`, :class:`Invalid` by field.
    """
    values = checked(
        code=lambda: rules.code(code),
        place=lambda: people.line(place, 120),
        receipt=lambda: people.line(receipt, 80),
        amount=lambda: rules.amount(amount),
    )
    coupon = find(values.pop("code"))
    if coupon.contact_id is not None:
        events.lock_contacts({coupon.contact_id})
    now = clock.now()
    taken = _take(coupon, now)
    earlier = _same_receipt(coupon.id, values["receipt"])
    if earlier is not None:
        db.session.rollback()
        return redemption(earlier)
    if not taken:
        db.session.refresh(coupon)
        found = trouble(coupon, now) or UsedUp(N_("This code is used up"))
        db.session.rollback()
        raise found
    campaign = coupon_campaigns.get(coupon.campaign_id)
    row = CouponRedemption(
        workspace_id=coupon.workspace_id, coupon_id=coupon.id, campaign_id=campaign.id, contact_id=coupon.contact_id,
        at=now, created_at=now, user_id=user_id, **values,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    if coupon.contact_id is not None:
        brought = {"place": row.place, "receipt": row.receipt, "redemption": row.id}
        brought |= {"amount": float(row.amount)} if row.amount is not None else {}
        key = f"coupon-redemption:{row.id}"
        told = _event(campaign, "coupon_redeemed", coupon.contact_id, coupon.code, key, now, **brought)
        events.record_many([told])
    db.session.commit()
    return row


def _take(coupon: Coupon, now: datetime) -> bool:
    """One use less, in the one statement that decides between two tills."""
    good = sa.and_(
        _K.id == coupon.id,
        _K.workspace_id == coupon.workspace_id,
        _K.state == "issued",
        _K.uses < _K.most_uses,
        sa.or_(_K.valid_from.is_(None), _K.valid_from <= now),
        sa.or_(_K.expires_at.is_(None), _K.expires_at > now),
    )
    last = sa.case((_K.uses + 1 >= _K.most_uses, "redeemed"), else_="issued")
    change = sa.update(Coupon.__table__).where(good).values(uses=_K.uses + 1, state=last)
    return db.session.connection().execute(change).rowcount == 1


def _same_receipt(coupon_id: int, receipt: str) -> int | None:
    if not receipt:
        return None
    same = sa.and_(
        CouponRedemption.coupon_id == coupon_id,
        CouponRedemption.receipt == receipt,
        CouponRedemption.voided_at.is_(None),
    )
    return db.session.scalar(sa.select(CouponRedemption.id).where(same))


def redemption(redemption_id: int) -> CouponRedemption:
    """One use of a coupon. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(CouponRedemption).where(CouponRedemption.id == redemption_id))
    if found is None:
        raise NotFound(N_("There is no such use of a coupon"))
    return found


# --- taking back ---------------------------------------------------------------------------------------------


def undo(redemption_id: int) -> CouponRedemption:
    """Take a use back, so that the code can be used once more. Starts that wait because of it are undone.

    Raises :class:`NotFound`, :class:`Conflict` when it was taken back already.
    """
    row = redemption(redemption_id)
    if row.contact_id is not None:
        events.lock_contacts({row.contact_id})
    now = clock.now()
    mine = sa.and_(_R.id == row.id, _R.workspace_id == row.workspace_id, _R.voided_at.is_(None))
    connection = db.session.connection()
    if not connection.execute(sa.update(CouponRedemption.__table__).where(mine).values(voided_at=now)).rowcount:
        db.session.rollback()
        raise Conflict(N_("This use was taken back already"))
    open_again = sa.case((_K.state == "redeemed", "issued"), else_=_K.state)
    coupon = sa.and_(_K.id == row.coupon_id, _K.workspace_id == row.workspace_id)
    connection.execute(sa.update(Coupon.__table__).where(coupon).values(uses=_K.uses - 1, state=open_again))
    if row.contact_id is not None:
        campaign = coupon_campaigns.get(row.campaign_id)
        code = db.session.scalars(sa.select(Coupon.code).where(Coupon.id == row.coupon_id)).one()
        key = f"coupon-redemption:{row.id}:void"
        told = _event(campaign, "coupon_voided", row.contact_id, code, key, now, redemption=row.id)
        events.record_many([told])
    db.session.commit()
    db.session.refresh(row)
    return row


def void(code: str) -> Coupon:
    """Make a code void: it can no longer be used. Earlier uses stay. Starts that wait because it was given out are undone.

    Raises :class:`NotFound`, :class:`Conflict` for a code that is used up, expired or void already.
    """
    coupon = find(code)
    if coupon.contact_id is not None:
        events.lock_contacts({coupon.contact_id})
    open_ = sa.and_(_K.id == coupon.id, _K.workspace_id == coupon.workspace_id, _K.state.in_(("free", "issued")))
    change = sa.update(Coupon.__table__).where(open_).values(state="void", void_reason="by_hand")
    if not db.session.connection().execute(change).rowcount:
        db.session.refresh(coupon)
        words = _CANNOT_VOID.get(coupon.state, _CANNOT_VOID["void"])
        db.session.rollback()
        raise Conflict(words)
    if coupon.contact_id is not None:
        campaign = coupon_campaigns.get(coupon.campaign_id)
        key = f"coupon:{coupon.id}:void"
        events.record_many([_event(campaign, "coupon_voided", coupon.contact_id, coupon.code, key, clock.now())])
    db.session.commit()
    db.session.refresh(coupon)
    return coupon


_CANNOT_VOID = {
    "redeemed": N_("This code is used up. Take its use back instead"),
    "expired": N_("This code has expired already"),
    "void": N_("This code is void already"),
}


# --- the clock -----------------------------------------------------------------------------------------------


def expired_any(now: datetime) -> bool:
    """Whether a coupon of any client has run out and was not noticed yet."""
    return db.session.connection().execute(run_out(now).limit(1)).first() is not None


def run_out(now: datetime) -> sa.Select[Any]:
    """A query of the coupons, ``id`` and ``contact_id``, that have run out. Written so that the partial index serves it."""
    return sa.select(_K.id, _K.contact_id).where(_K.state == sa.literal_column("'issued'"), _K.expires_at <= now)


def expire(size: int = CHUNK) -> int:
    """Note the coupons that have run out, chunk by chunk, over all clients; returns how many. Commits each chunk.

    Those that were never used are events, "expired unused".
    """
    total = 0
    while count := _expire_chunk(clock.now(), size):
        total += count
    return total


def _expire_chunk(now: datetime, size: int) -> int:
    connection = db.session.connection()
    found = connection.execute(run_out(now).order_by(_K.expires_at, _K.id).limit(size)).all()
    events.lock_contacts({row.contact_id for row in found if row.contact_id is not None})
    mine = run_out(now).where(bulk.ids_in(_K.id, [row.id for row in found])).order_by(_K.id)
    ids = list(connection.scalars(mine.with_for_update(skip_locked=True)))
    change = sa.update(Coupon.__table__).where(bulk.ids_in(_K.id, ids)).values(state="expired")
    gone = connection.execute(
        change.returning(_K.id, _K.campaign_id, _K.contact_id, _K.code, _K.uses, _K.expires_at)
    ).all()
    events.record_many(_expired_events([row for row in gone if row.contact_id is not None and not row.uses]))
    db.session.commit()
    return len(ids)


def _expired_events(rows: Sequence[Any]) -> list[events.NewEvent]:
    wanted = bulk.ids_in(_P.id, {row.campaign_id for row in rows})
    query = sa.select(_P.id, _P.workspace_id, _P.name, _P.value).where(wanted)
    campaigns = {one.id: one for one in db.session.connection().execute(query)} if rows else {}
    return [
        _event(campaigns[r.campaign_id], "coupon_expired", r.contact_id, r.code, f"coupon:{r.id}:expired", r.expires_at)
        for r in rows
    ]


def giving() -> Sequence[int]:
    """Campaigns of all clients whose coupons are being given to a list."""
    return list(db.session.connection().scalars(sa.select(_P.id).where(_P.giving_list.is_not(None))))
