"""The first run, in the browser and without one."""

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.errors import Conflict, Invalid
from flowserver.models import Agency, ApiKey, Connection, ContactList, User, Workspace
from flowserver.services.accounts import accounts, api_keys, setup

ANSWERS = {
    "agency": "Studio Ponte",
    "client": "Caffè Lume",
    "time_zone": "Europe/Rome",
    "email": "Giulia@studioponte.example",
    "password": "a long password",
}


@pytest.fixture
def door(app, client):
    """A client that keeps cookies and needs no CSRF token."""
    app.config["WTF_CSRF_ENABLED"] = False
    return client


# --- without a browser ---------------------------------------------------------------------------------


def test_it_makes_agency_client_user_connections_and_list(app, db):
    made = setup.first_run(**ANSWERS, country="it")
    assert made["api_key"] is None
    workspace, user = db.session.get(Workspace, made["workspace"]), db.session.get(User, made["user"])
    assert (workspace.slug, workspace.country, workspace.time_zone) == ("caffe-lume", "IT", "Europe/Rome")
    assert (workspace.sender_name, workspace.sender_email) == ("Caffè Lume", "giulia@studioponte.example")
    assert (user.email, user.role) == ("giulia@studioponte.example", "admin")
    assert accounts.fits(user, "a long password")
    with ext.workspace(workspace.id):
        rows = db.session.execute(sa.select(Connection.channel, Connection.provider, Connection.hook_token)).all()
        assert [(row.channel, row.provider) for row in rows] == [("email", "smtp"), ("sms", "pretend")]
        assert len({row.hook_token for row in rows}) == 2 and all(len(row.hook_token) == 32 for row in rows)
        assert db.session.scalars(sa.select(ContactList.name)).all() == ["Newsletter"]
    assert setup.is_set_up()


def test_it_makes_an_api_key_when_asked(app, db):
    made = setup.first_run(**ANSWERS, with_api_key=True)
    key = api_keys.check(made["api_key"])
    assert key.workspace_id == made["workspace"]
    with ext.every_workspace():
        assert made["api_key"] not in str(db.session.execute(sa.select(ApiKey.__table__)).all())


def test_it_happens_once(app, db):
    setup.first_run(**ANSWERS)
    with pytest.raises(Conflict):
        setup.first_run(**{**ANSWERS, "agency": "Another"})
    assert db.session.scalars(sa.select(Agency.name)).all() == ["Studio Ponte"]


def test_two_at_once_make_one(app, db, monkeypatch):
    setup.first_run(**ANSWERS)
    monkeypatch.setattr(accounts, "agency", lambda: None)  # as if both had looked before either wrote
    with pytest.raises(Conflict):
        setup.first_run(**{**ANSWERS, "client": "Other", "email": "eve@x.example"})
    assert db.session.scalar(sa.select(sa.func.count(User.id))) == 1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("agency", " ", "Enter the agency’s name"),
        ("client", "", "Enter the client’s name"),
        ("time_zone", "Mars/Olympus", "Choose a time zone"),
        ("time_zone", "", "Choose a time zone"),
        ("time_zone", "../etc/passwd", "Choose a time zone"),
        ("email", "giulia", "Enter an e-mail address"),
        ("password", "short", "at least 10 characters"),
        ("password", "x" * 1000, "at most 200 characters"),
        ("sender", "nonsense", "Enter an e-mail address"),
        ("country", "ZZ", "Choose a country"),
        ("name", "<b>", "without signs"),
    ],
)
def test_a_bad_answer_is_named_by_field(app, db, field, value, words):
    with pytest.raises(Invalid) as caught:
        setup.first_run(**{**ANSWERS, field: value})
    assert list(caught.value.messages) == [field]
    assert words in str(caught.value)
    assert not setup.is_set_up()


# --- in the browser ------------------------------------------------------------------------------------


def test_everything_leads_to_the_first_run_until_it_is_done(door):
    for address in ("/", "/login", "/c/x/start", "/profile"):
        answer = door.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/setup")
    assert door.get("/static/app.css").status_code == 200


def test_without_the_token_nothing_can_be_done(door, db):
    assert "first-run link" in door.get("/setup").text
    assert door.get("/setup?token=guess").status_code == 403
    assert door.post("/setup", data=ANSWERS).status_code == 403
    assert door.post("/setup", data={**ANSWERS, "token": "guess"}).status_code == 403
    assert door.post("/setup/demo", data={"token": "guess"}).status_code == 403
    assert accounts.agency() is None


def test_the_first_run_ends_logged_in_with_the_next_steps(door, db):
    token = setup.first_run_token()
    assert "Set up and log in" in door.get(f"/setup?token={token}").text
    answer = door.post("/setup", data={**ANSWERS, "token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/c/caffe-lume/start")
    assert "First steps with Caffè Lume" in door.get("/c/caffe-lume/start").text
    assert accounts.agency().settings == {"time_zone": "Europe/Rome"}


def test_the_token_is_the_same_until_it_is_used_and_then_opens_nothing(door, app):
    token = setup.first_run_token()
    assert token == setup.first_run_token()
    door.post("/setup", data={**ANSWERS, "token": token})
    assert setup.first_run_token() == ""
    assert not setup.is_token(token)
    assert door.get(f"/setup?token={token}").headers["Location"] == "/"
    assert door.post("/setup", data={**ANSWERS, "token": token}).headers["Location"] == "/"


def test_mistakes_are_shown_at_their_fields_and_typed_values_stay(door):
    token = setup.first_run_token()
    answer = door.post("/setup", data={**ANSWERS, "token": token, "password": "short", "time_zone": "Mars/Base"})
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert '<a href="#password">Use at least 10 characters' in answer.text
    assert '<a href="#time_zone">Choose a time zone' in answer.text
    assert 'value="Studio Ponte"' in answer.text and "short" not in answer.text


def test_the_demo_button_logs_in_at_once_and_has_a_worker_load_the_rest(door, db, queue):
    assert door.post("/setup/demo", data={"token": setup.first_run_token()}).headers["Location"] == "/"
    assert queue.rings == [("load_demo",)]
    page = door.get("/").text
    password = page.split("The password is ")[1].split(":")[0]
    assert "demo@flowserver.example" in page and accounts.log_in("demo@flowserver.example", password)


def test_programs_are_told_that_nothing_is_set_up(door):
    answer = door.get("/login", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
