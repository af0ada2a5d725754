"""Campaigns over the API: write, send, schedule, cancel, copy, recipients, numbers."""

from __future__ import annotations

import pytest

from flowserver.services.messages import campaign_runs

from .conftest import each
from .test_door import problem

CONTENT = {"subject": "May letter", "body": [{"type": "text", "text": "Hello, [read](https://lume.example/may)"}]}


@pytest.fixture
def letter(api, clock):
    """A draft to a list of two, one of whom gave consent."""
    api.post("/lists", {"name": "Newsletter"})
    for address, more in (("ada@example.com", {"consent": {"email": "given"}}), ("bob@example.com", {})):
        api.post("/contacts", {"email": address, "lists": ["Newsletter"], **more})
    made = api.post("/campaigns", {"channel": "email", "name": "May letter", "content": CONTENT, "list": "newsletter"})
    assert made.status_code == 201, made.json
    return made.json


def test_it_makes_changes_copies_and_deletes_campaigns(api, letter):
    path = f"/campaigns/{letter['id']}"
    assert letter["state"] == "draft" and letter["content"] == CONTENT and letter["numbers"]["recipients"] == 0
    changed = api.patch(path, {"name": "June letter"}).json
    assert changed["name"] == "June letter" and changed["content"] == CONTENT
    assert [row["id"] for row in api.get("/campaigns?state=draft&channel=email").json["data"]] == [letter["id"]]
    assert api.get("/campaigns?channel=sms").json["data"] == []
    tag = api.get(path).headers["ETag"]
    problem(api.patch(path, {"name": "x"}, headers={"If-Match": '"other"'}), 412, "precondition-failed")
    copied = api.post(f"{path}/copy")
    assert copied.status_code == 201 and copied.json["name"] == "June letter 2"
    assert api.delete(path, headers={"If-Match": tag}).status_code == 204
    problem(api.get(path), 404, "not-found")


def test_it_is_sent_and_everybody_has_a_status(api, letter, clock):
    path = f"/campaigns/{letter['id']}"
    assert api.post(f"{path}/send").json["state"] == "scheduled"
    campaign_runs.carry_on(letter["id"])
    assert api.get(path).json["state"] == "sending"
    found = api.get(f"{path}/recipients?limit=1").json
    assert [row["status"] for row in found["data"]] == ["waiting"]
    rest = api.get(f"{path}/recipients?cursor={found['next']}").json
    assert [(row["status"], row["reason"]) for row in rest["data"]] == [("skipped", "no_consent")]
    assert len(api.get(f"{path}/recipients?status=skipped").json["data"]) == 1
    problem(api.get(f"{path}/recipients?status=odd"), 422, "invalid")
    numbers = api.get(f"{path}/numbers").json
    assert (numbers["recipients"], numbers["waiting"], numbers["skipped"]) == (2, 1, 1)
    assert numbers["reasons"] == [{"reason": "no_consent", "messages": 1}]
    assert numbers["links"] == [{"url": "https://lume.example/may", "people": 0, "clicks": 0}]
    messages = api.get(f"/messages?campaign={letter['id']}").json["data"]
    assert {(one["kind"], one["campaign_id"]) for one in messages} == {("campaign", letter["id"])}
    problem(api.patch(path, {"content": CONTENT}), 409, "conflict")
    problem(api.delete(path), 409, "conflict")
    problem(api.post(f"{path}/go-on"), 409, "conflict")
    assert api.post(f"{path}/cancel").json["state"] == "cancelled"
    problem(api.post(f"{path}/send"), 409, "conflict")


def test_it_is_scheduled_on_the_clock_of_the_client_and_taken_back(api, letter, workspace, clock):
    path = f"/campaigns/{letter['id']}"
    assert api.post(f"{path}/schedule", {"at": "2026-05-05T09:00"}).json["send_at"] == "2026-05-05T07:00:00Z"
    assert api.post(f"{path}/schedule", {"at": "2026-05-05T09:30:00Z"}).json["send_at"] == "2026-05-05T09:30:00Z"
    assert api.post(f"{path}/take-back").json["state"] == "draft"
    problem(api.post(f"{path}/take-back"), 409, "conflict")


@each("at", ["2026-05-01T09:00", "soon", "", "2026-02-30T09:00", "2099-01-01T09:00", "2027-03-28T02:30", "0001-01-01"])
def test_a_time_it_cannot_go_out_at_is_refused(api, letter, at):
    found = problem(api.post(f"/campaigns/{letter['id']}/schedule", {"at": at}), 422, "invalid")
    assert set(found["errors"]) == {"at"}


@each(
    ("body", "where"),
    [
        ({}, {"channel", "name"}),
        ({"channel": "fax", "name": "x"}, {"channel"}),
        ({"channel": "email", "name": "  "}, {"name"}),
        ({"channel": "email", "name": "may LETTER"}, {"name"}),
        ({"channel": "email", "name": "x", "list": "Nothing"}, {"list"}),
        ({"channel": "email", "name": "x", "segment": 9_000_000}, {"segment"}),
        ({"channel": "email", "name": "x", "content": {"subject": 1}}, {"subject"}),
        ({"channel": "sms", "name": "x", "content": {"on_failure": "end"}}, {"on_failure"}),
        ({"channel": "email", "name": "x", "colour": 1}, {"colour"}),
    ],
)
def test_bad_campaigns_are_refused(api, letter, body, where):
    assert set(problem(api.post("/campaigns", body), 422, "invalid")["errors"]) == where


def test_what_keeps_it_from_being_sent_is_said_by_field(api, letter):
    empty = api.post("/campaigns", {"channel": "email", "name": "Empty"}).json
    found = problem(api.post(f"/campaigns/{empty['id']}/send"), 422, "invalid")
    assert {"subject", "body", "list"} <= set(found["errors"])
