"""Flows that start with what becomes of a campaign's messages: rows 2 and 3 of the starting points, with real causes."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from flowserver.domain import visitors
from flowserver.errors import Broken, Invalid
from flowserver.extensions import db
from flowserver.models import Contact, Engagement, Enrollment, Event, Flow, Message
from flowserver.providers.base import ACCEPTED, BOUNCED, FAILED, Answer, DeliveryEvent
from flowserver.services.engine import engine, enrollment, missed, ticks
from flowserver.services.flows import checks, flows
from flowserver.services.messages import (
    campaign_runs,
    campaigns,
    connections,
    evidence,
    leases,
    outcomes,
    reports,
    silence,
    tracking,
)
from tests.services.town import a_list, messages, people, runs

LETTER = {"subject": "May letter", "body": [{"type": "text", "text": "Hi, [read](https://lume.example/a)"}]}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"
TAG = {"key": "tag", "type": "add_tag", "tag": "reached"}


def planned(workspace, count=2, channel="email", content=None, **given):
    """A campaign whose messages are planned; and the messages."""
    text = content or (LETTER if channel == "email" else {"text": "Spring news"})
    to = a_list(workspace, f"To {channel}", people(workspace, count, **given))
    row = campaigns.create(channel, "May letter", content=text, list_id=to)
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    return row, messages(Message.campaign_id == row.id)


def go_live(row, event, wait=None, existing=None, name="Reaction", **more):
    """A live flow that starts with the campaign."""
    trigger = {"type": f"{row.channel}_activity", "campaign": row.name, "event": event, **more}
    if wait is not None:
        trigger["wait"] = wait
    flow = flows.create({"format": 1, "name": name, "trigger": trigger, "steps": [TAG]})
    flows.publish(flow.id, None, existing)
    return flow


def answer(rows, state=ACCEPTED, reason=""):
    """What the other side said at the hand-over, as the deliver job writes it."""
    lease, paper = leases.open_lease(rows[0].connection_id, "test")
    ids = [row.id for row in rows]
    db.session.execute(sa.update(Message).where(Message.id.in_(ids)).values(state="claimed", lease_id=lease))
    query = sa.select(*outcomes.COLUMNS).where(Message.id.in_(ids))
    found = db.session.connection().execute(query).all()
    outcomes.write(lease, [outcomes.Outcome(one, Answer(state, reason)) for one in found])
    leases.close_lease(lease)
    db.session.commit()
    paper.close(done=True)


def report(row, kind, clock):
    reports.record(row.connection_id, [DeliveryEvent(kind=kind, ref=f"{row.id:x}", at=clock.now)])


def look(row, clock, link=None, agent=FIREFOX):
    """The contact's mail program fetches the pixel, or a link."""
    token = connections.signer().sign("track", f"{row.id:x}")
    visitor = visitors.Visitor(at=clock.now, agent=agent, by_hand=True)
    if link is None:
        tracking.open(token, visitor)
    else:
        tracking.click(token, link, visitor)


def inside():
    """Contacts by how their run stands: waiting to start, done, or why it ended."""
    return {run.contact_id: run.end_reason or ("in" if run.entered_at else "waiting") for run in runs()}


def pass_time(clock, **span):
    clock.forward(**span)
    engine.advance()


# --- e-mail: positive ----------------------------------------------------------------------------------------


def test_sent_lets_in_whoever_the_server_took_it_for_and_brings_the_message(workspace, clock):
    row, (one, two) = planned(workspace)
    go_live(row, "sent")
    answer([one])
    answer([two], FAILED, "550 no")
    engine.advance()
    assert inside() == {one.contact_id: "finished"}
    assert runs()[0].data == {"message": one.id, "campaign": row.id}
    event = db.session.scalar(sa.select(Event).where(Event.type == "email_sent"))
    assert (event.subject, event.key) == (f"campaign:{row.id}", f"message:{one.id}:email_sent")


