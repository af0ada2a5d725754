"""The pages of campaigns: from a name to a message that leaves, its report, and what refuses."""

import re

import pytest
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Campaign, Contact, ContactList, Engagement, Flow, Message
from flowserver.services.messages import campaign_runs, campaigns
from tests.conftest import make_user
from tests.services.town import a_list, messages, people

ROOT = "/c/caffe-lume/campaigns"


@pytest.fixture
def web(login, bob):
    return login(bob)


def text_of(page) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.get_data(as_text=True)))


def only() -> Campaign:
    db.session.expire_all()
    return db.session.scalar(sa.select(Campaign))


def test_from_a_name_to_messages_on_their_way(web, workspace, clock, queue):
    to = a_list(workspace, "Newsletter", people(workspace, 3))
    assert "No campaign yet" in text_of(web.get(ROOT))
    made = web.post(f"{ROOT}/new", data={"channel": "email", "name": "May letter"})
    row = only()
    assert made.headers["Location"] == f"{ROOT}/{row.id}/audience"
    chosen = web.post(made.headers["Location"], data={"name": "May letter", "to": "list", "list": str(to)})
    assert chosen.headers["Location"] == f"{ROOT}/{row.id}/message"
    page = web.get(chosen.headers["Location"])
    assert "Back to the audience" in text_of(page)
    assert "If it cannot be sent for good" not in text_of(page)
    written = web.post(
        chosen.headers["Location"],
        data={
            "act": "done", "mode": "blocks", "subject": "News", "class": "marketing",
            "block": "0", "b0-type": "text", "b0-text": "Read [on](https://lume.example/a)",
        },
    )  # fmt: skip
    assert written.headers["Location"] == f"{ROOT}/{row.id}/check"
    assert only().content["subject"] == "News"
    check = text_of(web.get(written.headers["Location"]))
    assert "3 contacts of 3 on the list Newsletter" in check
    assert "Nothing to fix and nothing to check" in check
    sent = web.post(f"{ROOT}/{row.id}/check", data={"when": "now"})
    assert sent.headers["Location"] == f"{ROOT}/{row.id}"
    campaign_runs.carry_on(row.id)
    assert len(messages(Message.campaign_id == row.id)) == 3
    report = text_of(web.get(f"{ROOT}/{row.id}", follow_redirects=True))
    assert "This campaign is being sent" in report
    assert "https://lume.example/a" in report
    assert "May letter" in text_of(web.get(ROOT))


def test_an_sms_is_written_and_scheduled_and_taken_back(web, workspace, clock):
    row = campaigns.create("sms", "Spring", list_id=a_list(workspace, "Phones", people(workspace, 2)))
    web.post(f"{ROOT}/{row.id}/message", data={"act": "done", "text": "Spring news", "class": "marketing"})
    check = text_of(web.get(f"{ROOT}/{row.id}/check"))
    assert "Sent between 08:00 and 21:00" in check
    wrong = web.post(f"{ROOT}/{row.id}/check", data={"when": "later", "date": "2026-05-01", "time": "25:00"})
    assert wrong.status_code == 422
    assert "Enter a time such as 09:00" in text_of(wrong)
    assert 'value="25:00"' in wrong.get_data(as_text=True)
    web.post(f"{ROOT}/{row.id}/check", data={"when": "later", "date": "2026-05-05", "time": "09:00"})
    page = text_of(web.get(f"{ROOT}/{row.id}", follow_redirects=True))
    assert "Goes out on 5 May 2026, 09:00, Europe/Rome" in page
    refused = web.post(f"{ROOT}/{row.id}/message", data={"act": "", "text": "Other", "class": "marketing"})
    assert refused.status_code == 409
    assert "Take it back to the drafts" in text_of(refused)
    web.post(f"{ROOT}/{row.id}/take-back")
    assert only().state == "draft"


