"""The codes of coupon campaigns: imported, made to be printed, listed and looked for."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import IO, Any, BinaryIO, cast

import sqlalchemy as sa

from flowserver import clock
from flowserver.domain import coupons as rules
from flowserver.domain import csvfile, people
from flowserver.errors import Conflict, Invalid, NotFound, TooLarge
from flowserver.extensions import db
from flowserver.models import Contact, Coupon, CouponCampaign, CouponRedemption, User
from flowserver.services.engine import bulk
from flowserver.services.people import contacts as people_of
from flowserver.services.shop import coupon_campaigns, coupons
from flowserver.text import N_, Text

CHUNK = 1000
MOST_CODES = 200_000  # in one go
MOST_SAID = 100  # refused lines that are told one by one


@dataclass(frozen=True)
class Refused:
    """A line that brought no code, and why."""

    line: int
    code: str
    why: Text


@dataclass
class Import:
    """What became of an import: the good codes are in, the others are told by line, the first hundred of them."""

    added: int = 0
    refused: int = 0
    lines: list[Refused] = field(default_factory=list)

    def refuse(self, line: int, code: str, why: Text) -> None:
        """Note a line that brought no code."""
        self.refused += 1
        if len(self.lines) < MOST_SAID:
            self.lines.append(Refused(line, code[:60], why))
            self.lines.sort(key=lambda one: one.line)


# --- coming in -----------------------------------------------------------------------------------------


def import_file(campaign_id: int, stream: IO[bytes], handed_out: bool = False) -> Import:
    """Take codes from a text or CSV file, one a line in its first column. See :func:`import_codes`."""
    encoding = csvfile.detect_encoding(cast("BinaryIO", stream))
    stream.seek(0)
    text = io.TextIOWrapper(cast("BinaryIO", stream), encoding, errors="replace", newline=None)
    try:
        return import_codes(campaign_id, rules.from_lines(text), handed_out)
    finally:
        text.detach()


def import_text(campaign_id: int, text: str, handed_out: bool = False) -> Import:
    """Take codes from pasted text, one a line. See :func:`import_codes`."""
    return import_codes(campaign_id, rules.from_lines(text.splitlines()), handed_out)


def import_codes(campaign_id: int, codes: Iterable[tuple[int, str]], handed_out: bool = False) -> Import:
    """Put ``(line, code)`` into the pool of a campaign, chunk by chunk, each committed.

    ``handed_out``: people have the codes already, on paper; they can be used at once. Codes that are there already,
    empty, too long or written with other signs are refused by line, the good ones kept.
    Raises :class:`NotFound`, :class:`Conflict` for a campaign that makes its own codes, :class:`Invalid` when there
    is not a single line, :class:`TooLarge` above 200,000; what came before stays.
    """
    campaign = coupon_campaigns.get(campaign_id)
    if campaign.codes != "pool":
        raise Conflict(N_("This campaign makes its own codes. Import into one whose codes are imported"))
    found = Import()
    lines = iter(codes)
    read = 0
    while chunk := list(islice(lines, CHUNK)):
        read += len(chunk)
        if read > MOST_CODES:
            raise TooLarge(Text("Import at most %(most)s codes in one go", most=f"{MOST_CODES:,}"))
        _add(campaign, chunk, handed_out, found)
        db.session.commit()
    if not read:
        raise Invalid({"codes": [N_("Choose a file or paste codes, one on each line")]})
    coupon_campaigns.note_pool(campaign)
    db.session.commit()
    return found


_TAKEN = N_("There is this code already")


def _add(campaign: Any, chunk: Sequence[tuple[int, str]], handed_out: bool, found: Import) -> None:
    now = clock.now()
    validity: dict[str, Any] = {
        "state": "free",
        "issued_at": None,
        "valid_from": None,
        "expires_at": None,
        "most_uses": campaign.uses,
    }
    if handed_out:
        validity = coupons.validity(campaign, now, coupon_campaigns.zone())
    common = {"workspace_id": campaign.workspace_id, "campaign_id": campaign.id, "contact_id": None, "uses": 0}
    common |= {**validity, "enrollment_id": None, "void_reason": "", "created_at": now, "updated_at": now}
    good: dict[str, tuple[int, str]] = {}
    for line, raw in chunk:
        try:
            code = rules.code(raw)
        except Invalid as error:
            found.refuse(line, raw, error.messages["_"][0] if raw.strip() else N_("The line is empty"))
            continue
        if rules.fold(code) in good:
            found.refuse(line, code, _TAKEN)
        else:
            good[rules.fold(code)] = line, code
    there = coupons.taken(campaign.workspace_id, list(good))
    for folded in there:
        line, code = good.pop(folded)
        found.refuse(line, code, _TAKEN)
    rows = [
        tuple({**common, "code": code, "folded": folded}[column] for column in coupons.COLUMNS)
        for folded, (_, code) in good.items()
    ]
    added = bulk.insert_new(db.session.connection(), "coupon", coupons.COLUMNS, rows)
    found.added += added
    found.refused += len(rows) - added  # those that came in by another way at this very moment


def generate(campaign_id: int, count: Any) -> int:
    """Make codes for nobody in particular, to be printed; they can be used at once. Commits chunk by chunk.

    Raises :class:`Invalid` by field, :class:`Conflict` for a campaign whose codes are imported.
    """
    campaign = coupon_campaigns.get(campaign_id)
    if campaign.codes != "generated":
        raise Conflict(N_("The codes of this campaign are imported"))
    try:
        wanted = rules.whole(count, 1, MOST_CODES)
    except Invalid as error:
        raise Invalid({"count": error.messages["_"]}) from None
    for start in range(0, wanted, CHUNK):
        takers: list[coupons.Taker] = [(None, None)] * min(CHUNK, wanted - start)
        coupons.hand_out(campaign, takers, clock.now(), coupon_campaigns.zone())
        db.session.commit()
    return wanted


# --- looking -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Some coupons with their contacts, newest first, and the ids to go on from."""

    items: list[tuple[Coupon, Contact | None]]
    older: int | None
    newer: int | None


