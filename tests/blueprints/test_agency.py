"""The agency's pages: what needs a look, numbers of all clients, the team."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.errors import ProviderUnavailable
from flowserver.models import Alert, Connection, Contact, Enrollment, Flow, Invitation, Message, User, Workspace
from flowserver.services.accounts import accounts, agency_keys, overview, team
from flowserver.services.messages import console_mail
from tests.conftest import make_user


@pytest.fixture
def mails(monkeypatch):
    """What the console mails: a list of (to, subject, text)."""
    sent = []
    monkeypatch.setattr(console_mail, "send", lambda to, subject, text: sent.append((to, subject, text)))
    return sent


@pytest.fixture
def kino(db, carol):
    """Carol's client."""
    return db.session.scalar(sa.select(Workspace).where(Workspace.slug == "kino"))


def message(workspace, at, number, **more):
    return Message(
        workspace_id=workspace.id,
        key=f"k{workspace.id}-{number}",
        channel="email",
        connection_id=more.pop("connection_id", 1),
        address="a@x.example",
        planned_at=at,
        due_at=more.pop("due_at", at),
        **more,
    )


def follow(browser, path, **data):
    return browser.post(path, data=data, follow_redirects=True).text


# --- at a glance ---------------------------------------------------------------------------------------


def test_an_empty_agency_says_that_all_is_well(login, alice):
    page = login(alice).get("/").text
    assert "Nothing needs a look." in page and "Messages leave on time." in page
    assert "Caffè Lume" in page and "All fine" in page


def test_numbers_of_every_client_stand_in_its_row(db, workspace, kino, alice, clock):
    now = clock.now
    ago = lambda **span: now - timedelta(**span)  # noqa: E731
    db.session.add_all(Contact(workspace_id=workspace.id, email=f"{n}@x.example") for n in range(3))
    db.session.add(Contact(workspace_id=kino.id, email="0@x.example"))
    for one, state in ((workspace, "active"), (workspace, "draft"), (kino, "paused")):
        db.session.add(
            Flow(workspace_id=one.id, name=state, state=state, trigger_type="list_joined", draft={}, updated_at=now)
        )
    db.session.add_all(
        [
            message(workspace, ago(days=1), 1, state="accepted", accepted_at=ago(days=1)),
            message(workspace, ago(days=1), 2, state="bounced", accepted_at=ago(days=1), failed_at=now),
            message(workspace, ago(hours=1), 3, state="accepted", accepted_at=ago(hours=1)),
            message(workspace, ago(days=31), 4, state="accepted", accepted_at=ago(days=31)),
            message(workspace, ago(hours=1), 5, state="accepted", accepted_at=ago(hours=1), kind="test"),
            message(workspace, ago(hours=1), 6, state="skipped", reason="no consent"),
            message(kino, ago(days=29), 7, state="accepted", accepted_at=ago(days=29)),
        ]
    )
    db.session.commit()
    found = overview.agency(alice, now.replace(hour=0))
    lume, other = found.clients
    assert (lume.contacts, lume.live_flows, lume.sent, lume.failed) == (3, 1, 3, 1)
    assert lume.delivered == pytest.approx(2 / 3)
    assert lume.per_day[-2:] == [2, 1] and len(lume.per_day) == 14
    assert (other.contacts, other.live_flows, other.sent, other.delivered) == (1, 0, 1, 1.0)
    assert found.today == 2  # test sends leave, too


def test_the_number_of_queries_does_not_grow_with_clients(db, workspace, alice):
    def queries():
        seen = []
        listen = lambda *args: seen.append(args[2])  # noqa: E731
        sa.event.listen(db.engine, "before_cursor_execute", listen)
        overview.agency(alice, workspace.created_at)
        sa.event.remove(db.engine, "before_cursor_execute", listen)
        return len(seen)

    queries()
    before = queries()
    db.session.add_all(Workspace(slug=f"w{n}", name=f"W{n}") for n in range(20))
    db.session.commit()
    queries()
    assert queries() == before


def test_a_person_sees_the_clients_given_to_them_only(db, login, workspace, bob, carol, kino):
    db.session.add(Alert(workspace_id=kino.id, kind="flow_paused", text="Kino is on fire", params={}))
    db.session.commit()
    page = login(bob).get("/").text
    assert "Caffè Lume" in page and "Kino" not in page
    assert "Kino is on fire" in login(carol).get("/").text


