"""A process that runs jobs, and the clock that rings when something is due."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import redis
import rq
import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from flowserver import clock, extensions, jobqueue
from flowserver.runtime import locks

log = structlog.get_logger()

BEAT_EVERY = 3.0  # seconds between two signs of life in the database
MOST_PAUSE = 10.0  # seconds between two tries while the database or Redis is away, at most


class Worker(rq.SimpleWorker):
    """RQ's worker without forks; every job runs in an app context of its own."""

    max_connection_wait_time = 2.0  # seconds; RQ's minute would leave mails lying after a restart of Redis
    log_result_lifespan = False

    def __init__(self, app: Flask, queues: Sequence[str], connection: redis.Redis, name: str):
        super().__init__(
            list(queues),
            name=name,
            connection=connection,
            serializer="json",
            maintenance_interval=30,
            log_job_description=False,
        )
        self.app = app
        self.leaving = False

    def perform_job(self, job: Any, queue: Any, execution: Any) -> bool:
        """Run one job as a request of its own: fresh session, no workspace chosen, free to write."""
        began = time.perf_counter()
        with self.app.app_context(), structlog.contextvars.bound_contextvars(job=job.id):
            extensions.enter_workspace(None)
            extensions.read_only(False)
            fine = super().perform_job(job, queue, execution)
        log.debug("job.done" if fine else "job.failed", job=job.id, ms=round(1000 * (time.perf_counter() - began)))
        return fine

    def handle_exception(self, job: Any, *exc_info: Any) -> None:
        """Write the failure to our log; the rows it worked on are still due, so the clock rings for them again."""
        log.error("job.failed", job=job.id, exc_info=exc_info)

    def request_stop(self, signum: int, frame: Any) -> None:
        """First SIGTERM: finish the job in hand, take no other."""
        self.leaving = True
        super().request_stop(signum, frame)

    def request_force_stop(self, signum: int, frame: Any) -> None:
        """A second SIGTERM changes nothing: the job in hand is finished. Who cannot wait kills us; leases come back."""

    def set_shutdown_requested_date(self) -> None:
        """RQ would tell Redis, in the middle of our job, from a signal handler; when Redis is away that would fail the job."""


class Life:
    """A process's place in the ``worker`` table: signs of life while it runs, erased when it leaves in order."""

    def __init__(self, app: Flask, kind: str):
        from flowserver.services.operations import health

        self.health = health
        self.app = app
        self.kind = kind
        self.name, self._lock = locks.place(app.extensions["config"].data / "run", kind)
        self.started_at: datetime = clock.now()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self) -> bool:
        """Say once that we are alive. ``False``: the database did not take it."""
        try:
            with self.app.app_context():
                self.health.beat(self.name, self.kind, self.started_at)
            return True
        except SQLAlchemyError as error:
            log.warning("beat.missed", kind=self.kind, why=type(error).__name__)
            return False

    def keep_beating(self) -> None:
        """Beat from a thread until :meth:`leave`, so that a long job does not look like death."""
        self._thread = threading.Thread(target=self._beat_on, name="beat", daemon=True)
        self._thread.start()

    def _beat_on(self) -> None:
        while not self._over.is_set():
            self.beat()
            self._over.wait(BEAT_EVERY)

    def leave(self) -> None:
        """Leave in order: nothing of ours is in hand, nobody needs to look after us."""
        self._over.set()
        if self._thread:
            self._thread.join(timeout=15)
        try:
            with self.app.app_context():
                self.health.leave(self.name)
        except SQLAlchemyError as error:
            log.warning("leave.unsaid", why=type(error).__name__)
        self._lock.close()


def work(app: Flask, queues: Sequence[str] = jobqueue.QUEUES) -> None:
    """Run jobs of ``queues`` (first one first) until SIGTERM or SIGINT; the job in hand is finished.

    Redis may come and go meanwhile. What a dead predecessor in our place had in hand is taken back first.
    """
    life = Life(app, "worker")
    app.extensions["worker"] = life.name
    _stop_quietly()
    try:
        _until_it_works(lambda: _take_back(app), "database")
        life.keep_beating()
        log.info("worker.ready", worker=life.name, queues=" ".join(queues))
        _run_jobs(app, queues, life.name)
    except Stop:
        pass
    finally:
        _stop_quietly(ignore=True)
        _hang_up(app)
        life.leave()
        log.info("worker.left", worker=life.name)


def _run_jobs(app: Flask, queues: Sequence[str], name: str) -> None:
    pause = 0.2
    while True:
        worker = None
        began = time.monotonic()
        try:
            connection = redis.Redis.from_url(app.extensions["config"].redis_address, socket_connect_timeout=2)
            worker = Worker(app, queues, connection, f"{name}-{time.time_ns():x}")
            worker.work(logging_level="WARNING")
        except redis.exceptions.RedisError as error:
            log.warning("redis.away", why=type(error).__name__)
        if worker and worker.leaving:
            return
        _stop_quietly()
        pause = 0.2 if time.monotonic() - began > 5 else min(2.0, pause * 2)
        time.sleep(pause)


def _take_back(app: Flask) -> None:
    """Bring back what dead workers had in hand, a predecessor in our place first of all."""
    from flowserver.services.messages import deliveries

    with app.app_context():
        extensions.read_only(False)
        deliveries.take_back()


def _hang_up(app: Flask) -> None:
    """Say goodbye to mail servers and providers."""
    from flowserver.services.messages import deliveries

    with app.app_context():
        deliveries.hang_up()


def tick_forever(app: Flask) -> None:
    """The clock: once a second look what is due and ring. Keeps going while the database or Redis is away."""
    from flowserver.services.engine import ticks

    life = Life(app, "clock")
    _stop_quietly()
    log.info("clock.ready", clock=life.name)
    last_beat = 0.0
    pause = 1.0
    try:
        while True:
            began = time.monotonic()
            if began - last_beat >= BEAT_EVERY:
                pause = 1.0 if life.beat() else min(MOST_PAUSE, pause * 2)  # the database is away: ask less often
                last_beat = began if pause == 1.0 else last_beat
            if pause == 1.0:
                _tick(app, ticks.tick)
            time.sleep(max(0.05, pause - (time.monotonic() - began)))
    except Stop:
        pass
    finally:
        _stop_quietly(ignore=True)
        life.leave()
        log.info("clock.left", clock=life.name)


def _tick(app: Flask, tick: Any) -> None:
    """One look. A mistake in it is logged and does not stop the clock."""
    try:
        with app.app_context():
            extensions.enter_workspace(None)
            extensions.read_only(False)
            tick(clock.now())
    except Exception as error:
        log.warning("clock.failed", why=type(error).__name__, exc_info=not isinstance(error, SQLAlchemyError))


def _until_it_works(act: Any, what: str) -> None:
    pause = 0.5
    while True:
        try:
            return act()
        except SQLAlchemyError as error:
            log.warning(f"{what}.away", why=type(error).__name__)
            time.sleep(pause)
            pause = min(MOST_PAUSE, pause * 2)


class Stop(BaseException):
    """SIGTERM or SIGINT came. No ``except Exception`` on the way may swallow it."""


def _stop_quietly(ignore: bool = False) -> None:
    """Turn SIGTERM and SIGINT into :class:`Stop` (or ignore them while leaving)."""

    def stop(*_: object) -> None:
        raise Stop

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if ignore else stop)
