"""Bring the people of a flow to where its state says they are: held, let go, or ended."""

from flowserver.services.engine import flow_state


def settle(flow_id: int) -> None:
    """Work through everybody inside; rings again when there was not time for all."""
    flow_state.settle(flow_id)