def test_opened_counts_once_and_only_people(workspace, clock):
    row, (one, two) = planned(workspace)
    go_live(row, "opened", wait={"minutes": 0})
    answer([one, two])
    clock.forward(hours=1)
    look(two, clock, agent="Mozilla/5.0")  # Apple Mail, ahead of its reader
    look(one, clock)
    look(one, clock)
    engine.advance()
    assert inside() == {one.contact_id: "finished"}


def test_machine_opens_start_flows_where_the_client_counts_them(workspace, clock):
    workspace.count_machine_opens = True
    db.session.commit()
    row, (one, _) = planned(workspace)
    go_live(row, "opened")
    answer([one])
    clock.forward(hours=1)
    look(one, clock, agent="Mozilla/5.0")
    assert inside() == {one.contact_id: "waiting"}


def test_clicked_implies_an_open_and_the_unsubscribe_link_is_no_click(workspace, clock):
    row, (one, two) = planned(workspace)
    go_live(row, "clicked", name="Clicked")
    go_live(row, "opened", name="Opened")
    answer([one, two])
    clock.forward(hours=1)
    tracking.unsubscribe(connections.signer().sign("leave", f"{two.contact_id:x}-{two.id:x}"))
    look(one, clock, link=0)
    assert [run.contact_id for run in runs()] == [one.contact_id] * 2
    assert runs()[0].data["campaign"] == row.id


def test_a_scanners_clicks_that_looked_like_a_persons_start_nothing_after_all(workspace, clock):
    links = " ".join(f"[{n}](https://lume.example/{n})" for n in range(4))
    row, (one, _) = planned(workspace, content={**LETTER, "body": [{"type": "text", "text": links}]})
    go_live(row, "clicked", wait={"minutes": 10})
    answer([one])
    clock.forward(hours=1)
    for link in range(4):
        look(one, clock, link=link)
    assert inside() == {one.contact_id: "waiting"}
    pass_time(clock, minutes=10)
    assert inside() == {one.contact_id: "no_longer_matches"}


def test_what_a_scanner_undid_comes_back_and_a_persons_click_later_is_news(workspace, clock):
    links = " ".join(f"[{n}](https://lume.example/{n})" for n in range(4))
    row, (one, _) = planned(workspace, content={**LETTER, "body": [{"type": "text", "text": links}]})
    go_live(row, "not_clicked", name="Silent")
    go_live(row, "clicked", name="Clicked")
    answer([one])
    clock.forward(hours=1)
    for link in range(4):
        look(one, clock, link=link)
    ends = [run.end_reason for run in runs(Enrollment.contact_id == one.contact_id)]
    assert "start_undone" not in ends  # the window goes on
    pass_time(clock, hours=1)
    assert len(runs(Enrollment.contact_id == one.contact_id)) == 2
    look(one, clock, link=2)  # hours later, one link: the person
    pass_time(clock, minutes=30)
    ends = [run.end_reason for run in runs(Enrollment.contact_id == one.contact_id)]
    assert "start_undone" in ends  # the window, by the person
    assert len(ends) == 3  # and the click is news to the other flow


def test_an_open_for_an_unknown_recipient_is_nothing(workspace, clock):
    row, (one, _) = planned(workspace)
    go_live(row, "opened")
    answer([one])
    tracking.open("forged", visitors.Visitor(at=clock.now, agent=FIREFOX))
    db.session.execute(sa.delete(Message).where(Message.id == one.id))
    db.session.commit()
    look(one, clock)
    assert inside() == {}


# --- e-mail: negative ----------------------------------------------------------------------------------------


def test_not_opened_is_decided_once_when_the_window_is_over(workspace, clock):
    row, (one, two) = planned(workspace)
    go_live(row, "not_opened")
    answer([one, two])
    assert inside() == {one.contact_id: "waiting", two.contact_id: "waiting"}
    clock.forward(days=2)
    look(one, clock)
    assert inside() == {one.contact_id: "start_undone", two.contact_id: "waiting"}
    pass_time(clock, days=1)
    assert inside()[two.contact_id] == "finished"
    look(two, clock)  # later: the run went on
    pass_time(clock, days=9)
    assert len(runs()) == 2  # an open before the deadline means no run, ever


