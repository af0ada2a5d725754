"""A moment of a flow that time starts has come."""

from flowserver.services.engine import timetable


def moment(flow_id: int) -> None:
    """Make crowds of its moments; a second ring finds nothing to do."""
    timetable.fire(flow_id)
