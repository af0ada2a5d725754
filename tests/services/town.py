"""People, lists and live flows for tests of the engine, made with as few words as possible."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from flowserver import clock, create_app, extensions
from flowserver.extensions import db
from flowserver.models import (
    Connection,
    Contact,
    ContactList,
    Decision,
    Enrollment,
    Flow,
    FlowVersion,
    Membership,
    Message,
    Workspace,
)
from flowserver.services.engine import events

MAIL = {"type": "send_email", "subject": "Hello", "body": [{"type": "text", "text": "Hi"}]}
SMS = {"type": "send_sms", "text": "Hi"}


def tag(key: str, name: str = "") -> dict[str, Any]:
    return {"key": key, "type": "add_tag", "tag": name or key}


def wait(key: str, **length: int) -> dict[str, Any]:
    return {"key": key, "type": "wait", "for": length or {"days": 1}}


def client(slug: str, **given: Any) -> Workspace:
    """Another client account with its two connections."""
    row = Workspace(slug=slug, name=slug.title(), **{"time_zone": "Europe/Rome", **given})
    db.session.add(row)
    db.session.flush()
    for channel, provider in (("email", "smtp"), ("sms", "pretend")):
        db.session.add(
            Connection(
                workspace_id=row.id, channel=channel, provider=provider, name=provider, settings={},
                hook_token=f"{slug}-{channel}",
            )
        )  # fmt: skip
    db.session.commit()
    return row


def people(workspace: Workspace, count: int, **given: Any) -> list[int]:
    """Ids of contacts who may get everything."""
    start = db.session.connection().scalar(sa.select(sa.func.coalesce(sa.func.max(Contact.__table__.c.id), 0)))
    rows = [
        Contact(
            workspace_id=workspace.id,
            **{
                "email": f"c{start + n}@x.example",
                "phone": f"+3933{start + n:08d}",
                "email_consent": "given",
                "sms_consent": "given",
                **given,
            },
        )
        for n in range(count)
    ]
    db.session.add_all(rows)
    db.session.commit()
    return [row.id for row in rows]


def a_list(workspace: Workspace, name: str = "Newsletter", members: Sequence[int] = ()) -> int:
    """The id of a list with these members, who joined it without anybody hearing of it."""
    row = ContactList(workspace_id=workspace.id, name=name)
    db.session.add(row)
    db.session.flush()
    db.session.add_all(Membership(list_id=row.id, contact_id=one, workspace_id=workspace.id) for one in members)
    db.session.commit()
    return row.id


def live(
    workspace: Workspace, *steps: dict[str, Any], name: str = "Flow", ends: dict[str, Any] | None = None, **trigger: Any
) -> Flow:
    """A flow that is live; without ``list`` it starts with new contacts. ``ends``: its goal and exit."""
    definition = {
        "format": 1,
        "name": name,
        "trigger": {"type": "list_joined", "wait": {"minutes": 0}, **trigger},
        "steps": list(steps),
        **(ends or {}),
    }
    now = clock.now()
    flow = Flow(
        workspace_id=workspace.id, name=name, state="active", trigger_type=definition["trigger"]["type"],
        draft=definition, activated_at=now, updated_at=now,
    )  # fmt: skip
    db.session.add(flow)
    db.session.flush()
    version = FlowVersion(workspace_id=workspace.id, flow_id=flow.id, number=1, definition=definition)
    db.session.add(version)
    db.session.flush()
    flow.version_id = version.id
    db.session.commit()
    return flow


def join(list_id: int, ids: Sequence[int], **more: Any) -> None:
    """Events that contacts joined a list, committed."""
    for one in ids:
        events.record(one, "list_joined", subject=str(list_id), **more)
    db.session.commit()


def runs(*where: Any) -> list[Enrollment]:
    """Enrollments of all clients as they stand in the database."""
    db.session.expire_all()
    with extensions.every_workspace():
        return list(db.session.scalars(sa.select(Enrollment).where(*where).order_by(Enrollment.id)))


def messages(*where: Any) -> list[Message]:
    """Messages of all clients as they stand in the database."""
    db.session.expire_all()
    with extensions.every_workspace():
        return list(db.session.scalars(sa.select(Message).where(*where).order_by(Message.id)))


def ledger() -> list[tuple[Any, ...]]:
    """Every decision: contact, step, visit, time, outcome, reason, what decided; in the order of writing."""
    e, d = Enrollment.__table__.c, Decision.__table__.c
    query = (
        sa.select(e.contact_id, d.step, d.visit, d.at, d.outcome, d.reason, d.facts)
        .select_from(Decision.__table__.join(Enrollment.__table__, e.id == d.enrollment_id))
        .order_by(e.contact_id, d.id)
    )
    return [tuple(row) for row in db.session.connection().execute(query)]


def sound() -> None:
    """Nobody is lost and nobody is there twice: true at any moment, whatever happened."""
    e = Enrollment.__table__.c
    connection = db.session.connection()
    live, ended = e.due_at.is_not(None), sa.and_(e.ended_at.is_not(None), e.end_reason.is_not(None))
    odd = sa.select(sa.func.count()).where(sa.or_(sa.and_(live, ended), sa.and_(~live, ~ended)))
    assert connection.scalar(odd) == 0
    twice = sa.select(e.flow_id, e.contact_id).where(live).group_by(e.flow_id, e.contact_id).having(sa.func.count() > 1)
    assert connection.execute(twice).all() == []
    db.session.rollback()


@contextmanager
def another_worker(app: Any) -> Iterator[None]:
    """An application of its own on the same database, as another process has it; used in a thread."""
    other = create_app(app.extensions["config"], pages=False)
    with other.app_context():
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


class Worker(threading.Thread):
    """Runs a function in a thread of its own with an application of its own; ``result()`` gives or raises its end."""

    def __init__(self, app: Any, function: Callable[[], Any]):
        super().__init__(daemon=True)
        self.app, self.function = app, function
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with another_worker(self.app):
                self.value = self.function()
        except BaseException as error:  # handed to the test
            self.error = error

    def result(self, seconds: float = 60) -> Any:
        self.join(seconds)
        assert not self.is_alive(), "a worker hangs"
        if self.error is not None:
            raise self.error
        return self.value
