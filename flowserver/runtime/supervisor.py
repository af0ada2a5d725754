"""``flowserver up``: starts every part, restarts what dies, stops all of it in order.

The supervisor itself stays small: it imports no framework and opens no database, so that it can be trusted to
live. Every part is a child started by exec; what it needs to know stands in its environment.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

from flowserver.config import Config
from flowserver.errors import Conflict, FlowserverError
from flowserver.runtime import locks, valkey
from flowserver.runtime.parts import Part, python

ORDER = (("web",), ("clock",), ("worker-1", "worker-2"), ("mail",), ("phone",), ("redis",))  # first to stop … last
LOOK_EVERY = 0.1  # seconds


class Supervisor:
    """All parts of one data folder on one machine."""

    def __init__(self, config: Config, out: Callable[[str], None] = print):
        self.config = config
        self.out = out
        self.parts: dict[str, Part] = {}
        self.stopping = threading.Event()
        self.hurry = threading.Event()
        self._mouth = threading.Lock()
        self._open: list[socket.socket | IO[str]] = []
        self._ports: dict[str, int] = {}

    # --- life -------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start everything, watch it until a signal comes, stop everything. Returns the exit code."""
        self._listen_to_signals()
        try:
            self._take_the_folder()
            web = self._bind_web()
            self._start_redis()
            first_run = self._prepare_database()
            self._start_local_parts()
            self._start_own_parts(web)
            self._greet(first_run)
            self._watch()
            return 0
        except FlowserverError as error:
            if not self.stopping.is_set():
                self.say(str(error))
            return 0 if self.stopping.is_set() else 1
        finally:
            self._stop_all()

    def _listen_to_signals(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.stopping.is_set() and number == signal.SIGINT:
            self.hurry.set()  # Ctrl-C twice: do not wait for anybody
        self.stopping.set()

    def _watch(self) -> None:
        while not self.stopping.wait(LOOK_EVERY):
            for part in self.parts.values():
                if part.process is not None and not part.running:
                    self._note_death(part)
                if part.process is None and time.monotonic() >= part.start_at:
                    self._start_again(part)

    def _start_again(self, part: Part) -> None:
        try:
            self._launch(part, patience=0)
        except FlowserverError:  # its predecessor has not let go of the folder yet
            part.start_at = time.monotonic() + 0.2

    def _note_death(self, part: Part) -> None:
        code = part.process.returncode if part.process else 0
        pause = part.fell()
        part.process = None
        again = f"in {pause:.0f} s" if pause >= 1 else "at once"
        self.write(part.name, f"ended by itself ({_meaning(code)}), starting it again {again}")

    def _stop_all(self) -> None:
        if any(part.running for part in self.parts.values()):
            self.say("Stopping. Work in hand is finished first; Ctrl-C again stops at once.")
        for names in ORDER:
            group = [self.parts[name] for name in names if name in self.parts]
            for part in group:
                part.ask_to_stop()
            for part in group:
                part.see_off(self.hurry)
        if "redis" in self.parts:
            valkey.tidy(self.config.data)
        for thing in self._open:
            thing.close()
        self._open.clear()

    # --- starting ----------------------------------------------------------------------------------

    def _take_the_folder(self) -> None:
        self.config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.config.data / "up.lock"
        lock = locks.take(path, f"{os.getpid()} {self.config.url}")
        if lock is None:
            pid, _, url = locks.note(path).partition(" ")
            raise Conflict(
                f"flowserver already runs on {self.config.data} (process {pid or 'unknown'}, {url or 'address unknown'}). "
                "Stop that one first, or choose another folder with --data."
            )
        self._open.append(lock)

    def _bind_web(self) -> socket.socket:
        """Listen already now: a taken port is told before anything starts, and restarts of the web part lose no visitor."""
        until = time.monotonic() + 3  # a predecessor that was killed may need a moment to let go
        while True:
            try:
                return self._listen(self.config.host, self.config.port)
            except OSError as error:
                if time.monotonic() > until or self.stopping.is_set():
                    raise Conflict(
                        f"Cannot listen on {self.config.host} port {self.config.port}: {error.strerror or error}. "
                        "Choose another one with --port, or stop the program that uses it."
                    ) from None
                time.sleep(0.2)

    def _listen(self, host: str, port: int) -> socket.socket:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
        self._open.append(listener)
        return listener

    def _listen_locally(self, name: str) -> socket.socket:
        """A loopback socket for a local part: on the port it had last time, else on a free one."""
        from flowserver.config import local_ports

        remembered = local_ports(self.config.data).get(name, 0)
        try:
            listener = self._listen("127.0.0.1", remembered)
        except OSError:
            listener = self._listen("127.0.0.1", 0)
        self._ports[name] = listener.getsockname()[1]
        return listener

    def _start_redis(self) -> None:
        if self.config.redis_url:
            return
        self._start(Part("redis", valkey.command(self.config.data), patience=15))
        self._wait_for("the embedded Redis server", lambda: valkey.answers(self.config.data), 20, "redis")

    def _prepare_database(self) -> str:
        """Migrate in a child (so that we stay small). Returns the address of the first-run page, empty once set up."""
        child = subprocess.run(
            python("prepare"),
            env={**os.environ, **self._env()},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        for line in child.stderr.splitlines():
            self.write("setup", line)
        if child.returncode:
            raise FlowserverError("The database could not be made ready; see the lines above.")
        return str(json.loads(child.stdout.strip().splitlines()[-1]).get("first_run", ""))

    def _start_local_parts(self) -> None:
        """The mail server and the phone, where no real ones are named."""
        if not self.config.mail_server:
            listener = self._listen_locally("mail")
            self._start(
                Part("mail", python("mailbox", "--fd", str(listener.fileno())), self._env(), (listener.fileno(),))
            )
        if not os.environ.get("FLOWSERVER_PHONE_URL"):
            listener = self._listen_locally("phone")
            self._start(
                Part("phone", python("phone", "--fd", str(listener.fileno())), self._env(), (listener.fileno(),))
            )
        path = self.config.data / "ports.json"
        path.write_text(json.dumps(self._ports))

    def _start_own_parts(self, web: socket.socket) -> None:
        env = self._env()
        self._start(Part("web", python("serve", "--fd", str(web.fileno())), env, (web.fileno(),)))
        self._start(Part("worker-1", python("worker"), env, patience=60))
        self._start(Part("worker-2", python("worker", "--no-bulk"), env, patience=60))
        self._start(Part("clock", python("clock"), env))
        self._wait_for("the web server", self._web_answers, 90, "web")

    def _env(self) -> Mapping[str, str]:
        """What every part of ours must know; the rest of the environment is passed on as it is."""
        env = {
            "FLOWSERVER_DATA": str(self.config.data),
            "FLOWSERVER_HOST": self.config.host,
            "FLOWSERVER_PORT": str(self.config.port),
            "FLOWSERVER_URL": self.config.url,
        }
        if "mail" in self._ports:
            env["FLOWSERVER_MAILBOX_PORT"] = str(self._ports["mail"])
        if "phone" in self._ports:
            env["FLOWSERVER_PHONE_URL"] = f"http://127.0.0.1:{self._ports['phone']}"
        return env

    def _start(self, part: Part) -> None:
        if self.stopping.is_set():
            raise Conflict("stopped while starting")
        self.parts[part.name] = part
        self._launch(part, patience=10)

    def _launch(self, part: Part, patience: float) -> None:
        """Start a part now. The Redis server inherits the lock on its folder: it is free once the last one has ended."""
        if part.name != "redis":
            part.start(self.write)
            return
        with valkey.prepare(self.config.data, patience) as lock:
            part.fds = (lock.fileno(),)
            part.start(self.write)

    def _wait_for(self, what: str, ready: Callable[[], bool], seconds: float, name: str) -> None:
        until = time.monotonic() + seconds
        while not ready():
            if self.stopping.is_set():
                raise Conflict("stopped while starting")
            if not self.parts[name].running or time.monotonic() > until:
                raise FlowserverError(f"{what[0].upper()}{what[1:]} did not start; see the lines of “{name}” above.")
            time.sleep(0.05)

    def _web_answers(self) -> bool:
        host = "127.0.0.1" if self.config.host in ("0.0.0.0", "::", "") else self.config.host
        connection = http.client.HTTPConnection(host, self.config.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # --- talking -----------------------------------------------------------------------------------

    def _greet(self, first_run: str) -> None:
        self.say("")
        self.say(f"flowserver runs at {self.config.url}")
        if first_run:
            self.say(f"Set it up here (this link works once): {first_run}")
        self.say(f"Everything is kept in {self.config.data}. Ctrl-C stops it; nothing is lost.")
        self.say("")

    def write(self, name: str, line: str) -> None:
        """Print a part's line behind its name."""
        if name == "redis" and "overcommit" in line:  # advice for large servers; ours is small
            return
        self.say(f"{name:<9}| {line}")

    def say(self, line: str) -> None:
        """Print one whole line, whoever else is printing; a closed terminal does not stop us."""
        with self._mouth:
            try:
                self.out(line)
                sys.stdout.flush()
            except (OSError, ValueError):
                pass


def _meaning(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
