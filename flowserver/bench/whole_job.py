"""The whole job: set a field, wait, branch, send one mail. The product's workers against one RQ job a contact and step.

Both sides: two worker processes, the same Redis, the same database, the same mail server. The baseline has no wait at
all; the product's is pulled forward as soon as everybody stands in it. The two updates by which the benchmark itself lets
everybody go and ends their waits are not counted, nor is the baseline's first enqueuing, although its workers start at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack

import redis
import rq
import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import ground as places
from flowserver.bench import steps, world
from flowserver.bench.figures import Row, in_turn, rates
from flowserver.bench.ground import Ground
from flowserver.extensions import db
from flowserver.jobqueue import RedisQueue
from flowserver.models import Enrollment, Message

GOAL = 40.0
PATIENCE = 120.0  # seconds
_E, _M = Enrollment.__table__.c, Message.__table__.c


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Contacts carried through the whole job a second, as a multiple of the baseline's."""
    many, few, times = (4000, 150, 1) if quick else (40_000, 400, 3)
    with ExitStack() as stack:
        port = stack.enter_context(places.sink())
        url = stack.enter_context(places.valkey(ground.folder))
        stack.enter_context(ground.app())
        given = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port)}
        product_env = ground.environment(**given)
        their_env = ground.environment(**given, REDIS_URL=url)
        found = in_turn(lambda: _product(ground, product_env, url, many), lambda: _theirs(their_env, url, few), times)
    return [Row("whole job", found.ratio, GOAL, baseline=found.theirs, note=rates({"contacts": found.ours}))]


def _product(ground: Ground, env: dict[str, str], url: str, many: int) -> float:
    world.enroll(many, world.flow(steps.FLOW))
    log = ground.folder / "workers.log"
    bell = RedisQueue(redis.Redis.from_url(url))
    commands = (
        ["-m", "flowserver", "worker"],
        ["-m", "flowserver", "worker", "--no-bulk"],
        ["-m", "flowserver", "clock"],
    )
    _hold(True)
    with ExitStack() as stack:
        for command in commands:
            stack.enter_context(places.process(list(command), env, log))
        _until(lambda: rq.Worker.count(connection=bell.connection) >= 2)
        _hold(False)
        to_the_wait = _took(bell, lambda: not _count(_E.step == "", _E.due_at.is_not(None)))
        _end_waits()
        to_the_end = _took(bell, lambda: _count(_M.state == "accepted") == many)
        return many / (to_the_wait + to_the_end)


def _took(bell: RedisQueue, done: Callable[[], bool]) -> float:
    """Seconds from the ring of the bell until it is ``done``."""
    began = time.perf_counter()
    bell.ring("advance")
    _until(done)
    return time.perf_counter() - began


def _hold(held: bool) -> None:
    """Keep everybody back until the workers are up, so that their start is not measured."""
    db.session.execute(sa.update(Enrollment.__table__).values(held=held))
    db.session.commit()


def _end_waits() -> None:
    db.session.execute(sa.update(Enrollment.__table__).where(_E.due_at.is_not(None)).values(due_at=clock.now()))
    db.session.commit()


def _theirs(env: dict[str, str], url: str, few: int) -> float:
    world.flow([])
    workspace = db.session.execute(sa.text("SELECT id FROM workspace")).scalar_one()
    world.people(workspace, few)
    db.session.execute(sa.text("CREATE TABLE IF NOT EXISTS bench_sent (contact_id BIGINT)"))
    db.session.execute(sa.text("DELETE FROM bench_sent"))
    db.session.commit()
    os.environ.update({name: env[name] for name in ("DATABASE_URL", "MAIL_PORT", "REDIS_URL")})
    from flowserver.bench import per_contact

    per_contact.queue.cache_clear()
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(places.process(["-m", "flowserver.bench.per_contact"], env))
        queue = per_contact.queue()
        _until(lambda: rq.Worker.count(queue=queue) >= 2)
        queue.enqueue_many(
            [rq.Queue.prepare_data(per_contact.set_field, (n,), result_ttl=0) for n in range(1, few + 1)]
        )
        began = time.perf_counter()
        _until(lambda: _sent() == few)
        return few / (time.perf_counter() - began)


def _sent() -> int:
    found = db.session.execute(sa.text("SELECT count(*) FROM bench_sent")).scalar_one()
    db.session.commit()
    return int(found)


def _count(*where: sa.ColumnElement[bool]) -> int:
    found = db.session.scalar(sa.select(sa.func.count()).where(*where)) or 0
    db.session.commit()
    return found


def _until(true: Callable[[], bool]) -> None:
    """Look ten times a second. Raises ``TimeoutError``."""
    ends = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError("the whole job did not come to its end")
        time.sleep(0.1)
