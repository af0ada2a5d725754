"""Let those in who already match when a flow goes live."""

from flowserver.services.engine import enrollment


def enroll(flow_id: int) -> None:
    """Enroll them in chunks; starts again where it stopped."""
    enrollment.enroll_existing(flow_id)
