"""The mails that the local mail server took: one .eml file each, with an index to search them."""

from __future__ import annotations

import email
import email.policy
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from flowserver import clock

MOST_MAILS = 50_000
MOST_BYTES = 1024 * 1024 * 1024  # of all mails together
_ROOM = 0.9  # when full, the oldest go until this share is left

_TABLES = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
    subject TEXT NOT NULL, size INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Mail:
    """One line of the mailbox. ``at`` is aware UTC, ``size`` is bytes."""

    id: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int


class Mailbox:
    """The mails below ``<data>/mail``. One process writes, any number read."""

    def __init__(self, data: Path):
        self.folder = data / "mail"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(self.folder / "index.db", timeout=10, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
        self._count, self._bytes = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM mail").fetchone()

    def keep(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        """Store one mail as it came. Returns its number."""
        headers = email.message_from_bytes(content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.default)
        cursor = self._db.execute(
            "INSERT INTO mail (at, sender, recipients, subject, size) VALUES (?, ?, ?, ?, ?)",
            (clock.now().timestamp(), sender, "\n".join(recipients), str(headers.get("Subject", "")), len(content)),
        )
        number = int(cursor.lastrowid or 0)
        self._file(number).write_bytes(content)
        self._count += 1
        self._bytes += len(content)
        if self._count > MOST_MAILS or self._bytes > MOST_BYTES:
            self._make_room()
        return number

    def _file(self, number: int) -> Path:
        folder = self.folder / f"{number // 1000:06d}"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / f"{number:09d}.eml"

    def _make_room(self) -> None:
        while self._count > MOST_MAILS * _ROOM or self._bytes > MOST_BYTES * _ROOM:
            rows = self._db.execute("SELECT id, size FROM mail ORDER BY id LIMIT 500").fetchall()
            if len(rows) < 2:
                return
            for number, size in rows[:-1]:
                self._file(number).unlink(missing_ok=True)
                self._count -= 1
                self._bytes -= size
            self._db.execute("DELETE FROM mail WHERE id <= ?", (rows[-2][0],))

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()
