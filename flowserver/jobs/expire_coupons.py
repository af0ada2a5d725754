"""Note the coupons that have run out."""

from flowserver import extensions
from flowserver.services.shop import coupons


def expire_coupons() -> None:
    """In chunks, over all clients; starts again where it stopped."""
    with extensions.every_workspace():
        coupons.expire()
