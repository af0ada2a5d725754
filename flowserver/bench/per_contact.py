"""The usual way, as the whole job's baseline: one RQ job for each contact and step, each committed on its own.

``python -m flowserver.bench.per_contact`` works such jobs off. Settings come from the environment: ``DATABASE_URL``,
``REDIS_URL``, ``MAIL_PORT``.
"""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage
from functools import cache
from typing import Any

import orjson
import redis
import rq
import sqlalchemy as sa

NAME = "per-contact"
_SET = {
    "postgresql": """UPDATE contact SET fields = fields || '{"stage": "trial"}' WHERE id = :id""",
    "sqlite": "UPDATE contact SET fields = json_set(fields, '$.stage', 'trial') WHERE id = :id",
}


@cache
def _engine() -> sa.Engine:
    engine = sa.create_engine(os.environ["DATABASE_URL"])
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _connect(connection: Any, _record: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
                connection.execute(f"PRAGMA {pragma}")

    return engine


@cache
def queue() -> rq.Queue:
    """The queue of these jobs."""
    return rq.Queue(NAME, connection=redis.Redis.from_url(os.environ["REDIS_URL"]), serializer="json")


@cache
def _line() -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", int(os.environ["MAIL_PORT"]))


def set_field(contact_id: int) -> None:
    """First step. The wait that follows is left out, to the baseline's advantage."""
    with _engine().begin() as connection:
        connection.execute(sa.text(_SET[connection.dialect.name]), {"id": contact_id})
    queue().enqueue(branch, contact_id, result_ttl=0)


def branch(contact_id: int) -> None:
    """Second step: read the plan, go one of two ways."""
    with _engine().begin() as connection:
        fields = connection.execute(
            sa.text("SELECT fields FROM contact WHERE id = :id"), {"id": contact_id}
        ).scalar_one()
    values = orjson.loads(fields) if isinstance(fields, str) else fields
    queue().enqueue(send, contact_id, values["plan"], result_ttl=0)


def send(contact_id: int, plan: str) -> None:
    """Third step: build the mail, send it over a kept line, note it."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "bench@example.test", f"c{contact_id}@example.test", "Hello"
    letter["Message-ID"] = f"<{contact_id}.{plan}@example.test>"
    letter.set_content(f"Hello Ada{contact_id}, you are on the {plan} plan.\n" * 20)
    letter.add_alternative(f"<p>Hello Ada{contact_id}, you are on the {plan} plan.</p>\n" * 60, subtype="html")
    _line().send_message(letter)
    with _engine().begin() as connection:
        connection.execute(sa.text("INSERT INTO bench_sent (contact_id) VALUES (:id)"), {"id": contact_id})


def main() -> None:
    """Work until told to stop."""
    from flowserver.bench import per_contact  # jobs are looked up by this name, not by __main__

    rq.SimpleWorker([per_contact.queue()], connection=per_contact.queue().connection, serializer="json").work(
        logging_level="WARNING"
    )


if __name__ == "__main__":
    main()
