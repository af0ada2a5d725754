"""Planned messages leave over real SMTP sessions, once, and every answer is written down."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import current_app

from flowserver.extensions import db
from flowserver.models import (
    Alert,
    Connection,
    Contact,
    Engagement,
    Enrollment,
    Event,
    Flow,
    Lease,
    Message,
    RateWindow,
    Suppression,
    Workspace,
)
from flowserver.services.messages import deliveries, leases, outcomes
from tests.services.conftest import MAIL, use
from tests.sinks import SmtpSink


def states() -> list[str]:
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Message.state).order_by(Message.id)))


def message(message_id: int) -> Message:
    db.session.expire_all()
    return db.session.get(Message, message_id)


def journals() -> list:
    return list((current_app.extensions["config"].data / "journal").glob("*"))


def test_a_planned_message_leaves_through_smtp(sink, flow, planned, clock):
    way = use(sink)
    ids = planned(flow(), 3)
    assert deliveries.deliver(way.id) == 3
    assert states() == ["accepted"] * 3
    row = message(ids[0])
    assert row.accepted_at == clock.now
    assert row.attempts == 1
    assert row.lease_id is None
    assert sorted(mail.to for mail in sink.mails) == ["c0@x.example", "c1@x.example", "c2@x.example"]
    mail = next(mail for mail in sink.mails if mail.to == "c1@x.example")
    assert mail.message["subject"] == "Hello Ada1"
    assert mail.message["from"] == "Caffè Lume <ciao@caffelume.example>"
    assert "Hi Ada1" in mail.part("plain")
    assert "Hi Ada1" in mail.part("html")
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Lease)) == 0
    assert journals() == []


def deliver(way: Connection) -> int:
    return deliveries.deliver(way.id, worker="test")


@pytest.fixture
def scripted(app):
    """``scripted(script, **options)`` starts a server that follows the script; mail goes there."""
    sinks = []

    def make(script=None, **options) -> tuple[SmtpSink, Connection]:
        sink = SmtpSink(script, **options)
        sinks.append(sink)
        return sink, use(sink)

    yield make
    deliveries.hang_up()
    for sink in sinks:
        sink.close()


def at(stage: str, *answers: str, match: str = ""):
    """A script that gives ``answers`` one after the other at a stage, the last one for ever; ``""`` lets it pass."""
    left = list(answers)

    def script(now: str, words: str) -> str | None:
        if now != stage or match not in words:
            return None
        return (left.pop(0) if len(left) > 1 else left[0]) or None

    return script


# --- what servers say ----------------------------------------------------------------------------------------


def test_a_hard_bounce_suppresses_the_address_and_the_others_go_out(scripted, flow, planned, clock):
    sink, way = scripted(at("rcpt", "550 5.1.1 no such user", match="c1@"))
    ids = planned(flow(), 3)
    deliver(way)
    assert states() == ["accepted", "bounced", "accepted"]
    row = message(ids[1])
    assert row.reason == "550 5.1.1 no such user"
    assert row.failed_at == clock.now
    suppression = db.session.scalar(sa.select(Suppression))
    assert (suppression.address, suppression.reason, suppression.channel) == ("c1@x.example", "hard_bounce", "email")
    assert db.session.get(Contact, row.contact_id).status == "bounced"
    assert db.session.scalar(sa.select(Engagement.kind)) == "bounced"
    event = db.session.scalar(sa.select(Event))
    assert (event.type, event.contact_id) == ("email_bounced", row.contact_id)
    assert len(sink.mails) == 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("550 no such user here", "bounced"),
        ("553 5.1.3 bad address", "bounced"),
        ("550 5.7.1 blocked by policy", "failed"),
        ("550 mail refused: spam", "failed"),
        ("552 5.2.2 mailbox full", "failed"),
        ("554 5.7.1 relay access denied", "failed"),
    ],
)
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refusal_of_the_recipient_is_a_bounce_or_a_failure(scripted, flow, planned, answer, state, pipelining):
    _, way = scripted(at("rcpt", answer), pipelining=pipelining)
    planned(flow())
    deliver(way)
    assert states() == [state]


def test_a_server_that_takes_the_text_of_a_refused_recipient_gets_none(scripted, flow, planned):
    answers = {"rcpt": "550 5.1.1 no", "data": "354 go on"}
    sink, way = scripted(lambda stage, words: answers.get(stage) if "c0" in words else None)
    planned(flow(), 2)
    deliver(way)
    assert states() == ["bounced", "accepted"]
    assert [mail.to for mail in sink.mails if mail.data] == ["c1@x.example"]


def test_a_refused_text_is_a_failure(scripted, flow, planned):
    _, way = scripted(at("text", "554 5.6.0 we do not like it"))
    planned(flow())
    deliver(way)
    assert states() == ["failed"]


def test_a_refused_sender_fails_the_message_only(scripted, flow, planned):
    _, way = scripted(at("mail", "550 5.1.8 bad sender", ""))
    planned(flow(), 2)
    deliver(way)
    assert sorted(states()) == ["accepted", "failed"]


@pytest.mark.parametrize("stage", ["rcpt", "mail", "data", "text"])
def test_a_refusal_for_now_is_tried_three_times_more(scripted, flow, planned, clock, stage):
    sink, way = scripted(at(stage, "451 4.7.1 greylisted"))
    [message_id] = planned(flow())
    for minutes in (1, 5, 30):
        deliver(way)
        row = message(message_id)
        assert row.state == "planned"
        assert row.due_at == clock.now + timedelta(minutes=minutes)
        deliver(way)  # not yet
        assert message(message_id).attempts == row.attempts
        clock.forward(minutes=minutes)
    deliver(way)
    row = message(message_id)
    assert (row.state, row.attempts, row.reason) == ("failed", 4, "451 4.7.1 greylisted")
    assert sink.mails == []


def test_a_message_refused_for_now_goes_out_the_next_time(scripted, flow, planned, clock):
    sink, way = scripted(at("rcpt", "451 try later", ""))
    planned(flow())
    deliver(way)
    clock.forward(minutes=1)
    deliver(way)
    assert states() == ["accepted"]
    assert len(sink.mails) == 1


def test_a_line_lost_before_the_text_is_no_harm(scripted, flow, planned):
    sink, way = scripted(at("data", "drop", ""))
    planned(flow(), 2)
    deliver(way)
    assert states() == ["accepted", "accepted"]
    assert len({mail.id for mail in sink.mails}) == len(sink.mails) == 2


def test_a_line_that_always_breaks_counts_as_a_refusal_for_now(scripted, flow, planned, clock):
    sink, way = scripted(at("data", "drop"))
    [message_id] = planned(flow())
    deliver(way)
    row = message(message_id)
    assert (row.state, row.attempts) == ("planned", 1)
    assert row.due_at > clock.now
    assert sink.mails == []


def test_a_line_lost_after_the_final_dot_is_unknown_and_never_sent_again(scripted, flow, planned, clock):
    sink, way = scripted(at("text", "drop", match="c0@"))
    ids = planned(flow(), 3)
    deliver(way)
    assert states() == ["unknown", "accepted", "accepted"]
    assert db.session.scalar(sa.select(Alert.kind)) == "unknown"
    clock.forward(days=2)
    deliver(way)
    deliveries.take_back()
    deliver(way)
    assert message(ids[0]).state == "unknown"
    assert len([mail for mail in sink.mails if mail.to == "c0@x.example"]) == 1


def test_a_person_decides_about_an_unknown_message(scripted, flow, planned):
    from flowserver.errors import Conflict

    _sink, way = scripted(at("text", "drop", "drop", ""))
    ids = planned(flow(), 2)
    deliver(way)
    assert states() == ["unknown", "unknown"]
    deliveries.settle(ids[0], resend=False)
    assert message(ids[0]).state == "accepted"
    deliveries.settle(ids[1], resend=True)
    deliver(way)
    assert states() == ["accepted", "accepted"]
    assert db.session.scalar(sa.select(Alert.resolved_at)) is not None
    with pytest.raises(Conflict):
        deliveries.settle(ids[0], resend=True)


def test_a_server_that_hangs_up_after_some_messages_is_dialled_again(scripted, flow, planned):
    count = {"n": 0}

    def script(stage, words):
        if stage == "mail":
            count["n"] += 1
            return "421 too many messages on this line" if count["n"] % 5 == 0 else None
        return None

    sink, way = scripted(script)
    planned(flow(), 23)
    deliver(way)
    assert states() == ["accepted"] * 23
    assert len({mail.id for mail in sink.mails}) == len(sink.mails) == 23


def test_lines_stay_open_between_jobs_and_are_dialled_again_when_broken(scripted, flow, planned):
    sink, way = scripted()
    one = flow()
    planned(one, 1)
    deliver(way)
    planned(one, 1, start=1)
    deliver(way)
    assert sink.connections == 1
    sink.hang_up()
    planned(one, 1, start=2)
    deliver(way)
    assert states() == ["accepted"] * 3
    assert sink.connections == 2


def test_an_address_beyond_ascii_needs_a_server_that_takes_it(scripted, flow, planned):
    _sink, way = scripted(at("ehlo", "250-sink\r\n250 PIPELINING"))
    [message_id] = planned(flow())
    contact = db.session.scalar(sa.select(Contact))
    contact.email = "zoë@x.example"
    db.session.commit()
    deliver(way)
    assert message(message_id).state == "failed"


def test_domains_beyond_ascii_are_written_in_punycode(scripted, flow, planned):
    sink, way = scripted()
    planned(flow())
    contact = db.session.scalar(sa.select(Contact))
    contact.email = "zoe@bücher.example"
    db.session.commit()
    deliver(way)
    assert sink.mails[0].to == "zoe@xn--bcher-kva.example"


# --- a server that is away -----------------------------------------------------------------------------------


def test_while_the_server_is_away_messages_wait_and_then_go_by_themselves(flow, planned, clock, queue, workspace):
    sink = SmtpSink()
    way = use(sink)
    sink.close()
    one = flow()
    planned(one, 3)
    deliver(way)
    assert states() == ["planned"] * 3
    db.session.expire_all()
    assert way.down_since == clock.now
    assert way.retry_at > clock.now
    assert all(row.attempts == 0 for row in db.session.scalars(sa.select(Message)))
    assert db.session.scalar(sa.select(Alert)) is None
    for _ in range(4):
        clock.forward(seconds=90)
        deliver(way)
    assert db.session.scalar(sa.select(Alert.kind)) == "connection_down"
    with SmtpSink() as back:
        row = db.session.get(Connection, way.id)
        row.settings = {**row.settings, "port": back.port}
        db.session.commit()
        clock.forward(seconds=90)
        assert deliver(way) == 3
        deliveries.hang_up()
    assert states() == ["accepted"] * 3
    db.session.expire_all()
    assert (way.down_since, way.retry_at, way.down_told) == (None, None, False)
    assert db.session.scalar(sa.select(Alert.resolved_at)) == clock.now


def test_after_three_days_a_waiting_message_has_failed(flow, planned, clock):
    sink = SmtpSink()
    way = use(sink)
    sink.close()
    planned(flow())
    deliver(way)
    clock.forward(hours=71)
    deliver(way)
    assert states() == ["planned"]
    clock.forward(hours=2)
    deliver(way)
    assert states() == ["failed"]
    assert db.session.scalar(sa.select(Message.reason)) == "server_unreachable"


def test_one_line_that_is_refused_does_not_stop_the_others(scripted, flow, planned):
    lines = {"n": 0}

    def script(stage, words):
        if stage == "connect":
            lines["n"] += 1
            return "421 too many lines" if lines["n"] > 2 else None
        return None

    _sink, way = scripted(script, delay=0.005)
    planned(flow(), 40)
    deliver(way)
    assert states() == ["accepted"] * 40
    db.session.expire_all()
    assert way.down_since is None


def test_refused_credentials_pause_the_connection_and_tell_the_owner(scripted, flow, planned):
    _sink, way = scripted(at("mail", "530 5.7.0 authentication required"))
    planned(flow(), 3)
    deliver(way)
    assert states() == ["planned"] * 3
    db.session.expire_all()
    assert way.paused_at is not None
    assert "530" in way.paused_reason
    assert db.session.scalar(sa.select(Alert.kind)) == "connection_paused"
    assert deliver(way) == 0


def test_without_a_mail_server_messages_wait(flow, planned, workspace):
    planned(flow())
    way = db.session.scalar(sa.select(Connection).where(Connection.channel == "email"))
    deliver(way)
    assert states() == ["planned"]
    db.session.expire_all()
    assert way.down_since is not None


# --- the last check ------------------------------------------------------------------------------------------


def reasons() -> list[str | None]:
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Message.reason).order_by(Message.id)))


def test_consent_withdrawn_a_second_earlier_stops_the_mail(sink, flow, planned):
    way = use(sink)
    planned(flow(), 5)
    people = list(db.session.scalars(sa.select(Contact).order_by(Contact.id)))
    people[0].email_consent = "withdrawn"
    people[1].status = "suppressed"
    db.session.add(
        Suppression(workspace_id=way.workspace_id, channel="email", address=people[2].email, reason="by_hand")
    )
    db.session.delete(people[3])
    db.session.commit()
    deliver(way)
    assert states() == ["skipped"] * 4 + ["accepted"]
    assert reasons() == ["unsubscribed", "suppressed", "suppressed", "deleted", None]
    assert [mail.to for mail in sink.mails] == ["c4@x.example"]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("removed", "skipped"),
        ("opted_out", "skipped"),
        ("finished", "accepted"),
        ("end_step", "accepted"),
        ("handed_on", "accepted"),
    ],
)
def test_who_left_the_flow_gets_no_mail_who_finished_it_does(sink, flow, planned, clock, end, state):
    way = use(sink)
    planned(flow())
    row = db.session.scalar(sa.select(Enrollment))
    row.due_at, row.ended_at, row.end_reason = None, clock.now, end
    db.session.commit()
    deliver(way)
    assert states() == [state]


@pytest.mark.parametrize(
    ("flow_state", "mode", "state", "reason"),
    [
        ("paused", "freeze", "planned", None),
        ("paused", "hold", "planned", None),
        ("paused", "skip", "skipped", "paused"),
        ("stopped", "", "skipped", "flow_stopped"),
    ],
)
def test_a_paused_or_stopped_flow_sends_nothing(sink, flow, planned, clock, flow_state, mode, state, reason):
    way = use(sink)
    one = flow()
    planned(one)
    one.state, one.pause_mode = flow_state, mode
    db.session.commit()
    deliver(way)
    assert states() == [state]
    assert reasons() == [reason]
    assert sink.mails == []


def test_a_resumed_flow_sends_at_once(sink, flow, planned, clock):
    way = use(sink)
    one = flow()
    planned(one, 2)
    one.state, one.pause_mode = "paused", "hold"
    db.session.commit()
    deliver(way)
    one.state = "active"
    db.session.commit()
    assert deliveries.release_flow(one.id) == 2
    deliver(way)
    assert states() == ["accepted"] * 2


def test_an_address_changed_meanwhile_is_the_one_written_to(sink, flow, planned):
    way = use(sink)
    [message_id] = planned(flow())
    contact = db.session.scalar(sa.select(Contact))
    contact.email = "new@x.example"
    db.session.commit()
    deliver(way)
    assert sink.mails[0].to == "new@x.example"
    assert message(message_id).address == "new@x.example"


def test_an_sms_in_quiet_hours_waits_for_the_morning(flow, planned, clock, workspace):
    planned(flow({"key": "text", "type": "send_sms", "text": "Hi"}), step="text", channel="sms")
    way = db.session.scalar(sa.select(Connection).where(Connection.channel == "sms"))
    way.provider = "memory"
    clock.now = clock.now.replace(hour=20)  # 22:00 in Rome
    db.session.commit()
    deliver(way)
    row = db.session.scalar(sa.select(Message))
    assert row.state == "planned"
    assert row.due_at == clock.now.replace(hour=6) + timedelta(days=1)
    clock.now = row.due_at
    deliver(way)
    assert states() == ["accepted"]


def test_another_clients_suppression_is_none_of_ours(sink, flow, planned, workspace):
    way = use(sink)
    other = Workspace(slug="kino", name="Kino", time_zone="Europe/Warsaw")
    db.session.add(other)
    db.session.flush()
    db.session.add(Suppression(workspace_id=other.id, channel="email", address="c0@x.example", reason="stop"))
    db.session.commit()
    planned(flow())
    deliver(way)
    assert states() == ["accepted"]


# --- templates -----------------------------------------------------------------------------------------------


def test_a_broken_template_pauses_the_flow_and_others_go_on(sink, flow, planned):
    way = use(sink)
    broken = flow({**MAIL, "subject": "Hi {{ contact.first_name"}, name="Broken")
    good = flow(name="Good")
    planned(broken, 2)
    planned(good, 2, start=2)
    deliver(way)
    assert states() == ["planned", "planned", "accepted", "accepted"]
    db.session.expire_all()
    assert (db.session.get(Flow, broken.id).state, db.session.get(Flow, broken.id).pause_mode) == ("paused", "hold")
    assert db.session.get(Flow, good.id).state == "active"
    assert db.session.scalar(sa.select(Alert.kind)) == "flow_paused"


def test_a_contact_whose_data_the_template_cannot_take_fails_alone(sink, flow, planned):
    way = use(sink)
    body = [{"type": "text", "text": "{% for n in (1..contact.many) %}{{ n }}{% endfor %}"}]
    ids = planned(flow({**MAIL, "body": body}), 2)
    contact = db.session.get(Contact, message(ids[0]).contact_id)
    contact.fields = {"many": 1_000_000}
    db.session.commit()
    deliver(way)
    assert states() == ["failed", "accepted"]


def test_a_step_may_end_the_flow_when_its_mail_fails(scripted, flow, planned):
    _, way = scripted(at("rcpt", "550 5.1.1 no"))
    planned(flow({**MAIL, "on_failure": "end"}))
    deliver(way)
    row = db.session.scalar(sa.select(Enrollment))
    assert (row.due_at, row.end_reason) == (None, "not_sent")


def test_who_waits_for_a_mail_that_fails_decides_at_once(scripted, flow, planned, clock, queue):
    _, way = scripted(at("rcpt", "550 5.1.1 no"))
    planned(flow())
    row = db.session.scalar(sa.select(Enrollment))
    row.awaits = "email_opened:hello"
    db.session.commit()
    deliver(way)
    db.session.expire_all()
    assert row.due_at == clock.now
    assert ("advance",) in queue.rings


# --- rates, order, planning ----------------------------------------------------------------------------------


def test_a_rate_is_kept_across_jobs(sink, flow, planned, clock):
    way = use(sink)
    way.per_minute = 30
    db.session.commit()
    planned(flow(), 50)
    clock.now = clock.now.replace(second=0)
    assert deliver(way) == 1
    clock.forward(seconds=29)
    assert deliver(way) == 14
    assert deliver(way) == 0
    clock.forward(seconds=30)
    assert deliver(way) == 15
    clock.forward(seconds=1)
    assert deliver(way) == 1
    assert db.session.scalar(sa.select(sa.func.sum(RateWindow.sent))) == 31


def test_a_recipient_domain_may_have_a_rate_of_its_own(sink, flow, planned, clock):
    way = use(sink, domain_per_minute=2)
    one = flow()
    planned(one, 4)
    contact = list(db.session.scalars(sa.select(Contact).order_by(Contact.id)))[3]
    row = db.session.scalars(sa.select(Message).order_by(Message.id.desc())).first()
    contact.email = row.address = "other@y.example"
    db.session.commit()
    deliver(way)
    assert states() == ["accepted", "accepted", "planned", "accepted"]
    clock.forward(minutes=1)
    deliver(way)
    assert states() == ["accepted"] * 4


def test_the_most_urgent_goes_first(sink, flow, planned):
    way = use(sink)
    planned(flow(), 3)
    assert deliveries.plan_one(
        channel="email",
        address="me@x.example",
        kind="confirmation",
        key="signup:1",
        content={"subject": "Yes?", "text": "Go"},
    )
    db.session.commit()
    lease, _journal = leases.open_lease(way.id, "test")
    assert leases.claim(lease, way, 1) == [message_with("signup:1")]
    _journal.close(done=True)


def message_with(key: str) -> int:
    return db.session.scalar(sa.select(Message.id).where(Message.key == key))


def test_planning_the_same_key_twice_is_one_message(workspace, queue):
    given = {"channel": "email", "address": "a@x.example", "kind": "test", "content": {"subject": "x", "text": "y"}}
    first = deliveries.plan_one(key="test:1", **given)
    assert first
    assert deliveries.plan_one(key="test:1", **given) is None
    assert queue.rings == []
    db.session.commit()
    assert [ring[0] for ring in queue.rings] == ["deliver"]


def test_a_confirmation_goes_to_who_unsubscribed_but_not_to_a_dead_mailbox(sink, workspace):
    way = use(sink)
    for n, reason in enumerate(("unsubscribed", "hard_bounce")):
        db.session.add(
            Suppression(workspace_id=workspace.id, channel="email", address=f"s{n}@x.example", reason=reason)
        )
        content = {"subject": "Confirm", "body": [{"type": "button", "label": "Yes", "url": "https://x.example/o/1"}]}
        deliveries.plan_one(
            channel="email", address=f"s{n}@x.example", kind="confirmation", key=f"signup:{n}", content=content
        )
    db.session.commit()
    deliver(way)
    assert states() == ["accepted", "skipped"]
    mail = sink.mails[0]
    assert "https://x.example/o/1" in mail.part("plain")  # links of a confirmation are left as they are
    assert "List-Unsubscribe" not in mail.message


def test_a_note_to_the_team_reads_the_contact(sink, flow, planned):
    way = use(sink)
    one = flow(
        {
            "key": "note",
            "type": "notify_team",
            "to": ["t@agency.example"],
            "subject": "New: {{ contact.email }}",
            "text": "Call {{ contact.first_name }} & co",
        }
    )
    [message_id] = planned(one, step="note")
    row = message(message_id)
    row.kind, row.address, row.class_ = "team", "t@agency.example", "service"
    db.session.commit()
    deliver(way)
    mail = sink.mails[0]
    assert (mail.to, mail.message["subject"]) == ("t@agency.example", "New: c0@x.example")
    assert mail.message.get_content_type() == "text/plain"
    assert mail.message.get_content().strip() == "Call Ada0 & co"


def test_many_leave_over_several_lines_each_once(sink, flow, planned):
    way = use(sink)
    planned(flow(), 600)
    assert deliver(way) == 600
    assert states() == ["accepted"] * 600
    assert len({mail.id for mail in sink.mails}) == len(sink.mails) == 600
    assert 1 < sink.connections <= 4


# --- leases --------------------------------------------------------------------------------------------------


def claimed(way: Connection, count: int):
    """Claim as a worker does, and stop there."""
    lease, journal = leases.open_lease(way.id, "worker-1")
    return lease, journal, leases.claim(lease, way, count)


def test_a_dead_workers_messages_come_back_as_its_journal_says(sink, flow, planned):
    from flowserver.providers.base import BOUNCED, TAKEN, Answer

    way = use(sink)
    planned(flow(), 4)
    _lease, journal, ids = claimed(way, 4)
    journal.begin(ids[0])
    journal.answered(ids[0], TAKEN)
    journal.begin(ids[1])
    journal.answered(ids[1], Answer(BOUNCED, "550 5.1.1 gone", "5.1.1"))
    journal.begin(ids[2])
    journal.close(done=False)  # as the kernel does when a process is killed
    assert deliveries.take_back() == 4
    assert states() == ["accepted", "bounced", "unknown", "planned"]
    assert journals() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Lease)) == 0
    deliver(way)
    assert states() == ["accepted", "bounced", "unknown", "accepted"]
    assert [mail.to for mail in sink.mails] == ["c3@x.example"]


def test_a_worker_that_lives_keeps_its_lease(sink, flow, planned, clock):
    way = use(sink)
    planned(flow(), 2)
    _lease, journal, _ids = claimed(way, 2)
    clock.forward(minutes=5)
    assert deliveries.take_back() == 0
    assert states() == ["claimed"] * 2
    journal.close(done=False)
    assert deliveries.take_back() == 2


def test_without_its_journal_a_whole_lease_is_unknown(sink, flow, planned, clock):
    way = use(sink)
    planned(flow(), 3)
    _lease, journal, _ids = claimed(way, 3)
    journal.path.unlink()
    journal.close(done=False)
    assert deliveries.take_back() == 0  # perhaps on another machine: its time is not over
    clock.forward(minutes=2)
    assert deliveries.take_back() == 3
    assert states() == ["unknown"] * 3


def test_after_a_restart_of_the_machine_nothing_is_sure(sink, flow, planned, monkeypatch):
    from flowserver.services.messages import journal as journals_module

    way = use(sink)
    planned(flow(), 2)
    _lease, journal, _ids = claimed(way, 2)
    journal.close(done=False)
    monkeypatch.setattr(journals_module, "boot", lambda: "another")
    deliveries.take_back()
    assert states() == ["unknown"] * 2


def test_a_line_cut_off_in_the_middle_counts_for_nothing(sink, flow, planned):
    way = use(sink)
    planned(flow(), 2)
    _lease, journal, ids = claimed(way, 2)
    with open(journal.path, "ab") as file:
        file.write(b"h %d\nt %d" % (ids[0], ids[0]))
    journal.close(done=False)
    deliveries.take_back()
    assert states() == ["unknown", "planned"]


def test_a_journal_with_an_unreadable_line_makes_nothing_sure(sink, flow, planned):
    way = use(sink)
    planned(flow(), 3)
    _lease, journal, ids = claimed(way, 3)
    with open(journal.path, "ab") as file:
        file.write(b"h %d\nt %d\nh 1t 2\n\0\0\n" % (ids[0], ids[0]))
    journal.close(done=False)
    assert deliveries.take_back() == 3
    assert states() == ["accepted", "unknown", "unknown"]


def test_a_database_that_fails_while_taking_back_is_asked_again(sink, flow, planned, monkeypatch):
    way = use(sink)
    planned(flow(), 2)
    _lease, journal, _ids = claimed(way, 2)
    journal.close(done=False)
    with monkeypatch.context() as patch:
        patch.setattr(leases, "close_lease", lambda _lease: 1 / 0)
        with pytest.raises(ZeroDivisionError) as _kept:  # its frames are still alive, as in a log that is being written
            deliveries.take_back()
    db.session.rollback()
    assert deliveries.take_back() == 2
    assert states() == ["planned"] * 2


def test_a_disk_without_room_for_the_journal_stops_sending_and_loses_nothing(sink, flow, planned, clock, monkeypatch):
    from flowserver.services.messages.journal import Journal

    way = use(sink)
    planned(flow(), 5)
    write, left = Journal._write, [5]

    def nearly_full(self, line):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", nearly_full)
        deliver(way)
    sent = states().count("accepted")
    assert sent == len(sink.mails) and states().count("planned") == 5 - sent > 0
    clock.forward(minutes=1)
    deliver(way)
    assert states() == ["accepted"] * 5
    assert len({mail.to for mail in sink.mails}) == len(sink.mails) == 5


def test_a_worker_whose_lease_was_taken_over_cannot_write(sink, flow, planned, clock):
    from flowserver.providers.base import BOUNCED, TAKEN, Answer

    way = use(sink)
    planned(flow(), 3)
    lease, journal, ids = claimed(way, 3)
    rows = list(db.session.connection().execute(sa.select(*outcomes.COLUMNS).order_by(Message.id)))
    clock.forward(hours=1)  # stuck for so long that nobody waits for it
    assert deliveries.take_back() == 3
    assert states() == ["unknown"] * 3
    answers = [Answer(BOUNCED, "550 5.1.1"), TAKEN, Answer("retry", "451")]
    outcomes.write(lease, [outcomes.Outcome(row, answer) for row, answer in zip(rows, answers, strict=True)])
    leases.give_back(ids, lease_id=lease)
    db.session.commit()
    assert states() == ["unknown"] * 3
    assert db.session.scalar(sa.select(Suppression)) is None
    journal.close(done=True)


def test_a_report_that_overtakes_the_answer_is_kept(sink, flow, planned):
    from flowserver.providers.base import TAKEN, DeliveryEvent

    way = use(sink)
    [message_id] = planned(flow())
    lease, journal, _ids = claimed(way, 1)
    row = db.session.connection().execute(sa.select(*outcomes.COLUMNS)).one()
    from flowserver.domain.tokens import short

    assert deliveries.record(way.id, [DeliveryEvent(short(message_id), "delivered")]) == 1
    outcomes.write(lease, [outcomes.Outcome(row, TAKEN)])
    db.session.commit()
    assert message(message_id).state == "delivered"
    journal.close(done=True)


def test_two_workers_at_once_send_each_mail_once(app, sink, flow, planned):
    way = use(sink)
    planned(flow(), 300)
    way_id, sent, errors = way.id, [], []
    db.session.remove()

    def work(name: str) -> None:
        try:
            with app.app_context():
                while count := deliveries.deliver(way_id, worker=name):
                    sent.append(count)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert sum(sent) == 300
    assert states() == ["accepted"] * 300
    assert len({mail.id for mail in sink.mails}) == len(sink.mails) == 300


def test_two_workers_keep_to_one_rate(app, sink, flow, planned, clock):
    way = use(sink)
    way.per_minute = 60
    db.session.commit()
    planned(flow(), 100)
    clock.now = clock.now.replace(second=39)
    way_id, sent = way.id, []
    db.session.remove()

    def work() -> None:
        with app.app_context():
            sent.append(deliveries.deliver(way_id))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sum(sent) == len(sink.mails) == 40


def test_where_files_cannot_be_locked_a_lease_comes_back_by_time_and_nothing_is_sent_again(
    sink, flow, planned, clock, monkeypatch
):
    from flowserver.services.messages import journal as journals_module

    monkeypatch.setattr(journals_module, "fcntl", None)
    way = use(sink)
    planned(flow(), 2)
    _lease, journal, _ids = claimed(way, 2)
    journal.close(done=False)
    assert deliveries.take_back() == 0
    clock.forward(minutes=20)
    assert deliveries.take_back() == 2
    assert states() == ["unknown"] * 2
    assert journals() == []
