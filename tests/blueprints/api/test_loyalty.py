"""Loyalty over the API: programmes, rewards, cards, and what a till does."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver.domain import loyalty
from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Event
from flowserver.services.flows import flows
from flowserver.services.loyalty import cards

from .conftest import each
from .test_door import problem

CLUB = {"name": "Lume Club", "amount_per_point": 1, "welcome_points": 5}


@pytest.fixture
def club(api):
    """A programme with a reward at 10 points that costs them."""
    made = api.post("/loyalty/programmes", CLUB).json
    api.post("/loyalty/rewards", {"programme": "lume club", "title": "Coffee", "points": 10, "uses_points": True})
    return made


@pytest.fixture
def card(api, club):
    """The path of Ada's card."""
    body = {"programme": club["id"], "contact": {"email": "ada@example.com"}}
    return f"/loyalty/cards/{api.post('/loyalty/cards', body).json['number']}"


def fidelity(**trigger):
    """A live flow that starts with a loyalty card."""
    steps = [{"key": "tag", "type": "add_tag", "tag": "x"}]
    flow = flows.create({"name": "Loyal", "trigger": {"type": "fidelity", **trigger}, "steps": steps}, None)
    flows.publish(flow.id, None)
    return flow


def started():
    db.session.expire_all()
    return db.session.scalars(sa.select(Enrollment).order_by(Enrollment.id)).all()


# --- programmes and rewards ------------------------------------------------------------------------------


def test_programmes_are_made_changed_found_and_deleted(api, clock):
    made = api.post("/loyalty/programmes", {**CLUB, "amount_per_point": 2.5, "color": "#8A3B12"})
    assert made.status_code == 201
    path = f"/loyalty/programmes/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    assert made.json == {
        "id": made.json["id"], "name": "Lume Club", "amount_per_point": 2.5, "welcome_points": 5, "code": "qr",
        "color": "#8a3b12", "logo_url": "", "welcome_text": "", "form": None, "closed": False,
        "created_at": "2026-05-04T09:00:00Z", "updated_at": "2026-05-04T09:00:00Z",
    }  # fmt: skip
    changed = api.patch(path, {"name": "Club", "closed": True}, headers={"If-Match": made.headers["ETag"]})
    assert changed.json == {**made.json, "name": "Club", "closed": True} == api.get(path).json
    problem(api.patch(path, {"name": "x"}, headers={"If-Match": made.headers["ETag"]}), 412, "precondition-failed")
    assert [row["name"] for row in api.get("/loyalty/programmes?name=CLUB").json["data"]] == ["Club"]
    assert api.delete(path).status_code == 204
    problem(api.get(path), 404, "not-found")


@each(
    ("body", "where"),
    [
        ({}, {"name", "amount_per_point"}),
        ({**CLUB, "name": "LUME CLUB"}, {"name"}),
        ({**CLUB, "name": " "}, {"name"}),
        ({**CLUB, "name": "x", "amount_per_point": 0}, {"amount_per_point"}),
        ({**CLUB, "name": "x", "amount_per_point": 0.001}, {"amount_per_point"}),
        ({**CLUB, "name": "x", "amount_per_point": "1"}, {"amount_per_point"}),
        ({**CLUB, "name": "x", "amount_per_point": True}, {"amount_per_point"}),
        ({**CLUB, "name": "x", "welcome_points": -1}, {"welcome_points"}),
        ({**CLUB, "name": "x", "code": "aztec"}, {"code"}),
        ({**CLUB, "name": "x", "color": "#777"}, {"color"}),
        ({**CLUB, "name": "x", "logo_url": "javascript:x"}, {"logo_url"}),
        ({**CLUB, "name": "x", "form": 99}, {"form"}),
        ({**CLUB, "name": "x", "colour": "#000"}, {"colour"}),
    ],
)
def test_bad_programmes_are_refused(api, body, where):
    api.post("/loyalty/programmes", {**CLUB, "color": "#000000"})
    assert set(problem(api.post("/loyalty/programmes", body), 422, "invalid")["errors"]) == where


