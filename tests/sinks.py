"""Real servers on loopback for tests: an SMTP server that remembers, refuses, delays or hangs up."""

from __future__ import annotations

import email
import email.policy
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from email.message import EmailMessage


def free_port() -> int:
    """A port nobody listens on right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mail:
    """One accepted mail."""

    def __init__(self, sender: str, to: str, data: bytes):
        self.sender, self.to, self.data = sender, to, data

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.data, policy=email.policy.default)

    def part(self, kind: str) -> str:
        """The ``plain`` or ``html`` text."""
        return self.message.get_body((kind,)).get_content()

    @property
    def id(self) -> str:
        return re.search(rb"(?mi)^Message-ID: *(\S+)", self.data)[1].decode()


class SmtpSink:
    """A small SMTP server in threads. ``script(stage, words)`` may answer for it: a reply, ``"drop"``, or ``None``.

    Stages: ``connect``, ``ehlo``, ``mail``, ``rcpt``, ``data``, ``text`` (before the final dot is answered).
    """

    def __init__(
        self, script: Callable[[str, str], str | None] | None = None, *, pipelining: bool = True, delay: float = 0
    ):
        self.script = script or (lambda stage, words: None)
        self.pipelining, self.delay = pipelining, delay
        self.mails: list[Mail] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError, ValueError), line, line.makefile("rwb") as file:
            self._talk(file)

    def _say(self, file, words: str) -> bool:
        if words == "drop":
            return False
        file.write(words.encode() + b"\r\n")
        file.flush()
        return True

    def _talk(self, file) -> None:
        if not self._say(file, self.script("connect", "") or "220 sink"):
            return
        sender = to = ""
        refused = False
        while line := file.readline():
            words = line.decode().strip()
            verb = words[:4].upper()
            if verb == "EHLO":
                more = "250-PIPELINING\r\n" if self.pipelining else ""
                answer = self.script("ehlo", words) or f"250-sink\r\n{more}250 SMTPUTF8"
            elif verb == "MAIL":
                sender, to, refused = words[10:].split(">")[0].lstrip("<"), "", False
                answer = self.script("mail", words) or "250 ok"
                sender = sender if answer[:1] == "2" else ""
            elif verb == "RCPT":
                to = words[8:].split(">")[0].lstrip("<")
                answer = self.script("rcpt", to) or ("250 ok" if sender else "503 no sender")
                refused = answer[:1] != "2"
            elif verb == "DATA":
                answer = self.script("data", to) or ("503 no recipient" if refused else "354 go on")
                if answer.startswith("354"):
                    if not self._say(file, answer):
                        return
                    answer = self._text(file, sender, to)
            elif verb == "QUIT":
                self._say(file, "221 bye")
                return
            else:
                answer = "250 ok"
            if not self._say(file, answer):
                return

    def _text(self, file, sender: str, to: str) -> str:
        data = b""
        while (line := file.readline()) != b".\r\n":
            if not line:
                return "drop"
            data += line[1:] if line.startswith(b".") else line
        answer = self.script("text", to) or "250 taken"
        if self.delay:
            time.sleep(self.delay)
        if data and (answer.startswith("250") or answer == "drop"):
            with self.lock:
                self.mails.append(Mail(sender, to, data))
        return answer

    def hang_up(self) -> None:
        """Break all open lines, go on listening."""
        for line in self._open:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # or the thread goes on accepting
        self.server.close()
        self._thread.join()
        self.hang_up()

    def __enter__(self) -> SmtpSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
