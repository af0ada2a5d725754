"""Any mail server, over SMTP: sessions stay open across messages, certificates are checked, commands are pipelined.

The line to the server is smtplib's (greeting, STARTTLS, log-in); the transaction is our own, because only then is it
known whether a message was surely not taken, or may have been, when the line breaks.
"""

from __future__ import annotations

import re
import select
import smtplib
import socket
import ssl
import struct
import sys
import time
from dataclasses import dataclass

import marshmallow as ma
from marshmallow import fields, validate

from flowserver.errors import ProviderAuthFailed, ProviderUnavailable
from flowserver.providers import base
from flowserver.providers.base import BOUNCED, FAILED, RETRY, TAKEN, UNKNOWN, UNSENT, Answer, Email, EmailProvider
from flowserver.providers.http import resolve
from flowserver.text import N_

IDLE = 20.0  # seconds after which a kept line is asked whether it still stands
_NO_SUCH = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"}  # RFC 3463: the address, not the message
_POLICY = re.compile(
    r"spam|block|polic|relay|denied|blacklist|blocklist|reputation|authenticat|dmarc|spf|dkim|rate|quota|full|size",
    re.I,
)
_MORE = getattr(socket, "MSG_MORE", 0)  # Linux: the text's last packet waits for the final dot, which follows at once
_DOTTED = re.compile(rb"\n\.")
_LONGEST_LINE = 8192
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to hand mails over, and how."""

    host: str
    port: int
    security: str = "none"  # none, starttls, ssl
    username: str = ""
    password: str = ""
    timeout: float = 30.0
    name: str | None = None  # what we call ourselves in EHLO
    allowed: frozenset[str] | None = None  # private hosts a client's own server may be; None: the operator chose it


class Smtp(EmailProvider):
    name = "smtp"
    title = N_("Mail server (SMTP)")

    class Settings(base.Settings):
        host = fields.String(load_default="", validate=validate.Length(max=253))
        port = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 65535))
        security = fields.String(
            load_default="starttls",
            validate=validate.OneOf(["none", "starttls", "ssl"], error=N_("Choose none, starttls or ssl")),
        )
        username = fields.String(load_default="", validate=validate.Length(max=254))
        password = fields.String(load_default="", metadata={"secret": True}, validate=validate.Length(max=1000))
        domain_per_minute = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 1_000_000))

        @ma.validates_schema
        def _no_password_in_the_clear(self, data: dict, **_: object) -> None:
            if data.get("host") and data.get("security") == "none" and data.get("password"):
                raise ma.ValidationError(N_("A password needs an encrypted line: choose STARTTLS or SSL"), "security")

    @property
    def lines(self) -> int:
        return self.config.mail_connections

    def server(self) -> Server:
        """The connection's own server, else the one of the whole installation, else the local one of ``up``.

        Raises :class:`ProviderUnavailable` when there is none.
        """
        own, config = self.settings, self.config
        if own.get("host"):
            security = str(own.get("security") or "starttls")
            port = own.get("port") or {"ssl": 465, "starttls": 587}.get(security, 25)
            login = (str(own.get("username") or ""), str(own.get("password") or ""))
            listed = frozenset(config.private_hosts)
            return Server(str(own["host"]), int(port), security, *login, timeout=config.mail_timeout, allowed=listed)
        if config.mail_server:
            security = "ssl" if config.mail_use_ssl else "starttls" if config.mail_use_tls else "none"
            login = (config.mail_username, config.mail_password)
            return Server(config.mail_server, config.mail_port, security, *login, timeout=config.mail_timeout)
        if config.mailbox_port:
            return Server("127.0.0.1", config.mailbox_port, timeout=config.mail_timeout, name="localhost")
        raise ProviderUnavailable(N_("No mail server is set up yet"))

    def session(self) -> base.Session:
        return SmtpSession(self.server)

    def check(self) -> None:
        """Connect, say hello, log in, hang up."""
        connect(self.server()).close()


def connect(server: Server) -> smtplib.SMTP:
    """An open line, encrypted and logged in as wanted. Raises ``ProviderUnavailable`` or ``ProviderAuthFailed``."""
    try:
        smtp = _dial(server)
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderUnavailable(_why(error), code=str(getattr(error, "smtp_code", ""))) from error
    try:
        assert smtp.sock is not None
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the final dot waits for no acknowledgement
        smtp.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
        if server.username:
            smtp.login(server.username, server.password)
        return smtp
    except smtplib.SMTPAuthenticationError as error:
        smtp.close()
        if 400 <= error.smtp_code < 500:
            raise ProviderUnavailable(_why(error), code=str(error.smtp_code)) from error
        raise ProviderAuthFailed(_why(error), code=str(error.smtp_code)) from error
    except (OSError, smtplib.SMTPException) as error:
        smtp.close()
        raise ProviderUnavailable(_why(error), code=str(getattr(error, "smtp_code", ""))) from error


def _dial(server: Server) -> smtplib.SMTP:
    if server.allowed is not None:
        resolve(server.host, server.port, server.allowed)  # a client's settings must not reach into our own network
    if server.security == "ssl":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, server.name, timeout=server.timeout, context=context)
    return smtplib.SMTP(server.host, server.port, server.name, timeout=server.timeout)


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, BlockingIOError):
        return "timed out"
    return str(error)[:200] or type(error).__name__


class _Replies:
    """Reads the server's replies as ``smtplib`` does, in half the time; what came too early is kept for the next one."""

    def __init__(self, sock: socket.socket):
        self._sock, self._rest = sock, b""

    def next(self, patience: int = 1) -> tuple[int, bytes]:
        """The next reply, waited for ``patience`` time-outs long. Raises ``OSError`` or ``SMTPException``."""
        words: list[bytes] = []
        while True:
            line = self._line(patience)
            words.append(line[4:].strip())
            if line[3:4] != b"-":
                code = int(line[:3]) if line[:3].isdigit() else -1
                return code, words[0] if len(words) == 1 else b"\n".join(words)

    def _line(self, patience: int) -> bytes:
        while b"\n" not in self._rest:
            if len(self._rest) > _LONGEST_LINE:
                raise smtplib.SMTPResponseException(500, "Line too long.")
            self._rest += self._more(patience)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _more(self, patience: int) -> bytes:
        for _ in range(patience):
            try:
                found = self._sock.recv(_LONGEST_LINE)
            except (BlockingIOError, TimeoutError):
                continue
            if not found:
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
            return found
        raise TimeoutError("timed out")