def test_rewards_are_made_changed_and_kept_once_given(api, clock, club, card):
    made = api.post("/loyalty/rewards", {"programme": club["id"], "title": "Mug", "points": 50, "automatic": False})
    assert made.status_code == 201 and made.json["automatic"] is False and made.json["active"] is True
    path = f"/loyalty/rewards/{made.json['id']}"
    assert api.patch(path, {"points": 20}).json == {**made.json, "points": 20} == api.get(path).json
    assert [row["title"] for row in api.get(f"/loyalty/rewards?programme={club['id']}").json["data"]] == ["Coffee", "Mug"]  # fmt: skip
    assert api.delete(path).status_code == 204
    api.post(f"{card}/movements", {"amount": 10})
    coffee = api.get("/loyalty/rewards").json["data"][0]["id"]
    problem(api.delete(f"/loyalty/rewards/{coffee}"), 409, "conflict")
    problem(api.delete(f"/loyalty/programmes/{club['id']}"), 409, "conflict")
    for body, where in (
        ({"programme": "No club", "title": "x", "points": 1}, {"programme"}),
        ({"programme": club["id"], "title": "COFFEE", "points": 1}, {"title"}),
        ({"programme": club["id"], "title": "x", "points": 0}, {"points"}),
        ({"programme": club["id"], "title": "x", "points": -1, "automatic": False}, {"points"}),
        ({"programme": club["id"], "title": "x", "points": "5"}, {"points"}),
    ):
        assert set(problem(api.post("/loyalty/rewards", body), 422, "invalid")["errors"]) == where


# --- cards -----------------------------------------------------------------------------------------------


def test_a_card_is_made_once_for_a_contact(api, club, clock):
    body = {"programme": "Lume Club", "contact": {"email": "New@example.com"}}
    made = api.post("/loyalty/cards", body)
    assert made.status_code == 201 and loyalty.read_number(made.json["number"])
    assert made.json["balance"] == 5 and made.json["url"].startswith("http://localhost/k/")
    again = api.post("/loyalty/cards", body)
    assert again.status_code == 200 and again.json == made.json
    assert api.get(f"/loyalty/cards/{made.json['number']}").json == made.json
    contact = api.get(f"/contacts/{made.json['contact_id']}").json
    assert (contact["email"], contact["consent"]["email"]) == ("new@example.com", "none")
    nobodys = api.post("/loyalty/cards", {"programme": club["id"]}).json
    assert nobodys["contact_id"] is None
    assert [row["number"] for row in api.get(f"/loyalty/cards?contact={contact['id']}").json["data"]] == [made.json["number"]]  # fmt: skip
    assert len(api.get(f"/loyalty/cards?programme={club['id']}&updated_since=2026-05-04T09:00:00Z").json["data"]) == 2


@each(
    ("body", "where"),
    [
        ({}, {"programme"}),
        ({"programme": 99}, {"programme"}),
        ({"programme": "Lume Club", "contact": {}}, {"contact"}),
        ({"programme": "Lume Club", "contact": {"id": 99}}, {"contact.id"}),
        ({"programme": "Lume Club", "contact": {"external_id": "nobody"}}, {"contact.external_id"}),
        ({"programme": "Lume Club", "contact": {"email": "nobody"}}, {"contact.email"}),
        ({"programme": "Lume Club", "contact": "ada@example.com"}, {"contact"}),
    ],
)
def test_a_card_for_nobody_we_can_find_is_refused(api, body, where):
    api.post("/loyalty/programmes", CLUB)
    assert set(problem(api.post("/loyalty/cards", body), 422, "invalid")["errors"]) == where


def test_an_unknown_card_is_not_found(api, card):
    number = card.rpartition("/")[2]
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    for other in (cards.new_number(), wrong, "1", "x" * 13):
        path = f"/loyalty/cards/{other}"
        for answer in (api.get(path), api.post(f"{path}/movements", {"amount": 5}), api.patch(path, {"blocked": True})):
            problem(answer, 404, "not-found")


