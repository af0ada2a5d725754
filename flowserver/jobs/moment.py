"""A moment of a flow that time starts has come."""

from flowserver.services.engine import starts


def moment(flow_id: int) -> None:
    """Make crowds of its moments; a second ring finds nothing to do."""
    starts.fire(flow_id)
