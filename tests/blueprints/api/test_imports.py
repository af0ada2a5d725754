"""Imports as jobs: many contacts from a file or as rows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import Contact, Import
from flowserver.services.people import imports

from .conftest import each
from .test_door import problem

CSV = {"content_type": "text/csv"}


def sent(api, text, query="", **kwargs):
    return api.post(f"/imports{query}", data=text.encode(), **CSV, **kwargs)


def test_rows_come_in_typed_and_the_refused_ones_can_be_downloaded(api, newsletter, queue, db):
    api.post("/fields", {"label": "Visits", "type": "number"})
    api.post("/fields", {"label": "Member", "type": "yes_no"})
    rows = [
        {"email": "ada@example.com", "fields": {"visits": 1.234, "member": True}, "tags": ["fair", "vip"]},
        {"email": "not an address", "first_name": "=Eve"},
        {"phone": "+393331234567"},
    ]
    begun = api.post(f"/imports?list={newsletter.id}&filename=fair", {"rows": rows})
    assert begun.status_code == 202 and (begun.json["state"], begun.json["rows"]) == ("running", 3)
    assert begun.headers["Location"].endswith(f"/imports/{begun.json['id']}")
    queue.drain()
    done = api.get(f"/imports/{begun.json['id']}").json
    assert (done["state"], done["done"], done["created"], done["updated"], done["refused"]) == ("done", 3, 2, 0, 1)
    assert done["filename"] == "fair" and done["finished_at"]
    ada = api.get("/contacts?email=ada@example.com").json["data"][0]
    assert ada["fields"] == {"visits": 1.234, "member": True} and ada["tags"] == ["fair", "vip"]
    assert ada["lists"] == [{"id": newsletter.id, "name": "Newsletter"}]
    refused = api.get(f"/imports/{begun.json['id']}/refused")
    text = refused.get_data(as_text=True)
    assert refused.mimetype == "text/csv" and "not an address" in text and "'=Eve" in text
    assert [row["id"] for row in api.get("/imports").json["data"]] == [done["id"]]


def test_a_file_comes_in_with_its_headings_or_with_named_columns(api, queue):
    first = sent(api, "E-mail;Nome\r\nada@example.com;Ada\r\n", "?country=IT")
    assert first.status_code == 202 and first.json["columns"] == {"E-mail": "email", "Nome": "first_name"}
    second = sent(api, "bob@example.com,x,Bob\r\n", "?columns=email,,first_name")
    assert second.status_code == 202, second.json
    queue.drain()
    assert [row["first_name"] for row in api.get("/contacts").json["data"]] == ["Ada", "Bob"]


def test_no_flow_starts_unless_it_is_asked(api, newsletter, queue):
    flow = {
        "name": "F",
        "trigger": {"type": "list_joined", "list": "Newsletter"},
        "steps": [{"key": "e", "type": "end"}],
    }
    made = api.post("/flows", flow).json
    api.post(f"/flows/{made['id']}/publish")
    for number, query in enumerate(("", "&start_flows=true")):
        api.post(f"/imports?list=Newsletter{query}", {"rows": [{"email": f"a{number}@example.com"}]})
        queue.drain()
        assert len(api.get("/enrollments").json["data"]) == number


def test_the_same_key_imports_once(api, queue, db):
    once = {"Idempotency-Key": "import-1"}
    first = sent(api, "email\r\nada@example.com\r\n", headers=once)
    again = sent(api, "email\r\nada@example.com\r\n", headers=once)
    assert again.json == first.json and again.headers["Idempotent-Replayed"] == "true"
    problem(sent(api, "email\r\nbob@example.com\r\n", headers=once), 422, "idempotency-key-reused")
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count(Import.id))) == 1


@each(
    ("body", "where"),
    [
        ({}, "rows"),
        ({"rows": []}, "rows"),
        ({"rows": "x"}, "rows"),
        ({"rows": [{"email": 5}]}, "rows[0].email"),
        ({"rows": [{"email": "a@example.com"}, {"emial": "b@example.com"}]}, "rows[1].emial"),
        ({"rows": [{"email": "a@example.com", "fields": {"shoe": 42}}]}, "rows[0].fields.shoe"),
    ],
)
def test_rows_that_are_none_are_refused_at_once(api, body, where):
    assert list(problem(api.post("/imports", body), 422, "invalid")["errors"]) == [where]


@each(
    ("query", "where"),
    [
        ("?list=Nothing", "list"),
        ("?list=99999999", "list"),
        ("?country=XX", "country"),
        ("?columns=first_name", "columns"),
        ("?columns=email,email", "columns"),
        ("?columns=email,,,,,,", "columns"),
        ("?columns=shoe", "columns"),
        ("?email_consent=true", "consent_words"),
        ("?start_flows=yes", "start_flows"),
        ("?colour=red", "colour"),
    ],
)
def test_options_that_do_not_do_are_named_and_nothing_is_kept(app, api, db, query, where):
    answer = sent(api, "Mail address,Name\r\nada@example.com,Ada\r\n", query)
    assert list(problem(answer, 422, "invalid")["errors"]) == [where]
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count(Import.id))) == 0
    assert not list((app.extensions["config"].data / "imports").glob("*"))


@each("raw", ["", "email\r\n", "PK\x03\x04 a spreadsheet", "%PDF-1.4"])
def test_files_that_are_none_are_refused_in_words(api, raw):
    problem(sent(api, raw), 422, "invalid")


def test_a_file_over_the_limit_is_413(api, monkeypatch):
    monkeypatch.setattr(imports, "most_bytes", lambda: 1000)
    problem(sent(api, "email\r\n" + "x" * 2000), 413, "too-large")


def test_other_bodies_of_an_import_are_415(api):
    problem(api.post("/imports", data=b"<x/>", content_type="application/xml"), 415, "unsupported-media-type")
    problem(api.post("/lists", data=b"name\r\nx", content_type="text/csv"), 415, "unsupported-media-type")


def test_an_import_can_be_stopped(api, db, queue):
    begun = api.post("/imports", {"rows": [{"email": "ada@example.com"}]})
    stale = {"If-Match": '"something-else"'}
    problem(api.post(f"/imports/{begun.json['id']}/stop", headers=stale), 412, "precondition-failed")
    assert api.post(f"/imports/{begun.json['id']}/stop").json["state"] == "stopped"
    queue.drain()
    with ext.every_workspace():
        assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 0
    problem(api.get(f"/imports/{begun.json['id']}/refused"), 404, "not-found")
    problem(api.get("/imports/99999999"), 404, "not-found")


@pytest.mark.parametrize("rows", [2500])
def test_progress_is_told_and_the_rest_comes_in(api, queue, rows):
    begun = api.post("/imports", {"rows": [{"email": f"p{number}@example.com"} for number in range(rows)]})
    queue.drain()
    done = api.get(f"/imports/{begun.json['id']}").json
    assert (done["state"], done["rows"], done["done"], done["created"]) == ("done", rows, rows, rows)
