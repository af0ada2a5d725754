"""What a worker has in hand, line by line in a small file of its own: a database commit for every mail would be too slow.

A line is written before a message is handed over and another after its answer. The file survives a killed process, and
the kernel takes its lock off when the process ends, however it ends: so whoever finds the lock free knows that the worker
is dead, and reads from the file which messages it surely had not begun with. Where the machine itself went down, or the file is
gone, nothing is sure, and nothing is sent again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from flowserver.providers.base import TAKEN, Answer

try:
    import fcntl
except ImportError:  # Windows: leases are taken back by their time alone
    fcntl = None  # type: ignore[assignment]


class Journal:
    """The journal of one lease, open for writing. Safe to use from several threads.

    Writing raises ``OSError`` when the disk is full.
    """

    def __init__(self, folder: Path, lease_id: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = place(folder, lease_id)
        new = self.path.with_suffix(".new")  # renamed once it is locked: nobody ever sees it without its holder
        self._fd = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        if fcntl is not None:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self._write(f"b {boot()}\n".encode())
            new.rename(self.path)
        except OSError:
            self.close(done=False)
            raise

    def begin(self, message_id: int) -> None:
        """This message is about to be handed over."""
        self._write(b"h %d\n" % message_id)

    def answered(self, message_id: int, answer: Answer) -> None:
        """This is what was said to it."""
        if answer is TAKEN:
            self._write(b"t %d\n" % message_id)
        else:
            words = orjson.dumps([answer.state, answer.reason, answer.code, answer.ref])
            self._write(b"a %d %s\n" % (message_id, words))

    def _write(self, line: bytes) -> None:
        if os.write(self._fd, line) < len(line):
            raise OSError(errno.ENOSPC, "the line was cut off")

    def close(self, *, done: bool) -> None:
        """Let go of the file; ``done``: everything is in the database, throw it away."""
        if self._fd >= 0:
            if done:
                self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


@dataclass(slots=True)
class Found:
    """What a dead worker's journal says: who was handed over without an answer, and the answers there were.

    ``sure`` is ``False`` where lines may be missing: the machine was restarted since, or one cannot be read.
    """

    open: set[int] = field(default_factory=set)
    answers: dict[int, Answer] = field(default_factory=dict)
    sure: bool = True


class Abandoned:
    """The journal of a worker that is gone, locked so that nobody else reads it too."""

    def __init__(self, path: Path, fd: int):
        self.path, self._fd = path, fd

    def read(self) -> Found:
        """Its lines. A last line that was cut off in the middle counts for nothing."""
        found = Found(sure=False)
        broken = False
        for line in _lines(self._fd):
            try:
                _take(found, line)
            except (ValueError, TypeError):
                broken = True
        found.sure = found.sure and not broken
        return found

    def throw_away(self) -> None:
        """Its messages are in the database as they should be."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it; where it was not thrown away, for another try. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _take(found: Found, line: bytes) -> None:
    """Add what a line says. Raises ``ValueError`` or ``TypeError`` for one that makes no sense."""
    kind, _, rest = line.partition(b" ")
    if kind == b"b":
        found.sure = rest.decode() == boot()
        return
    number, _, words = rest.partition(b" ")
    message_id = int(number)
    if kind == b"h":
        found.open.add(message_id)
        found.answers.pop(message_id, None)
    else:
        answer = TAKEN if kind == b"t" else Answer(*orjson.loads(words))
        found.open.discard(message_id)
        found.answers[message_id] = answer


def _lines(fd: int) -> Iterator[bytes]:
    os.lseek(fd, 0, os.SEEK_SET)
    rest = b""
    while piece := os.read(fd, 1 << 16):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def abandoned(folder: Path, lease_id: int) -> Abandoned | None:
    """The journal of this lease if nobody holds it any more.

    Raises ``FileNotFoundError`` when there is none, ``None`` means that its worker lives.
    """
    path = place(folder, lease_id)
    fd = os.open(path, os.O_RDWR)
    try:
        if fcntl is None:
            raise OSError("no locks here: nobody can tell whether its worker lives")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return Abandoned(path, fd)


def place(folder: Path, lease_id: int) -> Path:
    """Where the journal of a lease lies."""
    return folder / f"lease-{lease_id}.journal"


def boot() -> str:
    """A word that changes when the machine starts anew; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
