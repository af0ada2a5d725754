"""The crash run: people go through a flow with three mails and waits while workers are killed at random and Redis is
emptied. Counted at the mail server: who was lost, what was doubled, what is honestly unknown.

Here they are killed faster than a new one can start; ``crash_single`` kills one at a time.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import world
from flowserver.bench.figures import Row
from flowserver.bench.ground import Ground
from flowserver.config import Config
from flowserver.domain import mail
from flowserver.extensions import db
from flowserver.models import Enrollment, Message
from flowserver.runtime import valkey

CONNECTIONS = 4  # SMTP connections of one worker


@dataclass(frozen=True)
class Weather:
    """How hard a run is: the seconds between two kills, at least and at most, and those the mail server takes."""

    between: tuple[float, float]
    delay: float = 0.0


STORM = Weather((0.3, 1.2))


@dataclass
class Result:
    """What a crash run found. All but ``unknown`` and the times must be 0."""

    people: int
    mails: int
    kills: int
    flushes: int
    seconds: float = 0.0
    still_inside: int = 0
    lost: int = 0  # marked as sent, but the mail server never had it
    doubled: int = 0
    unaccounted: int = 0  # the mail server had it, but it is marked as neither sent nor unknown
    unknown: int = 0
    resent: int = 0  # unknown ones of which the server had more than one
    longest_pause: float = 0.0  # seconds without a mail after a kill

    @property
    def sound(self) -> bool:
        """Whether nobody was lost, nothing doubled, and no more unknown than kills explain."""
        wrong = self.still_inside + self.lost + self.doubled + self.unaccounted + self.resent
        return wrong == 0 and self.unknown <= self.kills * CONNECTIONS


@dataclass
class _Worker:
    """A worker process that can be killed and comes back."""

    arguments: list[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            command = [sys.executable, "-m", "flowserver", *self.arguments]
            self.process = subprocess.Popen(command, env=dict(self.env), stdout=out, stderr=out)

    def kill(self) -> None:
        """kill -9, then a new one at once, as ``flowserver up`` does."""
        self.process.kill()
        self.process.wait()
        self.start()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


FLOW: list[dict[str, Any]] = [
    {"key": "one", **world.MAIL},
    {"key": "wait1", "type": "wait", "for": {"minutes": 30}},
    {"key": "two", **world.MAIL},
    {"key": "wait2", "type": "wait", "for": {"minutes": 30}},
    {"key": "three", **world.MAIL},
]


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Nobody lost, nothing doubled, few unknown, and at work again soon after a kill."""
    return rows_in(STORM, "kills", ground, quick)


def rows_in(weather: Weather, called: str, ground: Ground, quick: bool) -> list[Row]:
    """The rows of a run in ``weather``, whose kills are ``called`` so."""
    people, kills, flushes = (600, 4, 1) if quick else (5000, 20, 2)
    with ground.app():
        found = run(ground.config, people, kills, flushes, seconds=60 if quick else 150, weather=weather)
    wrong = found.doubled + found.resent
    lost = found.lost + found.still_inside + found.unaccounted
    name = f"{kills} {called}, {found.mails:,} mails"
    return [
        Row(f"{name}: lost", lost, 0, at_most=True, unit="", note=f"{found.seconds:.0f} s"),
        Row(f"{name}: doubled", wrong, 0, at_most=True, unit=""),
        Row(f"{name}: unknown", found.unknown, CONNECTIONS * kills, at_most=True, unit=""),
        Row(f"{name}: going again", found.longest_pause, 5, at_most=True, unit="s"),
    ]


