"""Numbers of flows: they come from what really happened, count each person once, and agree with each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from flowserver.models import Contact, ContactList, Message
from flowserver.services.engine import engine, events
from flowserver.services.flows import flow_numbers, flow_reports, flows


@pytest.fixture
def newsletter(db, workspace):
    """The list Newsletter."""
    found = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(found)
    db.session.commit()
    return found


@pytest.fixture
def live(clock, newsletter):
    """A live flow: mail, a day, opened? yes: end well, no: SMS."""
    flow = flows.create(
        {
            "name": "Welcome",
            "trigger": {"type": "list_joined", "list": newsletter.id, "wait": {"minutes": 0}},
            "steps": [
                {"key": "hello", "type": "send_email", "subject": "Hi", "body": [{"type": "text", "text": "Hi"}]},
                {"key": "day", "type": "wait", "for": {"days": 1}},
                {
                    "key": "opened",
                    "type": "if_else",
                    "if": {"type": "email_opened", "of": "hello"},
                    "then": [{"key": "well", "type": "end", "label": "read", "outcome": "positive"}],
                    "else": [{"key": "nudge", "type": "send_sms", "text": "Have a look"}],
                },
            ],
        }
    )
    flows.publish(flow.id)
    return flow


def people(db, workspace, newsletter, number, **more):
    """Contacts who join the list now."""
    made = []
    for n in range(number):
        one = Contact(
            workspace_id=workspace.id, email=f"c{n}@example.com", email_consent="given", first_name=f"C{n}", **more
        )  # fmt: skip
        db.session.add(one)
        db.session.flush()
        events.record(one.id, "list_joined", subject=str(newsletter.id), key=f"join:{n}")
        made.append(one)
    db.session.commit()
    return made


def sent(db, clock, **more):
    """The provider takes every planned message; returns them in order."""
    rows = db.session.scalars(sa.select(Message).where(Message.state == "planned").order_by(Message.id)).all()
    for row in rows:
        row.state, row.accepted_at = "accepted", clock.now
        for name, value in more.items():
            setattr(row, name, value)
    db.session.commit()
    return rows


@pytest.fixture
def story(db, workspace, newsletter, live, clock, queue):
    """Ten people: four open, two of them click, one bounces; nobody has a phone."""
    clock.forward(hours=1)
    people(db, workspace, newsletter, 10)
    engine.advance()
    messages = sent(db, clock)
    for n, message in enumerate(messages[:4]):
        message.opened_at = clock.now + timedelta(hours=1)
        message.clicked_at = clock.now + timedelta(hours=2 + n) if n < 2 else None
    messages[9].failed_at, messages[9].state = clock.now, "bounced"
    for kind in ("test", "team"):
        db.session.add(
            Message(
                workspace_id=workspace.id, key=f"{kind}:1", kind=kind, channel="email", connection_id=1, flow_id=live.id,
                step="hello", address="me@agency.example", state="accepted", planned_at=clock.now, due_at=clock.now,
                accepted_at=clock.now, opened_at=clock.now,
            )
        )  # fmt: skip
    db.session.commit()
    clock.forward(days=1)
    engine.advance()
    return live


def test_every_person_counts_once_and_tests_never(story):
    step = flow_numbers.step_numbers(story)
    assert (step["hello"].arrived, step["hello"].sent, step["hello"].delivered) == (10, 10, 9)
    assert (step["hello"].opened, step["hello"].clicked, step["hello"].bounced) == (4, 2, 1)
    assert (step["opened"].then, step["opened"].otherwise) == (4, 6)
    assert step[""].passed == 10
    assert (step["nudge"].skipped, step["nudge"].sent) == ({"no_phone": 6}, 0)
    assert step["well"].left == 4


def test_the_report_the_list_and_the_cards_agree(story):
    report = flow_reports.report(story, "30", ["hello", "day", "opened", "well", "nudge"])
    line = next(line for line in flow_numbers.overview().lines if line.flow.id == story.id)
    now = report.now
    assert (now.entered, now.sent, now.opened, now.clicked) == (10, 10, 4, 2)
    assert (line.entered, line.sent, line.opened, line.clicked) == (10, 10, 4, 2)
    assert sum(day.sent for day in report.days) == sum(line.days) == now.sent
    assert sum(day.opened for day in report.days) == report.steps["hello"].opened == now.opened
    assert sum(day.entered for day in report.days) == now.entered
    assert now.open_rate == pytest.approx(4 / 9) == line.open_rate
    assert (now.positive, now.ended, report.inside) == (4, 10, 0)
    assert report.skipped == [("no_phone", 6)]
    assert ("end_step", "read", "positive", 4) in report.endings
    assert ("finished", "", "", 6) in report.endings
    assert now.reaction == pytest.approx(2 * 3600, abs=1)
    assert {str(words): people for words, people, _ in report.reactions}["within 6 hours"] == 2
    assert report.gone == []


def test_the_people_behind_a_number_are_as_many_as_the_number(story):
    report = flow_reports.report(story, "30", [])
    for key, numbers in report.steps.items():
        for what, number in (("arrived", numbers.arrived), ("then", numbers.then), ("else", numbers.otherwise),
                             ("opened", numbers.opened), ("clicked", numbers.clicked), ("left", numbers.left),
                             ("sent", numbers.sent), ("delivered", numbers.delivered), ("here", numbers.here)):  # fmt: skip
            assert len(flow_reports.who(story, key, what, report.period)) == number, (key, what)


def test_a_period_leaves_out_what_came_before_it_and_compares(story, clock):
    clock.forward(days=10)
    report = flow_reports.report(story, "7", [])
    assert report.now.sent == 0
    assert report.earlier.sent == 10
    assert flow_reports.report(story, "all", []).now.sent == 10
    assert flow_reports.report(story, "nonsense", []).period.name == "30"


def test_the_list_of_people_comes_in_pages(story, monkeypatch):
    monkeypatch.setattr(flow_reports, "WHO_PAGE", 4)
    span = flow_reports.period("30", story, ZoneInfo("Europe/Rome"))
    seen, before = [], None
    while page := flow_reports.who(story, "hello", "arrived", span, before):
        seen += [one.contact_id for one in page]
        before = page[-1].enrollment_id
    assert len(seen) == len(set(seen)) == 10


@pytest.mark.parametrize("zone", ["Europe/Rome", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland", "UTC"])
def test_days_begin_at_the_clients_midnight_whatever_the_clocks_do(db, workspace, live, zone):
    where = ZoneInfo(zone)
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)
    moments = [since + timedelta(hours=5, minutes=29) * n for n in range(1190)]
    rows = [
        {"workspace_id": workspace.id, "key": f"m{n}", "kind": "flow", "channel": "email", "class": "marketing",
         "connection_id": 1, "priority": 5, "address": "a@example.com", "flow_id": live.id, "state": "accepted",
         "step": "hello", "visit": 1, "attempts": 0, "planned_at": at, "due_at": at, "accepted_at": at}
        for n, at in enumerate(moments)
    ]  # fmt: skip
    db.session.execute(sa.insert(Message.__table__), rows)
    day = flow_numbers.day_number(Message.accepted_at, since, until, where)
    found = dict(db.session.execute(sa.select(Message.key, day).where(Message.kind == "flow")).all())
    wrong = [
        at for n, at in enumerate(moments)
        if at <= until and flow_numbers.epoch_day(found[f"m{n}"]) != at.astimezone(where).date()
    ]  # fmt: skip
    assert wrong == []


def test_no_page_of_numbers_asks_more_for_more_flows(story, db, app):
    statements = []
    engine_ = db.engine

    def watch(*args):
        statements.append(args[2])

    sa.event.listen(engine_, "before_cursor_execute", watch)
    try:
        flow_numbers.overview()
        few = len(statements)
        for _ in range(5):
            flows.duplicate(story.id)
        statements.clear()
        flow_numbers.overview()
        assert len(statements) <= few
        statements.clear()
        flow_reports.report(story, "30", [])
        assert len(statements) <= 25
    finally:
        sa.event.remove(engine_, "before_cursor_execute", watch)
