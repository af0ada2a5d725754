"""The door, as people use it: forms in, pages and cookies out."""

import re
from datetime import timedelta

import pytest

from flowserver import extensions as ext
from flowserver.errors import ProviderUnavailable
from flowserver.models import Access, User
from flowserver.services.accounts import accounts, team
from flowserver.services.messages import console_mail
from tests.conftest import make_user

PASSWORD = "correct horse battery"  # noqa: S105
NEW = "a new long password"


@pytest.fixture
def mails(monkeypatch):
    """What the console mails: a list of (to, subject, text)."""
    sent = []
    monkeypatch.setattr(console_mail, "send", lambda to, subject, text: sent.append((to, subject, text)))
    return sent


@pytest.fixture
def door(app, client):
    """A client that keeps cookies and needs no CSRF token."""
    app.config["WTF_CSRF_ENABLED"] = False
    return client


def log_in(client, email="bob@agency.example", password=PASSWORD, **more):
    return client.post("/login", data={"email": email, "password": password, **more})


def link_in(mails, number=-1):
    return re.search(r"http://localhost(/\S+)", mails[number][2]).group(1)


# --- log-in --------------------------------------------------------------------------------------------


def test_a_person_logs_in_and_out(door, bob):
    assert door.get("/").headers["Location"] == "/login"
    answer = log_in(door)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "Caffè Lume" in door.get("/").text
    assert door.post("/logout").headers["Location"] == "/login"
    assert door.get("/").status_code == 303


def test_the_address_may_be_written_in_capitals_with_spaces(door, bob):
    assert log_in(door, email="  Bob@Agency.Example ").status_code == 303


def test_log_in_notes_the_time(door, bob, clock, db):
    log_in(door)
    assert bob.last_login_at == clock.now


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("bob@agency.example", "wrong"),
        ("nobody@agency.example", PASSWORD),
        ("", ""),
        ("bob@agency.example", "x" * 100_000),
    ],
)
def test_a_wrong_address_and_a_wrong_password_get_the_same_answer(door, bob, email, password):
    answer = log_in(door, email=email, password=password)
    assert answer.status_code == 422
    assert "E-mail address and password do not match" in answer.text
    assert "<title>Error: Log in" in answer.text
    assert 'aria-describedby="password-e"' in answer.text
    assert f'value="{email}"' in answer.text
    assert not password or password not in answer.text


def test_nobody_costs_as_much_work_as_a_wrong_password(app, workspace, monkeypatch):
    verified = []
    real = accounts.hasher()

    class Counting:
        def hash(self, password):
            return real.hash(password)

        def verify(self, kept, password):
            verified.append(kept)
            return real.verify(kept, password)

    monkeypatch.setattr(accounts, "hasher", lambda: Counting())
    assert not accounts.fits(None, "anything")
    assert len(verified) == 1
    assert not accounts.fits(None, "nobody has this password")


def test_somebody_deactivated_stays_out_and_drops_out(door, bob, alice):
    log_in(door)
    team.deactivate(alice, bob.id)
    assert door.get("/").status_code == 303
    assert log_in(door).status_code == 422


def test_a_weak_hash_is_renewed_at_log_in(door, bob):
    before = bob.password_hash
    log_in(door)
    assert bob.password_hash != before
    assert not accounts.hasher().check_needs_rehash(bob.password_hash)


def test_log_in_leads_back_to_the_page_asked_for(door, bob):
    asked = door.get("/profile?x=1").headers["Location"]
    assert asked == "/login?next=/profile?x%3D1"
    assert 'name="next" value="/profile?x=1"' in door.get(asked).text
    assert log_in(door, next="/profile?x=1").headers["Location"] == "/profile?x=1"


@pytest.mark.parametrize(
    "evil", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example"]
)
def test_log_in_never_leads_to_another_site(door, bob, evil):
    assert log_in(door, next=evil).headers["Location"] == "/"


def test_who_is_logged_in_is_not_asked_again(login, bob):
    assert login(bob).get("/login").headers["Location"] == "/"


def test_the_cookie_is_lax_and_hidden_from_scripts(door, bob):
    cookie = log_in(door).headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Expires" not in cookie
    assert "Expires" in log_in(door, stay="y").headers["Set-Cookie"]


def test_a_session_of_an_older_version_is_over(login, bob, db):
    browser = login(bob)
    assert browser.get("/").status_code == 200
    bob.session_version += 1
    db.session.commit()
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("value", ["", "1", "x:1", "1:x", "999:1", "²:1", "1:1:1"])
def test_a_strange_session_is_nobody(app, bob, value):
    assert accounts.by_session(value) is None


