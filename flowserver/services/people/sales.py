"""Purchases, what was given back of them, and carts: written set by set, and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.domain.reported import Report
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Cart, Purchase
from flowserver.services.engine import bulk, events
from flowserver.services.engine.events import NewEvent
from flowserver.services.people import browse, crowd
from flowserver.text import N_, Text

IDLE = timedelta(minutes=60)  # a cart nobody touched so long, and nobody bought, is abandoned
CHUNK = 500
SOLD = (
    "workspace_id", "contact_id", "order_id", "amount", "refunded", "currency", "cart_id", "items", "at", "created_at",
    "updated_at",
)  # fmt: skip
Sold = tuple[int, Report]
"""The contact, and what was reported about it."""

_P, _K = Purchase.__table__.c, Cart.__table__.c
_ORDERS = (
    sa.select(_P.order_id, _P.amount, _P.refunded)
    .where(_P.workspace_id == sa.bindparam("workspace"), bulk.texts_named(_P.order_id))
    .order_by(_P.id)
    .with_for_update()
)
_BOUGHT = (
    sa.update(Cart.__table__)
    .where(
        bulk.ids_named(_K.contact_id),
        _K.state.in_(("open", "abandoned")),
        sa.exists().where(
            _P.contact_id == _K.contact_id, _P.at >= _K.updated_at, sa.or_(_P.cart_id == "", _P.cart_id == _K.cart_id)
        ),
    )
    .values(state="bought")
)


# --- purchases -------------------------------------------------------------------------------------------


def sell(sold: Sequence[Sold]) -> set[str]:
    """Write purchases in the caller's transaction; the orders that were new."""
    workspace_id, now = extensions.current_workspace(), clock.now()
    rows = [
        (
            *(workspace_id, contact_id, one.subject, one.data["amount"], 0, one.data.get("currency", "")),
            *(one.data.get("cart", ""), one.data.get("items", []), one.at, now, now),
        )
        for contact_id, one in sorted(sold, key=lambda pair: pair[1].subject)
    ]
    connection = db.session.connection()
    made = bulk.insert_returning(connection, Purchase.__table__, SOLD, rows, ("order_id",))
    return {order for (order,) in made}


def give_back(refunds: Sequence[Report], bought: Sequence[Report] = ()) -> list[Mapping[str, Any]]:
    """What is wrong with each refund, by property; a refund without amount gets what is left of its order.

    ``bought`` are purchases of the same request, which are not written yet.
    """
    given = {"workspace": extensions.current_workspace(), "texts": {one.subject for one in refunds}}
    left = {one.subject: one.data["amount"] for one in bought}
    left.update({row.order_id: row.amount - row.refunded for row in db.session.connection().execute(_ORDERS, given)})
    found: list[Mapping[str, Any]] = []
    for one in refunds:
        rest = round(left.get(one.subject, -1), 4)
        wanted = one.data.get("amount", rest)
        if rest < 0:
            found.append({"order": [N_("There is no such order")]})
        elif rest == 0:
            found.append({"order": [N_("All of this order was given back already")]})
        elif wanted > rest:
            found.append({"amount": [Text("At most %(rest)s is left of this order", rest=f"{rest:g}")]})
        else:
            one.data["amount"] = wanted
            left[one.subject] = rest - wanted
            found.append({})
    return found


def settle(fresh: Sequence[Sold]) -> None:
    """What follows from new reports for orders and carts, in the caller's transaction."""
    back = [one for _, one in fresh if one.type == "refund"]
    carts = [pair for pair in fresh if pair[1].type == "cart_updated"]
    touched = {contact_id for contact_id, one in fresh if one.type in ("purchase", "cart_updated")}
    if back:
        _refund(back)
    if carts:
        _put_carts(carts)
    if touched:
        db.session.connection().execute(_BOUGHT, {"ids": touched})


def _refund(back: Sequence[Report]) -> None:
    for one in sorted(back, key=lambda one: one.subject):
        more = sa.update(Purchase.__table__).where(
            _P.workspace_id == extensions.current_workspace(), _P.order_id == one.subject
        )
        db.session.connection().execute(more.values(refunded=_P.refunded + one.data["amount"]))


# --- carts -----------------------------------------------------------------------------------------------


def _put_carts(carts: Sequence[Sold]) -> None:
    """Keep each cart as it was last; what comes late changes nothing."""
    latest: dict[str, Sold] = {}
    for contact_id, one in carts:
        if one.subject not in latest or latest[one.subject][1].at <= one.at:
            latest[one.subject] = (contact_id, one)
    now = clock.now()
    rows = [
        {
            "workspace_id": extensions.current_workspace(),
            "contact_id": contact_id,
            "cart_id": cart,
            "amount": one.data.get("amount"),
            "currency": one.data.get("currency", ""),
            "url": one.data.get("url", ""),
            "items": one.data.get("items", []),
            "state": "emptied" if one.data.get("items") == [] else "open",
            "updated_at": one.at,
            "abandoned_at": None,
            "created_at": now,
        }
        for cart, (contact_id, one) in sorted(latest.items())
    ]
    statement = crowd.insert(Cart)
    new = {name: statement.excluded[name] for name in rows[0] if name not in ("workspace_id", "cart_id", "created_at")}
    statement = statement.on_conflict_do_update(
        index_elements=["workspace_id", "cart_id"], set_=new, where=statement.excluded.updated_at >= _K.updated_at
    )
    db.session.connection().execute(statement, rows)