def test_the_delay_is_the_age_of_the_oldest_due_step_or_message(db, workspace, alice, clock):
    now = clock.now
    line = db.session.scalar(sa.select(Connection).where(Connection.channel == "email"))

    def enrollment(due_at, **more):
        key = f"e{due_at}{more}"
        common = {"flow_id": len(key), "version_id": 1, "event_key": key, "triggered_at": now}
        return Enrollment(workspace_id=workspace.id, contact_id=abs(hash(key)) % 10**6, due_at=due_at, **common, **more)

    assert overview.sending(alice).delay == timedelta(0)
    db.session.add_all([enrollment(now - timedelta(hours=9), held=True), enrollment(now + timedelta(days=1))])
    db.session.commit()
    assert overview.sending(alice).delay == timedelta(0)
    db.session.add(enrollment(now - timedelta(minutes=3)))
    db.session.commit()
    assert overview.sending(alice).delay == timedelta(minutes=3)
    db.session.add(message(workspace, now - timedelta(minutes=7), 1, connection_id=line.id))
    db.session.commit()
    found = overview.sending(alice)
    assert found.delay == timedelta(minutes=7)
    assert [(one.waiting, one.state) for one in found.lines] == [(1, "late"), (0, "working")]
    line.paused_at = now
    db.session.commit()
    found = overview.sending(alice)
    assert (found.delay, found.lines[0].state) == (timedelta(minutes=3), "paused")


def test_sending_health_says_what_is_silent(login, alice, workspace):
    page = login(alice).get("/sending").text
    assert "No worker is running." in page and "The clock is silent." in page
    assert "Caffè Lume: smtp" in page


def test_a_client_is_found_by_name(login, alice, kino):
    browser = login(alice)
    assert "table-x" in browser.get("/?q=LUME").text
    assert "Kino Pod Lipą</a>" not in browser.get("/?q=lume").text
    assert "No client is called “<b>”." not in browser.get("/?q=<b>").text
    assert "No client is called “&lt;b&gt;”." in browser.get("/?q=<b>").text


# --- attention -----------------------------------------------------------------------------------------


def test_an_alert_leads_to_its_cause_and_is_dismissed(db, login, alice, workspace):
    db.session.add(
        Alert(
            workspace_id=workspace.id,
            kind="flow_paused",
            subject="flow:12",
            text="“%(flow)s” is paused: a step failed for several contacts. Nobody else is lost.",
            params={"flow": "Welcome <b>"},
        )
    )
    db.session.commit()
    browser = login(alice)
    page = browser.get("/").text
    assert "“Welcome &lt;b&gt;” is paused" in page and 'href="/c/caffe-lume/flows/12/steps"' in page
    assert '<span class="count count-bad"><span class="visually-hidden">needing attention: </span>1</span>' in page
    number = re.search(r"/alerts/(\d+)/dismiss", page).group(1)
    assert "Nothing needs a look." in follow(browser, f"/alerts/{number}/dismiss")


def test_an_alert_of_another_client_cannot_be_dismissed(db, login, bob, kino):
    alert = Alert(workspace_id=kino.id, kind="flow_paused", text="x", params={})
    db.session.add(alert)
    db.session.commit()
    assert login(bob).post(f"/alerts/{alert.id}/dismiss").status_code == 404
    with ext.every_workspace():
        db.session.expire_all()
        assert alert.resolved_at is None


def test_a_client_user_cannot_dismiss_alerts(db, login, workspace):
    alert = Alert(workspace_id=workspace.id, kind="flow_paused", text="x", params={})
    db.session.add(alert)
    db.session.commit()
    cleo = make_user("client", "cleo@lume.example", workspace)
    assert login(cleo).post(f"/alerts/{alert.id}/dismiss").status_code == 403
    assert "Dismiss" not in login(cleo).get("/").text


# --- clients and agency --------------------------------------------------------------------------------


def test_a_client_is_added(login, alice, db):
    browser = login(alice)
    assert browser.get("/clients/new").status_code == 200
    data = {"name": "Nordhaus Optics", "time_zone": "Europe/Berlin", "country": "DE"}
    answer = browser.post("/clients/new", data=data)
    assert answer.headers["Location"] == "/c/nordhaus-optics/start"
    assert "Nordhaus Optics is ready." in browser.get("/c/nordhaus-optics/start").text


def test_mistakes_about_a_new_client_are_named(login, alice):
    answer = login(alice).post("/clients/new", data={"name": "Caffè Lume", "time_zone": "", "sender_email": "x"})
    assert answer.status_code == 422
    for field in ("name", "time_zone", "sender_email"):
        assert f'id="{field}-e"' in answer.text


def test_the_agency_is_renamed(login, alice):
    browser = login(alice)
    assert "Ponte Nuovo" in follow(browser, "/agency", name="Ponte Nuovo", time_zone="Europe/Rome")
    assert accounts.home_zone() == "Europe/Rome"
    assert browser.post("/agency", data={"name": "", "time_zone": "Rome"}).status_code == 422


@pytest.mark.parametrize("path", ["/clients/new", "/agency", "/team", "/team/1"])
def test_only_admins_change_the_agency(login, bob, path):
    assert login(bob).get(path).status_code == 403
    assert f'href="{path}"' not in login(bob).get("/").text


