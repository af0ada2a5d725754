"""Judge the stored opens and clicks of a client again."""

from flowserver.services.messages import evidence


def judge(workspace_id: int) -> None:
    """Work through all of them; a second ring changes nothing."""
    evidence.judge(workspace_id)