def idle(now: datetime) -> bool:
    """Whether some cart has been left alone long enough to be abandoned."""
    query = sa.select(_K.id).where(_K.state == "open", _K.updated_at <= now - IDLE).limit(1)
    return db.session.connection().execute(query).first() is not None


def abandon(now: datetime | None = None, chunk: int = CHUNK) -> int:
    """Tell which carts were abandoned, of all clients, chunk by chunk; returns how many. Commits after each chunk.

    Each idle time is told once: whoever touches the cart again begins a new one.
    """
    now, total = now or clock.now(), 0
    while True:
        due = sa.select(_K.id, _K.contact_id).where(_K.state == "open", _K.updated_at <= now - IDLE)
        found = db.session.connection().execute(due.order_by(_K.updated_at).limit(chunk)).all()
        if not found:
            db.session.commit()
            return total
        people = {row.contact_id for row in found}
        events.lock_contacts(people)
        db.session.connection().execute(_BOUGHT, {"ids": people})
        total += len(_abandon({row.id for row in found}, now))
        db.session.commit()


def _abandon(ids: set[int], now: datetime) -> Sequence[Any]:
    left = (
        sa.update(Cart.__table__)
        .where(bulk.ids_in(_K.id, ids), _K.state == "open", _K.updated_at <= now - IDLE)
        .values(state="abandoned", abandoned_at=now)
        .returning(*_K)
    )
    carts = db.session.connection().execute(left).all()
    events.record_many([_told(cart) for cart in carts], locked=True)
    return carts


def _told(cart: Any) -> NewEvent:
    """The event of an abandoned cart, with what a message shows of it."""
    data = {
        "cart": cart.cart_id,
        "amount": cart.amount,
        "currency": cart.currency,
        "url": cart.url,
        "items": cart.items,
    }
    return NewEvent(
        cart.workspace_id,
        cart.contact_id,
        "cart_abandoned",
        cart.cart_id,
        key=f"cart:{cart.id}:{cart.updated_at:%Y%m%d%H%M%S%f}",
        at=cart.updated_at + IDLE,
        data={name: value for name, value in data.items() if value not in (None, "")},
    )


# --- showing ---------------------------------------------------------------------------------------------

_PURCHASE = (
    *(Purchase.id, Purchase.contact_id, Purchase.order_id, Purchase.amount, Purchase.refunded, Purchase.currency),
    *(Purchase.cart_id, Purchase.items, Purchase.at, Purchase.created_at, Purchase.updated_at),
)
_CART = (
    *(Cart.id, Cart.contact_id, Cart.cart_id, Cart.amount, Cart.currency, Cart.url, Cart.items, Cart.state),
    *(Cart.updated_at, Cart.abandoned_at, Cart.created_at),
)


def purchases(
    after: int,
    limit: int,
    *,
    contact_id: int | None = None,
    order: str = "",
    since: datetime | None = None,
    updated_since: datetime | None = None,
) -> browse.Page:
    """Purchases, oldest first; ``since``: those that happened at or after this moment."""
    query = sa.select(*_PURCHASE)
    if contact_id is not None:
        query = query.where(Purchase.contact_id == contact_id)
    if order:
        query = query.where(Purchase.order_id == order)
    if since is not None:
        query = query.where(Purchase.at >= since)
    if updated_since is not None:
        query = query.where(Purchase.updated_at >= updated_since)
    return browse.page_of(query, Purchase.id, after, limit)


def purchase(purchase_id: int) -> Any:
    """One purchase. Raises :class:`NotFound`."""
    found = db.session.execute(sa.select(*_PURCHASE).where(Purchase.id == purchase_id)).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such purchase"))
    return found


def carts(
    after: int,
    limit: int,
    *,
    contact_id: int | None = None,
    state: str = "",
    cart: str = "",
    updated_since: datetime | None = None,
) -> browse.Page:
    """Carts, oldest first. ``updated_since``: that were reported, changed or abandoned since."""
    query = sa.select(*_CART)
    if contact_id is not None:
        query = query.where(Cart.contact_id == contact_id)
    if state:
        query = query.where(Cart.state == state)
    if cart:
        query = query.where(Cart.cart_id == cart)
    if updated_since is not None:
        moments = (Cart.updated_at, Cart.abandoned_at, Cart.created_at)
        query = query.where(sa.or_(*(moment >= updated_since for moment in moments)))
    return browse.page_of(query, Cart.id, after, limit)


def cart(cart_id: int) -> Any:
    """One cart. Raises :class:`NotFound`."""
    found = db.session.execute(sa.select(*_CART).where(Cart.id == cart_id)).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such cart"))
    return found