def test_slow_work_keeps_nobody_from_writing(app, bob, monkeypatch):
    modes = []
    real = accounts.fits
    monkeypatch.setattr(accounts, "fits", lambda *args: modes.append(ext.is_read_only()) or real(*args))
    monkeypatch.setattr(console_mail, "send", lambda *args: modes.append(ext.is_read_only()))
    accounts.log_in("bob@agency.example", PASSWORD)
    accounts.ask_reset("bob@agency.example")
    assert modes == [True, True] and not ext.is_read_only()


# --- forgotten passwords -------------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew(door, bob, mails):
    answer = door.post("/reset", data={"email": "Bob@agency.example"})
    assert mails[0][0] == "bob@agency.example"
    assert "bob@agency.example" in answer.text.lower()
    link = link_in(mails)
    assert "bob@agency.example" in door.get(link).text
    assert door.post(link, data={"password": "a new long password"}).headers["Location"] == "/"
    assert door.get("/").status_code == 200
    assert log_in(door, password=NEW).status_code == 303


def test_an_unknown_address_gets_the_same_page_and_no_mail(door, bob, mails):
    known = door.post("/reset", data={"email": "bob@agency.example"})
    unknown = door.post("/reset", data={"email": "eve@agency.example"})
    assert unknown.status_code == known.status_code == 200
    assert unknown.text.replace("eve@", "bob@") == known.text
    assert len(mails) == 1


def test_a_mail_server_that_is_away_does_not_tell_known_from_unknown(door, bob, monkeypatch):
    monkeypatch.setattr(console_mail, "send", lambda *_: (_ for _ in ()).throw(ProviderUnavailable("x")))
    assert door.post("/reset", data={"email": "bob@agency.example"}).status_code == 200


def test_a_reset_link_dies_when_it_is_used(door, bob, mails):
    door.post("/reset", data={"email": "bob@agency.example"})
    door.post("/reset", data={"email": "bob@agency.example"})
    door.post(link_in(mails, 0), data={"password": "a new long password"})
    for number in (0, 1):
        answer = door.get(link_in(mails, number))
        assert answer.status_code == 404
        assert "older than one hour" in answer.text


def test_a_reset_ends_all_log_ins(door, login, bob, mails):
    elsewhere = login(bob)
    door.post("/reset", data={"email": "bob@agency.example"})
    door.post(link_in(mails), data={"password": "a new long password"})
    assert elsewhere.get("/").status_code == 303


def test_a_reset_link_is_good_for_one_hour(door, bob, mails, monkeypatch):
    import time

    door.post("/reset", data={"email": "bob@agency.example"})
    link, now = link_in(mails), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3590)
    assert door.get(link).status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 3610)
    assert door.get(link).status_code == 404


def test_a_token_is_good_for_its_purpose_only(app, door, bob):
    token = accounts.signer("invitation").dumps([bob.id, accounts._state(bob)])
    assert door.get(f"/reset/{token}").status_code == 404
    assert door.get("/reset/nonsense").status_code == 404
    assert door.get(f"/invitation/{accounts.signer('reset').dumps(1)}").status_code == 404


def test_a_short_password_is_refused_with_the_reason(door, bob, mails):
    door.post("/reset", data={"email": "bob@agency.example"})
    answer = door.post(link_in(mails), data={"password": "short"})
    assert answer.status_code == 422
    assert "at least 10 characters" in answer.text
    assert bob.session_version == 1


def test_an_empty_address_is_asked_for_again(door, workspace, mails):
    assert door.post("/reset", data={"email": ""}).status_code == 422
    assert not mails


# --- invitations ---------------------------------------------------------------------------------------


def test_an_invited_person_makes_an_account(door, workspace, alice, mails, db):
    team.invite(alice, email="Dan@Agency.example", role="staff", workspace_ids=[workspace.id])
    assert mails[0][0] == "dan@agency.example"
    link = link_in(mails)
    assert "Studio Ponte" in door.get(link).text
    assert door.post(link, data={"name": "Dan", "password": "a long password"}).headers["Location"] == "/"
    assert "Caffè Lume" in door.get("/").text
    dan = accounts.by_email("dan@agency.example")
    assert (dan.name, dan.role) == ("Dan", "staff")
    assert door.get(link).status_code == 404


def test_an_invitation_lasts_seven_days(door, workspace, alice, mails, clock):
    found = team.invite(alice, email="dan@agency.example", role="admin")
    found.expires_at = clock.now + timedelta(days=7)
    link = link_in(mails)
    clock.forward(days=6, hours=23)
    assert door.get(link).status_code == 200
    clock.forward(hours=2)
    assert door.get(link).status_code == 404


def test_a_withdrawn_invitation_is_dead(door, workspace, alice, mails):
    team.withdraw(team.invite(alice, email="dan@agency.example", role="admin").id)
    assert door.get(link_in(mails)).status_code == 404


