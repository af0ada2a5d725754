"""Flows that are started over the API, and flows that time starts."""

from __future__ import annotations

from flowserver.services.engine import ticks

from .conftest import each
from .test_door import problem

MANUAL = {"name": "Call", "trigger": {"type": "manual_start"}, "steps": []}


def live(api, definition=MANUAL) -> str:
    flow = api.post("/flows", definition)
    assert flow.status_code == 201, flow.json
    assert api.post(f"/flows/{flow.json['id']}/publish").status_code == 200
    return f"/flows/{flow.json['id']}"


def test_contacts_are_started_by_id_at_once(api, clock):
    path, ada = live(api), api.post("/contacts", {"email": "ada@example.com"}).json["id"]
    answer = api.post(f"{path}/start", {"contacts": [ada]})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1{path}/starts/{answer.json['id']}"
    assert answer.json == {
        "id": answer.json["id"],
        "flow_id": int(path.rsplit("/", 1)[1]),
        "by": "api",
        "list_id": None,
        "segment_id": None,
        "contacts": [ada],
        "entered": 1,
        "done": True,
        "started_at": "2026-05-04T09:00:00Z",
        "done_at": "2026-05-04T09:00:00Z",
    }
    assert api.get(f"{path}/starts/{answer.json['id']}").json == answer.json
    assert api.get(f"{path}/starts").json == {"data": [answer.json], "next": None}
    assert api.get(path).json["inside"] == 1


def test_a_list_is_started_in_the_background(api, newsletter, clock, queue):
    path = live(api)
    for n in range(3):
        api.post("/contacts", {"email": f"c{n}@example.com", "lists": ["Newsletter"]})
    answer = api.post(f"{path}/start", {"list": "newsletter"})
    assert (answer.status_code, answer.json["done"], answer.json["list_id"]) == (202, False, newsletter.id)
    queue.drain()
    assert api.get(f"{path}/starts/{answer.json['id']}").json["entered"] == 3


def test_the_same_key_starts_nobody_twice_and_other_contacts_need_another(api, clock):
    path = live(api)
    ids = [api.post("/contacts", {"email": f"c{n}@example.com"}).json["id"] for n in range(2)]
    first = api.post(f"{path}/start", {"contacts": ids, "key": "k1"})
    assert api.post(f"{path}/start", {"contacts": ids, "key": "k1"}).json == first.json
    problem(api.post(f"{path}/start", {"contacts": ids[:1], "key": "k1"}), 409, "conflict")


@each(
    ("body", "where"),
    [
        ({}, "contacts"),
        ({"contacts": [1], "list": "Newsletter"}, "contacts"),
        ({"contacts": []}, "contacts"),
        ({"contacts": [10**12]}, "contacts[0]"),
        ({"contacts": ["ada"]}, "contacts[0]"),
        ({"contacts": list(range(1, 1002))}, "contacts"),
        ({"list": "Nope"}, "list"),
        ({"segment": 999}, "segment"),
        ({"list": True}, "list"),
        ({"list": "Newsletter", "key": "x" * 81}, "key"),
        ({"everybody": True}, "everybody"),
    ],
)
def test_whom_to_start_must_be_said(api, newsletter, clock, body, where):
    known = api.get("/flows").json["data"]
    path = f"/flows/{known[0]['id']}" if known else live(api)
    answer = api.post(f"{path}/start", body)
    assert where in problem(answer, 422, "invalid")["errors"]


def test_a_flow_nobody_can_enter_answers_409_and_one_that_is_not_there_404(api, newsletter, clock):
    ada = api.post("/contacts", {"email": "ada@example.com"}).json["id"]
    draft = api.post("/flows", MANUAL).json["id"]
    problem(api.post(f"/flows/{draft}/start", {"contacts": [ada]}), 409, "conflict")
    for path in ("/flows/999999/start", "/flows/999999/starts", f"/flows/{draft}/starts/5"):
        answer = api.post(path, {"contacts": [ada]}) if path.endswith("start") else api.get(path)
        problem(answer, 404, "not-found")


def test_a_flow_that_time_starts_says_when(api, newsletter, clock, queue):
    wanted = {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "list": "Newsletter"}
    path = live(api, {"name": "Christmas", "trigger": wanted, "steps": []})
    flow = api.get(path).json
    assert flow["starts_at"] == "2026-05-06T07:00:00Z"
    assert flow["definition"]["trigger"] == {
        "type": "fixed_date",
        "date": "2026-05-06",
        "time": "09:00",
        "zone": "Europe/Rome",
        "list": "Newsletter",
    }
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    clock.now = clock.now.replace(day=6, hour=7)
    ticks.tick(clock.now)
    queue.drain()
    (start,) = api.get(f"{path}/starts").json["data"]
    assert (start["by"], start["entered"], start["done"]) == ("time", 1, True)
    assert api.get(path).json["starts_at"] is None
    other = {**flow["definition"], "trigger": {**wanted, "date": "2026-07-01"}}
    problem(api.put(f"{path}/draft", other), 409, "conflict")


@each(
    ("change", "where"),
    [
        ({"date": "2026-05-03"}, "trigger.date"),
        ({"date": "2026-02-30"}, "trigger.date"),
        ({"date": "2027-03-28", "time": "02:30"}, "trigger.time"),
        ({"zone": "Europe/Roma"}, "trigger.zone"),
        ({"list": "Nope"}, "trigger.list"),
        ({"segment": 7}, "trigger.segment"),
        ({"wait": {"days": -1}}, "trigger.wait"),
    ],
)
def test_a_date_that_cannot_be_is_refused_by_path(api, newsletter, clock, change, where):
    wanted = {"type": "fixed_date", "date": "2026-05-06", "time": "09:00", "list": "Newsletter", **change}
    answer = api.post("/flows", {"name": "Christmas", "trigger": wanted, "steps": []})
    assert where in problem(answer, 422, "invalid")["errors"]