def test_a_card_is_blocked_attached_and_replaced(api, club, card):
    assert api.patch(card, {"blocked": True}).json["blocked"] is True
    problem(api.post(f"{card}/movements", {"amount": 5}), 409, "conflict")
    assert api.patch(card, {"blocked": False}).json["blocked"] is False
    new = api.post(f"{card}/replacement")
    assert new.status_code == 201 and new.json["balance"] == 5
    problem(api.get(card), 409, "conflict")
    loose = f"/loyalty/cards/{api.post('/loyalty/cards', {'programme': club['id']}).json['number']}"
    problem(api.patch(loose, {"contact": {"email": "ada@example.com"}}), 409, "conflict")
    assert api.patch(loose, {"contact": {"phone": "+39 333 123 4567"}}).json["contact_id"]


# --- what a till does ------------------------------------------------------------------------------------


def test_a_receipt_sent_twice_counts_once(api, card, clock):
    first = api.post(f"{card}/movements", {"amount": 12.99, "receipt": "R-1"})
    assert first.status_code == 201
    assert {key: first.json[key] for key in ("kind", "points", "balance", "amount", "receipt", "new_rewards")} == {
        "kind": "amount", "points": 12, "balance": 17, "amount": 12.99, "receipt": "R-1", "new_rewards": ["Coffee"],
    }  # fmt: skip
    again = api.post(f"{card}/movements", {"amount": 12.99, "receipt": "R-1"})
    assert again.status_code == 200 and again.json == {**first.json, "new_rewards": []}
    problem(api.post(f"{card}/movements", {"amount": 13, "receipt": "R-1"}), 409, "conflict")
    assert api.get(card).json["balance"] == 17
    listed = api.get(f"{card}/movements").json["data"]
    assert [(row["kind"], row["points"]) for row in listed] == [("welcome", 5), ("amount", 12)]


@each(
    ("body", "where"),
    [
        ({}, "amount"),
        ({"amount": 5, "points": 5}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 5.001}, "amount"),
        ({"amount": "5"}, "amount"),
        ({"amount": 1e12}, "amount"),
        ({"points": 0}, "points"),
        ({"points": -99}, "points"),
        ({"points": 1.5}, "points"),
        ({"points": 10**9}, "points"),
        ({"amount": 5, "receipt": "x" * 81}, "receipt"),
        ({"amount": 5, "reason": "x"}, "reason"),
    ],
)
def test_zero_or_negative_points_and_what_is_no_amount_are_refused(api, body, where):
    made = api.post("/loyalty/programmes", CLUB)
    number = api.post("/loyalty/cards", {"programme": made.json["id"] if made.status_code == 201 else "Lume Club"}).json["number"]  # fmt: skip
    assert list(problem(api.post(f"/loyalty/cards/{number}/movements", body), 422, "invalid")["errors"]) == [where]


def test_a_receipt_is_undone_once(api, card):
    paid = api.post(f"{card}/movements", {"amount": 12, "receipt": "R-1"}).json
    undone = api.post(f"{card}/reversals", {"receipt": "R-1"})
    assert undone.status_code == 201
    assert (undone.json["points"], undone.json["balance"], undone.json["reverses"]) == (-12, 5, paid["id"])
    assert undone.json["withdrawn_rewards"] == ["Coffee"]
    problem(api.post(f"{card}/reversals", {"movement": paid["id"]}), 409, "conflict")
    problem(api.post(f"{card}/reversals", {"receipt": "R-2"}), 404, "not-found")
    for body in ({}, {"receipt": "R-1", "movement": 1}, {"receipt": " "}):
        assert list(problem(api.post(f"{card}/reversals", body), 422, "invalid")["errors"]) == ["receipt"]
    by_hand = api.post(f"{card}/movements", {"points": 3, "reason": "Sorry"}).json
    assert api.post(f"{card}/reversals", {"movement": by_hand["id"]}).json["balance"] == 5


