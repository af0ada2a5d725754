"""Let a crowd into a flow: those a date is for, or a group somebody starts."""

from flowserver.services.engine import starts


def start(start_id: int) -> None:
    """Let them in in chunks; goes on where it stopped."""
    starts.work(start_id)
