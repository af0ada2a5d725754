"""What was bought or put into a cart, as starting points and conditions ask about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.nodes.conditions.field_compares import fold


def amount_of(data: Mapping[str, Any] | None) -> float:
    """The amount an event brings; 0 where it brings none."""
    found = (data or {}).get("amount")
    return found if isinstance(found, int | float) and not isinstance(found, bool) else 0


def contains(items: Any, product: str = "", category: str = "") -> bool:
    """Whether the goods have this product (by name or number) of this category; "" means any.

    Compared whole, without case. Goods nobody listed contain nothing.
    """
    if not product and not category:
        return True
    listed = [one for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []
    return any(
        (not product or fold(product) in (fold(one.get("name", "")), fold(one.get("sku", ""))))
        and (not category or fold(category) == fold(one.get("category", "")))
        for one in listed
    )


def is_called(wanted: str, name: Any) -> bool:
    """Whether ``name`` is the wanted one, without case; "" wants any."""
    return not wanted or fold(wanted) == fold(name)
