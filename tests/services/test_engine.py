"""The engine carries people through real versions on both databases."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.domain.steps import Go
from flowserver.extensions import db
from flowserver.models import Contact, ContactList, Decision, Enrollment, Flow, FlowVersion, Membership, Message
from flowserver.services.engine import engine, enrollment, events

MAIL = {"type": "send_email", "subject": "Hello", "body": [{"type": "text", "text": "Hi"}]}


@pytest.fixture
def people(workspace, clock):
    """``people(n)`` makes contacts with consent on the list Newsletter; returns (list id, ids)."""

    def make(n: int, **given) -> tuple[int, list[int]]:
        newsletter = ContactList(workspace_id=workspace.id, name="Newsletter")
        db.session.add(newsletter)
        rows = [
            Contact(
                workspace_id=workspace.id, email=f"c{i}@x.example", email_consent="given", updated_at=clock.now, **given
            )
            for i in range(n)
        ]
        db.session.add_all(rows)
        db.session.commit()
        return newsletter.id, [row.id for row in rows]

    return make


@pytest.fixture
def live(workspace, clock):
    """``live(steps, list=…)`` makes a flow that is live."""

    def make(steps, name="Flow", **trigger) -> Flow:
        definition = {
            "format": 1,
            "name": name,
            "trigger": {"type": "list_joined", "wait": {"minutes": 0}, **trigger},
            "steps": steps,
        }
        flow = Flow(
            workspace_id=workspace.id,
            name=name,
            state="active",
            trigger_type="list_joined",
            draft=definition,
            activated_at=clock.now,
            updated_at=clock.now,
        )
        db.session.add(flow)
        db.session.flush()
        version = FlowVersion(workspace_id=workspace.id, flow_id=flow.id, number=1, definition=definition)
        db.session.add(version)
        db.session.flush()
        flow.version_id = version.id
        db.session.commit()
        return flow

    return make


def join(list_id: int, ids: list[int], workspace_id: int) -> None:
    db.session.add_all(Membership(list_id=list_id, contact_id=i, workspace_id=workspace_id) for i in ids)
    db.session.flush()
    for contact_id in ids:
        events.record(contact_id, "list_joined", subject=str(list_id))
    db.session.commit()


def enrollments() -> list[Enrollment]:
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Enrollment).order_by(Enrollment.id)))


def test_it_carries_people_to_the_wait_and_on(workspace, people, live, clock):
    list_id, ids = people(3)
    steps = [
        {"key": "hello", **MAIL},
        {"key": "pause", "type": "wait", "for": {"days": 1}},
        {"key": "tag", "type": "add_tag", "tag": "Welcomed"},
    ]
    live(steps, list=list_id)
    join(list_id, ids, workspace.id)
    assert engine.batch() == 3
    assert {(e.step, e.due_at - clock.now) for e in enrollments()} == {("pause", timedelta(days=1))}
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 3
    assert engine.batch() == 0
    clock.forward(days=1)
    assert engine.batch() == 3
    assert {e.end_reason for e in enrollments()} == {"finished"}
    outcomes = db.session.execute(
        sa.select(Decision.step, Decision.outcome)
        .where(Decision.enrollment_id == enrollments()[0].id)
        .order_by(Decision.id)
    ).all()
    assert [tuple(row) for row in outcomes] == [
        ("", "entered"),
        ("hello", "next"),
        ("pause", "waits"),
        ("pause", "next"),
        ("tag", "next"),
    ]


def test_a_contact_without_consent_is_skipped_and_goes_on(workspace, people, live):
    list_id, ids = people(1)
    db.session.get(Contact, ids[0]).email_consent = "none"
    live([{"key": "hello", **MAIL}], list=list_id)
    join(list_id, ids, workspace.id)
    engine.batch()
    message = db.session.scalars(sa.select(Message)).one()
    assert (message.state, message.reason) == ("skipped", "no_consent")
    assert enrollments()[0].end_reason == "finished"


def test_the_same_event_twice_starts_one_run(workspace, people, live):
    list_id, ids = people(1)
    live([{"key": "hello", **MAIL}], list=list_id)
    assert events.record(ids[0], "list_joined", subject=str(list_id), key="join-1")
    assert not events.record(ids[0], "list_joined", subject=str(list_id), key="join-1")
    db.session.commit()
    assert len(enrollments()) == 1


def test_once_means_once_and_after_finish_means_again(workspace, people, live):
    list_id, ids = people(1)
    live([{"key": "a", "type": "add_tag", "tag": "x"}], name="Once", list=list_id)
    live([{"key": "a", "type": "add_tag", "tag": "y"}], name="Again", list=list_id, reentry="after_finish")
    for _ in range(3):
        events.record(ids[0], "list_joined", subject=str(list_id))
        db.session.commit()
        engine.batch()
    assert len(enrollments()) == 4


def test_an_open_ends_the_wait_at_once_and_the_time_out_goes_else(workspace, people, live, clock):
    list_id, ids = people(2)
    steps = [
        {"key": "hello", **MAIL},
        {
            "key": "opened",
            "type": "wait_for_event",
            "event": "email_opened",
            "of": "hello",
            "at_most": {"days": 2},
            "then": [{"key": "yes", "type": "add_tag", "tag": "opened"}],
            "else": [{"key": "no", "type": "add_tag", "tag": "ignored"}],
        },
    ]
    live(steps, list=list_id)
    join(list_id, ids, workspace.id)
    engine.batch()
    for message in db.session.scalars(sa.select(Message)):
        message.state, message.accepted_at = "accepted", clock.now
    db.session.commit()
    clock.forward(hours=1)
    first = db.session.scalars(sa.select(Message).order_by(Message.id)).first()
    first.opened_at = clock.now
    events.record(first.contact_id, "email_opened", message=(first.enrollment_id, "hello"))
    db.session.commit()
    assert engine.batch() == 1
    clock.forward(days=2)
    assert engine.batch() == 1
    assert {
        (d.step, d.outcome) for d in db.session.scalars(sa.select(Decision).where(Decision.step.in_(["yes", "no"])))
    } == {
        ("yes", "next"),
        ("no", "next"),
    }


def test_one_bad_contact_fails_alone(workspace, people, live, monkeypatch):
    list_id, ids = people(9)
    live([{"key": "hello", **MAIL}], list=list_id)
    join(list_id, ids, workspace.id)
    from flowserver.nodes.actions.send_email import SendEmail

    def broken(self, batch, ctx):
        assert ids[4] not in [item.contact.id for item in batch], "bad contact"
        return [Go() for _ in batch]

    monkeypatch.setattr(SendEmail, "execute", broken)
    engine.batch()
    assert sorted(e.end_reason for e in enrollments()) == ["failed"] + ["finished"] * 8


def test_those_who_already_match_enter_in_chunks_and_once(workspace, people, live, clock):
    list_id, ids = people(25)
    flow = live([{"key": "hello", **MAIL}], list=list_id, include_existing=True)
    db.session.add_all(Membership(list_id=list_id, contact_id=i, workspace_id=workspace.id) for i in ids)
    flow.existing_after = 0
    db.session.commit()
    assert enrollment.count_existing(engine.compiled(flow.version_id), workspace.id).contacts == 25
    assert enrollment.enroll_existing(flow.id, chunk=10) == 25
    flow.existing_after = 0
    db.session.commit()
    assert enrollment.enroll_existing(flow.id, chunk=10) == 0
    assert len(enrollments()) == 25


def test_live_means_due(db, workspace, clock):
    db.session.add(
        Enrollment(
            workspace_id=workspace.id, flow_id=1, version_id=1, contact_id=1, event_key="x", triggered_at=clock.now
        )
    )
    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()
    db.session.rollback()


def test_quiet_hours_hold_an_sms_at_its_step(workspace, people, live, clock):
    list_id, ids = people(1, phone="+393331234567", sms_consent="given")
    live([{"key": "text", "type": "send_sms", "text": "Hi"}, {"key": "t", "type": "add_tag", "tag": "x"}], list=list_id)
    clock.forward(hours=11)  # 22:00 in Rome
    join(list_id, ids, workspace.id)
    engine.batch()
    run = enrollments()[0]
    assert (run.step, run.due_at.isoformat()) == ("text", "2026-05-05T06:00:00+00:00")
    clock.forward(hours=10)
    engine.batch()
    assert enrollments()[0].end_reason == "finished"
    assert db.session.scalars(sa.select(Message)).one().state == "planned"


def test_the_message_limit_holds_the_second_mail_until_the_next_day(workspace, people, live, clock):
    workspace.cap_day = 1
    list_id, ids = people(1)
    live([{"key": "a", **MAIL}, {"key": "b", **MAIL}], list=list_id)
    join(list_id, ids, workspace.id)
    engine.batch()
    assert (enrollments()[0].step, enrollments()[0].due_at) == ("b", clock.now.replace(day=5))
    clock.forward(days=1)
    engine.batch()
    assert enrollments()[0].end_reason == "finished"