def search(
    campaign_id: int,
    *,
    state: str = "",
    q: str = "",
    older: int | None = None,
    newer: int | None = None,
    limit: int = 25,
) -> Page:
    """One page of a campaign's codes, newest first; ``q`` is the beginning of a code or of an e-mail address."""
    query = _query(campaign_id, state, q).limit(limit + 1)
    if newer is not None:
        found = _rows(query.where(Coupon.id > newer).order_by(Coupon.id))
        items = found[:limit][::-1]
        return Page(items, items[-1][0].id if items else None, items[0][0].id if len(found) > limit else None)
    if older is not None:
        query = query.where(Coupon.id < older)
    found = _rows(query.order_by(Coupon.id.desc()))
    items = found[:limit]
    more = items[-1][0].id if len(found) > limit else None
    return Page(items, more, items[0][0].id if older is not None and items else None)


def _query(campaign_id: int, state: str, q: str) -> Any:
    query = sa.select(Coupon, Contact).outerjoin(Contact, Contact.id == Coupon.contact_id)
    query = query.where(Coupon.campaign_id == campaign_id)
    if state in rules.STATES:
        query = query.where(Coupon.state == state)
    if word := people.clean(q)[:80]:
        code = Coupon.folded.startswith(rules.fold(word), autoescape=True)
        query = query.where(sa.or_(code, Contact.email.startswith(word.lower(), autoescape=True)))
    return query


def _rows(query: Any) -> list[tuple[Coupon, Contact | None]]:
    return [(coupon, contact) for coupon, contact in db.session.execute(query)]


def after(
    last: int,
    limit: int,
    *,
    campaign_id: int | None = None,
    state: str = "",
    contact_id: int | None = None,
    updated_since: datetime | None = None,
) -> list[Coupon]:
    """The next coupons whose id is above ``last``, oldest first, one more than ``limit`` where there are more."""
    query = sa.select(Coupon).where(Coupon.id > last).order_by(Coupon.id).limit(limit + 1)
    if campaign_id is not None:
        query = query.where(Coupon.campaign_id == campaign_id)
    if state:
        query = query.where(Coupon.state == state)
    if contact_id is not None:
        query = query.where(Coupon.contact_id == contact_id)
    if updated_since is not None:
        query = query.where(Coupon.updated_at >= updated_since)
    return list(db.session.scalars(query))


def as_csv(campaign_id: int, state: str = "") -> Iterator[str]:
    """The codes of a campaign as CSV, chunk by chunk."""
    yield "code,state,issued_at,expires_at,uses\r\n"
    last = 0
    while rows := after(last, CHUNK, campaign_id=campaign_id, state=state)[:CHUNK]:
        yield "".join(
            ",".join((str(csvfile.guard(r.code)), r.state, _moment(r.issued_at), _moment(r.expires_at), str(r.uses)))
            + "\r\n"
            for r in rows
        )
        last = rows[-1].id
        db.session.expunge_all()


def _moment(value: Any) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if value else ""


@dataclass(frozen=True)
class Use:
    """A use of a coupon with the code, and who was at the till."""

    row: CouponRedemption
    code: str
    who: str