def test_not_clicked_keeps_those_who_only_opened(workspace, clock):
    row, (one, two) = planned(workspace)
    go_live(row, "not_clicked", wait={"hours": 1})
    answer([one, two])
    clock.forward(minutes=30)
    look(one, clock)
    look(two, clock, link=0)
    pass_time(clock, hours=1)
    assert inside() == {one.contact_id: "finished", two.contact_id: "start_undone"}


def test_a_machine_open_does_not_undo_a_window(workspace, clock):
    row, (one, _) = planned(workspace)
    go_live(row, "not_opened")
    answer([one])
    clock.forward(hours=1)
    look(one, clock, agent="Mozilla/5.0")
    pass_time(clock, days=3)
    assert inside() == {one.contact_id: "finished"}


def test_bounced_suppressed_and_failed_mails_are_not_not_opened(workspace, clock):
    row, (one, two, three) = planned(workspace, 3)
    go_live(row, "not_opened")
    db.session.get(Contact, three.contact_id).email_consent = "withdrawn"
    answer([one])
    answer([two], BOUNCED, "550 nobody")
    report(one, "bounced", clock)
    pass_time(clock, days=4)
    assert inside() == {one.contact_id: "start_undone"}


# --- e-mail: past campaigns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "expected"),
    [("sent", [0, 1, 2, 3]), ("opened", [1, 2]), ("not_opened", [0]), ("clicked", [2]), ("not_clicked", [0, 1])],
)
def test_past_recipients_of_a_sent_campaign_are_let_in_by_default(workspace, clock, event, expected):
    row, rows = planned(workspace, 5)
    answer(rows[:4])
    clock.forward(hours=1)
    look(rows[1], clock)
    look(rows[2], clock, link=0)
    report(rows[3], "bounced", clock)
    db.session.execute(sa.update(Message).where(Message.id == rows[4].id).values(state="skipped"))
    db.session.commit()
    clock.forward(days=9)
    flow = go_live(row, event, wait={"days": 3})
    assert flows.would_start(flow).contacts == len(expected)
    enrollment.enroll_existing(flow.id)
    assert sorted(run.contact_id for run in runs()) == [rows[n].contact_id for n in expected]
    assert {run.due_at for run in runs()} == {clock.now + timedelta(days=3)}  # activation + wait
    first = min(runs(), key=lambda run: run.contact_id)
    assert first.data == {"message": rows[expected[0]].id, "campaign": row.id}


def test_an_open_after_activation_undoes_a_past_recipients_window(workspace, clock):
    row, (one, two) = planned(workspace)
    answer([one, two])
    clock.forward(days=30)
    flow = go_live(row, "not_opened")
    enrollment.enroll_existing(flow.id)
    look(one, clock)
    pass_time(clock, days=3)
    assert inside() == {one.contact_id: "start_undone", two.contact_id: "finished"}


def test_without_the_tick_past_recipients_stay_out(workspace, clock):
    row, rows = planned(workspace)
    answer(rows)
    flow = go_live(row, "sent", existing=False)
    enrollment.enroll_existing(flow.id)
    assert inside() == {}


# --- bad input -----------------------------------------------------------------------------------------------


def refused(kind, campaign, event="sent", **more):
    trigger = {"type": kind, "campaign": campaign, "event": event, **more}
    with pytest.raises(Invalid) as error:
        flows.create({"format": 1, "name": "F", "trigger": trigger, "steps": []})
    return error.value.messages


def test_the_other_channel_a_draft_and_a_cancelled_campaign_cannot_be_chosen(workspace, clock):
    sms, _ = planned(workspace, channel="sms")
    choose = {"trigger.campaign": ["Choose an e-mail campaign that is scheduled or sent"]}
    assert refused("email_activity", sms.id) == choose
    draft = campaigns.create("email", "Draft", content=LETTER)
    assert refused("email_activity", draft.id) == choose
    assert refused("sms_activity", draft.id) == {
        "trigger.campaign": ["Choose an SMS campaign that is scheduled or sent"]
    }
    assert refused("sms_activity", "Nothing") == {
        "trigger.campaign": ["There is no SMS campaign “Nothing” that is scheduled or sent"]
    }
    campaigns.cancel(sms.id)
    assert refused("sms_activity", sms.id)


