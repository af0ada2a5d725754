"""Purchases, as they were reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Resource
from flowserver.blueprints.api.schemas import events as schemas
from flowserver.services.people import sales

resource = Resource(
    "Purchases", 91, "Orders that were paid. Report them as events of the type `purchase`.", part="events"
)

EXAMPLE = {
    "id": 12,
    "contact_id": 7,
    "order": "A-1042",
    "amount": 49.5,
    "refunded": 0.0,
    "currency": "EUR",
    "cart": "c-77",
    "items": [{"sku": "mug", "name": "Mug", "category": "Kitchen", "price": 16.5, "quantity": 3}],
    "occurred_at": "2026-05-04T09:00:00Z",
    "created_at": "2026-05-04T09:00:02Z",
    "updated_at": "2026-05-04T09:00:02Z",
}


def show(row: Any) -> dict[str, Any]:
    """A purchase as the API shows it."""
    return {
        "id": row.id,
        "contact_id": row.contact_id,
        "order": row.order_id,
        "amount": row.amount,
        "refunded": row.refunded,
        "currency": row.currency,
        "cart": row.cart_id or None,
        "items": row.items,
        "occurred_at": row.at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


@resource.reads(
    "/purchases",
    query=schemas.PurchaseQuery,
    shows=schemas.PurchasePage,
    example={"data": [EXAMPLE], "next": None},
)
def list_purchases(query: Mapping[str, Any]) -> Any:
    """List purchases, of a contact or of all, or find one by its order."""
    page = sales.purchases(
        query["cursor"],
        query["limit"],
        contact_id=query.get("contact"),
        order=query.get("order", ""),
        since=query.get("since"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, show)


@resource.reads(f"/purchases/{ID % 'purchase_id'}", shows=schemas.Purchase, example=EXAMPLE, tagged=True)
def get_purchase(purchase_id: int) -> Any:
    """Get a purchase."""
    return show(sales.purchase(purchase_id))
