"""Keys, problems and limits: what every operation of the API does before and after its own work."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from flowserver import config as settings
from flowserver import create_app
from flowserver import extensions as ext
from flowserver.models import ApiKey, Contact
from flowserver.services.accounts import api_keys

from ...conftest import Browser
from .conftest import PREFIX, Api, document, each


def problem(answer, status, slug):
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.json["type"] == f"urn:flowserver:problem:{slug}"
    return answer.json


# --- keys ------------------------------------------------------------------------------------------------


def test_it_asks_for_a_key(app, workspace):
    answer = Api(app, None).get("/contacts")
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer realm=flowserver"


@each("secret", ["fsk_0123456789_nope", "x", "fsk_" * 500, "kłucz"])
def test_it_refuses_keys_that_do_not_exist(app, workspace, secret):
    answer = Api(app, None).get("/contacts", headers={"Authorization": f"Bearer {secret}".encode().decode("latin-1")})
    problem(answer, 401, "unauthorized")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


@each("header", ["Basic YTpi", "Bearer", "Bearer ", "bearer", "Token abc", "\t", "Bearer a b"])
def test_it_refuses_other_kinds_of_log_in(app, workspace, header):
    problem(Api(app, None).get("/contacts", headers={"Authorization": header}), 401, "unauthorized")


def test_it_refuses_a_key_whose_secret_part_is_wrong(app, key):
    problem(Api(app, key[:-1] + ("a" if key[-1] != "a" else "b")).get("/contacts"), 401, "unauthorized")


def test_it_refuses_a_revoked_key(app, api, workspace):
    with ext.workspace(workspace.id):
        api_keys.revoke(api_keys.keys()[0].id)
    problem(api.get("/contacts"), 401, "unauthorized")


def test_it_refuses_keys_of_a_client_that_was_put_away(api, db, workspace, clock):
    workspace.archived_at = clock.now
    db.session.commit()
    problem(api.get("/contacts"), 401, "unauthorized")


def test_a_key_that_reads_may_not_write(app, workspace):
    reader = Api(app, api_keys.make(workspace.id, "reader", ["read"])[1])
    assert reader.get("/contacts").status_code == 200
    answer = reader.post("/contacts", {"email": "ada@example.com"})
    problem(answer, 403, "forbidden")
    assert 'scope="contacts:write"' in answer.headers["WWW-Authenticate"]


def test_a_key_that_writes_may_not_read(app, workspace):
    writer = Api(app, api_keys.make(workspace.id, "writer", ["write"])[1])
    assert writer.post("/contacts", {"email": "ada@example.com"}).status_code == 201
    problem(writer.get("/contacts"), 403, "forbidden")


def test_a_log_in_to_the_console_opens_nothing_here(app, login, alice):
    answer = login(alice).get(f"{PREFIX}/contacts")
    assert answer.status_code == 401 and "Set-Cookie" not in answer.headers


def test_it_needs_no_csrf_token(app, key):
    assert app.config.get("WTF_CSRF_ENABLED", True)
    assert Api(app, key).post("/lists", {"name": "News"}).status_code == 201


def test_the_use_of_a_key_is_noted_once_a_minute(api, db, clock):
    def used():
        db.session.rollback()
        return db.session.scalar(sa.select(ApiKey.last_used_at))

    api.get("/contacts")
    first = used()
    assert first == clock.now
    clock.forward(seconds=40)
    api.post("/lists", {"name": "News"})
    assert used() == first
    clock.forward(seconds=40)
    api.get("/contacts")
    assert used() == clock.now


def test_before_the_first_run_it_says_so(app):
    answer = app.test_client().get(f"{PREFIX}/contacts")
    assert answer.status_code == 409 and answer.mimetype == "application/problem+json"


# --- addresses and bodies --------------------------------------------------------------------------------


@each(
    "path",
    ["/nothing", "/contacts/x", "/contacts/-1", "/contacts/0", "/contacts/1.5", "/contacts/", "/contacts/9" * 30],
)
def test_unknown_addresses_are_problems(api, path):
    problem(api.get(path), 404, "not-found")


@each("id", [10**18, 2**63 - 1, 2**63, 10**30])
def test_ids_beyond_every_database_are_not_found(api, id):
    problem(api.get(f"/contacts/{id}"), 404, "not-found")


def test_wrong_methods_are_problems(api):
    answer = api.put("/contacts", {})
    problem(answer, 405, "method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


def test_head_and_options_work(app, api):
    assert api.call("HEAD", "/contacts").status_code == 200
    assert (
        "POST"
        in app.test_client()
        .options(f"{PREFIX}/contacts", headers={"Authorization": f"Bearer {api.key}"})
        .headers["Allow"]
    )


@each("raw", [b"{", b"nope", b'{"a": NaN}', b'{"email": "\xff"}', b'{"a": "\\ud800"}', b"[" * 5000])
def test_a_body_that_is_no_json_is_400(api, raw):
    problem(api.post("/contacts", data=raw, content_type="application/json"), 400, "malformed-json")


@each("raw", [b"[]", b"null", b'"text"', b"1", b"true"])
def test_a_body_that_is_no_object_is_422(api, raw):
    assert problem(api.post("/contacts", data=raw, content_type="application/json"), 422, "invalid")["errors"]["_"]


@each("kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"])
def test_a_body_of_another_kind_is_415(api, kind):
    problem(api.post("/contacts", data=b'{"email": "a@example.com"}', content_type=kind), 415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.shop+json"])
def test_other_names_of_json_are_taken(api, kind):
    assert api.post("/contacts", data=b'{"email": "a@example.com"}', content_type=kind).status_code == 201


def test_a_body_over_five_megabytes_is_413(api):
    raw = orjson.dumps({"first_name": "x" * (5 * 1024 * 1024)})
    problem(api.post("/contacts", data=raw, content_type="application/json"), 413, "too-large")


def test_an_empty_body_lacks_everything(api):
    assert problem(api.post("/lists"), 422, "invalid")["errors"] == {"name": ["Fill this in"]}


def test_nesting_has_an_end(api):
    deep: object = "x"
    for _ in range(80):
        deep = [deep]
    problem(api.post("/flows", {"name": "n", "trigger": {}, "steps": deep}), 422, "invalid")


def test_the_character_nul_is_named_by_path(api):
    found = problem(api.post("/contacts", {"tags": ["good", "a\0b"], "email": "a@example.com"}), 422, "invalid")
    assert list(found["errors"]) == ["tags[1]"]
    found = problem(api.post("/contacts", {"fields": {"a\0": 1}}), 422, "invalid")
    assert list(found["errors"]) == ["fields"]
    assert list(problem(api.get("/contacts?tag=a%00b"), 422, "invalid")["errors"]) == ["tag"]


def test_unknown_keys_are_named(api):
    assert problem(api.post("/lists", {"name": "News", "colour": "red"}), 422, "invalid")["errors"] == {
        "colour": ["We do not know this"]
    }
    assert list(problem(api.get("/contacts?updated-since=x&limit=5"), 422, "invalid")["errors"]) == ["updated-since"]


def test_errors_speak_the_callers_language_and_types_stay(api):
    plain = problem(api.get("/contacts/99999999"), 404, "not-found")
    other = problem(api.get("/contacts/99999999", headers={"Accept-Language": "it"}), 404, "not-found")
    assert plain["title"] == "Not found" and other["type"] == plain["type"]


def test_a_bug_is_logged_and_answered_with_a_reference(app, api, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr("flowserver.services.people.browse.tags", broken)
    found = problem(api.get("/tags"), 500, "error")
    assert len(found["reference"]) == 8 and "secret" not in str(found)


def test_a_collision_asks_to_send_it_again(api, monkeypatch):
    def collide(*args, **kwargs):
        raise IntegrityError("INSERT", {}, Exception("secret detail"))

    monkeypatch.setattr("flowserver.services.people.tags.create", collide)
    answer = api.post("/tags", {"name": "x"}, headers={"Idempotency-Key": "k"})
    assert "secret" not in str(problem(answer, 409, "conflict"))
    monkeypatch.undo()
    assert api.post("/tags", {"name": "x"}, headers={"Idempotency-Key": "k"}).status_code == 201


def test_a_database_that_is_away_says_when_to_come_again(api, monkeypatch):
    def gone(*args, **kwargs):
        raise OperationalError("SELECT", {}, Exception("secret detail"))

    monkeypatch.setattr("flowserver.services.people.browse.tags", gone)
    answer = api.get("/tags")
    assert "secret" not in str(problem(answer, 503, "unavailable")) and answer.headers["Retry-After"] == "5"


def test_the_same_name_at_the_same_moment_is_given_once(app, key, db, newsletter):
    document(app)
    db.session.commit()
    bodies = {
        "/lists": {"name": "Same"},
        "/tags": {"name": "same"},
        "/forms": {"name": "Same", "list": newsletter.id},
        "/flows": {"name": "Same", "trigger": {"type": "list_joined", "list": newsletter.id}, "steps": []},
        "/contacts": {"email": "same@example.com"},
    }
    for path, body in bodies.items():
        start = threading.Barrier(6)

        def call(_, path=path, body=body, start=start):
            with app.app_context():
                start.wait()
                return Api(app, key).post(path, body).status_code

        db.session.commit()
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(call, range(6)))
        assert answers.count(201) == 1 and set(answers) <= {200, 201, 409, 422}, (path, answers)


# --- tenants ---------------------------------------------------------------------------------------------


def test_a_request_leaves_no_client_open_behind_it(app, api, stranger):
    api.post("/contacts", {"email": "ada@example.com"})
    assert stranger.get("/contacts").json["data"] == []
    assert api.get("/contacts").json["data"]


def test_the_same_address_may_be_a_contact_of_two_clients(api, stranger, db):
    for one in (api, stranger):
        assert one.post("/contacts", {"email": "ada@example.com"}).status_code == 201
    with ext.every_workspace():
        assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 2


# --- ETags -----------------------------------------------------------------------------------------------


def test_an_etag_saves_the_transfer(api):
    made = api.post("/contacts", {"email": "ada@example.com"})
    path = f"/contacts/{made.json['id']}"
    seen = api.get(path)
    assert seen.headers["ETag"] == made.headers["ETag"]
    again = api.get(path, headers={"If-None-Match": seen.headers["ETag"]})
    assert again.status_code == 304 and again.headers["ETag"] == seen.headers["ETag"]
    api.patch(path, {"first_name": "Ada"})
    assert api.get(path, headers={"If-None-Match": seen.headers["ETag"]}).status_code == 200
    problem(api.get(path, headers={"If-Match": seen.headers["ETag"]}), 412, "precondition-failed")


def test_a_change_of_what_has_changed_is_refused(api):
    made = api.post("/contacts", {"email": "ada@example.com"})
    path, seen = f"/contacts/{made.json['id']}", {"If-Match": made.headers["ETag"]}
    changed = api.patch(path, {"first_name": "Ada"}, headers=seen)
    assert changed.status_code == 200
    problem(api.patch(path, {"first_name": "Eve"}, headers=seen), 412, "precondition-failed")
    problem(api.delete(path, headers=seen), 412, "precondition-failed")
    problem(api.patch(path, {"first_name": "Eve"}, headers={"If-Match": "nonsense"}), 412, "precondition-failed")
    assert api.get(path).json["first_name"] == "Ada"
    assert api.patch(path, {"first_name": "Eve"}, headers={"If-Match": "*"}).status_code == 200
    seen = {"If-Match": api.get(path).headers["ETag"]}
    assert api.delete(path, headers=seen).status_code == 204
    problem(api.delete(path, headers=seen), 404, "not-found")


def test_counts_that_move_by_themselves_are_no_change(api, newsletter):
    seen = api.get(f"/lists/{newsletter.id}")
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    again = api.get(f"/lists/{newsletter.id}", headers={"If-None-Match": seen.headers["ETag"]})
    assert again.status_code == 200 and again.json["contacts"] == 1 and again.headers["ETag"] != seen.headers["ETag"]
    same = api.get(f"/lists/{newsletter.id}", headers={"If-None-Match": again.headers["ETag"]})
    assert same.status_code == 304 and not same.data
    answer = api.patch(f"/lists/{newsletter.id}", {"name": "News"}, headers={"If-Match": seen.headers["ETag"]})
    assert answer.status_code == 200


# --- limits ----------------------------------------------------------------------------------------------


@pytest.fixture
def limited(database_url, tmp_path, queue, workspace):
    """The application with its limits on, and lower ones for the API."""
    from flowserver.blueprints.limits import limiter

    config = settings.read(
        {"DATABASE_URL": database_url, "SECRET_KEY": "test-key-of-thirty-two-characters!"},
        data=tmp_path / "limited",
        testing=True,
        rate_limits=True,
        url="http://localhost",
        extra={"queue": queue},
    )
    app = create_app(config)
    app.test_client_class = Browser
    limiter.reset()
    yield app
    limiter.reset()
    limiter.enabled = False


def test_too_many_requests_of_one_key_are_told_to_wait(limited, workspace):
    from flowserver.blueprints.api import kit
    from flowserver.blueprints.limits import limiter

    busy, quiet = (api_keys.make(workspace.id, name)[1] for name in ("busy", "quiet"))
    client = limited.test_client()

    def call(secret):
        return client.get(f"{PREFIX}/workspace", headers={"Authorization": f"Bearer {secret}"})

    first = call(busy)
    assert first.status_code == 200 and "Retry-After" not in first.headers
    assert int(first.headers["X-RateLimit-Remaining"]) == 2999
    counter = next(name for name in limiter.storage.storage if kit._hash(busy) in name)
    limiter.storage.incr(counter, 60, amount=int(kit.PER_KEY.split()[0]))
    answer = call(busy)
    problem(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert call(quiet).status_code == 200


def test_guessing_keys_is_stopped(limited, workspace):
    good = api_keys.make(workspace.id, "good")[1]
    client = limited.test_client()
    answers = [
        client.get(f"{PREFIX}/workspace", headers={"Authorization": f"Bearer fsk_{number}"}).status_code
        for number in range(65)
    ]
    assert answers == [401] * 60 + [429] * 5
    told = client.get(f"{PREFIX}/workspace", headers={"Authorization": "Bearer fsk_65"})
    assert 1 <= int(told.headers["Retry-After"]) <= 60
    first = client.get(f"{PREFIX}/workspace", headers={"Authorization": f"Bearer {good}"})
    assert first.status_code == 200
    assert int(first.headers["X-RateLimit-Remaining"]) == 2999  # guessing does not switch the limit of a key off


# --- what a body may be ----------------------------------------------------------------------------------


def test_a_compressed_body_and_another_charset_are_refused(api):
    body = b'{"name": "News"}'
    packed, plain = {"Content-Encoding": "gzip"}, "application/json"
    for headers, raw, kind in (
        (packed, gzip.compress(body), plain),
        (packed, body, plain),
        ({}, body, f"{plain}; charset=latin-1"),
    ):
        answer = api.post("/lists", data=raw, content_type=kind, headers=headers)
        problem(answer, 415, "unsupported-media-type")
    answer = api.post("/lists", data=body, content_type="application/json; charset=UTF-8")
    assert answer.status_code == 201