def test_rewards_are_given_and_collected_once(api, club, card):
    api.post(f"{card}/movements", {"amount": 10})
    grant = api.get(f"{card}/rewards?open=true").json["data"][0]
    assert (grant["title"], grant["automatic"], grant["collected_at"]) == ("Coffee", True, None)
    collection = f"{card}/rewards/{grant['id']}/collection"
    assert api.post(collection).json["collected_at"]
    problem(api.post(collection), 409, "conflict")
    problem(api.post(f"{card}/rewards/999/collection"), 404, "not-found")
    assert api.get(card).json["balance"] == 5 and api.get(f"{card}/rewards?open=true").json["data"] == []
    api.post("/loyalty/rewards", {"programme": club["id"], "title": "Gift", "points": 0, "automatic": False})
    given = api.post(f"{card}/rewards", {"reward": "gift"})
    assert given.status_code == 201 and given.json["automatic"] is False
    problem(api.post(f"{card}/rewards", {"reward": "gift"}), 409, "conflict")
    assert list(problem(api.post(f"{card}/rewards", {"reward": 99}), 422, "invalid")["errors"]) == ["reward"]
    assert [row["title"] for row in api.get(f"{card}/rewards").json["data"]] == ["Coffee", "Gift"]


# --- what it starts --------------------------------------------------------------------------------------


def test_points_from_a_till_start_a_flow_once(api, club, card, clock):
    fidelity(event="points", programme=club["id"])
    for _ in range(2):
        api.post(f"{card}/movements", {"amount": 7, "receipt": "R-1"})
    assert [(run.data["points"], run.data["balance"]) for run in started()] == [(7, 12)]


def test_a_card_not_tied_to_a_contact_starts_no_run(api, club, clock):
    fidelity(event="points")
    number = api.post("/loyalty/cards", {"programme": club["id"]}).json["number"]
    assert api.post(f"/loyalty/cards/{number}/movements", {"amount": 7}).status_code == 201
    assert started() == [] and db.session.scalar(sa.select(sa.func.count(Event.id))) == 0


def test_an_unknown_event_of_the_starting_point_is_refused(api, club):
    flow = {"name": "x", "trigger": {"type": "fidelity", "event": "stolen"}, "steps": []}
    assert list(problem(api.post("/flows", flow), 422, "invalid")["errors"]) == ["trigger.event"]
    flow["trigger"] = {"type": "fidelity", "event": "card", "programme": "No club"}
    assert list(problem(api.post("/flows", flow), 422, "invalid")["errors"]) == ["trigger.programme"]


def test_a_flow_names_its_programme_in_text_and_keeps_it_when_renamed(api, club):
    trigger = {"type": "fidelity", "event": "points", "programme": "Lume Club"}
    made = api.post("/flows", {"name": "x", "trigger": trigger, "steps": []}).json
    api.patch(f"/loyalty/programmes/{club['id']}", {"name": "Friends"})
    assert api.get(f"/flows/{made['id']}").json["definition"]["trigger"]["programme"] == "Friends"
    found = problem(api.delete(f"/loyalty/programmes/{club['id']}"), 409, "conflict")
    assert found["uses"] == [{"kind": "flow", "id": made["id"], "name": "x"}]


def test_another_client_sees_none_of_it(api, stranger, club, card):
    for path in (f"/loyalty/programmes/{club['id']}", card, f"{card}/movements", f"{card}/rewards"):
        problem(stranger.get(path), 404, "not-found")
    problem(stranger.post(f"{card}/movements", {"amount": 5}), 404, "not-found")
    assert stranger.get("/loyalty/cards").json["data"] == stranger.get("/loyalty/rewards").json["data"] == []
    ada = db.session.scalar(sa.select(Contact.id))
    theirs = stranger.post("/loyalty/programmes", CLUB).json
    body = {"programme": theirs["id"], "contact": {"id": ada}}
    assert list(problem(stranger.post("/loyalty/cards", body), 422, "invalid")["errors"]) == ["contact.id"]
    assert stranger.post("/loyalty/cards", {"programme": club["id"]}).status_code == 422
