"""Workers are killed at random and Redis is emptied while 5,000 people go through a flow with three mails and waits.

Counted at the mail server: everybody ends, every mail arrived exactly once or is honestly unknown.
"""

from __future__ import annotations

import pytest

from flowserver.bench import crash
from flowserver.bench.ground import Databases

pytestmark = pytest.mark.crash


def test_nobody_is_lost_and_nothing_is_sent_twice(database):
    with Databases() as databases, databases.ground(database) as ground, ground.app():
        result = crash.run(ground.config, people=5000, kills=15, flushes=2, seconds=400)
    assert result.sound, result
    assert (result.still_inside, result.lost, result.doubled, result.unaccounted) == (0, 0, 0, 0)
