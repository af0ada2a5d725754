"""The crash run with one kill at a time: how soon mail goes again once a new worker can start.

The mail server takes its time, so that mail is in hand at every kill.
"""

from __future__ import annotations

from flowserver.bench import crash
from flowserver.bench.figures import Row
from flowserver.bench.ground import Ground

SINGLE = crash.Weather((1.0, 4.0), delay=0.02)


def rows(ground: Ground, quick: bool) -> list[Row]:
    """As :func:`flowserver.bench.crash.rows`."""
    return crash.rows_in(SINGLE, "single kills", ground, quick)
