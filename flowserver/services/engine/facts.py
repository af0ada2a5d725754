"""What a batch knows beside its contacts: one query per kind of fact for all of them, asked when the first step needs it.

The statements are made once: putting one together costs more than its answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from flowserver.domain import context as ctx
from flowserver.domain import people, rules
from flowserver.domain.steps import Bought, Contact, Fact, Item, Sent
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import (
    Card,
    CardReward,
    Cart,
    Connection,
    ContactTag,
    Conversion,
    CouponRedemption,
    Enrollment,
    Event,
    Field,
    Flow,
    Membership,
    Message,
    PageView,
    Purchase,
    Segment,
    Suppression,
    Tag,
    User,
    Workspace,
)
from flowserver.nodes import catalogue
from flowserver.services.engine import bulk
from flowserver.services.engine.versions import hears

PAGES_KEPT = timedelta(days=180)  # how far back pages that were seen can be asked for
ORDERS_KEPT = timedelta(days=400)  # how far back a condition can ask for purchases
COUNTED = timedelta(days=8)  # how far back the message limit looks: a week of calendar days, wherever it begins

_F, _W, _K, _D = (table.__table__.c for table in (Flow, Workspace, Connection, Field))
_T, _G, _L, _S = (table.__table__.c for table in (ContactTag, Tag, Membership, Suppression))
_M, _V, _U, _R, _Q = (table.__table__.c for table in (Message, Event, User, Segment, CouponRedemption))
_X, _P = (table.__table__.c for table in (Conversion, PageView))
_A, _B = (table.__table__.c for table in (Card, CardReward))

_O, _H, _N = (table.__table__.c for table in (Purchase, Cart, Enrollment))
_FLOWS = sa.select(_F.id, _F.workspace_id, _F.state, _F.pause_mode).where(bulk.ids_named(_F.id))
_CLIENTS = sa.select(
    *(_W.id, _W.time_zone, _W.quiet_from, _W.quiet_until, _W.cap_day, _W.cap_week, _W.notify_email),
    *(_W.country, _W.locale),
).where(bulk.ids_named(_W.id))
_WAYS = (
    sa.select(_K.workspace_id, _K.channel, _K.id).where(bulk.ids_named(_K.workspace_id), _K.is_default).order_by(_K.id)
)
_LIVE = sa.select(_F.workspace_id, _F.version_id).where(
    bulk.ids_named(_F.workspace_id), _F.state.in_(("active", "paused")), _F.version_id.is_not(None)
)
_FIELDS = sa.select(_D.workspace_id, _D.key, _D.type, _D.choices).where(bulk.ids_named(_D.workspace_id))
_OWNERS = sa.select(_U.id, _U.email).where(bulk.ids_named(_U.id), _U.active)
_TAGS = (
    sa.select(_T.contact_id, _G.name)
    .select_from(ContactTag.__table__.join(Tag.__table__, _G.id == _T.tag_id))
    .where(bulk.ids_named(_T.contact_id))
)
_LISTS = sa.select(_L.contact_id, _L.list_id).where(bulk.ids_named(_L.contact_id))
_COUPONS = (
    sa.select(_Q.contact_id, _Q.campaign_id).where(bulk.ids_named(_Q.contact_id), _Q.voided_at.is_(None)).distinct()
)
_CARDS = sa.select(_A.contact_id, _A.programme_id, _A.balance).where(bulk.ids_named(_A.contact_id), ~_A.blocked)
_COLLECTED = (
    sa.select(_A.contact_id, _B.id, _B.reward_id)
    .select_from(CardReward.__table__.join(Card.__table__, _A.id == _B.card_id))
    .where(bulk.ids_named(_A.contact_id), _B.collected_at.is_not(None))
)
_CONVERTED = (
    sa.select(_X.contact_id, _X.rule_id).where(bulk.ids_named(_X.contact_id), _X.undone_at.is_(None)).distinct()
)
_PAGES = (
    sa.select(_P.contact_id, _P.monitor_id, _P.url, sa.func.max(_P.at).label("at"))
    .where(bulk.ids_named(_P.contact_id), _P.at >= sa.bindparam("since"))
    .group_by(_P.contact_id, _P.monitor_id, _P.url)
)
_BOUGHT = (
    sa.select(_O.contact_id, _O.at, _O.amount - _O.refunded, _O.currency, _O["items"])
    .where(
        bulk.ids_named(_O.contact_id),
        _O.at >= sa.bindparam("since"),
        sa.or_(_O.refunded < _O.amount, _O.amount == 0),
    )
    .order_by(_O.at)
)
_BEGAN = sa.select(_N.id, _N.triggered_at).where(bulk.ids_named(_N.id))
_CARTS = sa.select(_H.contact_id).where(bulk.ids_named(_H.contact_id), _H.state.in_(("open", "abandoned"))).distinct()
_SUPPRESSED = sa.select(_S.workspace_id, _S.address).where(
    bulk.ids_named(_S.workspace_id), _S.channel == sa.bindparam("channel"), bulk.texts_named(_S.address)
)
# A campaign's message that the limit holds back was planned early; its place is the day it goes out.
_RECENT = sa.select(
    _M.contact_id, _M.channel, sa.case((_M.kind == "campaign", _M.due_at), else_=_M.planned_at).label("at")
).where(
    bulk.ids_named(_M.contact_id),
    _M.planned_at >= sa.bindparam("since"),
    _M["class"] == "marketing",
    _M.kind.in_(("flow", "campaign")),
    _M.state.not_in(("skipped", "failed", "bounced")),
)
_SENT = (
    sa.select(
        *(_M.enrollment_id, _M.step, _M.state, _M.planned_at, _M.accepted_at, _M.delivered_at, _M.failed_at),
        *(_M.opened_at, _M.clicked_at),
    )
    .where(bulk.ids_named(_M.enrollment_id), _M.kind == "flow")
    .order_by(_M.enrollment_id, _M.visit)
)
_CAUSES = sa.select(
    *(_M.id, _M.workspace_id, _M.state, _M.planned_at, _M.accepted_at, _M.delivered_at, _M.failed_at),
    *(_M.opened_at, _M.clicked_at),
).where(bulk.ids_named(_M.id))
_EVENTS = sa.select(_V.contact_id, _V.type, _V.at, _V.subject, _V.data).where(
    bulk.ids_named(_V.contact_id), _V.at >= sa.bindparam("since")
)
_SEGMENTS = sa.select(_R.id, _R.rule).where(bulk.ids_named(_R.id))


class Facts:
    """The facts of one batch. ``items`` by version; flows, clients and owners are there from the beginning.

    :meth:`load` fetches the others and puts them where nodes look: on contacts, on items, into ``suppressed`` (by
    client: channel and address), ``recent`` and ``segments`` (by id: the rule).
    """

    def __init__(self, now: datetime, items: Mapping[int, list[Item]], with_fields: bool):
        self.now = now
        self.items = [item for group in items.values() for item in group]
        self._begun = [item.enrollment_id for item in self.items if item.step]
        self._parked = [(item.contact.id, item.parked_at) for item in self.items if item.parked_at]
        self.contacts: dict[int, Contact] = {item.contact.id: item.contact for item in self.items}
        self.flows = {row.id: row for row in _ask(_FLOWS, {item.flow_id for item in self.items})}
        self.clients = clients({contact.workspace_id for contact in self.contacts.values()}, with_fields)
        owners = {contact.owner_id for contact in self.contacts.values() if contact.owner_id}
        self.owners: dict[int, str] = {row.id: row.email for row in _ask(_OWNERS, owners)} if owners else {}
        self.suppressed: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self.recent: dict[tuple[int, str], list[datetime]] = defaultdict(list)
        self.segments: dict[int, rules.Rule] = {}
        self._left: dict[str, Callable[[], None]] = {
            "tags": self._tags,
            "lists": self._lists,
            "coupons": self._coupons,
            "loyalty": self._loyalty,
            "conversions": self._conversions,
            "visits": self._visits,
            "purchases": self._purchases,
            "carts": self._carts,
            "suppression": self._suppression,
            "caps": self._caps,
            "messages": self._messages,
            "events": self._events,
            "cause": self._cause,
        }

    def load(self, needs: Iterable[str]) -> None:
        """Fetch these kinds of facts for the whole batch, unless they are there."""
        for kind in self._with_segments(needs):
            way = self._left.pop(kind, None)
            if way is not None:
                way()

    def _with_segments(self, needs: Iterable[str]) -> set[str]:
        """The needs, and those of the rules of the segments among them (``segment:12``), which are read here."""
        wanted = set(needs)
        segments = {int(need[8:]) for need in wanted if need.startswith("segment:")}
        for id, rule in _ask(_SEGMENTS, segments - set(self.segments)) if segments else ():
            with suppress(Invalid):  # a rule this release cannot read holds for nobody
                self.segments[id] = rules.parse(rule, catalogue.of_contacts())
        asked = [condition for id in segments & set(self.segments) for condition in self.segments[id].conditions()]
        return wanted.union(*(condition.needs for condition in asked))

    def _tags(self) -> None:
        for contact_id, name in _ask(_TAGS, self.contacts):
            self.contacts[contact_id].tags.add(name)

    def _lists(self) -> None:
        for contact_id, list_id in _ask(_LISTS, self.contacts):
            self.contacts[contact_id].lists.add(list_id)

    def _coupons(self) -> None:
        """The coupon campaigns of which each contact has used a coupon."""
        for contact_id, campaign_id in _ask(_COUPONS, self.contacts):
            self.contacts[contact_id].coupons.add(campaign_id)

    def _conversions(self) -> None:
        """The conversion rules each contact met."""
        found: dict[int, set[int]] = defaultdict(set)
        for contact_id, rule_id in _ask(_CONVERTED, self.contacts):
            found[contact_id].add(rule_id)
        for contact_id, rules_met in found.items():
            self.contacts[contact_id].converted = frozenset(rules_met)

    def _visits(self) -> None:
        """The pages each contact saw while they are kept, each with the last time."""
        found: dict[int, dict[tuple[int, str], datetime]] = defaultdict(dict)
        for contact_id, monitor_id, url, at in _ask(_PAGES, self.contacts, since=self.now - PAGES_KEPT):
            found[contact_id][monitor_id, url] = at
        for contact_id, pages in found.items():
            self.contacts[contact_id].pages = pages

    def _purchases(self) -> None:
        """The orders of each contact that were not given back, and when each run began."""
        found: dict[int, list[Bought]] = defaultdict(list)
        for contact_id, at, amount, currency, items in _ask(_BOUGHT, self.contacts, since=self.now - ORDERS_KEPT):
            found[contact_id].append(Bought(at, float(amount), currency, items))
        for contact_id, orders in found.items():
            self.contacts[contact_id].purchases = orders
        began = {row.id: row.triggered_at for row in _ask(_BEGAN, [item.enrollment_id for item in self.items])}
        for item in self.items:
            item.triggered_at = began.get(item.enrollment_id)

    def _carts(self) -> None:
        """Whose goods lie in a cart that nobody has bought."""
        for (contact_id,) in _ask(_CARTS, self.contacts):
            self.contacts[contact_id].open_cart = True

    def _loyalty(self) -> None:
        """Balances of the contacts' cards, and the rewards they collected."""
        for contact_id, programme_id, balance in _ask(_CARDS, self.contacts):
            self.contacts[contact_id].cards[programme_id] = balance
        for contact_id, grant_id, reward_id in _ask(_COLLECTED, self.contacts):
            self.contacts[contact_id].rewards[grant_id] = reward_id

    def _suppression(self) -> None:
        """Which of the batch's addresses stand on their client's suppression list."""
        for channel, name in (("email", "email"), ("sms", "phone")):
            addresses = [address for contact in self.contacts.values() if (address := getattr(contact, name))]
            for workspace_id, address in _ask(_SUPPRESSED, self.clients, channel=channel, texts=addresses):
                self.suppressed[workspace_id].add((channel, address))

    def _caps(self) -> None:
        """Marketing messages that count for the message limit."""
        if any(client.cap_day is not None or client.cap_week is not None for client in self.clients.values()):
            for key, sent in recent(self.contacts, self.now).items():
                self.recent[key] += sent

    def _messages(self) -> None:
        """What became of each run's messages, by step; the last visit counts."""
        found: dict[int, dict[str, Sent]] = defaultdict(dict)
        for run, step, *sent in _ask(_SENT, self._begun):
            found[run][step] = Sent(*sent)
        for item in self.items:
            item.messages = {**found.get(item.enrollment_id, {}), **item.messages}

    def _cause(self) -> None:
        """What became of the message whose fate started each run that is about to begin."""
        named = {item.data.get("message"): item.contact.workspace_id for item in self.items if not item.step}
        ids = [number for number in named if isinstance(number, int)]
        found = {row[:2]: Sent(*row[2:]) for row in _ask(_CAUSES, ids)} if ids else {}
        for item in self.items:
            if not item.step:
                item.cause = found.get((item.data.get("message"), item.contact.workspace_id))

    def _events(self) -> None:
        """Events of contacts who had parked, since the first of them did."""
        if not self._parked:
            return
        since = min(parked_at for _, parked_at in self._parked)
        found: dict[int, list[Fact]] = defaultdict(list)
        for contact_id, *fact in _ask(_EVENTS, {contact_id for contact_id, _ in self._parked}, since=since):
            found[contact_id].append(Fact(*fact))
        for item in self.items:
            item.events = found.get(item.contact.id, ())