def uses(*, coupon_id: int | None = None, campaign_id: int | None = None, limit: int = 50) -> list[Use]:
    """The newest uses of one coupon, of a campaign, or of all."""
    query = (
        sa.select(CouponRedemption, Coupon.code, User.name)
        .join(Coupon, Coupon.id == CouponRedemption.coupon_id)
        .outerjoin(User, User.id == CouponRedemption.user_id)
        .order_by(CouponRedemption.id.desc())
        .limit(limit)
    )
    if coupon_id is not None:
        query = query.where(CouponRedemption.coupon_id == coupon_id)
    if campaign_id is not None:
        query = query.where(CouponRedemption.campaign_id == campaign_id)
    return [Use(row, code, who or "") for row, code, who in db.session.execute(query)]


def use(redemption_id: int) -> Use:
    """One use of a coupon. Raises :class:`NotFound`."""
    row = coupons.redemption(redemption_id)
    return Use(row, db.session.scalars(sa.select(Coupon.code).where(Coupon.id == row.coupon_id)).one(), "")


def uses_after(
    last: int,
    limit: int,
    *,
    campaign_id: int | None = None,
    contact_id: int | None = None,
    updated_since: datetime | None = None,
) -> list[Use]:
    """The next uses whose id is above ``last``, oldest first, one more than ``limit`` where there are more."""
    query = sa.select(CouponRedemption, Coupon.code).join(Coupon, Coupon.id == CouponRedemption.coupon_id)
    query = query.where(CouponRedemption.id > last).order_by(CouponRedemption.id).limit(limit + 1)
    if campaign_id is not None:
        query = query.where(CouponRedemption.campaign_id == campaign_id)
    if contact_id is not None:
        query = query.where(CouponRedemption.contact_id == contact_id)
    if updated_since is not None:
        query = query.where(CouponRedemption.updated_at >= updated_since)
    return [Use(row, code, "") for row, code in db.session.execute(query)]


def of_contact(contact_id: int, limit: int = 20) -> list[tuple[Coupon, str, str]]:
    """The newest coupons of a contact, with the name and the value of their campaigns."""
    query = (
        sa.select(Coupon, CouponCampaign.name, CouponCampaign.value)
        .join(CouponCampaign, CouponCampaign.id == Coupon.campaign_id)
        .where(Coupon.contact_id == contact_id)
        .order_by(Coupon.id.desc())
        .limit(limit)
    )
    return [(coupon, name, value) for coupon, name, value in db.session.execute(query)]


def get(campaign_id: int, coupon_id: int) -> Coupon:
    """One coupon of a campaign. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Coupon).where(Coupon.id == coupon_id, Coupon.campaign_id == campaign_id))
    if found is None:
        raise NotFound(N_("There is no such coupon"))
    return found


def holder(coupon: Coupon) -> Contact | None:
    """Whose coupon this is; ``None``: nobody's in particular."""
    return db.session.scalar(sa.select(Contact).where(Contact.id == (coupon.contact_id or 0)))


def contact_of(words: str) -> Contact:
    """The contact with this e-mail address or mobile number. Raises :class:`Invalid` under ``who``."""
    words = words.strip()
    if not words:
        raise Invalid({"who": [N_("Enter an e-mail address or a mobile number")]})
    kind = "email" if "@" in words else "phone"
    try:
        address = people_of.book().read({kind: words})[kind]
    except Invalid as error:
        raise Invalid({"who": error.messages[kind]}) from None
    found = db.session.scalar(sa.select(Contact).where(getattr(Contact, kind) == address))
    if found is None:
        raise Invalid({"who": [Text("There is no contact with %(address)s", address=address)]})
    return found


def whose(who: Mapping[str, Any]) -> Contact:
    """The contact with this id, or one of these addresses. Raises :class:`Invalid` under ``contact``."""
    given = {name: value for name, value in who.items() if value not in (None, "")}
    number = given.pop("id", None)
    try:
        known = people_of.get(number) if number else people_of.match(people_of.book().read(given)) if given else None
    except Invalid as error:
        raise Invalid({"contact": error.messages}) from None
    except NotFound:
        known = None
    if known is None:
        raise Invalid({"contact": [N_("There is no such contact")]})
    return known


def last_place(user_id: int) -> str:
    """Where this person last took a coupon, so that a till need not be named each time."""
    mine = sa.select(CouponRedemption.place).where(CouponRedemption.user_id == user_id)
    return db.session.scalar(mine.order_by(CouponRedemption.id.desc()).limit(1)) or ""


def campaigns_of(found: Iterable[Use]) -> dict[int, CouponCampaign]:
    """The campaigns of some uses by id."""
    ids = {use.row.campaign_id for use in found}
    rows = db.session.scalars(sa.select(CouponCampaign).where(CouponCampaign.id.in_(ids)))
    return {row.id: row for row in rows}
