"""Give the coupons of a campaign to everybody on a list."""

from flowserver.services.shop import coupons


def give_coupons(campaign_id: int) -> None:
    """In chunks; starts again where it stopped."""
    coupons.finish_giving(campaign_id)
