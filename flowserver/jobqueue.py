"""The package's only contact with RQ: ringing the bell. The database is the truth; a lost ring costs seconds.

Job names are the functions of ``flowserver/jobs``; ids are all that travels.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import redis
import rq
import structlog
from flask import Flask, current_app
from rq.exceptions import DuplicateJobError
from sqlalchemy import event, orm

from flowserver.errors import Unavailable
from flowserver.text import N_

log = structlog.get_logger()

QUEUES = ("events", "advance", "deliver", "bulk")
_QUEUE_OF = {"match": "events", "advance": "advance", "deliver": "deliver"}  # everything else is bulk


class Queue(Protocol):
    """Something that can be told "look now"."""

    def ring(self, job: str, *ids: int) -> bool: ...  # whether the bell was heard


class RedisQueue:
    """Rings through RQ. A ring for the same work within one second is the same ring."""

    def __init__(self, connection: redis.Redis):
        self.connection = connection
        self.silent = False  # one line in the log when rings begin to be lost, not one for each

    def ring(self, job: str, *ids: int) -> bool:
        """Ring; ``False``, and a line in the log, when Redis cannot be reached."""
        queue = rq.Queue(_QUEUE_OF.get(job, "bulk"), connection=self.connection, serializer="json")
        name = "-".join([job, *map(str, ids), str(int(time.time()))])
        try:
            queue.enqueue(
                f"flowserver.jobs.{job}.{job}",
                *ids,
                job_id=name,
                unique=True,
                result_ttl=0,
                failure_ttl=86400,
                job_timeout=600,
            )
        except DuplicateJobError:
            pass
        except redis.exceptions.RedisError as error:
            if not self.silent:
                log.warning("bell.silent", job=job, why=type(error).__name__)
            self.silent = True
            return False
        self.silent = False
        return True


def init_app(app: Flask, queue: Queue) -> None:
    """Bind the queue this app rings."""
    app.extensions["queue"] = queue


def wake(job: str, *ids: int) -> None:
    """Ring for ``job`` now. Never raises: the rows are there, the clock will find them."""
    current_app.extensions["queue"].ring(job, *ids)


def ask(job: str, *ids: int) -> None:
    """Ring for work that stands in no row, so that no clock would find it. Raises :class:`Unavailable` when not heard."""
    if not current_app.extensions["queue"].ring(job, *ids):
        raise Unavailable(N_("Nothing was begun: the workers cannot be reached. Try again in a minute"))


def wake_after_commit(session: Any, job: str, *ids: int) -> None:
    """Ring once the session's transaction is committed; a rollback rings nothing."""
    session.info.setdefault("rings", {})[(job, *ids)] = True


@event.listens_for(orm.Session, "after_commit")
def _ring(session: orm.Session) -> None:
    if session.in_nested_transaction():  # a savepoint: nobody else sees its rows yet
        return
    for job, *ids in session.info.pop("rings", {}):
        wake(job, *ids)


@event.listens_for(orm.Session, "after_rollback")
def _forget(session: orm.Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("rings", None)