def test_a_second_invitation_replaces_the_first(door, workspace, alice, mails, db):
    team.invite(alice, email="dan@agency.example", role="admin")
    team.invite(alice, email="dan@agency.example", role="staff", workspace_ids=[workspace.id])
    assert door.get(link_in(mails, 0)).status_code == 404
    assert door.get(link_in(mails, 1)).status_code == 200


def test_no_name_and_a_short_password_are_both_named(door, workspace, alice, mails):
    team.invite(alice, email="dan@agency.example", role="admin")
    answer = door.post(link_in(mails), data={"name": " ", "password": "short"})
    assert answer.status_code == 422
    assert "Enter your name" in answer.text and "at least 10 characters" in answer.text


# --- one's own account ---------------------------------------------------------------------------------


def test_people_change_their_profile(login, bob):
    browser = login(bob)
    assert browser.post("/profile", data={"name": "Bob B.", "locale": "it", "theme": "dark"}).status_code == 303
    page = browser.get("/profile").text
    assert '<html lang="it" data-bs-theme="dark">' in page
    assert 'value="Bob B."' in page


@pytest.mark.parametrize("wrong", [{"locale": "xx"}, {"theme": "pink"}, {"name": "<script>"}, {"name": "x" * 200}])
def test_a_strange_profile_is_refused_and_typed_values_stay(login, bob, wrong):
    answer = login(bob).post("/profile", data={"name": "Robert", "locale": "en", "theme": "", **wrong})
    assert answer.status_code == 422
    assert "name" in wrong or 'value="Robert"' in answer.text
    assert bob.name == "Bob"


def test_a_new_password_ends_the_other_log_ins_but_not_this_one(login, bob):
    here, there = login(bob), login(bob)
    assert here.post("/profile/password", data={"old": PASSWORD, "new": "a new long password"}).status_code == 303
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303


def test_the_present_password_must_fit(login, bob):
    answer = login(bob).post("/profile/password", data={"old": "wrong", "new": "a new long password"})
    assert answer.status_code == 422
    assert "This is not your present password" in answer.text
    assert "<title>Error: " in answer.text


def test_the_password_must_not_be_the_address(login, bob):
    answer = login(bob).post("/profile/password", data={"old": PASSWORD, "new": "Bob@agency.example"})
    assert "not your e-mail address" in answer.text


def test_the_theme_button_is_remembered(login, bob):
    browser = login(bob)
    assert browser.post("/profile/theme", data={"theme": "dark"}).status_code == 303
    assert 'data-bs-theme="dark"' in browser.get("/profile").text
    assert browser.post("/profile/theme", data={"theme": "x"}).status_code == 422


# --- the team in the database ----------------------------------------------------------------------------


def test_an_invitation_names_every_mistake(app, workspace, alice, bob, mails):
    from flowserver.errors import Invalid

    with pytest.raises(Invalid) as caught:
        team.invite(alice, email="nonsense", role="king", workspace_ids=[])
    assert set(caught.value.messages) == {"email", "role", "workspaces"}
    with pytest.raises(Invalid, match="has an account already"):
        team.invite(alice, email="bob@agency.example", role="admin")
    with pytest.raises(Invalid, match="does not exist any more"):
        team.invite(alice, email="dan@agency.example", role="staff", workspace_ids=[workspace.id, 9999])
    assert not mails


def test_an_invitation_that_cannot_be_mailed_is_withdrawn(app, workspace, alice, db, monkeypatch):
    monkeypatch.setattr(console_mail, "send", lambda *_: (_ for _ in ()).throw(ProviderUnavailable("x")))
    with pytest.raises(ProviderUnavailable):
        team.invite(alice, email="dan@agency.example", role="admin")
    assert team.invitations() == []


def test_the_last_admin_stays(app, alice, bob, workspace):
    from flowserver.errors import Conflict, Invalid

    with pytest.raises(Invalid, match="only admin"):
        team.change(alice, alice.id, role="staff", workspace_ids=[workspace.id])
    with pytest.raises(Conflict, match="yourself"):
        team.deactivate(alice, alice.id)
    with pytest.raises(Conflict, match="only admin"):
        team.deactivate(bob, alice.id)
    make_user("admin", "ada@agency.example")
    team.change(bob, alice.id, role="staff", workspace_ids=[workspace.id])
    assert alice.role == "staff"


def test_access_follows_the_role(app, db, alice, bob, workspace):
    team.change(alice, bob.id, role="admin")
    assert db.session.query(Access).filter_by(user_id=bob.id).count() == 0
    team.change(alice, bob.id, role="client", workspace_ids=[workspace.id])
    assert team.access_of(bob) == [workspace.id]
    assert db.session.get(User, bob.id).role == "client"
