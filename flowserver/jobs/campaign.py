"""Plan a campaign's messages, see whether all have left, or take back those of a cancelled one."""

from flowserver.services.messages import campaign_runs


def campaign(campaign_id: int) -> None:
    """Carry it on; starts again where it stopped."""
    campaign_runs.carry_on(campaign_id)