def test_a_campaign_without_links_and_clicked_is_refused(workspace, clock):
    row, _ = planned(workspace, content={"subject": "Hi", "body": [{"type": "text", "text": "No links"}]})
    for event in ("clicked", "not_clicked"):
        found = refused("email_activity", row.id, event, wait={"days": 3})
        assert found == {"trigger.event": ["This e-mail has no links: nobody can click in it. Choose something else"]}


def test_a_negative_event_with_wait_0_is_refused(workspace, clock):
    row, _ = planned(workspace)
    found = refused("email_activity", row.id, "not_opened", wait={"minutes": 0})
    assert found == {"trigger.wait": ["Give people at least 1 hour"]}
    assert "trigger.event" in refused("email_activity", row.id, "read")


def test_a_campaign_cancelled_later_warns_and_starts_nothing(workspace, clock):
    row, (one, two) = planned(workspace)
    flow = go_live(row, "opened", wait={"minutes": 0})
    answer([one, two])
    campaigns.cancel(row.id)
    clock.forward(hours=1)
    look(one, clock)
    assert inside() == {}
    db.session.expire_all()
    assert db.session.get(Flow, flow.id).state == "active"
    assert "was cancelled" in db.session.get(Flow, flow.id).broken
    assert checks.findings(flow.draft)[0].text == "Choose an e-mail campaign that is scheduled or sent"


def test_a_campaign_taken_back_warns_until_it_is_scheduled_again(workspace, clock):
    to = a_list(workspace, members=people(workspace, 1))
    row = campaigns.create("email", "Later", content=LETTER, list_id=to)
    campaigns.schedule(row.id, "2026-05-05", "09:00")
    flow = go_live(row, "sent")
    campaigns.take_back(row.id)
    db.session.expire_all()
    assert "draft again" in db.session.get(Flow, flow.id).broken
    campaigns.schedule(row.id, "2026-05-05", "10:00")
    db.session.expire_all()
    assert db.session.get(Flow, flow.id).broken == ""


def test_events_are_written_only_where_somebody_hears_them(workspace, clock):
    _, rows = planned(workspace)
    answer(rows)
    clock.forward(hours=1)
    look(rows[0], clock)
    assert db.session.scalar(sa.select(sa.func.count()).where(Event.type == "email_sent")) == 0
    assert db.session.get(Message, rows[0].id).opened_at == clock.now


# --- SMS -----------------------------------------------------------------------------------------------------


def test_sms_sent_is_what_the_gateway_took_and_delivered_is_its_final_report(workspace, clock):
    row, (one, two) = planned(workspace, channel="sms")
    go_live(row, "sent", name="Sent")
    go_live(row, "delivered", name="Delivered", wait={"minutes": 10})
    answer([one, two])
    assert len(runs()) == 2
    report(one, "delivered", clock)
    assert len(runs()) == 3


def test_sms_refused_at_submission_and_reported_failed_are_not_delivered(workspace, clock):
    row, (one, two, three) = planned(workspace, 3, channel="sms")
    go_live(row, "not_delivered", wait={"minutes": 0})
    answer([one], FAILED, "unknown number")
    answer([two, three])
    report(two, "failed", clock)
    engine.advance()
    assert inside() == {one.contact_id: "finished", two.contact_id: "finished"}


def test_silence_and_a_later_report_of_failure_are_one_not_delivered(workspace, clock):
    row, (one,) = planned(workspace, 1, channel="sms")
    go_live(row, "not_delivered", wait={"minutes": 0}, reentry="after_finish")
    answer([one])
    clock.forward(hours=73)
    assert silence.tell() == 1
    engine.advance()
    assert inside() == {one.contact_id: "finished"}
    clock.forward(hours=30)
    report(one, "failed", clock)
    engine.advance()
    assert silence.tell() == 0 and len(runs()) == 1
    told = sa.select(Event.type).where(Event.type.in_(("sms_silent", "sms_failed")))
    assert list(db.session.scalars(told)) == ["sms_silent"]


