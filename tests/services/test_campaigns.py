"""Campaigns: written, checked, planned chunk by chunk, sent once to everybody who may get it, stopped in the middle."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.domain import sending
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import (
    Alert,
    Campaign,
    Connection,
    Contact,
    ContactList,
    Engagement,
    Message,
    Suppression,
    Workspace,
)
from flowserver.services.accounts import settings
from flowserver.services.engine import ticks
from flowserver.services.messages import campaign_numbers, campaign_reach, campaign_runs, campaigns, deliveries, reports
from flowserver.services.people import contacts, lists, segments, timeline, usage, why
from tests.services.conftest import use
from tests.services.town import a_list, messages, people
from tests.sinks import SmtpSink

LETTER = {
    "subject": "May letter",
    "body": [
        {"type": "text", "text": "Hi {{ contact.first_name | default: 'there' }}, [read](https://lume.example/a)"}
    ],
}


def a_campaign(workspace, count=3, channel="email", content=None, name="May letter", **given):
    """A draft to a list of ``count`` people."""
    to = a_list(workspace, f"List of {name}", people(workspace, count, **given))
    text = content or (LETTER if channel == "email" else {"text": "Spring news"})
    return campaigns.create(channel, name, content=text, list_id=to)


def run(row, queue=None):
    """Plan it to the end."""
    campaign_runs.carry_on(row.id)
    db.session.expire_all()
    return campaigns.get(row.id)


def way(channel="email"):
    return db.session.scalar(sa.select(Connection).where(Connection.channel == channel))


# --- writing -------------------------------------------------------------------------------------------------


def test_a_campaign_is_a_draft_with_a_name_of_its_own_in_its_channel(workspace):
    row = campaigns.create("email", "  May   letter ", content=LETTER)
    assert (row.name, row.state, row.edition) == ("May letter", "draft", 1)
    campaigns.create("sms", "May letter")
    for name, words in [
        ("may LETTER", "There is already a campaign called may LETTER"),
        (" ", "Enter a name for the campaign"),
        ("x" * 121, "Use 120 characters at most for the name"),
    ]:
        with pytest.raises(Invalid) as refused:
            campaigns.create("email", name)
        assert refused.value.messages == {"name": [words]}
    with pytest.raises(Invalid):
        campaigns.create("fax", "Fax")


def test_its_content_keeps_to_the_rules_of_the_step_that_sends_the_same(workspace):
    row = campaigns.create("email", "May letter")
    with pytest.raises(Invalid) as refused:
        campaigns.update(row.id, content={"subject": "x" * 301, "on_failure": "end", "odd": 1})
    assert set(refused.value.messages) == {"subject", "on_failure", "odd"}
    seen = campaigns.print_of(campaigns.get(row.id).content)
    campaigns.update(row.id, content=LETTER, seen=seen)
    with pytest.raises(Conflict, match="Somebody else changed this message"):
        campaigns.update(row.id, content={**LETTER, "subject": "Other"}, seen=seen)


def test_the_audience_is_one_list_or_one_segment_that_exists(workspace):
    row = campaigns.create("email", "May letter")
    with pytest.raises(Invalid, match="The list was deleted"):
        campaigns.update(row.id, list_id=999)
    with pytest.raises(Invalid, match="not both"):
        campaigns.update(row.id, list_id=a_list(workspace), segment_id=1)


def test_a_list_a_campaign_still_goes_to_is_not_deleted(workspace, clock):
    row = a_campaign(workspace)
    with pytest.raises(usage.InUse, match="May letter"):
        lists.delete(row.list_id, "keep")
    campaigns.delete(row.id)
    assert lists.delete(row.list_id, "keep")


# --- before it goes out --------------------------------------------------------------------------------------


def test_what_keeps_it_from_being_sent_is_said_in_words(workspace, clock):
    row = campaigns.create("email", "Empty")
    workspace.sender_email = ""
    db.session.commit()
    with pytest.raises(Invalid) as refused:
        campaigns.send(row.id)
    assert refused.value.messages == {
        "subject": ["The e-mail has no subject"],
        "body": ["The e-mail has no text"],
        "sender_email": ["The client has no sender address for e-mail"],
        "list": ["Choose a list or a segment"],
    }
    assert campaigns.get(row.id).state == "draft"


def test_a_broken_template_is_not_sent(workspace, clock):
    row = a_campaign(workspace, content={**LETTER, "subject": "Hello {{ contact.first_name"})
    with pytest.raises(Invalid) as refused:
        campaigns.send(row.id)
    assert "subject" in refused.value.messages


def test_an_empty_audience_is_refused_now_and_told_about_later(workspace, clock):
    row = a_campaign(workspace, 0)
    with pytest.raises(Invalid, match="Nobody is on this list"):
        campaigns.send(row.id)
    assert [one.text for one in campaigns.look(row).findings] == ["Nobody is on this list or in this segment now"]
    campaigns.schedule(row.id, "2026-05-05", "09:00")
    clock.forward(days=1)
    assert run(row).state == "sent"


def test_without_a_connection_nothing_is_sent(workspace, clock):
    row = a_campaign(workspace, channel="sms")
    db.session.delete(way("sms"))
    db.session.commit()
    with pytest.raises(Invalid, match="No way to send is set up"):
        campaigns.send(row.id)


@pytest.mark.parametrize(
    ("day", "time", "field", "words"),
    [
        ("2026-05-04", "10:59", "date", "The time must be in the future. 2026-05-04 10:59 has passed"),
        ("2026-02-30", "09:00", "date", "Enter a date such as 2026-12-01"),
        ("2026-06-01", "25:00", "time", "Enter a time such as 09:00"),
        ("2027-03-28", "02:30", "time", "The clocks skip this time on that day. Choose another one"),
        ("2036-01-01", "09:00", "date", "Choose a day within the next three years"),
    ],
)
def test_a_time_it_cannot_go_out_at_is_refused(workspace, clock, day, time, field, words):
    row = a_campaign(workspace)
    with pytest.raises(Invalid) as refused:
        campaigns.schedule(row.id, day, time)
    assert refused.value.messages == {field: [words]}


def test_the_head_count_follows_the_rules_of_sending(workspace, clock):
    ids = people(workspace, 9)
    to = a_list(workspace, "Mixed", ids)
    changes = [
        {}, {"email": None}, {"email_consent": "none"}, {"email_consent": "withdrawn"}, {"status": "bounced"},
        {"status": "suppressed"}, {"paused_until": clock.now + timedelta(days=3)}, {}, {},
    ]  # fmt: skip
    for number, change in zip(ids, changes, strict=True):
        for name, value in change.items():
            setattr(db.session.get(Contact, number), name, value)
    address = db.session.get(Contact, ids[7]).email
    db.session.add(Suppression(workspace_id=workspace.id, channel="email", address=address, reason="by_hand"))
    db.session.commit()
    row = campaigns.create("email", "May letter", content=LETTER, list_id=to)
    found = campaign_reach.reach(row)
    expected = {
        "no_email": 1, "no_consent": 1, "unsubscribed": 1, "bounced": 1, "suppressed": 2, "on_pause": 1,
    }  # fmt: skip
    assert (found.total, found.reached, found.skipped) == (9, 2, expected)
    campaigns.send(row.id)
    run(row)
    numbers = campaign_numbers.of(row)
    assert (numbers.recipients, numbers.waiting, dict(numbers.reasons)) == (9, 2, expected)
    service = campaigns.create("email", "Terms", content={**LETTER, "class": "service"}, list_id=to)
    assert campaign_reach.reach(service).skipped == {"suppressed": 2, "no_email": 1, "bounced": 1}
    codes = {sending.may_send(db.session.get(Contact, n), "email", "service", False) for n in ids}
    assert codes == {None, "no_email", "suppressed", "bounced"}


# --- sending -------------------------------------------------------------------------------------------------


def test_a_campaign_goes_once_to_everybody_on_the_list(workspace, clock, queue):
    with SmtpSink() as sink:
        use(sink)
        row = a_campaign(workspace, 3)
        assert campaigns.send(row.id).state == "scheduled"
        queue.drain()
        campaign_runs.carry_on(row.id)
        db.session.expire_all()
        assert (row.state, row.started_at, row.sent_at, row.busy) == ("sent", clock.now, clock.now, False)
        assert len({mail.to for mail in sink.mails}) == len(sink.mails) == 3
        mail = sink.mails[0]
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "/l/" in mail.part("html")
        assert ".gif" in mail.part("html")
        assert "Hi there" in mail.part("plain")
        deliveries.hang_up()
    rows = messages(Message.campaign_id == row.id)
    assert {(one.kind, one.state, one.priority) for one in rows} == {("campaign", "accepted", 7)}
    assert [one.key for one in rows] == [f"campaign:{row.id}:{one.contact_id}" for one in rows]
    numbers = campaign_numbers.of(row)
    assert (numbers.recipients, numbers.sent, numbers.delivered, numbers.waiting) == (3, 3, 3, 0)
    assert [(link.url, link.people) for link in numbers.links] == [("https://lume.example/a", 0)]


def test_it_waits_for_its_time_on_the_clock_of_the_client(workspace, clock, queue):
    row = campaigns.schedule(a_campaign(workspace).id, "2026-10-26", "09:00")
    assert row.send_at.isoformat() == "2026-10-26T08:00:00+00:00"  # Rome has winter time again by then
    assert (row.wish, row.zone) == ("2026-10-26T09:00", "Europe/Rome")
    clock.now = row.send_at - timedelta(seconds=1)
    ticks.tick(clock.now)
    assert queue.rings == []
    clock.forward(seconds=1)
    ticks.tick(clock.now)
    assert ("campaign", row.id) in queue.rings
    assert run(row).state == "sending"
    assert len(messages()) == 3


def test_a_killed_planner_goes_on_where_it_stopped(workspace, clock, monkeypatch):
    monkeypatch.setattr(campaign_runs, "CHUNK", 2)
    monkeypatch.setattr(campaign_runs, "CHUNK_LITE", 2)
    row = a_campaign(workspace, 5)
    campaigns.send(row.id)
    assert campaign_runs.step(row.id)  # begins
    assert campaign_runs.step(row.id)
    assert len(messages()) == 2
    with monkeypatch.context() as broken:
        broken.setattr(campaign_runs, "_set", lambda *_, **__: 1 / 0)  # after the messages, before the cursor
        with pytest.raises(ZeroDivisionError):
            campaign_runs.step(row.id)
    db.session.rollback()
    assert len(messages()) == 2
    run(row)
    assert len(messages()) == 5
    db.session.execute(sa.update(Campaign).values(planned_after=0))  # even a lost cursor sends nothing twice
    db.session.commit()
    run(row)
    assert len(messages()) == 5


def test_whoever_joins_or_leaves_the_list_later_changes_nothing(workspace, clock):
    row = a_campaign(workspace, 2)
    campaigns.send(row.id)
    run(row)
    lists.join(row.list_id, people(workspace, 1))
    run(row)
    assert len(messages()) == 2


def test_texts_that_wait_for_the_quiet_hours_follow_them_when_they_change(workspace, clock):
    to = a_list(workspace, members=people(workspace, 2))
    row = campaigns.create("sms", "Night", content={"text": "Hi"}, list_id=to)
    clock.now = clock.now.replace(hour=22)  # midnight in Rome
    assert campaigns.held_until(row) == clock.now + timedelta(hours=8)
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    assert campaign_numbers.of(row).goes_on == clock.now + timedelta(hours=8)
    kept = {
        "sender_name": "Lume",
        "sender_email": "hello@lume.example",
        "sms_sender": "Lume",
        "cap_day": "",
        "cap_week": "",
    }
    settings.save_sending(workspace, **kept, quiet_from="21:00", quiet_until="07:00")
    assert {one.due_at for one in messages()} == {clock.now + timedelta(hours=7)}
    about = ("name", "country", "locale", "postal_address", "brand_color", "notify_email", "count_machine_opens")
    moved = {name: getattr(workspace, name) for name in about}
    settings.save_general(workspace, **moved, time_zone="Europe/London")  # where it is an hour earlier
    assert {one.due_at for one in messages()} == {clock.now + timedelta(hours=8)}
    settings.save_sending(workspace, **kept, quiet_from="00:00", quiet_until="00:00")
    assert {one.due_at for one in messages()} == {clock.now}
    assert campaigns.held_until(row) is None and campaign_numbers.of(row).goes_on is None


def test_sms_wait_for_the_end_of_the_quiet_hours(workspace, clock):
    clock.now = clock.now.replace(hour=20)  # 22:00 in Rome
    row = a_campaign(workspace, channel="sms")
    campaigns.send(row.id)
    run(row)
    opens = clock.now.replace(day=5, hour=6)
    assert {(one.state, one.due_at) for one in messages()} == {("planned", opens)}
    service = a_campaign(workspace, channel="sms", name="Closed", content={"text": "Closed", "class": "service"})
    campaigns.send(service.id)
    run(service)
    assert {one.due_at for one in messages(Message.campaign_id == service.id)} == {clock.now}


def test_whoever_waits_for_a_campaign_can_be_told_why(workspace, clock):
    clock.now = clock.now.replace(hour=20)  # 22:00 in Rome
    row = a_campaign(workspace, channel="sms")
    campaigns.send(row.id)
    run(row)
    one = messages()[0]
    (asked, *_) = why.questions(one.contact_id)
    assert (asked.key, asked.channel, asked.flow) == (str(one.id), "sms", f"Campaign “{row.name}”")
    found = why.explain(contacts.get(one.contact_id), asked.key)
    assert (found.kind, found.title, found.at) == ("info", "Not sent yet", one.due_at)


def test_a_message_limit_delays_to_the_next_free_day(workspace, clock):
    workspace.cap_day = 1
    db.session.commit()
    first = a_campaign(workspace, 2)
    second = campaigns.copy(first.id)
    third = campaigns.copy(first.id)
    for row in (first, second, third):
        campaigns.send(row.id)
        run(row)
    dues = [{one.due_at for one in messages(Message.campaign_id == row.id)} for row in (first, second, third)]
    assert dues == [{clock.now}, {clock.now + timedelta(days=1)}, {clock.now + timedelta(days=2)}]


def test_whoever_unsubscribes_before_the_hand_over_gets_nothing(workspace, clock, queue):
    with SmtpSink() as sink:
        use(sink)
        row = a_campaign(workspace, 2)
        campaigns.send(row.id)
        run(row)
        one = messages()[0]
        db.session.get(Contact, one.contact_id).email_consent = "withdrawn"
        db.session.commit()
        deliveries.deliver(way().id)
        deliveries.hang_up()
    assert [(one.state, one.reason) for one in messages()] == [("skipped", "unsubscribed"), ("accepted", None)]


# --- stopping ------------------------------------------------------------------------------------------------


def test_cancelling_in_the_middle_keeps_back_what_was_not_handed_over(workspace, clock, monkeypatch):
    monkeypatch.setattr(campaign_runs, "CHUNK_LITE", 2)
    monkeypatch.setattr(campaign_runs, "CHUNK", 2)
    row = a_campaign(workspace, 5)
    campaigns.send(row.id)
    for _ in range(3):
        campaign_runs.step(row.id)
    first = messages()[0]
    first.state, first.accepted_at = "accepted", clock.now
    db.session.commit()
    row = campaigns.cancel(row.id)
    assert (row.state, row.busy, row.cancelled_at) == ("cancelled", False, clock.now)
    run(row)
    assert [(one.state, one.reason) for one in messages()] == [
        ("accepted", None),
        *[("skipped", "campaign_cancelled")] * 3,
    ]
    for act in (campaigns.cancel, campaigns.send, campaigns.take_back, campaigns.delete):
        with pytest.raises(Conflict):
            act(row.id)


def test_a_claimed_message_of_a_cancelled_campaign_is_not_handed_over(workspace, clock):
    with SmtpSink() as sink:
        use(sink)
        row = a_campaign(workspace, 2)
        campaigns.send(row.id)
        run(row)
        db.session.execute(sa.update(Campaign).values(state="cancelled"))  # as if it happened this instant
        db.session.commit()
        deliveries.deliver(way().id)
        deliveries.hang_up()
        assert sink.mails == []
    assert {one.reason for one in messages()} == {"campaign_cancelled"}


def test_a_scheduled_campaign_can_be_cancelled_or_taken_back(workspace, clock):
    row = campaigns.schedule(a_campaign(workspace).id, "2026-05-05", "09:00")
    with pytest.raises(Conflict, match="Take it back"):
        campaigns.update(row.id, content={"subject": "Other"})
    row = campaigns.take_back(row.id)
    assert (row.state, row.busy, row.send_at, row.wish) == ("draft", False, None, "")
    campaigns.schedule(row.id, "2026-05-05", "09:00")
    row = campaigns.cancel(row.id)
    assert (row.state, row.busy) == ("cancelled", False)
    clock.forward(days=2)
    run(row)
    assert messages() == []
    campaigns.delete(row.id)
    with pytest.raises(NotFound):
        campaigns.get(row.id)


def test_a_template_that_breaks_under_way_stops_the_campaign_with_an_alert(workspace, clock):
    with SmtpSink() as sink:
        use(sink)
        row = a_campaign(workspace, 2)
        campaigns.send(row.id)
        run(row)
        workspace.sender_email = "not an address"
        db.session.commit()
        deliveries.deliver(way().id)
        row = run(row)
        assert (row.state, row.held) == ("sending", "Enter a sender address such as hello@example.com")
        alert = db.session.scalar(sa.select(Alert))
        assert (alert.kind, alert.subject) == ("campaign_held", f"campaign:{row.id}")
        assert {(one.state, one.due_at) for one in messages()} == {("planned", clock.now + timedelta(minutes=5))}
        with pytest.raises(Conflict, match="sender address"):
            campaigns.go_on(row.id)
        workspace.sender_email = "ciao@caffelume.example"
        db.session.commit()
        assert campaigns.go_on(row.id).held == ""
        deliveries.deliver(way().id)
        deliveries.hang_up()
        assert run(row).state == "sent"
        assert len(sink.mails) == 2
    assert db.session.scalar(sa.select(Alert.resolved_at)) == clock.now


def test_what_was_missed_by_more_than_a_day_asks_a_person(workspace, clock):
    row = campaigns.schedule(a_campaign(workspace).id, "2026-05-05", "09:00")
    clock.forward(days=3)
    row = run(row)
    assert row.state == "sending"
    assert "when flowserver did not run" in row.held
    assert messages() == []
    campaigns.go_on(row.id)
    run(row)
    assert len(messages()) == 3


def test_a_deleted_audience_stops_it_at_its_hour(workspace, clock):
    row = campaigns.schedule(a_campaign(workspace).id, "2026-05-05", "09:00")
    db.session.execute(sa.delete(ContactList))
    db.session.commit()
    clock.forward(days=1)
    assert run(row).held == "The list or segment it goes to was deleted."


# --- copies, numbers, tenants --------------------------------------------------------------------------------


def test_a_copy_is_a_campaign_of_its_own(workspace, clock):
    row = a_campaign(workspace, 2)
    campaigns.send(row.id)
    run(row)
    made = campaigns.copy(row.id)
    assert (made.name, made.state, made.list_id, made.content) == ("May letter 2", "draft", row.list_id, row.content)
    assert campaigns.copy(row.id).name == "May letter 3"
    campaigns.send(made.id)
    run(made)
    assert len(messages()) == 4


def test_reports_of_sms_are_counted_and_shown_for_each_recipient(workspace, clock, queue):
    row = a_campaign(workspace, 3, channel="sms")
    campaigns.send(row.id)
    run(row)
    for one, kind in zip(messages(), ("delivered", "failed", None), strict=True):
        one.state, one.accepted_at, one.segments = "accepted", clock.now, 1
        db.session.commit()
        if kind:
            reports.record(one.connection_id, [reports.DeliveryEvent(kind=kind, ref=f"{one.id:x}", reason="absent")])
    numbers = campaign_numbers.of(row)
    assert (numbers.sent, numbers.delivered, numbers.failed, numbers.segments) == (3, 1, 1, 3)
    page = campaign_numbers.recipients(row.id, limit=2)
    assert [campaign_numbers.status_of(one) for one in page.rows] == ["delivered", "failed"]
    rest = campaign_numbers.recipients(row.id, after=page.next, limit=2)
    assert [campaign_numbers.status_of(one) for one in rest.rows] == ["sent"]
    assert rest.next is None
    assert len(campaign_numbers.recipients(row.id, "failed").rows) == 1
    with pytest.raises(Invalid):
        campaign_numbers.recipients(row.id, "odd")


def test_another_client_sees_and_changes_nothing_of_it(workspace, clock):
    from flowserver import extensions

    row = a_campaign(workspace)
    other = Workspace(slug="kino", name="Kino", time_zone="Europe/Warsaw")
    db.session.add(other)
    db.session.commit()
    with extensions.workspace(other.id):
        for act in (campaigns.get, campaigns.send, campaigns.cancel, campaigns.copy, campaigns.delete):
            with pytest.raises(NotFound):
                act(row.id)
        assert campaign_numbers.lines() == []
        with pytest.raises(Invalid, match="The list was deleted"):
            campaigns.create("email", "Theirs", list_id=row.list_id)


# --- segments ------------------------------------------------------------------------------------------------


def test_a_segment_is_computed_when_it_is_planned(workspace, clock, monkeypatch):
    monkeypatch.setattr(campaign_runs, "CHUNK_LITE", 2)
    monkeypatch.setattr(campaign_runs, "CHUNK", 2)
    ids = people(workspace, 7)
    for number in ids[::2]:
        db.session.get(Contact, number).score = 50
    db.session.commit()
    segment = segments.create("Keen", {"type": "score_compares", "points": 50})
    row = campaigns.create("email", "May letter", content=LETTER, segment_id=segment.id)
    assert campaigns.look(row).reach.reached == 4
    with pytest.raises(usage.InUse, match="May letter"):
        segments.delete(segment.id)
    campaigns.send(row.id)
    run(row)
    assert [one.contact_id for one in messages()] == ids[::2]


def test_the_contacts_history_names_the_campaign(workspace, clock):
    row = a_campaign(workspace, 1)
    campaigns.send(row.id)
    run(row)
    one = messages()[0]
    one.state, one.accepted_at = "accepted", clock.now
    db.session.add(
        Engagement(
            workspace_id=workspace.id, message_id=one.id, contact_id=one.contact_id, kind="open", at=clock.now
        )
    )  # fmt: skip
    db.session.commit()
    found = [(entry.title, entry.text, entry.detail) for entry in timeline.of(one.contact_id).entries]
    assert ("Opened “May letter”", "Campaign “May letter”", "") in found
    assert ("E-mail sent", "Campaign “May letter”", "May letter") in found