def test_mistakes_stand_at_their_fields_and_what_was_typed_stays(web, workspace):
    page = web.post(f"{ROOT}/new", data={"channel": "sms", "name": " "})
    assert page.status_code == 422
    assert "Enter a name for the campaign" in text_of(page)
    assert re.search(r'value="sms"[^>]*checked|checked[^>]*value="sms"', page.get_data(as_text=True))
    row = campaigns.create("email", "May letter")
    page = web.post(f"{ROOT}/{row.id}/audience", data={"name": "May letter", "to": "segment"})
    assert page.status_code == 422
    assert "Choose a list or a segment" in text_of(page)
    check = web.get(f"{ROOT}/{row.id}/check")
    assert "The e-mail has no subject" in text_of(check)
    assert "Send campaign" not in text_of(check)
    assert web.post(f"{ROOT}/{row.id}/check", data={"when": "now"}).status_code == 422


def test_cancelling_and_deleting_ask_for_a_tick(web, workspace, clock):
    row = campaigns.create(
        "sms", "Spring", content={"text": "Hi"}, list_id=a_list(workspace, members=people(workspace, 2))
    )
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    web.post(f"{ROOT}/{row.id}/cancel")
    assert only().state == "sending"
    web.post(f"{ROOT}/{row.id}/cancel", data={"sure": "1"})
    assert only().state == "cancelled"
    report = text_of(web.get(f"{ROOT}/{row.id}/report"))
    assert "This campaign was cancelled on" in report
    assert "The campaign was cancelled" in report
    copied = web.post(f"{ROOT}/{row.id}/copy")
    made = int(copied.headers["Location"].rsplit("/", 1)[1])
    web.post(f"{ROOT}/{made}/delete")
    web.post(f"{ROOT}/{made}/delete", data={"sure": "1"})
    db.session.expire_all()
    assert db.session.get(Campaign, made) is None


def test_recipients_have_a_status_each_and_can_be_filtered(web, workspace, clock):
    ids = people(workspace, 3)
    db.session.get(Contact, ids[1]).phone = None
    db.session.commit()
    row = campaigns.create("sms", "Spring", content={"text": "Hi"}, list_id=a_list(workspace, members=ids))
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    first = messages()[0]
    first.state, first.accepted_at, first.delivered_at = "delivered", clock.now, clock.now
    db.session.commit()
    page = text_of(web.get(f"{ROOT}/{row.id}/recipients"))
    assert "Delivered" in page
    assert "There is no mobile number" in page
    skipped = web.get(f"{ROOT}/{row.id}/recipients?status=skipped").get_data(as_text=True)
    assert f"/contacts/{ids[1]}" in skipped
    assert f"/contacts/{ids[0]}" not in skipped
    assert "No recipient has this status" in text_of(web.get(f"{ROOT}/{row.id}/recipients?status=failed"))
    assert web.get(f"{ROOT}/{row.id}/recipients?status=odd").status_code == 404


def test_opens_are_judged_again_when_the_client_wants_programs_counted(web, workspace, clock, queue):
    row = campaigns.create(
        "email",
        "May letter",
        content={"subject": "Hi", "body": [{"type": "text", "text": "Hi"}]},
        list_id=a_list(workspace, members=people(workspace, 1)),
    )
    campaigns.send(row.id)
    campaign_runs.carry_on(row.id)
    message = messages()[0]
    message.state, message.accepted_at = "accepted", clock.now
    db.session.add(
        Engagement(
            workspace_id=workspace.id, message_id=message.id, contact_id=message.contact_id, kind="open",
            at=clock.forward(hours=1), machine=True, evidence={"agent": "Mozilla/5.0", "method": "GET"},
        )
    )  # fmt: skip
    workspace.count_machine_opens = True
    db.session.commit()
    queue.rings.clear()
    for _ in range(2):
        assert "are being told apart again" in text_of(web.post(f"{ROOT}/{row.id}/judge", follow_redirects=True))
    assert queue.rings == [("judge", workspace.id, row.id)] and messages()[0].opened_at is None
    queue.drain()
    db.session.expire_all()
    assert messages()[0].opened_at == clock.now


