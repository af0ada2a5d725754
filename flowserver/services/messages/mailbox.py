"""The mails that the local mail server took: one .eml file each, with an index to search them."""

from __future__ import annotations

import base64
import email
import email.policy
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from flask import current_app

from flowserver import clock
from flowserver.errors import NotFound

MOST_MAILS = 50_000
MOST_BYTES = 1024 * 1024 * 1024  # of all mails together
_ROOM = 0.9  # when full, the oldest go until this share is left

_TABLES = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
    subject TEXT NOT NULL, size INTEGER NOT NULL);
"""


# --- keeping (the mail server's side) ------------------------------------------------------------------


class Mailbox:
    """The mails below ``<data>/mail``. One process writes, any number read. When full, the oldest mails go."""

    def __init__(self, data: Path, most_mails: int = MOST_MAILS, most_bytes: int = MOST_BYTES):
        self.folder = data / "mail"
        self.most_mails, self.most_bytes = most_mails, most_bytes
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(self.folder / "index.db", timeout=10, isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
        self._count, self._bytes = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM mail").fetchone()

    def keep(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        """Store one mail as it came (``content``: the bytes of RFC 5322). Returns its number."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            number = self._index(sender, recipients, content)
            path = _file(self.folder, number)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            path.write_bytes(content)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        self._count += 1
        self._bytes += len(content)
        if self._count > self.most_mails or self._bytes > self.most_bytes:
            self._make_room()
        return number

    def _index(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        row = (clock.now().timestamp(), sender, "\n".join(recipients), _subject(content), len(content))
        return int(
            self._db.execute(
                "INSERT INTO mail (at, sender, recipients, subject, size) VALUES (?, ?, ?, ?, ?)", row
            ).lastrowid
            or 0
        )

    def _make_room(self) -> None:
        while self._count > 1 and (self._count > self.most_mails * _ROOM or self._bytes > self.most_bytes * _ROOM):
            rows = self._db.execute(
                "SELECT id, size FROM mail ORDER BY id LIMIT ?", (min(100, self._count - 1),)
            ).fetchall()
            self._db.execute("DELETE FROM mail WHERE id <= ?", (rows[-1][0],))
            for number, size in rows:
                _file(self.folder, number).unlink(missing_ok=True)
                self._count -= 1
                self._bytes -= size

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number // 1000:06d}" / f"{number:09d}.eml"


def _subject(content: bytes) -> str:
    """The subject in words; the raw header where it cannot be read."""
    head = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]
    message = email.message_from_bytes(head + b"\r\n\r\n", policy=email.policy.default)
    try:
        return str(message.get("Subject", ""))[:300]
    except Exception:  # the library stumbles over some malformed headers
        return ""


# --- reading (the page's side) ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of the mailbox. ``at`` is aware UTC, ``size`` is bytes."""

    id: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int


@dataclass(frozen=True)
class Mail:
    """One mail taken apart. ``html`` is ready for a sandboxed frame, ``unsubscribe`` the address a mail program would post to."""

    line: Line
    shown_from: str
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    files: tuple[str, ...]
    unsubscribe: str
    source: str


def search(words: str = "", before: int | None = None, limit: int = 50) -> list[Line]:
    """The newest mails first, those before the number ``before``; ``words`` is part of a recipient or the subject."""
    query = "SELECT id, at, sender, recipients, subject, size FROM mail WHERE id < ?"
    values: list[object] = [before or 2**62]
    for word in words.split():
        query += " AND (recipients LIKE ? ESCAPE '\\' OR subject LIKE ? ESCAPE '\\')"
        values += [f"%{_literal(word)}%"] * 2
    return [_line(row) for row in _rows(f"{query} ORDER BY id DESC LIMIT ?", [*values, limit])]


def get(number: int) -> Mail:
    """One mail, taken apart. Raises :class:`NotFound`."""
    rows = _rows("SELECT id, at, sender, recipients, subject, size FROM mail WHERE id = ?", [number])
    try:
        content = _file(_folder(), number).read_bytes()
    except OSError:
        content = b""
    if not rows or not content:
        raise NotFound(f"mail {number}")
    message = email.message_from_bytes(content, policy=email.policy.default)
    return Mail(
        line=_line(rows[0]),
        shown_from=_header(message, "From"),
        headers=tuple((name, _header_text(value)) for name, value in message.raw_items()),
        text=_part(message, "plain"),
        html=_framed(_part(message, "html"), message),
        files=tuple(part.get_filename() or "" for part in message.walk() if part.get_filename()),
        unsubscribe=_one_click(message),
        source=content.decode("utf-8", "replace"),
    )


def _folder() -> Path:
    return Path(current_app.extensions["config"].data) / "mail"


def _rows(query: str, values: Sequence[object]) -> list[tuple]:
    path = _folder() / "index.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def _literal(word: str) -> str:
    """A word as LIKE must read it: its own ``%`` and ``_`` mean themselves."""
    return re.sub(r"([\\%_])", r"\\\1", word)


def _line(row: tuple) -> Line:
    number, at, sender, recipients, subject, size = row
    return Line(number, datetime.fromtimestamp(at, UTC), sender, tuple(recipients.split("\n")), subject, size)


def _header(message: EmailMessage, name: str) -> str:
    value = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return _header_text(value)


def _header_text(value: object) -> str:
    """A raw header line unfolded and decoded; as it is where that fails."""
    from email.header import decode_header, make_header

    raw = re.sub(r"\r?\n[ \t]+", " ", str(value))
    try:
        return str(make_header(decode_header(raw)))
    except (ValueError, LookupError, UnicodeError):
        return raw


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError, KeyError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _framed(html: str, message: EmailMessage) -> str:
    """The HTML part for a frame: links open in a new tab, enclosed pictures stand inside it."""
    if not html:
        return ""
    for part in message.walk():
        cid = (part.get("Content-ID") or "").strip("<> ")
        if cid and part.get_content_maintype() == "image":
            data = base64.b64encode(part.get_payload(decode=True) or b"").decode()  # type: ignore[arg-type]
            html = html.replace(f"cid:{cid}", f"data:{part.get_content_type()};base64,{data}")
    base = '<base target="_blank">'
    changed, count = re.subn(r"(?i)(<head[^>]*>)", lambda found: found[1] + base, html, count=1)
    return changed if count else base + html


def _one_click(message: EmailMessage) -> str:
    """The web address of List-Unsubscribe where the mail offers one click (RFC 8058), else empty."""
    if "one-click" not in _header(message, "List-Unsubscribe-Post").lower():
        return ""
    found = re.search(r"<(https?://[^>\s]+)>", _header(message, "List-Unsubscribe"))
    return found[1] if found else ""
