"""Events posted over HTTP, against a bare Flask view that commits one INSERT under the same server.

Both sides are processes of their own behind waitress with sixteen threads, driven by sixteen kept connections. The
product checks the key, reads and validates the event, finds its contact, asks which flows listen, and commits; the bare
view parses JSON and inserts the row into the same table. The limit on requests is off: nobody may post that fast.

``python -m flowserver.bench.ingest product`` (or ``bare``) serves one side and prints its port.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import orjson

from flowserver import clock
from flowserver.bench import ground as places
from flowserver.bench import world
from flowserver.bench.figures import Row, in_turn
from flowserver.bench.ground import Ground
from flowserver.config import Config, read
from flowserver.extensions import db
from flowserver.models import Agency
from flowserver.services.accounts import api_keys

LINES = 16  # connections at once
PEOPLE = 2000
MANY = 100  # events in one request
GOAL, GOAL_MANY = 0.7, 25.0
_numbers = count(1)


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Single posts against the bare view; events a second in requests of a hundred against single posts."""
    seconds, times = (1.5, 3) if quick else (4.0, 7)
    with ground.app():
        world.clear()
        workspace = world.client()
        db.session.add(Agency(name="Bench"))  # so that the installation is set up
        world.people(workspace.id, PEOPLE)
        world.settle()
        key = api_keys.make(workspace.id, "bench")[1]
    with _server(ground, "product") as product, _server(ground, "bare") as bare:
        one, raw, many = (_Load(product, _one, key), _Load(bare, _one, key), _Load(product, _many, key))
        for load in (one, raw, many):
            load.run(0.5)
        single = in_turn(lambda: one.run(seconds), lambda: raw.run(seconds), times)
        bulk = in_turn(lambda: MANY * many.run(seconds), lambda: one.run(seconds), times)
    return [
        Row("one event posted", single.ratio, GOAL, baseline=single.theirs, note=f"{single.ours:,.0f} events/s"),
        Row(
            f"{MANY} events in one request",
            bulk.ratio,
            GOAL_MANY,
            baseline=bulk.theirs,
            note=f"{bulk.ours:,.0f} events/s",
        ),
    ]


# --- the events --------------------------------------------------------------------------------------------


def _event(n: int) -> dict[str, Any]:
    return {
        "type": "page_viewed",
        "contact": {"email": f"c{n % PEOPLE + 1}@example.test"},
        "id": f"event-{n}",
        "occurred_at": clock.now().isoformat(),
        "properties": {"url": "https://example.test/pricing", "ref": "mail", "n": 3},
    }


def _one() -> bytes:
    return orjson.dumps(_event(next(_numbers)))


def _many() -> bytes:
    return orjson.dumps({"events": [_event(next(_numbers)) for _ in range(MANY)]})


# --- the load ----------------------------------------------------------------------------------------------


class _Load:
    """Sixteen connections kept busy by one thread; answers must say 200 and that everything was accepted."""

    def __init__(self, port: int, body: Callable[[], bytes], key: str):
        self.address, self.body = ("127.0.0.1", port), body
        self.head = f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n".encode()

    def run(self, seconds: float) -> float:
        """Requests a second."""
        ready = [self._request() for _ in range(64)]  # built beforehand as far as they are needed at once
        with selectors.DefaultSelector() as selector:
            lines = [socket.create_connection(self.address) for _ in range(LINES)]
            try:
                for line in lines:
                    selector.register(line, selectors.EVENT_READ)
                    line.sendall(ready.pop())
                return self._drive(selector, seconds, ready)
            finally:
                for line in lines:
                    line.close()

    def _drive(self, selector: selectors.BaseSelector, seconds: float, ready: list[bytes]) -> float:
        began, done, open_ = time.perf_counter(), 0, LINES
        while open_:
            for key, _ in selector.select(10):
                line: Any = key.fileobj
                _check(_answer(line))
                done += 1
                if time.perf_counter() - began < seconds:
                    line.sendall(ready.pop() if ready else self._request())
                else:
                    selector.unregister(line)
                    open_ -= 1
        return done / (time.perf_counter() - began)

    def _request(self) -> bytes:
        body = self.body()
        return self.head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _answer(line: socket.socket) -> bytes:
    """A whole answer."""
    found = line.recv(65536)
    while b"\r\n\r\n" not in found:
        found += line.recv(65536)
    head, _, body = found.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
    while missing > 0:
        more = line.recv(65536)
        found, missing = found + more, missing - len(more)
    return found


def _check(answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200") or b'"refused":0' not in answer:
        raise RuntimeError(answer[-500:].decode(errors="replace"))


# --- the servers -------------------------------------------------------------------------------------------


@contextmanager
def _server(ground: Ground, side: str) -> Iterator[int]:
    log = ground.folder / f"{side}.log"
    with places.process(["-m", "flowserver.bench.ingest", side], ground.environment(), log) as child:
        yield int(child.stdout.readline())


def main() -> None:
    """Serve one side until told to stop."""
    from flowserver import create_app
    from flowserver.runtime import logging, web

    config = replace(read(extra={"queue": places.Silent()}), rate_limits=False)
    logging.set_up(config.log_level)
    app = create_app(config) if sys.argv[1] == "product" else _bare(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    web.serve(app, listener)


def _bare(config: Config) -> Any:
    """Flask, a JSON parser, the driver, one INSERT, one commit."""
    from flask import Flask, request

    app = Flask("bare")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    local = threading.local()
    insert = (_lite if config.database_url.startswith("sqlite") else _postgres)(config.database_url)

    @app.post("/api/v1/events")
    def take() -> Any:
        event = orjson.loads(request.get_data())
        if not hasattr(local, "insert"):
            local.insert = insert()
        contact = int(event["contact"]["email"].partition("@")[0][1:])
        local.insert(contact, event["type"], event["id"], orjson.dumps(event["properties"]).decode())
        return {"refused": 0}

    return app


_INSERT = (
    "INSERT INTO event (workspace_id, contact_id, type, subject, key, at, data, chain, matched)"
    " VALUES (1, {0}, {0}, '', {0}, {0}, {0}, 0, {1})"
)


def _lite(url: str) -> Callable[[], Callable[..., None]]:
    import sqlite3

    def connect() -> Callable[..., None]:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")
        statement = _INSERT.format("?", 1)

        def insert(contact: int, type_: str, key: str, data: str) -> None:
            at = f"{clock.now():%Y-%m-%d %H:%M:%S.%f}"
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, (contact, type_, key, at, data))
            connection.execute("COMMIT")

        return insert

    return connect


def _postgres(url: str) -> Callable[[], Callable[..., None]]:
    import psycopg

    def connect() -> Callable[..., None]:
        connection = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
        statement = _INSERT.format("%s", "true")

        def insert(contact: int, type_: str, key: str, data: str) -> None:
            connection.execute(statement, (contact, type_, key, clock.now(), data), prepare=True)
            connection.commit()

        return insert

    return connect


if __name__ == "__main__":
    main()