def test_one_that_stands_still_says_why_and_goes_on(web, workspace, clock):
    row = campaigns.create(
        "email",
        "May letter",
        content={"subject": "Hi", "body": [{"type": "text", "text": "Hi"}]},
        list_id=a_list(workspace, members=people(workspace, 1)),
    )
    campaigns.send(row.id)
    campaign_runs.step(row.id)
    campaign_runs.hold(row.id, "The client has no sender address for e-mail")
    assert "stands still" in text_of(web.get(ROOT))
    assert "This campaign stands still" in text_of(web.get(f"{ROOT}/{row.id}/report"))
    assert "The campaign goes on" in text_of(web.post(f"{ROOT}/{row.id}/go-on", follow_redirects=True))
    db.session.execute(sa.delete(ContactList))
    db.session.commit()
    campaign_runs.hold(row.id, "Broken")
    assert "was deleted" in text_of(web.post(f"{ROOT}/{row.id}/go-on", follow_redirects=True))


def test_clients_only_look_and_strangers_find_nothing(login, workspace, carol, clock):
    row = campaigns.create("email", "May letter")
    reader = login(make_user("client", "lume@caffelume.example", workspace))
    for page in ("", f"/{row.id}/check", f"/{row.id}/audience", f"/{row.id}/message", f"/{row.id}/recipients"):
        assert reader.get(ROOT + page).status_code == 200
        assert login(carol).get(ROOT + page).status_code == 404
    assert reader.post(f"{ROOT}/{row.id}/delete", data={"sure": "1"}).status_code == 403


# --- the wizards ---------------------------------------------------------------------------------------------

WIZARD = "/c/caffe-lume/flows/new/email_activity"
ASKED = {
    "name": "Reminder", "event": "not_opened", "within-amount": "3", "within-unit": "days",
    "wait-amount": "10", "wait-unit": "minutes", "reentry": "once", "include_existing": "y",
    "cooldown-amount": "0", "cooldown-unit": "days",
}  # fmt: skip


def a_sent_one(workspace):
    content = {"subject": "Hi", "body": [{"type": "text", "text": "Hi"}]}
    row = campaigns.create("email", "May letter", content=content, list_id=a_list(workspace, members=[]))
    db.session.execute(sa.update(Campaign).values(state="sent"))
    db.session.commit()
    return row


def test_the_wizard_says_within_for_what_did_not_happen(web, workspace, clock):
    row = a_sent_one(workspace)
    page = text_of(web.get(WIZARD))
    assert "When a contact has not opened May letter within 3 days , start with the first step." in page
    assert "When a contact opens May letter , wait 10 minutes , then start with the first step." in page
    made = web.post(WIZARD, data={**ASKED, "campaign": str(row.id)})
    assert made.status_code == 303
    flow = db.session.scalar(sa.select(Flow))
    assert flow.draft["trigger"] == {
        "type": "email_activity", "campaign": row.id, "event": "not_opened", "wait": {"days": 3}, "reentry": "once",
    }  # fmt: skip
    assert "Watch for 3 days" in text_of(web.get(made.headers["Location"]))
    again = web.get(f"/c/caffe-lume/flows/{flow.id}/start").get_data(as_text=True)
    assert re.search(r'name="within-amount"[^>]*value="3"', again)


def test_the_wizard_puts_a_window_that_is_too_short_at_its_field(web, workspace, clock):
    row = a_sent_one(workspace)
    page = web.post(WIZARD, data={**ASKED, "campaign": str(row.id), "within-amount": "0"})
    assert page.status_code == 422
    assert 'id="within-e"' in page.get_data(as_text=True)
    assert "Give people at least 1 hour" in text_of(page)
    page = web.post(WIZARD, data={**ASKED, "campaign": str(row.id), "event": "clicked"})
    assert "This e-mail has no links" in text_of(page)
    page = web.post(WIZARD, data=ASKED)
    assert "Choose an e-mail campaign" in text_of(page)


def test_without_a_campaign_the_wizard_says_so(web, workspace):
    assert "None is scheduled or sent yet" in text_of(web.get("/c/caffe-lume/flows/new/sms_activity"))