def _wait_in_the_kernel(sock: socket.socket, timeout: float) -> None:
    """Let the kernel watch the time of a plain socket: Python would ask before every read and write whether it may."""
    if isinstance(sock, ssl.SSLSocket) or sys.platform == "win32":
        return
    span = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
    sock.settimeout(None)


def _words(text: bytes | str) -> str:
    return (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).replace("\n", " ")[:200]


class _Lost(Exception):
    """The line broke before the message was complete: surely not taken."""


class SmtpSession(base.Session):
    """One kept line. ``send`` opens it when needed and opens it again when it broke."""

    def __init__(self, server: object):
        self._server = server  # a function: settings are read when the line is opened
        self._smtp: smtplib.SMTP | None = None
        self._replies: _Replies | None = None
        self._used = 0.0
        self._pipelining = False
        self._utf8 = False

    def send(self, message: Email) -> Answer:
        for attempt in (1, 2):
            fresh = self._smtp is None or not self._stands()
            if fresh:
                try:
                    self._open()
                except ProviderAuthFailed:
                    raise
                except ProviderUnavailable as error:
                    return Answer(UNSENT, str(error), error.code)
            try:
                return self._transact(message)
            except _Lost as error:
                self.close()
                if attempt == 2 and fresh:  # a fresh line broke twice: it is this message, or this server right now
                    return Answer(RETRY, str(error) or "the line broke")
        return Answer(RETRY, "the line broke")

    def close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                if smtp.sock is not None:
                    smtp.sock.settimeout(1)
                    smtp.sock.sendall(b"QUIT\r\n")
            except OSError:
                pass
            smtp.close()

    # --- the line ------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.close()
        server = self._server()  # type: ignore[operator]
        self._smtp = connect(server)
        assert self._smtp.sock is not None
        _wait_in_the_kernel(self._smtp.sock, server.timeout)
        self._replies = _Replies(self._smtp.sock)
        self._pipelining = self._smtp.has_extn("pipelining")
        self._utf8 = self._smtp.has_extn("smtputf8")
        self._used = time.monotonic()

    def _stands(self) -> bool:
        """Whether the kept line may be used; asks the server when it lay idle."""
        if time.monotonic() - self._used < IDLE:
            return True
        try:
            return self._command(b"NOOP")[0] == 250
        except _Lost:
            return False

    def _write(self, data: bytes, flags: int = 0) -> None:
        assert self._smtp is not None and self._smtp.sock is not None
        sock = self._smtp.sock
        try:
            sock.sendall(data, 0 if isinstance(sock, ssl.SSLSocket) else flags)
        except OSError as error:
            raise _Lost(_why(error)) from error

    def _reply(self) -> tuple[int, str]:
        assert self._replies is not None
        try:
            code, text = self._replies.next()
        except (OSError, smtplib.SMTPException) as error:
            raise _Lost(_why(error)) from error
        if code == 421:  # the server is about to hang up
            raise _Lost(f"421 {_words(text)}")
        return code, _words(text)

    def _command(self, line: bytes) -> tuple[int, str]:
        self._write(line + b"\r\n")
        return self._reply()

    # --- one message ---------------------------------------------------------------------------------------

    def _transact(self, message: Email) -> Answer:
        """MAIL, RCPT, DATA and the text. Raises :class:`_Lost` while the message is surely not taken."""
        self._used = time.monotonic()
        envelope = self._envelope(message)
        if isinstance(envelope, Answer):
            return envelope
        refusal = self._announce(*envelope)
        if refusal is not None:
            self._command(b"RSET")
            return refusal
        self._write(_stuffed(message.data), _MORE)
        self._still_listening()
        return self._finish()

    def _envelope(self, message: Email) -> tuple[bytes, bytes] | Answer:
        option = b""
        try:
            sender, to = _ascii_domain(message.sender), _ascii_domain(message.to)
            if not (sender + to).isascii():
                if not self._utf8:
                    return Answer(FAILED, "the mail server does not take addresses with letters beyond a to z")
                option = b" SMTPUTF8"
        except UnicodeError:
            return Answer(BOUNCED, "the address has no valid domain")
        return b"MAIL FROM:<" + sender.encode() + b">" + option, b"RCPT TO:<" + to.encode() + b">"

    def _announce(self, mail: bytes, rcpt: bytes) -> Answer | None:
        """MAIL, RCPT and DATA, in one write where the server allows it. ``None``: the text may follow."""
        if self._pipelining:
            self._write(mail + b"\r\n" + rcpt + b"\r\nDATA\r\n")
            answers = [self._reply(), self._reply(), self._reply()]
            refusal = judge(*answers[0], "mail") or judge(*answers[1], "rcpt")
            if answers[2][0] == 354:
                if refusal is None:
                    return None
                self._command(b".")  # it waits for a text though nobody is to get it
                return refusal
            return refusal or judge(*answers[2], "data") or Answer(FAILED, answers[2][1])
        for line, stage in ((mail, "mail"), (rcpt, "rcpt")):
            refusal = judge(*self._command(line), stage)
            if refusal is not None:
                return refusal
        code, words = self._command(b"DATA")
        return None if code == 354 else judge(code, words, "data") or Answer(FAILED, words)

    def _still_listening(self) -> None:
        """A server that speaks or hangs up before the final dot has not taken the message."""
        assert self._smtp is not None
        sock = self._smtp.sock
        if isinstance(sock, ssl.SSLSocket):
            return  # the encrypted line may carry news of its own (session tickets)
        if sock is not None and select.select([sock], [], [], 0)[0]:
            code, words = self._reply()
            raise _Lost(f"{code} {words}")

    def _finish(self) -> Answer:
        """The final dot. From here on silence means: it may have been taken."""
        assert self._smtp is not None and self._smtp.sock is not None and self._replies is not None
        try:
            self._smtp.sock.sendall(b".\r\n")
            code, text = self._replies.next(patience=4)  # servers scan the text before they answer
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Answer(UNKNOWN, _why(error))
        words = _words(text)
        if code == 421:
            self.close()
            return Answer(RETRY, f"421 {words}", "421")
        return TAKEN if 200 <= code < 300 else judge(code, words, "text") or Answer(UNKNOWN, words)


