"""What a worker has in hand, line by line in a small file of its own: a database commit for every mail would be too slow.

A line is written before a message is handed over and another after its answer. The file survives a killed process, and
the kernel takes its lock off when the process ends, however it ends: so whoever finds the lock free knows that the worker
is dead, and reads from the file which messages it surely had not begun with. Where the machine itself went down, or the file is
gone, nothing is sure, and nothing is sent again.
"""

from __future__ import annotations

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
    """The journal of one lease, open for writing. Safe to use from several threads."""

    def __init__(self, folder: Path, lease_id: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = place(folder, lease_id)
        new = self.path.with_suffix(".new")  # renamed once it is locked: nobody ever sees it without its holder
        self._fd = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        if fcntl is not None:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._fd, f"b {boot()}\n".encode())
        new.rename(self.path)

    def begin(self, message_id: int) -> None:
        """This message is about to be handed over."""
        os.write(self._fd, b"h %d\n" % message_id)

    def answered(self, message_id: int, answer: Answer) -> None:
        """This is what was said to it."""
        if answer is TAKEN:
            os.write(self._fd, b"t %d\n" % message_id)
        else:
            words = orjson.dumps([answer.state, answer.reason, answer.code, answer.ref])
            os.write(self._fd, b"a %d %s\n" % (message_id, words))

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

    ``sure`` is ``False`` where the machine was restarted since, so that lines may be missing.
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
        for line in _lines(self._fd):
            kind, _, rest = line.partition(b" ")
            if kind == b"b":
                found.sure = rest.decode() == boot()
                continue
            number, _, words = rest.partition(b" ")
            if kind == b"h":
                found.open.add(int(number))
                found.answers.pop(int(number), None)
            else:
                found.open.discard(int(number))
                found.answers[int(number)] = TAKEN if kind == b"t" else Answer(*orjson.loads(words))
        return found

    def throw_away(self) -> None:
        """Its messages are in the database as they should be."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it for another try."""
        os.close(self._fd)


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
    if fcntl is not None:
        try:
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