def test_no_final_report_after_72_hours_is_not_delivered(workspace, clock, queue):
    row, (one, two) = planned(workspace, channel="sms")
    go_live(row, "not_delivered", wait={"hours": 1})
    answer([one, two])
    sent_at = clock.now
    clock.forward(hours=71)
    assert silence.tell() == 0
    report(two, "delivered", clock)
    clock.now = sent_at + timedelta(hours=73)
    clock.now = clock.now.replace(minute=0, second=0)
    ticks.tick(clock.now)
    assert ("silence",) in queue.rings
    assert silence.tell() == 1
    assert silence.tell() == 0
    (run,) = runs()
    assert (run.contact_id, run.triggered_at) == (one.contact_id, sent_at + timedelta(hours=72))


def test_a_late_delivered_cancels_a_run_in_its_start_wait(workspace, clock):
    row, (one, two) = planned(workspace, channel="sms")
    go_live(row, "not_delivered", wait={"hours": 1})
    answer([one, two])
    report(one, "failed", clock)
    report(two, "failed", clock)
    clock.forward(minutes=30)
    report(one, "delivered", clock)
    pass_time(clock, hours=1)
    assert inside() == {one.contact_id: "start_undone", two.contact_id: "finished"}


def test_people_skipped_at_sending_are_none_of_the_three(workspace, clock):
    row, (one, two) = planned(workspace, channel="sms")
    flow = go_live(row, "not_delivered")
    for contact_id, values in ((one.contact_id, {"sms_consent": "withdrawn"}), (two.contact_id, {"phone": None})):
        for name, value in values.items():
            setattr(db.session.get(Contact, contact_id), name, value)
    db.session.commit()
    db.session.execute(sa.update(Message).values(state="skipped", reason="unsubscribed"))
    db.session.commit()
    clock.forward(hours=100)
    silence.tell()
    enrollment.enroll_existing(flow.id)
    assert inside() == {}


def test_a_contact_without_a_number_has_no_event(workspace, clock):
    row, written = planned(workspace, channel="sms", phone=None)
    flow = go_live(row, "not_delivered", wait={"minutes": 0})
    assert [(message.state, message.reason) for message in written] == [("skipped", "no_phone")] * 2
    clock.forward(hours=100)
    silence.tell()
    enrollment.enroll_existing(flow.id)
    assert inside() == {}


