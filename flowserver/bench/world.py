"""The world a benchmark runs in: a client, contacts, one live flow, enrollments, on a database of its own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from flowserver import clock
from flowserver.extensions import Base, db
from flowserver.models import Connection, Flow, FlowVersion, Workspace
from flowserver.services.engine import bulk, enrollment

TEXT = (
    "Thank you for trying our product. Here are a few things that other people found helpful in their first week, "
    "with links to the pages that explain them."
)
MAIL: dict[str, Any] = {
    "type": "send_email",
    "subject": "Hello {{ contact.first_name | default: 'there' }}",
    "body": [
        {"type": "heading", "text": "Hello {{ contact.first_name }} {{ contact.last_name }}"},
        {"type": "text", "text": "You are on the {{ contact.plan }} plan, {{ contact.city }}."},
        *({"type": "text", "text": TEXT} for _ in range(12)),
        {"type": "button", "label": "Read on", "url": "https://example.test/start"},
    ],
}


def is_postgres() -> bool:
    """Whether the present database is PostgreSQL."""
    return db.engine.dialect.name == "postgresql"


def clear() -> None:
    """Empty every table."""
    db.session.rollback()
    with db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
            connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        else:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())


def client() -> Workspace:
    """A client with quiet hours, a message limit and its two connections."""
    workspace = Workspace(
        slug="bench",
        name="Bench",
        time_zone="Europe/Rome",
        sender_name="Bench",
        sender_email="bench@example.test",
        cap_day=10,
        cap_week=30,
    )
    db.session.add(workspace)
    db.session.flush()
    for channel, provider in (("email", "smtp"), ("sms", "pretend")):
        db.session.add(
            Connection(
                workspace_id=workspace.id,
                channel=channel,
                provider=provider,
                name=channel,
                settings={},
                hook_token=channel,
            )
        )
    db.session.commit()
    return workspace


def people(workspace_id: int, count: int) -> None:
    """Contacts with consent, in chunks."""
    columns = (
        "id",
        "workspace_id",
        "email",
        "phone",
        "first_name",
        "last_name",
        "fields",
        "score",
        "email_consent",
        "sms_consent",
        "status",
        "locale",
        "source",
        "created_at",
        "updated_at",
    )
    now = clock.now()
    for start in range(1, count + 1, 10_000):
        rows = [
            (
                i,
                workspace_id,
                f"c{i}@example.test",
                f"+39333{i:07d}",
                f"Ada{i}",
                "Lovelace",
                _fields(i),
                0,
                "given",
                "given",
                "active",
                "",
                "bench",
                now,
                now,
            )
            for i in range(start, min(start + 10_000, count + 1))
        ]
        bulk.insert(db.session.connection(), "contact", columns, rows)
        db.session.commit()


def _fields(i: int) -> dict[str, Any]:
    return {"plan": "pro" if i % 2 else "free", "city": "London", "company": "Analytical & Sons"}


def flow(steps: list[dict[str, Any]]) -> Flow:
    """A fresh world with one live flow of these steps."""
    clear()
    workspace = client()
    definition = {"format": 1, "name": "Bench", "trigger": {"type": "list_joined", "scope": "any"}, "steps": steps}
    row = Flow(
        workspace_id=workspace.id,
        name="Bench",
        state="active",
        trigger_type="list_joined",
        draft=definition,
        activated_at=clock.now(),
        updated_at=clock.now(),
        existing_after=0,
    )
    db.session.add(row)
    db.session.flush()
    version = FlowVersion(workspace_id=workspace.id, flow_id=row.id, number=1, definition=definition)
    db.session.add(version)
    db.session.flush()
    row.version_id = version.id
    db.session.commit()
    return row


def enroll(count: int, row: Flow) -> None:
    """Contacts, each enrolled and due now; statistics fresh, so that the first plans are the right ones."""
    people(row.workspace_id, count)
    enrollment.enroll_existing(row.id, chunk=20_000)
    settle()


def settle() -> None:
    """Let the database know its tables."""
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE")
