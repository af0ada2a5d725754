"""Tell which carts nobody touched for an hour."""

from flowserver.services.people import sales


def abandon_carts() -> None:
    """Work until no cart is idle."""
    sales.abandon()