def test_duplicate_and_out_of_order_reports_start_one_run(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    go_live(row, "delivered")
    answer([one])
    for kind in ("delivered", "failed", "delivered", "delivered"):
        report(one, kind, clock)
    assert inside() == {one.contact_id: "waiting"}


def test_a_report_for_an_unknown_message_is_taken_and_forgotten(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    go_live(row, "delivered")
    gone = [DeliveryEvent(kind="delivered", ref="ffffff", at=clock.now)]
    with capture_logs() as told:
        assert reports.record(one.connection_id, gone) == 0
    assert [line["event"] for line in told] == ["report.of_nobody"] and inside() == {}


@pytest.mark.parametrize(("event", "expected"), [("sent", [0, 1, 2, 3]), ("delivered", [0]), ("not_delivered", [1, 2])])
def test_past_outcomes_of_an_sms_count(workspace, clock, event, expected):
    row, rows = planned(workspace, 4, channel="sms")
    answer(rows[:3])
    report(rows[0], "delivered", clock)
    report(rows[1], "failed", clock)
    clock.forward(hours=73)
    answer(rows[3:])
    flow = go_live(row, event)
    enrollment.enroll_existing(flow.id)
    assert sorted(run.contact_id for run in runs()) == [rows[n].contact_id for n in expected]


# --- any e-mail, and judging again ---------------------------------------------------------------------------


def test_any_e_mail_clicked_hears_flows_too(workspace, clock, flow, planned):
    mine = flows.create(
        {"format": 1, "name": "Any", "trigger": {"type": "any_email", "event": "clicked"}, "steps": [TAG]}
    )
    flows.publish(mine.id, None, None)
    of_flow = db.session.get(Message, planned(flow())[0])
    answer([of_flow])
    clock.forward(hours=1)
    look(of_flow, clock, link=0)
    assert [run.contact_id for run in runs(Enrollment.flow_id == mine.id)] == [of_flow.contact_id]


def test_judging_again_follows_todays_rules_and_starts_nothing(workspace, clock, monkeypatch):
    row, (one, two) = planned(workspace)
    go_live(row, "opened")
    answer([one, two])
    clock.forward(hours=1)
    look(one, clock)
    look(two, clock, agent="curl/8")
    before = inside()
    monkeypatch.setattr(visitors, "_PROGRAMS", visitors.re.compile("Firefox"))
    assert evidence.judge(workspace.id) == 2
    db.session.expire_all()
    assert db.session.get(Message, one.id).opened_at is None
    assert db.session.get(Message, two.id).opened_at == clock.now
    assert sorted(db.session.scalars(sa.select(Engagement.machine))) == [False, True]
    assert inside() == before
    assert evidence.judge_all() == 0


# --- what is told late ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("event", "kind"), [("delivered", "delivered"), ("not_delivered", "failed")])
def test_a_report_that_comes_after_going_live_about_what_was_before_it_counts(workspace, clock, event, kind):
    row, (one, other) = planned(workspace, channel="sms")
    answer([one, other])
    before = clock.now
    clock.forward(minutes=1)
    go_live(row, event, wait={"minutes": 10})
    clock.forward(minutes=1)
    told = [DeliveryEvent(kind=kind, ref=f"{one.id:x}", at=before)]
    reports.record(row.connection_id, told)
    assert [(run.contact_id, run.triggered_at) for run in runs()] == [
        (one.contact_id, clock.now - timedelta(minutes=1))
    ]
    pass_time(clock, minutes=9)
    assert inside() == {one.contact_id: "finished"}


def test_without_past_outcomes_a_late_report_about_them_starts_nobody(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    answer([one])
    before = clock.now
    clock.forward(minutes=1)
    go_live(row, "delivered", existing=False)
    reports.record(row.connection_id, [DeliveryEvent(kind="delivered", ref=f"{one.id:x}", at=before)])
    assert runs() == []


def test_a_report_told_during_a_pause_about_what_was_before_it_is_made_good(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    flow = go_live(row, "delivered", wait={"minutes": 0})
    answer([one])
    before = clock.now
    clock.forward(minutes=1)
    flows.pause(flow.id)
    reports.record(row.connection_id, [DeliveryEvent(kind="delivered", ref=f"{one.id:x}", at=before)])
    assert runs() == [] and missed.count(flows.get(flow.id)).contacts == 1


def test_an_open_after_the_window_does_not_undo_it_however_late_anybody_looks(workspace, clock):
    row, (early, late, never) = planned(workspace, 3)
    go_live(row, "not_opened", wait={"hours": 1})
    answer([early, late, never])
    clock.forward(minutes=50)
    look(early, clock)
    clock.forward(hours=1)  # the workers are away
    look(late, clock)
    engine.advance()
    assert inside() == {early.contact_id: "start_undone", late.contact_id: "finished", never.contact_id: "finished"}


def test_a_bounce_or_a_delivery_after_the_window_comes_too_late(workspace, clock):
    row, (mail, _) = planned(workspace)
    go_live(row, "not_opened", wait={"hours": 1}, name="Mail")
    answer([mail])
    text, (sms, _) = planned(workspace, channel="sms")
    go_live(text, "not_delivered", wait={"hours": 1}, name="Text")
    answer([sms], FAILED, "barred")
    clock.forward(hours=2)
    report(mail, "bounced", clock)
    report(sms, "delivered", clock)
    engine.advance()
    assert sorted(run.end_reason for run in runs()) == ["finished", "finished"]


def test_the_window_of_a_frozen_flow_stands_still(workspace, clock):
    row, (one, two) = planned(workspace)
    flow = go_live(row, "not_opened", wait={"hours": 1})
    answer([one, two])
    flows.pause(flow.id, "freeze")
    clock.forward(days=2)
    look(one, clock)
    flows.resume(flow.id)
    pass_time(clock, hours=2)
    assert inside() == {one.contact_id: "start_undone", two.contact_id: "finished"}


def test_a_past_recipient_let_in_for_silence_does_not_start_again_with_the_late_report(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    answer([one])
    clock.forward(hours=73)
    flow = go_live(row, "not_delivered", wait={"minutes": 0}, reentry="after_finish", cooldown=None)
    enrollment.enroll_existing(flow.id)
    engine.advance()
    assert inside() == {one.contact_id: "finished"}
    report(one, "failed", clock)
    assert len(runs()) == 1


def test_a_campaign_cancelled_before_its_past_recipients_were_let_in_starts_nobody(workspace, clock):
    to = a_list(workspace, members=people(workspace, 2))
    row = campaigns.create("email", "Later", content=LETTER, list_id=to)
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    answer(messages(Message.campaign_id == row.id)[:1])
    flow = go_live(campaigns.get(row.id), "sent")
    campaigns.cancel(row.id)
    enrollment.enroll_existing(flow.id)
    assert runs() == []


def test_a_mail_whose_links_a_flow_waits_for_is_not_sent_without_them(workspace, clock):
    to = a_list(workspace, members=people(workspace, 1))
    row = campaigns.create("email", "Later", content=LETTER, list_id=to)
    campaigns.schedule(row.id, "2026-05-05", "09:00")
    go_live(row, "not_clicked")
    campaigns.take_back(row.id)
    plain = {**LETTER, "body": [{"type": "text", "text": "No link"}]}
    campaigns.update(row.id, content=plain)
    with pytest.raises(Invalid, match="starts with clicks in this e-mail"):
        campaigns.send(row.id)
    campaigns.update(row.id, content=LETTER)
    campaigns.send(row.id)


def test_a_delivered_after_72_hours_of_silence_undoes_the_start_that_still_waits(workspace, clock, queue):
    row, (one, _) = planned(workspace, channel="sms")
    go_live(row, "not_delivered", wait={"hours": 2})
    answer([one])
    clock.forward(hours=73)
    assert silence.tell() == 1
    assert inside() == {one.contact_id: "waiting"}
    report(one, "delivered", clock)
    assert inside() == {one.contact_id: "start_undone"}


def test_a_late_delivered_undoes_the_start_of_a_past_recipient(workspace, clock):
    row, (one, _) = planned(workspace, channel="sms")
    answer([one])
    clock.forward(hours=73)
    flow = go_live(row, "not_delivered", wait={"hours": 2})
    enrollment.enroll_existing(flow.id)
    assert inside() == {one.contact_id: "waiting"}
    report(one, "delivered", clock)
    assert inside() == {one.contact_id: "start_undone"}


def test_what_nobody_knows_the_fate_of_counts_as_not_delivered_after_72_hours(workspace, clock):
    row, (one, two) = planned(workspace, channel="sms")
    early = clock.now
    for message, at in ((one, early), (two, early + timedelta(hours=70))):
        values = {"state": "unknown", "handed_at": at}
        db.session.execute(sa.update(Message).where(Message.id == message.id).values(**values))
    db.session.commit()
    clock.forward(hours=73)
    flow = go_live(row, "not_delivered", wait={"minutes": 0})
    enrollment.enroll_existing(flow.id)
    assert list(inside()) == [one.contact_id]


def test_going_live_with_a_cancelled_campaign_is_a_conflict_and_shows(workspace, clock):
    row, _ = planned(workspace)
    flow = flows.create(
        {"name": "R", "trigger": {"type": "email_activity", "campaign": row.name, "event": "sent"}, "steps": [TAG]}
    )
    campaigns.cancel(row.id)
    with pytest.raises(Broken) as error:
        flows.publish(flow.id)
    assert error.value.status == 409 and list(error.value.messages) == ["trigger.campaign"]
    db.session.expire_all()
    assert "Choose an e-mail campaign" in flows.get(flow.id).broken
