"""A flow's sending hours: what falls outside them waits, planned or already on its way out."""

from __future__ import annotations

from datetime import UTC, datetime

from flowserver.extensions import db
from flowserver.models import Connection
from flowserver.services.engine import engine
from flowserver.services.messages import deliveries

from .conftest import use
from .town import MAIL, a_list, join, ledger, live, messages, people, runs

OFFICE = {"sending_hours": {"days": ["monday", "tuesday"], "from": "09:00", "until": "18:00"}}


def test_a_mail_outside_the_hours_waits_at_its_step_until_they_begin(workspace, clock):
    clock.now = datetime(2026, 5, 5, 17, 0, tzinfo=UTC)  # Tuesday, 19:00 in Rome
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "mail", **MAIL}, list=list_id, ends=OFFICE)
    join(list_id, ids)
    engine.batch()
    assert messages() == [] and runs()[0].due_at == datetime(2026, 5, 11, 7, 0, tzinfo=UTC)  # Monday, 09:00
    assert any({"held", "sending_hours"} <= set(row) for row in ledger())
    clock.now = datetime(2026, 5, 11, 7, 0, tzinfo=UTC)
    engine.batch()
    assert [message.state for message in messages()] == ["planned"]


def test_service_mails_do_not_wait(workspace, clock):
    clock.now = datetime(2026, 5, 6, 7, 0, tzinfo=UTC)  # a Wednesday
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "mail", **MAIL, "class": "service"}, list=list_id, ends=OFFICE)
    join(list_id, ids)
    engine.batch()
    assert [message.state for message in messages()] == ["planned"]


def test_a_mail_whose_hours_end_before_it_is_handed_over_waits(workspace, clock, sink):
    use(sink)
    clock.now = datetime(2026, 5, 5, 15, 59, tzinfo=UTC)  # Tuesday, 17:59 in Rome
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "mail", **MAIL}, list=list_id, ends=OFFICE)
    join(list_id, ids)
    engine.batch()
    clock.forward(minutes=1)
    connection = db.session.query(Connection).filter_by(channel="email").one()
    deliveries.deliver(connection.id)
    assert [(message.state, message.due_at) for message in messages()] == [
        ("planned", datetime(2026, 5, 11, 7, 0, tzinfo=UTC))
    ]
    assert sink.mails == []
