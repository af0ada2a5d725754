"""People of a client over the API."""

from __future__ import annotations

import pytest

from flowserver.services.accounts import agency_keys, team

from .conftest import Api
from .test_door import problem


@pytest.fixture
def agency(app, workspace, alice):
    """The API with a key of the agency that acts for Caffè Lume."""
    found = Api(app, agency_keys.make("back office", by=alice)[1])
    call = found.call
    found.call = lambda *args, headers=None, **more: call(
        *args, headers={"Flowserver-Client": workspace.slug, **(headers or {})}, **more
    )
    return found


@pytest.fixture
def mails(monkeypatch):
    """Mails to people, as they would leave."""
    found = []
    monkeypatch.setattr("flowserver.services.messages.console_mail.send", lambda *args: found.append(args))
    return found


def test_people_of_a_client_and_admins_are_listed(api, alice, bob, carol):
    rows = api.get("/users").json["data"]
    assert {(row["email"], row["role"]) for row in rows} >= {(alice.email, "admin"), (bob.email, "staff")}
    assert "password" not in str(rows)
    one = api.get(f"/users/{bob.id}")
    assert one.json["name"] == bob.name and one.headers["ETag"]


def test_somebody_without_an_account_is_invited(agency, workspace, mails):
    made = agency.post("/users", {"email": "Eva@Agency.example", "role": "client"})
    assert made.status_code == 201
    assert made.json == {
        "email": "eva@agency.example",
        "role": "client",
        "invited": True,
        "user_id": None,
        "expires_at": made.json["expires_at"],
    }
    assert [mail[0] for mail in mails] == ["eva@agency.example"]
    assert [one.workspace_ids for one in team.invitations()] == [[workspace.id]]


def test_somebody_with_an_account_may_enter_at_once_and_be_kept_out(
    agency, other, stranger, bob, workspace, mails, app, alice
):
    answer = agency.post("/users", {"email": bob.email}, headers={"Flowserver-Client": "kino"})
    assert answer.status_code == 201 and answer.json["user_id"] == bob.id and not answer.json["invited"]
    assert bob.email in str(stranger.get("/users").json)
    path, kino = f"/users/{bob.id}", {"Flowserver-Client": "kino"}
    assert agency.delete(path, headers=kino).status_code == 204
    assert agency.get(path, headers=kino).status_code == 404 and agency.get(path).status_code == 200
    problem(agency.delete(path, headers=kino), 404, "not-found")
    problem(agency.delete(f"/users/{alice.id}"), 409, "conflict")
    assert not mails


def test_keys_of_a_client_only_look(api, bob):
    problem(api.post("/users", {"email": "eva@agency.example"}), 403, "forbidden")
    problem(api.delete(f"/users/{bob.id}"), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "where"),
    [({}, "email"), ({"email": "x"}, "email"), ({"email": "a@b.example", "role": "admin"}, "role")],
)
def test_bad_people_are_refused(agency, mails, body, where):
    assert list(problem(agency.post("/users", body), 422, "invalid")["errors"]) == [where]
