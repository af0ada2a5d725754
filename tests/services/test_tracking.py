"""Clicks, opens, leaving: through real pages, with real tokens out of a mail that left."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import (
    Consent,
    Contact,
    ContactList,
    Engagement,
    Enrollment,
    Event,
    Membership,
    Message,
    Suppression,
)
from flowserver.services.messages import connections, deliveries
from tests.services.conftest import MAIL, use

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Sec-Fetch-User": "?1"}
LINKS = "[a](https://caffelume.example/a) [b](https://caffelume.example/b?u={{ contact.email }}) [c](https://caffelume.example/c)"


@pytest.fixture
def sent(sink, flow, planned, clock):
    """A mail that left half a minute ago: its message, and the addresses in it."""
    way = use(sink)
    mail = {**MAIL, "body": [{"type": "text", "text": LINKS}]}
    [message_id] = planned(flow(mail))
    deliveries.deliver(way.id)
    clock.forward(seconds=30)
    html = sink.mails[0].part("html")
    paths = re.findall(r'"http://localhost(/[ltup]/[^"]+)"', html)
    links = [path for path in paths if path.startswith("/l/")]
    found = {kind: next(path for path in paths if path.startswith(f"/{kind}/")) for kind in "tup"}
    header = re.search(r"<http://localhost(/u/[^>]+)>", sink.mails[0].message["List-Unsubscribe"])[1]
    assert header == found["u"]
    return message_id, links, found


def message(message_id) -> Message:
    db.session.expire_all()
    return db.session.get(Message, message_id)


def evidence() -> list[tuple[str, bool]]:
    db.session.expire_all()
    rows = db.session.scalars(sa.select(Engagement).order_by(Engagement.id))
    return [(row.kind, row.machine) for row in rows]


def events() -> list[str]:
    return list(db.session.scalars(sa.select(Event.type).order_by(Event.id)))


def test_a_click_leads_on_and_counts_as_an_open(sent, client, clock):
    message_id, links, _ = sent
    answer = client.get(links[1], headers=BROWSER)
    assert answer.status_code == 302
    assert answer.location == "https://caffelume.example/b?u=c0@x.example"
    assert "no-store" in answer.headers["Cache-Control"]
    row = message(message_id)
    assert row.clicked_at == row.opened_at == clock.now
    assert evidence() == [("click", False)]
    assert events() == ["email_opened", "email_clicked"]
    contact = db.session.scalar(sa.select(Contact))
    assert contact.last_activity_at == clock.now


def test_a_click_wakes_whoever_waits_for_it(sent, client, clock, queue):
    message_id, links, _ = sent
    row = message(message_id)
    waiting = db.session.get(Enrollment, row.enrollment_id)
    waiting.awaits, waiting.due_at, waiting.parked_at = "email_clicked:hello", clock.now + timedelta(days=2), clock.now
    db.session.commit()
    client.get(links[0], headers=BROWSER)
    db.session.expire_all()
    assert db.session.get(Enrollment, row.enrollment_id).due_at == clock.now
    assert ("advance",) in queue.rings


def test_a_second_click_adds_evidence_but_no_event(sent, client, clock):
    message_id, links, _ = sent
    first = clock.now
    client.get(links[0], headers=BROWSER)
    clock.forward(hours=1)
    client.get(links[0], headers=BROWSER)
    assert message(message_id).clicked_at == first
    assert len(evidence()) == 2
    assert events().count("email_clicked") == 1


@pytest.mark.parametrize(
    "path", ["/l/x.y/0", "/l/1.AAAAAAAAAAAAAAAA/0", "/l/%00/0", "/p/zzz", "/u/1-1.AAAAAAAAAAAAAAAA"]
)
def test_forged_links_lead_nowhere(workspace, client, path):
    assert client.get(path, headers=BROWSER).status_code == 404


def test_a_link_number_the_mail_does_not_have_leads_nowhere(sent, client):
    assert client.get(sent[1][0].rsplit("/", 1)[0] + "/99", headers=BROWSER).status_code == 404


def test_tokens_are_good_for_one_purpose(sent, client):
    _, links, found = sent
    track = links[0].split("/")[2]
    assert client.get(f"/u/{track}").status_code == 404
    assert client.post(f"/u/{track}").status_code == 404
    leave = found["u"].split("/")[2]
    assert client.get(f"/l/{leave}/0").status_code == 404


def test_the_pixel_is_an_open_by_a_person(sent, client, clock):
    message_id, _, found = sent
    answer = client.get(found["t"], headers=BROWSER)
    assert answer.mimetype == "image/gif"
    assert message(message_id).opened_at == clock.now
    assert message(message_id).clicked_at is None
    assert events() == ["email_opened"]


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0", True),  # Apple Mail loads everything ahead
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", True),
        ("python-requests/2.34", True),
        ("", True),
        ("YahooMailProxy; https://help.yahoo.com", False),
    ],
)
def test_programs_that_open_are_kept_apart(sent, client, agent, machine):
    message_id, _, found = sent
    client.get(found["t"], headers={"User-Agent": agent})
    assert evidence() == [("open", machine)]
    assert (message(message_id).opened_at is None) == machine


def test_a_client_may_count_machine_opens(sent, client, workspace):
    workspace.count_machine_opens = True
    db.session.commit()
    client.get(sent[2]["t"], headers={"User-Agent": "Mozilla/5.0"})
    assert message(sent[0]).opened_at is not None


def test_a_head_request_follows_but_counts_nothing(sent, client):
    _message_id, links, found = sent
    assert client.head(links[0], headers=BROWSER).status_code == 302
    assert client.head(found["t"], headers=BROWSER).status_code == 200
    assert client.head(found["u"]).status_code == 200
    assert evidence() == []
    assert db.session.scalar(sa.select(Contact.email_consent)) == "given"


def test_a_scanner_that_follows_every_link_is_no_click(sent, client, clock):
    message_id, links, _ = sent
    for link in links:
        client.get(link, headers=BROWSER)
        clock.forward(seconds=1)
    assert evidence() == [("click", True)] * 3
    row = message(message_id)
    assert (row.clicked_at, row.opened_at) == (None, None)


def test_a_click_right_after_acceptance_needs_a_hand(sink, flow, planned, client, clock):
    way = use(sink)
    [message_id] = planned(flow())
    deliveries.deliver(way.id)
    path = re.search(r'"http://localhost(/l/[^"]+)"', sink.mails[0].part("html"))[1]
    clock.forward(seconds=3)
    client.get(path, headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})
    assert message(message_id).clicked_at is None
    client.get(path, headers=BROWSER)
    assert message(message_id).clicked_at == clock.now


def test_a_busy_database_costs_the_evidence_never_the_visit(sent, client, monkeypatch):
    from flowserver.services.messages import tracking

    def busy(*_, **__):
        raise sa.exc.OperationalError("locked", {}, Exception())

    monkeypatch.setattr(tracking, "_keep", busy)
    assert client.get(sent[1][0], headers=BROWSER).status_code == 302


def test_a_click_still_leads_on_when_the_contact_is_gone(sent, client):
    db.session.delete(db.session.scalar(sa.select(Contact)))
    db.session.commit()
    assert client.get(sent[1][0], headers=BROWSER).location == "https://caffelume.example/a"
    assert events() == []


def test_evidence_of_one_message_has_a_limit(sent, client, monkeypatch):
    from flowserver.services.messages import tracking

    monkeypatch.setattr(tracking, "MOST_EVIDENCE", 3)
    for _ in range(5):
        client.get(sent[2]["t"], headers=BROWSER)
    assert len(evidence()) == 3


# --- leaving -------------------------------------------------------------------------------------------------


def test_one_click_unsubscribe_needs_no_cookie_and_sends_nobody_on(sent, app):
    stranger = app.test_client(use_cookies=False)
    answer = stranger.post(sent[2]["u"], data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    db.session.expire_all()
    contact = db.session.scalar(sa.select(Contact))
    assert (contact.email_consent, contact.sms_consent) == ("withdrawn", "given")
    proof = db.session.scalar(sa.select(Consent))
    assert (proof.state, proof.channel, proof.source) == ("withdrawn", "email", "one-click")
    assert "unsubscribed" in events()
    assert evidence() == [("unsubscribed", False)]
    assert stranger.post(sent[2]["u"]).status_code == 200  # again: nothing new
    assert events().count("unsubscribed") == 1


def test_looking_at_the_unsubscribe_link_changes_nothing(sent, client):
    answer = client.get(sent[2]["u"])
    assert answer.status_code == 200
    assert "Choose what you receive" in answer.text
    assert "c•••@x.example" in answer.text
    assert "c0@x.example" not in answer.text
    assert db.session.scalar(sa.select(Contact.email_consent)) == "given"


def test_after_unsubscribing_the_next_mail_stays(sent, client, planned, sink, flow, clock):
    client.post(sent[2]["u"])
    row = message(sent[0])
    again = Message(
        **{
            c: getattr(row, c)
            for c in ("workspace_id", "kind", "channel", "class_", "connection_id", "contact_id", "address")
        },
        **{c: getattr(row, c) for c in ("flow_id", "version_id", "enrollment_id", "step")},
        key="again",
        visit=2,
        state="planned",
        planned_at=clock.now,
        due_at=clock.now,
    )
    db.session.add(again)
    db.session.commit()
    deliveries.deliver(row.connection_id)
    db.session.expire_all()
    assert (again.state, again.reason) == ("skipped", "unsubscribed")
    assert len(sink.mails) == 1


@pytest.fixture
def topics(workspace):
    """Two public lists, one private."""
    rows = [
        ContactList(workspace_id=workspace.id, name="Coffee letters", public=True),
        ContactList(workspace_id=workspace.id, name="Offers", description="About once a month", public=True),
        ContactList(workspace_id=workspace.id, name="VIP", public=False),
    ]
    db.session.add_all(rows)
    db.session.commit()
    return rows


def on_lists() -> set[int]:
    db.session.expire_all()
    return set(db.session.scalars(sa.select(Membership.list_id)))


def test_topics_are_joined_and_left(sent, client, topics):
    letters, offers, vip = (row.id for row in topics)
    contact_id = db.session.scalar(sa.select(Contact.id))
    db.session.add(Membership(list_id=letters, contact_id=contact_id, workspace_id=topics[0].workspace_id))
    db.session.commit()
    page = client.get(sent[2]["p"]).text
    assert "Coffee letters" in page
    assert "VIP" not in page
    answer = client.post(sent[2]["p"], data={"topic": [offers, vip, "x", "9" * 30], "sms": "1"})
    assert answer.status_code == 303
    assert on_lists() == {offers}
    assert "Your choice is saved" in client.get(answer.location).text
    contact = db.session.get(Contact, contact_id)
    assert (contact.email_consent, contact.sms_consent) == ("given", "given")


def test_no_topic_means_no_mail_and_a_topic_later_means_mail_again(sent, client, topics):
    contact = db.session.scalar(sa.select(Contact))
    client.post(sent[2]["p"], data={"sms": "1", "pause": "1"})  # on no topic before and after: nothing is given up
    db.session.expire_all()
    assert (contact.email_consent, contact.sms_consent) == ("given", "given")
    db.session.add(Membership(list_id=topics[0].id, contact_id=contact.id, workspace_id=contact.workspace_id))
    db.session.commit()
    client.post(sent[2]["p"], data={})
    db.session.expire_all()
    assert (contact.email_consent, contact.sms_consent) == ("withdrawn", "withdrawn")
    client.post(sent[2]["p"], data={"topic": topics[0].id})
    db.session.expire_all()
    assert contact.email_consent == "given"
    proof = db.session.scalars(sa.select(Consent).order_by(Consent.id.desc())).first()
    assert proof.words == "Choose what you receive"


def test_a_pause_holds_marketing_for_thirty_days(sent, client, clock, flow, planned, sink):
    client.post(sent[2]["p"], data={"email": "1", "sms": "1", "pause": "1"})
    db.session.expire_all()
    contact = db.session.scalar(sa.select(Contact))
    assert contact.paused_until == clock.now + timedelta(days=30)
    clock.forward(days=3)
    client.post(sent[2]["p"], data={"email": "1", "sms": "1", "pause": "1"})  # saving again does not lengthen it
    db.session.expire_all()
    assert contact.paused_until == clock.now + timedelta(days=27)
    client.post(sent[2]["p"], data={"email": "1", "sms": "1"})
    db.session.expire_all()
    assert contact.paused_until is None


def test_stop_everything_ends_both_channels_and_every_flow(sent, client):
    answer = client.post(sent[2]["p"], data={"act": "stop"})
    assert answer.status_code == 200
    db.session.expire_all()
    contact = db.session.scalar(sa.select(Contact))
    assert (contact.email_consent, contact.sms_consent) == ("withdrawn", "withdrawn")
    assert db.session.scalar(sa.select(Enrollment.end_reason)) == "opted_out"


def test_the_link_still_works_when_the_contact_is_gone(sent, client):
    db.session.delete(db.session.scalar(sa.select(Contact)))
    db.session.commit()
    assert "nothing to choose" in client.get(sent[2]["p"]).text
    assert client.post(sent[2]["u"]).status_code == 200
    assert db.session.scalar(sa.select(Suppression.reason)) == "unsubscribed"


def test_the_link_still_works_when_the_message_is_gone(sent, client):
    db.session.delete(message(sent[0]))
    db.session.commit()
    assert client.post(sent[2]["u"]).status_code == 200
    assert db.session.scalar(sa.select(Contact.email_consent)) == "withdrawn"


def test_old_keys_still_open_what_they_signed(app, workspace):
    from flowserver.domain.tokens import Signer

    old = Signer(["an older key"]).sign("leave", "1-1")
    assert connections.signer().open("leave", old) is None
    assert Signer(["new", "an older key"]).open("leave", old) == "1-1"


def test_pages_speak_the_clients_language_or_the_one_asked_for(sent, client, workspace):
    workspace.locale = "it"
    db.session.commit()
    assert '<html lang="it"' in client.get(sent[2]["p"]).text
    assert '<html lang="pl"' in client.get(sent[2]["p"] + "?lang=pl").text
    assert '<html lang="en"' in client.get(sent[2]["p"] + "?lang=zz").text
    assert workspace.brand_color in client.get(sent[2]["p"] + "/brand.css").text
