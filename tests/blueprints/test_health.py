"""Alive, ready, counted: what watchers are told."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import clock as time_of_day
from flowserver import config as settings
from flowserver import create_app, extensions
from flowserver.models import Enrollment, Message, Worker
from flowserver.services.operations import health, schema


@pytest.fixture
def migrated(monkeypatch):
    """The tests' tables are made without Alembic; say they are at the newest revision."""
    monkeypatch.setattr(schema, "current", schema.newest)


def value(text: str, name: str) -> float:
    """One number of a Prometheus page."""
    (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(line.split()[-1])


def enroll(workspace, **changes):
    now = time_of_day.now()
    values = {
        "workspace_id": workspace.id, "flow_id": 1, "version_id": 1, "contact_id": changes.pop("contact_id", 1),
        "event_key": str(changes), "triggered_at": now, "due_at": now, **changes,
    }  # fmt: skip
    extensions.db.session.add(Enrollment(**values))


def plan(workspace, key: str, state: str = "planned", **changes):
    now = time_of_day.now()
    values = {
        "workspace_id": workspace.id, "key": key, "channel": "email", "connection_id": 1, "address": "a@b.example",
        "state": state, "planned_at": now, "due_at": now, **changes,
    }  # fmt: skip
    extensions.db.session.add(Message(**values))


def test_the_process_is_alive_even_before_the_first_run(client):
    assert client.get("/healthz").text == "ok\n"


def test_ready_means_database_queue_clock_and_workers(app, client, migrated, clock):
    health.beat("here-clock-1", "clock", clock.now)
    health.beat("here-worker-1", "worker", clock.now)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "database": "ok", "redis": "ok", "clock": "ok", "workers": "ok"}


def test_silent_parts_degrade_but_pages_still_work(app, client, migrated, clock):
    health.beat("here-clock-1", "clock", clock.now)
    health.beat("here-worker-1", "worker", clock.now)
    clock.forward(seconds=11)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"], answer.json["clock"]) == (200, "degraded", "silent")
    assert answer.json["workers"] == "ok"
    clock.forward(seconds=30)
    assert client.get("/readyz").json["workers"] == "silent"


def test_a_database_that_is_not_migrated_is_not_ready(client):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json["status"], answer.json["database"]) == ("not ready", "not migrated")


def test_a_database_that_is_away_is_not_ready_and_a_redis_that_is_away_is_said(tmp_path):
    config = settings.read(
        {"DATABASE_URL": "sqlite:////nowhere/at/all.db", "REDIS_URL": "redis://127.0.0.1:9"}, data=tmp_path
    )
    away = create_app(config).test_client()
    answer = away.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json["database"], answer.json["redis"]) == ("away", "away")
    assert away.get("/healthz").status_code == 200
    assert value(away.get("/metrics").text, "flowserver_database_up") == 0


def test_a_process_that_leaves_in_order_is_forgotten_and_the_long_dead_too(app, clock):
    health.beat("old", "worker", clock.now)
    clock.forward(days=8)
    health.beat("new", "worker", clock.now)
    assert list(extensions.db.session.scalars(sa.select(Worker.name))) == ["new"]
    health.beat("new", "worker", clock.now)
    health.leave("new")
    assert health.alive("worker") == 0


def test_the_numbers_tell_what_waits_and_for_how_long(app, client, workspace, clock):
    enroll(workspace, contact_id=1)
    enroll(workspace, contact_id=2, due_at=clock.now + timedelta(hours=1))
    enroll(workspace, contact_id=3, due_at=clock.now - timedelta(hours=9), held=True)
    plan(workspace, "1:a:1")
    plan(workspace, "2:a:1", "accepted")
    plan(workspace, "3:a:1", "unknown")
    plan(workspace, "4:a:1", "accepted", planned_at=clock.now - timedelta(hours=2))
    extensions.db.session.commit()
    clock.forward(seconds=90)
    text = client.get("/metrics").text
    assert value(text, "flowserver_enrollments_due") == 1
    assert value(text, "flowserver_due_backlog_age_seconds") == 90
    assert value(text, "flowserver_messages_planned") == 1
    assert value(text, "flowserver_messages_oldest_planned_age_seconds") == 90
    assert value(text, 'flowserver_messages_last_hour{state="accepted"}') == 1
    assert value(text, "flowserver_messages_unknown") == 1
    assert value(text, "flowserver_workers_alive") == 0


def test_requests_are_counted_by_method_and_status(client):
    client.get("/healthz")
    client.open("/healthz", method="BREW")
    text = client.get("/metrics").text
    assert value(text, 'flowserver_http_requests_total{method="GET",status="200"}') == 1
    assert value(text, 'flowserver_http_requests_total{method="other",status="405"}') == 1


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.8", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "8.8.8.8"}, 403),
        ("10.0.0.8", {"Authorization": "Bearer let-me-count"}, 200),
        ("10.0.0.8", {"Authorization": "Bearer let-me-guess"}, 403),
        ("10.0.0.8", {"Authorization": "Bearer "}, 403),
    ],
)
def test_numbers_are_for_this_machine_or_for_who_has_the_token(app, client, address, headers, status):
    import dataclasses

    app.extensions["config"] = dataclasses.replace(app.extensions["config"], metrics_token="let-me-count")  # noqa: S106
    assert client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address}).status_code == status


def test_without_a_token_nobody_guesses_it(client):
    answer = client.get("/metrics", headers={"Authorization": "Bearer "}, environ_base={"REMOTE_ADDR": "10.0.0.8"})
    assert answer.status_code == 403


def test_every_answer_carries_its_own_request_id(client):
    first, second = client.get("/healthz"), client.get("/nowhere")
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    forged = client.get("/healthz", headers={"X-Request-Id": "forged-by-a-visitor"})
    assert forged.headers["X-Request-Id"] != "forged-by-a-visitor"


def test_watchers_never_wait_for_the_writer(app, client, migrated, clock):
    """On SQLite a batch may hold the write lock; the answer must not queue behind it."""
    if extensions.db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL readers never wait for writers")
    extensions.db.session.commit()
    writer = extensions.db.engine.raw_connection()
    try:
        writer.execute("BEGIN IMMEDIATE")
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 200
    finally:
        writer.rollback()
        writer.close()


def test_the_page_is_json_a_program_can_read(client, migrated):
    assert json.loads(client.get("/readyz").text)["status"] == "degraded"
