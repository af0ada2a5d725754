"""Fixtures for messages: a mail sink, a live flow, people inside it with a planned message each."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Connection, Contact, Enrollment, Flow, FlowVersion, Message
from flowserver.services.messages import deliveries
from tests.sinks import SmtpSink

MAIL = {
    "key": "hello",
    "type": "send_email",
    "subject": "Hello {{ contact.first_name | default: 'there' }}",
    "body": [{"type": "text", "text": "Hi {{ contact.first_name }}, [read on](https://caffelume.example/a)"}],
}


def use(sink: SmtpSink, **settings) -> Connection:
    """Send e-mail through the sink."""
    row = db.session.scalar(sa.select(Connection).where(Connection.channel == "email"))
    row.settings = {"host": "127.0.0.1", "port": sink.port, "security": "none", **settings}
    db.session.commit()
    return row


@pytest.fixture
def sink(app):
    with SmtpSink() as sink:
        yield sink
        deliveries.hang_up()


@pytest.fixture
def flow(workspace, clock):
    """A live flow of one mail (or other steps)."""

    def make(*steps, name="Welcome") -> Flow:
        definition = {
            "format": 1,
            "name": name,
            "trigger": {"type": "list_joined", "wait": {"minutes": 0}},
            "steps": list(steps or [MAIL]),
        }
        row = Flow(
            workspace_id=workspace.id,
            name=name,
            state="active",
            trigger_type="list_joined",
            draft=definition,
            activated_at=clock.now,
            updated_at=clock.now,
        )
        db.session.add(row)
        db.session.flush()
        version = FlowVersion(workspace_id=workspace.id, flow_id=row.id, number=1, definition=definition)
        db.session.add(version)
        db.session.flush()
        row.version_id = version.id
        db.session.commit()
        return row

    return make


@pytest.fixture
def planned(workspace, clock):
    """``planned(flow, n)`` makes n people inside the flow with a planned message each; returns the message ids."""

    def make(flow: Flow, count: int = 1, step="hello", channel="email", start=0, **given) -> list[int]:
        way = db.session.scalar(sa.select(Connection).where(Connection.channel == channel))
        messages = []
        for n in range(start, start + count):
            contact = Contact(
                workspace_id=workspace.id,
                email=f"c{n}@x.example",
                phone=f"+3933300{n:05d}",
                first_name=f"Ada{n}",
                email_consent="given",
                sms_consent="given",
                updated_at=clock.now,
                **given,
            )
            db.session.add(contact)
            db.session.flush()
            enrollment = Enrollment(
                workspace_id=workspace.id,
                flow_id=flow.id,
                version_id=flow.version_id,
                contact_id=contact.id,
                event_key=f"e{n}",
                step=step,
                due_at=clock.now + timedelta(days=1),
                triggered_at=clock.now,
                entered_at=clock.now,
            )
            db.session.add(enrollment)
            db.session.flush()
            message = Message(
                workspace_id=workspace.id,
                key=f"{enrollment.id}:{step}:1",
                kind="flow",
                channel=channel,
                class_="marketing",
                connection_id=way.id,
                contact_id=contact.id,
                address=contact.email if channel == "email" else contact.phone,
                flow_id=flow.id,
                version_id=flow.version_id,
                enrollment_id=enrollment.id,
                step=step,
                state="planned",
                planned_at=clock.now,
                due_at=clock.now,
            )
            db.session.add(message)
            messages.append(message)
        db.session.commit()
        return [message.id for message in messages]

    return make
