"""The texts of the pretend phone: what was sent to it, what it answers, what it still has to report."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flask import current_app

from flowserver import clock
from flowserver.config import Config, local_ports
from flowserver.errors import Invalid, NotFound
from flowserver.text import N_

MOST_TEXTS = 50_000
LONGEST = 1600  # characters of one text
GIVE_UP = 60  # tries to report, about five hours

_TABLES = """
CREATE TABLE IF NOT EXISTS text (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, incoming INTEGER NOT NULL, number TEXT NOT NULL,
    line TEXT NOT NULL, body TEXT NOT NULL, ref TEXT NOT NULL, callback TEXT NOT NULL, status TEXT NOT NULL,
    report_at REAL, tries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS text_number ON text (number, id);
CREATE INDEX IF NOT EXISTS text_report ON text (report_at) WHERE report_at IS NOT NULL;
"""
_COLUMNS = "id, at, incoming, number, line, body, ref, callback, status, tries"


@dataclass(frozen=True)
class Sms:
    """One text. ``number``: the phone's; ``line``: the sender's name or number. ``status``: sent, delivered, failed; received."""

    id: int
    at: datetime
    incoming: bool
    number: str
    line: str
    body: str
    ref: str
    callback: str
    status: str
    tries: int


@dataclass(frozen=True)
class Conversation:
    """One handset: its number, its last text, how many there are."""

    number: str
    last: Sms
    count: int


class Handset:
    """All texts below ``<data>/phone``. Usable from several threads; other processes may read and answer."""

    def __init__(self, data: Path):
        folder = data / "phone"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "texts.db", timeout=10, isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")

    def take(self, number: str, line: str, body: str, ref: str, callback: str, report_after: float = 1.0) -> int:
        """Keep a text sent to ``number``; its fate is reported to ``callback`` in ``report_after`` seconds. Returns its id."""
        now = clock.now().timestamp()
        row = (now, 0, number, line, body, ref, callback, "sent", now + report_after if callback else None)
        return self._insert(row)

    def answer(self, number: str, line: str, body: str, callback: str) -> int:
        """Keep a text typed on the phone; it is passed on to ``callback`` at once."""
        now = clock.now().timestamp()
        return self._insert((now, 1, number, line, body, "", callback, "received", now))

    def _insert(self, row: tuple) -> int:
        with self._lock:
            number = self._db.execute(
                "INSERT INTO text (at, incoming, number, line, body, ref, callback, status, report_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            if number and number % 1000 == 0:
                self._db.execute("DELETE FROM text WHERE id <= ?", (number - MOST_TEXTS,))
        return int(number or 0)

    def to_report(self, limit: int = 100) -> list[Sms]:
        """The texts whose report is due now, longest waiting first."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM text WHERE report_at <= ? ORDER BY report_at LIMIT ?",
                (clock.now().timestamp(), limit),
            ).fetchall()
        return [_sms(row) for row in rows]

    def set_status(self, number: int, status: str) -> None:
        """Note whether the text reached the phone."""
        with self._lock:
            self._db.execute("UPDATE text SET status = ? WHERE id = ?", (status, number))

    def reported(self, number: int) -> None:
        """The report was taken: nothing is left to do for this text."""
        with self._lock:
            self._db.execute("UPDATE text SET report_at = NULL WHERE id = ?", (number,))

    def report_later(self, text: Sms) -> None:
        """The report was not taken: try again after 1, 2, 4 … 300 seconds; give up after ``GIVE_UP`` tries."""
        tries = text.tries + 1
        at = None if tries >= GIVE_UP else clock.now().timestamp() + min(300, 2 ** (tries - 1))
        with self._lock:
            self._db.execute("UPDATE text SET report_at = ?, tries = ? WHERE id = ?", (at, tries, text.id))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _sms(row: tuple) -> Sms:
    return Sms(row[0], datetime.fromtimestamp(row[1], UTC), bool(row[2]), *row[3:])


# --- the page's side -----------------------------------------------------------------------------------


def is_local(config: Config) -> bool:
    """Whether texts go to the pretend phone of this machine, whose texts we can show."""
    port = local_ports(config.data).get("phone")
    return bool(port) and config.phone_url == f"http://127.0.0.1:{port}"


def conversations(words: str = "", limit: int = 100) -> list[Conversation]:
    """The handsets with the newest texts first; ``words``: digits of the number."""
    digits = "".join(c for c in words if c.isdigit())
    columns = ", ".join(f"text.{name.strip()}" for name in _COLUMNS.split(","))
    rows = _rows(
        f"SELECT {columns}, n FROM text JOIN (SELECT max(id) AS last, count(*) AS n FROM text WHERE number LIKE ?"
        " GROUP BY number) ON text.id = last ORDER BY text.id DESC LIMIT ?",
        [f"%{digits}%", limit],
    )
    return [Conversation(row[3], _sms(row[:-1]), row[-1]) for row in rows]


def conversation(number: str, limit: int = 100) -> list[Sms]:
    """The last texts of one handset, oldest first. Raises :class:`NotFound` for a number nobody wrote to."""
    rows = _rows(f"SELECT {_COLUMNS} FROM text WHERE number = ? ORDER BY id DESC LIMIT ?", [number, limit])
    if not rows:
        raise NotFound(number)
    return [_sms(row) for row in reversed(rows)]


def lines(texts: Sequence[Sms]) -> list[str]:
    """The senders of a conversation, last one first: to whom one can answer."""
    return list(dict.fromkeys(text.line for text in reversed(texts) if text.callback))


def answer(number: str, line: str, body: str) -> None:
    """Type a text on the handset ``number`` to the sender ``line``. Raises :class:`Invalid` in words, :class:`NotFound`."""
    texts = conversation(number)
    body = body.strip()
    if not body:
        raise Invalid({"text": [N_("Enter a text, such as STOP")]})
    if len(body) > LONGEST:
        raise Invalid({"text": [N_("A text has 1,600 characters at most")]})
    known = next((text for text in reversed(texts) if text.line == line and text.callback), None)
    if known is None:
        raise Invalid({"line": [N_("Choose a sender that has written to this phone")]})
    with closing(Handset(_data())) as handset:
        handset.answer(number, line, body, known.callback)


def _data() -> Path:
    return Path(current_app.extensions["config"].data)


def _rows(query: str, values: Sequence[object]) -> list[tuple]:
    path = _data() / "phone" / "texts.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query, values).fetchall()
