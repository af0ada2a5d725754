"""Send what is due on one connection."""

from flask import current_app

from flowserver.services.messages import deliveries


def deliver(connection_id: int) -> None:
    """Work until nothing is due or the turn is over."""
    deliveries.deliver(connection_id, worker=current_app.extensions.get("worker", ""))
