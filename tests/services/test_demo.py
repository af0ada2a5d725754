"""The demo data is made by the real engine and leaves nothing to send."""

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict
from flowserver.extensions import every_workspace
from flowserver.models import Contact, Decision, Enrollment, Flow, Message
from flowserver.services.operations import demo


def test_it_fills_two_clients_and_sends_nothing(db, monkeypatch):
    monkeypatch.setattr(demo, "DAYS", 6)
    with every_workspace():
        made = demo.load()
        assert made["password"]
        assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 2000
        assert db.session.scalar(sa.select(sa.func.count(Message.id)).where(Message.state == "planned")) == 0
        assert db.session.scalar(sa.select(sa.func.count(Message.id)).where(Message.opened_at.is_not(None))) > 100
        assert db.session.scalar(sa.select(sa.func.count(Enrollment.id))) > 500
        assert db.session.scalar(sa.select(sa.func.count(Decision.id))) > 1000
        assert set(db.session.scalars(sa.select(Flow.state))) == {"active", "draft", "paused"}
        with pytest.raises(Conflict):
            demo.load()