def _stuffed(data: bytes) -> bytes:
    """A text as it travels: it ends with a line break, and dots that begin a line are doubled."""
    if _DOTTED.search(data):  # twice as fast as ``in``
        data = data.replace(b"\n.", b"\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"


def judge(code: int, words: str, stage: str) -> Answer | None:
    """What a reply to ``mail``, ``rcpt``, ``data`` or the ``text`` means; ``None``: go on.

    Raises :class:`ProviderAuthFailed` when the server wants credentials it did not get.
    """
    if 200 <= code < 300:
        return None
    found = _ENHANCED.match(words)
    enhanced = found[1] if found else ""
    reason = f"{code} {words}".strip()
    if code in (530, 535) or (enhanced in ("5.7.0", "5.7.8") and stage == "mail"):
        raise ProviderAuthFailed(reason, str(code))
    if 400 <= code < 500:
        return Answer(RETRY, reason, enhanced or str(code))
    if code < 500:  # 1xx and 3xx have no place here
        return Answer(RETRY, reason, str(code))
    gone = enhanced in _NO_SUCH if enhanced else code in (550, 551, 553) and not _POLICY.search(words)
    if gone and stage in ("rcpt", "text"):
        return Answer(BOUNCED, reason, enhanced or str(code))
    return Answer(FAILED, reason, enhanced or str(code))