def run(
    config: Config,
    people: int,
    kills: int,
    flushes: int,
    seconds: float = 240.0,
    seed: int = 7,
    weather: Weather = STORM,
) -> Result:
    """Run it on the database of the current application. Starts its own Redis, mail server, two workers and a clock."""
    data = config.data
    world.enroll(people, world.flow(FLOW))
    _lift_limits()
    seen = data / "seen.txt"
    sink = subprocess.Popen(
        [sys.executable, "-m", "flowserver.bench.sink", "--file", str(seen), "--delay", str(weather.delay)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sink.stdout is not None
    port = int(sink.stdout.readline())
    lock = valkey.prepare(data)
    server = subprocess.Popen(valkey.command(data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env = _environment(config, port)
    log = data / "workers.log"
    workers = [_Worker(["worker"], env, log), _Worker(["worker", "--no-bulk"], env, log), _Worker(["clock"], env, log)]
    result = Result(people, people * 3, kills, flushes)
    try:
        _torment(config, workers, result, seen, seconds, random.Random(seed), weather)
    finally:
        for worker in workers:
            worker.end()
        for process in (server, sink):
            process.terminate()
            process.wait(15)
        lock.close()
    _count(result, seen)
    return result


def _lift_limits() -> None:
    """Three mails within minutes are what is counted here, so the message limit stays out of it."""
    db.session.execute(sa.text("UPDATE workspace SET cap_day = NULL, cap_week = NULL"))
    db.session.commit()


def _environment(config: Config, port: int) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FLOWSERVER_", "MAIL_", "REDIS_"))}
    return {
        **kept,
        "FLOWSERVER_DATA": str(config.data),
        "DATABASE_URL": config.database_url,
        "SECRET_KEY": config.secret_key,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(port),
        "MAIL_CONNECTIONS": str(CONNECTIONS),
        "FLOWSERVER_LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }


def _torment(
    config: Config,
    workers: list[_Worker],
    result: Result,
    seen: Path,
    seconds: float,
    chance: random.Random,
    weather: Weather,
) -> None:
    """Kill and flush at random until everything is through, pulling waits forward so that nobody waits for real."""
    began = time.monotonic()
    left, to_flush = result.kills, result.flushes
    next_kill = time.monotonic() + 3.0
    killed_at, size = 0.0, 0
    bell = redis.Redis.from_url(config.redis_address)
    while time.monotonic() - began < seconds:
        time.sleep(0.1)
        grown = seen.stat().st_size if seen.exists() else 0
        if grown > size and killed_at:
            result.longest_pause = max(result.longest_pause, time.monotonic() - killed_at)
            killed_at = 0.0
        size = grown
        if left and time.monotonic() >= next_kill:
            workers[left % 2].kill()
            left -= 1
            killed_at = killed_at or time.monotonic()
            next_kill = time.monotonic() + chance.uniform(*weather.between)
            if to_flush and left <= result.kills * to_flush // (result.flushes + 1):
                bell.flushall()
                to_flush -= 1
        if _pull_forward() and not left:
            break
    result.seconds = time.monotonic() - began


def _pull_forward() -> bool:
    """End the waits that run; whether everything is through."""
    e, m = Enrollment.__table__.c, Message.__table__.c
    now = clock.now()
    db.session.execute(
        sa.update(Enrollment.__table__)
        .where(e.due_at > now + timedelta(minutes=5), e.parked_at <= now - timedelta(seconds=1))
        .values(due_at=now)
    )
    db.session.commit()
    inside = db.session.scalar(sa.select(sa.func.count()).where(e.due_at.is_not(None)))
    waiting = db.session.scalar(sa.select(sa.func.count()).where(m.state.in_(("planned", "claimed", "handed"))))
    db.session.commit()
    return not inside and not waiting


def _count(result: Result, seen: Path) -> None:
    """Hold the messages in the database against what the mail server had."""
    had = Counter(mail.id_of(line) for line in seen.read_text().split())
    m, e = Message.__table__.c, Enrollment.__table__.c
    result.still_inside = db.session.scalar(sa.select(sa.func.count()).where(e.due_at.is_not(None))) or 0
    states = {row.id: row.state for row in db.session.execute(sa.select(m.id, m.state))}
    result.lost = sum(state == "accepted" and not had[id] for id, state in states.items())
    result.lost += result.people * 3 - len(states)
    result.doubled = sum(count > 1 for id, count in had.items() if states.get(id or 0) != "unknown")
    result.resent = sum(count > 1 for id, count in had.items() if states.get(id or 0) == "unknown")
    result.unknown = sum(state == "unknown" for state in states.values())
    result.unaccounted = sum(states.get(id or 0) not in ("accepted", "unknown") for id in had)
    result.lost += sum(state not in ("accepted", "unknown") for state in states.values())
    db.session.commit()
