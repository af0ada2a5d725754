"""Let those in who would have started while a flow was paused."""

from flowserver.services.engine import missed


def let_in(flow_id: int) -> None:
    """Go through what happened meanwhile, piece by piece; starts again where it stopped."""
    missed.let_in(flow_id)