# --- team ----------------------------------------------------------------------------------------------


def test_somebody_is_invited(login, alice, workspace, mails, db):
    browser = login(alice)
    page = follow(browser, "/team", email="dan@agency.example", role="staff", workspaces=[workspace.id])
    assert "An invitation is on its way to dan@agency.example" in page and "Withdraw" in page
    assert mails[0][0] == "dan@agency.example"
    number = db.session.scalar(sa.select(Invitation.id))
    assert "sent again" in follow(browser, f"/team/invitations/{number}/resend")
    assert len(mails) == 2
    assert "withdrawn" in follow(browser, f"/team/invitations/{number}/withdraw")
    assert browser.post(f"/team/invitations/{number}/withdraw").status_code == 404
    assert browser.post(f"/team/invitations/{number}/frame").status_code == 404


def test_a_bad_invitation_is_named_and_typed_values_stay(login, alice, workspace, mails):
    answer = login(alice).post("/team", data={"email": "dan", "role": "staff", "workspaces": ["x"]})
    assert answer.status_code == 422
    assert 'value="dan"' in answer.text and 'id="email-e"' in answer.text and 'id="workspaces-e"' in answer.text
    assert not mails


def test_a_mail_server_that_is_away_is_said(login, alice, workspace, monkeypatch, db):
    monkeypatch.setattr(console_mail, "send", lambda *_: (_ for _ in ()).throw(ProviderUnavailable("x")))
    assert "so it is withdrawn" in follow(login(alice), "/team", email="dan@agency.example", role="admin")
    assert team.invitations() == []


def test_role_and_clients_are_changed(login, alice, bob, kino, workspace, db):
    browser = login(alice)
    page = browser.get(f"/team/{bob.id}").text
    assert f'checked id="workspaces-0" name="workspaces" type="checkbox" value="{workspace.id}"' in page
    assert "are saved" in follow(browser, f"/team/{bob.id}", role="client", workspaces=[kino.id])
    db.session.expire_all()
    assert bob.role == "client" and team.access_of(bob) == [kino.id]
    assert browser.post(f"/team/{bob.id}", data={"role": "staff"}).status_code == 422
    assert browser.get("/team/999").status_code == 404


def test_somebody_is_deactivated_and_let_in_again(login, alice, bob, db):
    browser, his = login(alice), login(bob)
    assert "cannot log in any more" in follow(browser, f"/team/{bob.id}/deactivate")
    assert his.get("/").status_code == 303
    assert "can log in again" in follow(browser, f"/team/{bob.id}/activate")
    assert browser.post(f"/team/{bob.id}/promote").status_code == 404
    assert browser.post(f"/team/{alice.id}/deactivate").status_code == 409


def test_all_log_ins_of_a_person_are_ended(login, alice, bob):
    browser, his = login(alice), login(bob)
    follow(browser, f"/team/{bob.id}/log-out")
    assert his.get("/").status_code == 303


def test_the_team_page_asks_few_queries_for_everybody(db, alice, bob, workspace):
    seen = []
    listen = lambda *args: seen.append(args[2])  # noqa: E731
    sa.event.listen(db.engine, "before_cursor_execute", listen)
    members = team.members()
    sa.event.remove(db.engine, "before_cursor_execute", listen)
    assert [(one.user.name, one.clients) for one in members] == [("Alice", []), ("Bob", ["Caffè Lume"])]
    assert len([statement for statement in seen if statement.startswith("SELECT")]) <= 3  # alice, people, clients
    assert db.session.scalar(sa.select(sa.func.count(User.id))) == 2


# --- keys ------------------------------------------------------------------------------------------------


def test_an_agency_key_is_made_shown_once_and_revoked(login, alice, db, workspace):
    browser = login(alice)
    page = browser.post("/keys", data={"name": "Back office", "scopes": ["read"]}).text
    secret = page.split('id="secret" value="')[1].split('"')[0]
    headers = {"Authorization": f"Bearer {secret}", "Flowserver-Client": workspace.slug}
    assert browser.get("/api/v1/contacts", headers=headers).status_code == 200
    again = browser.get("/keys").text
    assert secret not in again and secret[:14] in again and "GET /api/v1/contacts" in again
    key = agency_keys.keys()[0]
    assert "opens nothing any more" in follow(browser, f"/keys/{key.id}/revoke")
    assert browser.get("/api/v1/contacts", headers=headers).status_code == 401
    refused = browser.post("/keys", data={"name": ""})
    assert refused.status_code == 422 and "Choose what the key may do" in refused.text


def test_only_admins_see_the_keys_of_the_agency(login, bob):
    browser = login(bob)
    assert browser.get("/keys").status_code == 403 and browser.post("/keys", data={"name": "x"}).status_code == 403
    assert "Agency keys" not in browser.get("/").text
