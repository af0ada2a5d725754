"""The local mail server of `flowserver up`: takes every mail and keeps it for the mailbox page."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from flowserver.config import Config
from flowserver.services.messages.mailbox import Mailbox

log = structlog.get_logger()

MOST_BYTES = 25 * 1024 * 1024  # of one mail


class Handler:
    """Keeps what arrives. Addresses whose name starts with ``bounce`` are refused, so that people can try that."""

    def __init__(self, mailbox: Mailbox):
        self.mailbox = mailbox

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address.lower().startswith("bounce"):
            return "550 5.1.1 No such mailbox here (names starting with bounce are refused)"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        number = self.mailbox.keep(envelope.mail_from or "", envelope.rcpt_tos, content)
        return f"250 2.0.0 Kept as {number}"

    async def handle_exception(self, error: Exception) -> str:
        log.error("mailbox.failed", exc_info=error)
        return "451 4.3.0 The mail could not be kept"


def serve(config: Config, listener: socket.socket) -> None:
    """Take mail on ``listener`` until SIGTERM."""
    mailbox = Mailbox(config.data)
    asyncio.run(_serve(mailbox, listener))
    mailbox.close()


async def _serve(mailbox: Mailbox, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    handler = Handler(mailbox)
    server = await loop.create_server(
        lambda: SMTP(
            handler, data_size_limit=MOST_BYTES, enable_SMTPUTF8=True, hostname="localhost", ident="flowserver mailbox"
        ),
        sock=listener,
    )
    log.info("mailbox.ready", port=listener.getsockname()[1])
    await stop.wait()
    server.close()
