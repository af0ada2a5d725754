"""The same request twice is done once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import ContactList, Idempotency
from flowserver.services.operations import idempotency

from .conftest import Api, document, each

KEY = {"Idempotency-Key": "order-1042"}


def rows(db):
    db.session.rollback()
    return list(db.session.scalars(sa.select(Idempotency)))


def names(db):
    db.session.rollback()
    return list(db.session.scalars(sa.select(ContactList.name).order_by(ContactList.id)))


def test_the_same_key_and_body_get_the_same_answer(api, db):
    first = api.post("/lists", {"name": "News"}, headers=KEY)
    again = api.post("/lists", {"name": "News"}, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.data == again.data
    assert [again.headers[name] for name in ("Location", "ETag")] == [
        first.headers[name] for name in ("Location", "ETag")
    ]
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert names(db) == ["News"]


def test_answers_without_a_body_are_kept_too(api, newsletter):
    path = f"/lists/{newsletter.id}"
    for replayed in (None, "true"):
        answer = api.delete(path, headers=KEY)
        assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (204, replayed)


def test_another_body_path_or_method_is_refused(api):
    api.post("/lists", {"name": "News"}, headers=KEY)
    for answer in (
        api.post("/lists", {"name": "Other"}, headers=KEY),
        api.post("/tags", {"name": "News"}, headers=KEY),
        api.patch("/lists/1", {"name": "News"}, headers=KEY),
        api.delete("/lists/1?contacts=delete", headers=KEY),
    ):
        assert answer.status_code == 422
        assert answer.json["type"] == "urn:flowserver:problem:idempotency-key-reused"


def test_a_get_takes_no_notice(api, db):
    assert api.get("/lists", headers=KEY).status_code == 200
    assert not rows(db)


def test_another_client_may_use_the_same_key(api, stranger, db):
    assert api.post("/lists", {"name": "News"}, headers=KEY).status_code == 201
    answer = stranger.post("/lists", {"name": "News"}, headers=KEY)
    assert answer.status_code == 201 and "Idempotent-Replayed" not in answer.headers


@pytest.mark.parametrize("word", ["x" * 255, "~!"])
def test_good_keys(api, word):
    assert api.post("/lists", {"name": "News"}, headers={"Idempotency-Key": word}).status_code == 201


@each("word", ["", "x" * 256, "a b", "ż".encode().decode("latin-1"), "a\tb"])
def test_bad_keys_are_named(api, db, word):
    answer = api.post("/lists", {"name": "News"}, headers={"Idempotency-Key": word})
    assert answer.status_code == 422 and list(answer.json["errors"]) == ["Idempotency-Key"]
    assert not names(db)


def test_a_request_that_changed_nothing_gives_its_key_back(api, db, newsletter):
    assert api.post("/lists", {"name": "newsletter"}, headers=KEY).status_code == 422
    assert api.delete("/lists/99999999", headers=KEY).status_code == 404
    assert not rows(db)
    assert api.post("/lists", {"name": "Other"}, headers=KEY).status_code == 201


def test_a_request_that_broke_gives_its_key_back(app, api, db, monkeypatch):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with monkeypatch.context() as broken:
        broken.setattr("flowserver.services.people.lists.create", lambda *args: 1 / 0)
        assert api.post("/lists", {"name": "News"}, headers=KEY).status_code == 500
    assert not rows(db)
    assert api.post("/lists", {"name": "News"}, headers=KEY).status_code == 201


def test_work_whose_answer_broke_is_not_done_again(app, api, db, monkeypatch):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with monkeypatch.context() as broken:
        broken.setattr("flowserver.blueprints.api.lists.one", lambda *args: 1 / 0)
        assert api.post("/lists", {"name": "News"}, headers=KEY).status_code == 500
    answer = api.post("/lists", {"name": "News"}, headers=KEY)
    assert answer.status_code == 409 and answer.json["type"] == "urn:flowserver:problem:answer-lost"
    assert names(db) == ["News"]


def test_answers_are_kept_for_24_hours(api, db, clock):
    api.post("/contacts", {"email": "ada@example.com"}, headers=KEY)
    clock.forward(hours=23, minutes=59)
    assert api.post("/contacts", {"email": "ada@example.com"}, headers=KEY).status_code == 201
    clock.forward(minutes=1)
    answer = api.post("/contacts", {"email": "other@example.com"}, headers=KEY)
    assert answer.status_code == 201 and "Idempotent-Replayed" not in answer.headers
    assert api.post("/contacts", {"email": "other@example.com"}, headers=KEY).headers["Idempotent-Replayed"]


def test_what_is_older_than_24_hours_is_deleted(api, db, clock, workspace):
    api.post("/lists", {"name": "Old"}, headers={"Idempotency-Key": "old"})
    clock.forward(hours=20)
    api.post("/lists", {"name": "Young"}, headers={"Idempotency-Key": "young"})
    clock.forward(hours=4)
    assert idempotency.expire(clock.now) == 1
    assert [row.key for row in rows(db)] == ["young"]


def test_the_clock_forgets_them(api, db, clock):
    from flowserver.services.engine import ticks

    api.post("/lists", {"name": "Old"}, headers=KEY)
    ticks.tick(clock.forward(hours=24))
    assert not rows(db)


# --- at the same time ------------------------------------------------------------------------------------


def claim(key="k", digest="d"):
    return idempotency.claim(key, "POST", "/x", digest)


def test_while_the_first_runs_others_wait(api, db, workspace):
    first = claim()
    with pytest.raises(idempotency.InFlight):
        claim()
    with pytest.raises(idempotency.Reused):
        claim(digest="other")
    idempotency.mark(first)
    db.session.commit()
    with pytest.raises(idempotency.InFlight):  # its answer comes in a moment
        claim()
    idempotency.keep(first, 200, "{}", {})
    assert claim() == idempotency.Stored(200, "{}", {})


def test_a_claim_of_a_process_that_is_gone_is_taken_over_and_fenced(db, workspace, clock):
    first = claim()
    clock.forward(seconds=119)
    with pytest.raises(idempotency.InFlight):
        claim()
    clock.forward(seconds=1)
    second = claim()
    assert second.id == first.id and second.token != first.token
    with pytest.raises(idempotency.InFlight):
        idempotency.mark(first)
    idempotency.release(first)
    idempotency.mark(second)
    idempotency.keep(second, 201, "", {})
    assert claim() == idempotency.Stored(201, "", {})


def test_work_that_was_done_is_never_taken_over(db, workspace, clock):
    first = claim()
    idempotency.mark(first)
    db.session.commit()
    clock.forward(hours=23)
    with pytest.raises(idempotency.AnswerLost):
        claim()


def test_a_mark_goes_with_the_work_that_is_rolled_back(db, workspace, clock):
    first = claim()
    idempotency.mark(first)
    db.session.rollback()
    clock.forward(minutes=2)
    assert claim().token != first.token


def test_many_at_once_are_done_once(app, db, key, workspace):
    document(app)
    db.session.commit()
    start = threading.Barrier(8)

    def call(_):
        with app.app_context():
            start.wait()
            return Api(app, key).post("/lists", {"name": "News"}, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(8)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert sum("Idempotent-Replayed" not in answer.headers for answer in made) == 1
    assert names(db) == ["News"]
    with ext.workspace(workspace.id):
        assert [row.status for row in rows(db)] == [201]


def test_many_different_keys_at_once_do_no_harm(app, db, key):
    document(app)
    db.session.commit()

    def call(number):
        with app.app_context():
            body = {"email": f"c{number % 4}@example.com", "first_name": f"N{number}", "tags": ["x"]}
            return Api(app, key).post("/contacts", body, headers={"Idempotency-Key": f"k{number}"}).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(call, range(24)))
    assert sorted(answers) == [200] * 20 + [201] * 4


def test_the_rows_of_a_client_are_its_own(app, api, stranger, db, workspace, other):
    api.post("/lists", {"name": "News"}, headers=KEY)
    stranger.post("/lists", {"name": "News"}, headers=KEY)
    with ext.every_workspace():
        assert sorted(row.workspace_id for row in rows(db)) == sorted([workspace.id, other.id])