def suppressed(workspace_id: int, channel: str, addresses: Iterable[str]) -> set[str]:
    """Which of these addresses stand on the client's suppression list."""
    given = list(addresses)
    return {row.address for row in _ask(_SUPPRESSED, [workspace_id], channel=channel, texts=given)} if given else set()


def recent(contact_ids: Iterable[int], now: datetime) -> dict[tuple[int, str], list[datetime]]:
    """When each of these contacts got, or will get, marketing that counts for the message limit: by contact and channel."""
    found: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    for contact_id, channel, at in _ask(_RECENT, list(contact_ids), since=now - COUNTED):
        found[contact_id, channel].append(at)
    return found


def heard(ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """Event types that a live flow of each of these clients starts with, is undone by or waits for."""
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    for workspace_id, version_id in _ask(_LIVE, set(ids)).all():
        found[workspace_id] |= hears(version_id)
    return found


def clients(ids: Iterable[int], with_fields: bool = False) -> dict[int, ctx.Client]:
    """What the engine must know of these clients; ``with_fields``: the types of their custom fields too."""
    ids = set(ids)
    ways: dict[int, dict[str, int]] = defaultdict(dict)
    for workspace_id, channel, connection_id in _ask(_WAYS, ids):
        ways[workspace_id].setdefault(channel, connection_id)
    listening = heard(ids)
    fields: dict[int, dict[str, tuple[str, tuple[str, ...]]]] = defaultdict(dict)
    for workspace_id, key, type_, choices in _ask(_FIELDS, ids) if with_fields else ():
        fields[workspace_id][key] = (type_, tuple(choices or ()))
    return {
        row.id: ctx.Client(
            id=row.id,
            zone=ZoneInfo(row.time_zone),
            quiet_from=row.quiet_from,
            quiet_until=row.quiet_until,
            cap_day=row.cap_day,
            cap_week=row.cap_week,
            connections=ways[row.id],
            notify_email=row.notify_email,
            heard=listening[row.id],
            fields=fields[row.id],
            customs=people.Customs.of(row.country, row.locale, row.time_zone),
        )
        for row in _ask(_CLIENTS, ids)
    }


def _ask(statement: sa.Select[Any], ids: Iterable[int], **given: Any) -> Any:
    return db.session.connection().execute(statement, {"ids": ids, **given})
