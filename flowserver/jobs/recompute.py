"""Add up the score totals of a client again."""

from flowserver import extensions
from flowserver.services.people import scores


def recompute(workspace_id: int) -> None:
    """Set every total to the sum of its ledger, chunk by chunk; a second ring changes nothing."""
    with extensions.workspace(workspace_id):
        scores.recompute()
