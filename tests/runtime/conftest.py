"""Real processes for the tests of the runtime: bounded, and gone afterwards."""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

UNSET = (
    "DATABASE_URL",
    "REDIS_URL",
    "MAIL_SERVER",
    "FLOWSERVER_PHONE_URL",
    "FLOWSERVER_DATA",
    "SECRET_KEY",
    "FLOWSERVER_PARENT",
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(ready: Callable[[], object], seconds: float = 20.0, what: str = "") -> object:
    """What ``ready`` answers once it is true; fails after ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds} s for {what or ready}"
        time.sleep(0.05)


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    """Status and body of one page; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; the dead whose parent has not looked yet do not count."""
    return [process for process in processes if process.is_running() and _status(process) != psutil.STATUS_ZOMBIE]


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


class Program:
    """One ``python -m flowserver …`` with its lines."""

    def __init__(self, *words: str, env: dict[str, str], fds: tuple[int, ...] = ()):
        self.env = env
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flowserver", *words],
            env={**{key: value for key, value in os.environ.items() if key not in UNSET}, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=fds,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self, words: str, seconds: float = 40.0) -> str:
        """The first line with these words, waited for."""

        def look() -> str | None:
            found = next((line for line in list(self.lines) if words in line), None)
            if found is None and self.process.poll() is not None:
                time.sleep(0.3)
                found = next((line for line in list(self.lines) if words in line), None)
                assert found is not None, f"it ended without saying {words!r}:\n" + "\n".join(self.lines)
            return found

        try:
            return str(wait_for(look, seconds, words))
        except AssertionError:
            raise AssertionError(f"never said {words!r}:\n" + "\n".join(self.lines)) from None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """``run("up", "--port", …)`` starts the command on the test's data folder."""
    programs: list[Program] = []

    def start(*words: str, data: Path = tmp_path / "data", fds: tuple[int, ...] = (), **env: str) -> Program:
        program = Program(*words, env={"FLOWSERVER_DATA": str(data), **env}, fds=fds)
        programs.append(program)
        return program

    yield start
    for program in programs:
        family = descendants(program.pid)
        if program.process.poll() is None:
            program.process.terminate()
            try:
                program.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                program.process.kill()
        _gone, left = psutil.wait_procs(family, timeout=5)
        for process in left:
            process.kill()


@pytest.fixture
def local_part(run, tmp_path):
    """``local_part("mailbox")`` starts one of the local parts; returns its port and its process."""

    def start(name: str, **env: str) -> tuple[int, Program]:
        listener = socket.create_server(("127.0.0.1", 0))
        program = run(name, "--fd", str(listener.fileno()), fds=(listener.fileno(),), **env)
        port = listener.getsockname()[1]
        program.says(".ready")
        listener.close()
        return port, program

    return start


def ports(data: Path) -> dict[str, int]:
    return json.loads((data / "ports.json").read_text())


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database at the newest revision, made once, to be copied."""
    folder = tmp_path_factory.mktemp("blank")
    done = Program("migrate", env={"FLOWSERVER_DATA": str(folder)})
    assert done.process.wait(timeout=90) == 0, done.lines
    return folder / "flowserver.db"


@pytest.fixture
def migrated(blank_database: Path, tmp_path: Path) -> Path:
    """The test's data folder with an empty database."""
    (tmp_path / "data").mkdir(exist_ok=True, mode=0o700)
    shutil.copy(blank_database, tmp_path / "data")
    return tmp_path / "data"
