"""Judge the stored opens and clicks of a client, or of one campaign, again."""

from flowserver.services.messages import evidence


def judge(workspace_id: int, campaign_id: int | None = None) -> None:
    """Work through all of them; a second ring changes nothing."""
    evidence.judge(workspace_id, campaign_id)
