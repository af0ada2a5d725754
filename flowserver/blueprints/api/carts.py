"""Carts, as they were reported last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Resource
from flowserver.blueprints.api.schemas import events as schemas
from flowserver.services.people import sales

resource = Resource("Carts", 92, "Shopping carts. Report them as events of the type `cart_updated`.", part="events")

EXAMPLE = {
    "id": 4,
    "contact_id": 7,
    "cart": "c-77",
    "state": "abandoned",
    "amount": 33.0,
    "currency": "EUR",
    "url": "https://shop.example/cart/77",
    "items": [{"sku": "mug", "name": "Mug", "price": 16.5, "quantity": 2}],
    "updated_at": "2026-05-04T09:00:00Z",
    "abandoned_at": "2026-05-04T10:00:01Z",
    "created_at": "2026-05-04T08:55:00Z",
}


def show(row: Any) -> dict[str, Any]:
    """A cart as the API shows it."""
    return {
        "id": row.id,
        "contact_id": row.contact_id,
        "cart": row.cart_id,
        "state": row.state,
        "amount": row.amount,
        "currency": row.currency,
        "url": row.url,
        "items": row.items,
        "updated_at": row.updated_at,
        "abandoned_at": row.abandoned_at,
        "created_at": row.created_at,
    }


@resource.reads(
    "/carts",
    query=schemas.CartQuery,
    shows=schemas.CartPage,
    example={"data": [EXAMPLE], "next": None},
)
def list_carts(query: Mapping[str, Any]) -> Any:
    """List carts, of a contact or of all, or find one by your own id of it."""
    page = sales.carts(
        query["cursor"],
        query["limit"],
        contact_id=query.get("contact"),
        state=query.get("state", ""),
        cart=query.get("cart", ""),
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, show)


@resource.reads(f"/carts/{ID % 'cart_id'}", shows=schemas.Cart, example=EXAMPLE, tagged=True)
def get_cart(cart_id: int) -> Any:
    """Get a cart."""
    return show(sales.cart(cart_id))
