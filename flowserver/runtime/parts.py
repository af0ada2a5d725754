"""The processes `flowserver up` is made of: how each is started and in which order they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flowserver.runtime import leash

CALM = 10.0  # seconds after which a part counts as running well
MOST = 30.0  # seconds between two starts of a part that keeps dying, at most


@dataclass
class Part:
    """One child process: started by exec, restarted when it dies, stopped within ``patience`` seconds."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    patience: float = 10.0
    process: subprocess.Popen[str] | None = None
    started: float = 0.0
    falls: int = 0  # deaths in a row soon after the start
    start_at: float = 0.0  # when to start it again (monotonic seconds)

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self, write: Callable[[str, str], None]) -> None:
        """Start it in a session of its own (so that Ctrl-C reaches us only); its lines go to ``write(name, line)``."""
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self.env, leash.PARENT: str(os.getpid())}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=self.fds,
        )
        threading.Thread(target=_pump, args=(self.name, self.process.stdout, write), daemon=True).start()

    def fell(self) -> float:
        """Note that it died by itself. Returns how long to wait before the next start: nothing the first time."""
        lived = time.monotonic() - self.started
        self.falls = 0 if lived > CALM else self.falls + 1
        pause = 0.0 if self.falls <= 1 else min(MOST, 0.5 * 2 ** (self.falls - 2))
        self.start_at = time.monotonic() + pause
        return pause

    def ask_to_stop(self) -> None:
        """Send SIGTERM: finish what you are at, then end."""
        if self.running:
            assert self.process
            self.process.send_signal(signal.SIGTERM)

    def see_off(self, hurry: threading.Event) -> None:
        """Wait until it has ended; kill it when its patience is used up or ``hurry`` is set."""
        until = time.monotonic() + self.patience
        while self.running and time.monotonic() < until and not hurry.is_set():
            time.sleep(0.05)
        if self.running:
            assert self.process
            self.process.kill()
        if self.process:
            self.process.wait()


def _pump(name: str, stream, write: Callable[[str, str], None]) -> None:
    with stream:
        for line in stream:
            write(name, line.rstrip("\n"))


def python(*words: str) -> list[str]:
    """The command line of one of our own subcommands."""
    return [sys.executable, "-m", "flowserver", *words]
