"""Mails: a full outbox handed over by the real deliver job, against raw smtplib with the message already built.

Both sides use the same mail server in a process of its own, the same number of connections, and the same bytes.
"""

from __future__ import annotations

import smtplib
import threading
import time
from itertools import count

import sqlalchemy as sa

from flowserver import clock
from flowserver.bench import ground as places
from flowserver.bench import world
from flowserver.bench.figures import Row, in_turn, rates
from flowserver.bench.ground import Ground
from flowserver.domain import mail
from flowserver.extensions import db
from flowserver.models import Connection, Message
from flowserver.services.engine import engine
from flowserver.services.messages import connections, deliveries

GOAL = 0.85


def rows(ground: Ground, quick: bool) -> list[Row]:
    """A mail server that answers at once over 4 connections, and one that takes 20 ms over 32."""
    many, times = (1500, 3) if quick else (8000, 5)
    found = [_measure(ground, "mails, server answers at once, 4 lines", 4, (), many, times)]
    slow = many if quick else many // 2
    found.append(_measure(ground, "mails, server takes 20 ms, 32 lines", 32, ("--delay", "0.02"), slow, times))
    return found


def _measure(ground: Ground, name: str, lines: int, options: tuple[str, ...], many: int, times: int) -> Row:
    with (
        places.sink(*options) as port,
        ground.app(mail_server="127.0.0.1", mail_port=port, mail_connections=lines),
    ):
        try:
            found = in_turn(lambda: product(many), lambda: raw(many, lines, port), times)
        finally:
            deliveries.hang_up()
    return Row(name, found.ratio, GOAL, baseline=found.theirs, note=rates({"mails": found.ours}))


def product(many: int) -> float:
    """Mails a second: claimed, checked, built, noted in the journal, handed over, marked."""
    connection_id = outbox(many)
    deliveries.hang_up()  # both sides dial first
    began = time.perf_counter()
    sent = deliveries.deliver(connection_id, "bench", seconds=120)
    took = time.perf_counter() - began
    accepted = db.session.scalar(sa.select(sa.func.count()).where(Message.__table__.c.state == "accepted"))
    db.session.commit()
    assert sent == many == accepted, (sent, accepted, many)
    return many / took


def outbox(many: int) -> int:
    """Plan that many messages by the real engine; the id of their connection."""
    world.enroll(many, world.flow([{"key": "hello", **world.MAIL}]))
    while engine.batch():
        pass
    world.settle()
    k = Connection.__table__.c
    found: int = db.session.execute(sa.select(k.id).where(k.channel == "email")).scalar_one()
    db.session.commit()
    return found


def raw(many: int, lines: int, port: int) -> float:
    """Mails a second of smtplib: as many threads as lines, one message built beforehand."""
    data = _built()
    numbers = count()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as line:
                while (n := next(numbers)) < many:
                    line.sendmail("bench@example.test", f"c{n}@example.test", data)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send) for _ in range(lines)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    assert not failures, failures[0]
    return many / took


def _built() -> bytes:
    """A mail as the product builds it."""
    brand = mail.Brand("Bench", "bench@example.test", "Bench", base_url="http://127.0.0.1:8000")
    template = mail.compile_mail({"key": "hello", **world.MAIL}, brand, connections.signer())
    contact = {"first_name": "Ada7", "last_name": "Lovelace", "plan": "pro", "city": "London"}
    return template.build(mail.Letter(7, "7:hello:1", "c7@example.test", 0, 7, contact), clock.now())
