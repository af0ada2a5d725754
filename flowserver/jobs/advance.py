"""Carry due contacts on to their next wait or end."""

from flowserver.services.engine import engine


def advance() -> None:
    """Work until nothing is due."""
    engine.advance()
