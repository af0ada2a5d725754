"""A mail server that takes everything and remembers one line a message: ``python -m flowserver.bench.sink``.

Written for measuring: it does as little as a server can. ``--file`` appends each message's id before the 250 goes out,
so that what a killed sender handed over can be counted. ``--delay`` seconds pass before that 250.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket

_ID = re.compile(rb"(?mi)^Message-ID:\s*<([^>]+)>")


class Sink(asyncio.Protocol):
    """One SMTP session."""

    def __init__(self, file: int | None, delay: float, pipelining: bool):
        self.file, self.delay = file, delay
        self.greeting = b"250-sink\r\n250-8BITMIME\r\n" + (b"250 PIPELINING\r\n" if pipelining else b"250 SIZE\r\n")
        self.buffer = b""
        self.in_data = False
        self.replies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._take():
            pass
        if self.replies:
            self.transport.write(b"".join(self.replies))  # one answer for commands that came together
            self.replies.clear()

    def _take(self) -> bool:
        """Consume one line, or one message's data; whether there was a whole one."""
        mark = b"\r\n.\r\n" if self.in_data else b"\r\n"
        at = self.buffer.find(mark)
        if at < 0:
            return False
        piece, self.buffer = self.buffer[:at], self.buffer[at + len(mark) :]
        if self.in_data:
            self._message(piece)
        else:
            self._line(piece[:4].upper())
        return True

    def _line(self, word: bytes) -> None:
        if word == b"DATA":
            self.in_data = True
            self.replies.append(b"354 go\r\n")
        elif word == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.replies.append(self.greeting if word == b"EHLO" else b"250 ok\r\n")

    def _message(self, raw: bytes) -> None:
        self.in_data = False
        if self.file is not None:
            found = _ID.search(raw[:4000])
            os.write(self.file, (found[1] if found else b"?") + b"\n")
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._accept)
        else:
            self._accept()

    def _accept(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"250 ok\r\n")


async def serve(listener: socket.socket, file: str, delay: float, pipelining: bool) -> None:
    """Serve on a bound socket until cancelled."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if file else None
    server = await asyncio.get_running_loop().create_server(lambda: Sink(handle, delay, pipelining), sock=listener)
    await server.serve_forever()


def main() -> None:
    """Bind a free port on loopback, print it, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", default="")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--plain", action="store_true", help="do not offer PIPELINING")
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    asyncio.run(serve(listener, given.file, given.delay, not given.plain))


if __name__ == "__main__":
    main()
