"""Match events that were written in bulk to the flows that listen."""

from flowserver.services.engine import events


def match() -> None:
    """Work until no event is unmatched."""
    while events.match_unmatched():
        pass
