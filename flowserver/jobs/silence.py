"""Tell flows about SMS that nobody ever reported on."""

from flowserver.services.messages import silence as silences


def silence() -> None:
    """Look at all campaigns of the last weeks; each message is told about once."""
    silences.tell()
