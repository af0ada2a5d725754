"""Connections: secrets sealed in the database, masked on pages, tried before they are kept."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound, ProviderUnavailable
from flowserver.extensions import db
from flowserver.models import Alert, Connection, Message
from flowserver.services.engine import flow_state
from flowserver.services.messages import connections
from flowserver.text import N_
from tests.sinks import SmtpSink, free_port

SMTP = {"host": "mx.example", "port": 587, "security": "starttls", "username": "ada", "password": "s3cret!"}


@pytest.fixture
def way(workspace):
    return connections.default("email")


def save(way, settings=SMTP, **more):
    return connections.save(way.id, settings, **{"try_out": False, **more})


def raw() -> str:
    return str(
        db.session.connection().execute(sa.text("SELECT settings FROM connection WHERE channel = 'email'")).scalar()
    )


def test_secrets_are_sealed_masked_and_readable_for_the_provider(way):
    save(way)
    assert "s3cret!" not in raw()
    assert connections.masked(way)["password"] == connections.MASK
    assert connections.masked(way)["username"] == "ada"
    assert connections.provider(way).settings["password"] == "s3cret!"  # noqa: S105


def test_stars_keep_the_secret_and_emptiness_removes_it(way):
    save(way)
    save(way, {**SMTP, "username": "bob", "password": connections.MASK})
    assert connections.provider(way).settings["password"] == "s3cret!"  # noqa: S105
    save(way, {**SMTP, "password": ""})
    assert connections.provider(way).settings["password"] == ""


def test_a_new_key_still_opens_what_the_old_one_sealed(way, app):
    save(way)
    config = app.extensions["config"]
    app.extensions["config"] = replace(config, secret_key="a new key", old_secret_keys=(config.secret_key,))  # noqa: S106
    assert connections.provider(way).settings["password"] == "s3cret!"  # noqa: S105
    app.extensions["config"] = replace(config, secret_key="a new key", old_secret_keys=())  # noqa: S106
    assert connections.provider(way).settings["password"] == ""  # lost: the page asks for it again


@pytest.mark.parametrize(
    ("settings", "more", "field"),
    [
        ({**SMTP, "port": 0}, {}, "port"),
        ({**SMTP, "x": 1}, {}, "x"),
        (SMTP, {"per_minute": 0}, "per_minute"),
        (SMTP, {"name": "x" * 121}, "name"),
    ],
)
def test_bad_settings_are_named_and_nothing_changes(way, settings, more, field):
    before = raw()
    with pytest.raises(Invalid) as caught:
        save(way, settings, **more)
    assert field in caught.value.messages
    db.session.rollback()
    assert raw() == before


def test_settings_are_tried_before_they_are_kept(way):
    with pytest.raises(ProviderUnavailable):
        connections.save(way.id, {"host": "127.0.0.1", "port": free_port(), "security": "none"})
    with SmtpSink() as sink:
        connections.save(way.id, {"host": "127.0.0.1", "port": sink.port, "security": "none"}, per_minute=60)
    assert connections.get(way.id).per_minute == 60


def test_mending_a_paused_connection_lets_it_go_on(way, clock, queue):
    connections.pause(way.id, "535 wrong")
    flow_state.alert(way.workspace_id, "connection_paused", f"connection:{way.id}", N_("x"))
    db.session.commit()
    save(way)
    assert way.paused_at is None
    assert db.session.scalar(sa.select(Alert.resolved_at)) == clock.now
    assert ("deliver", way.id) in queue.rings


def test_pause_and_resume(way, clock):
    connections.pause(way.id, "by hand")
    assert (way.paused_at, way.paused_reason) == (clock.now, "by hand")
    connections.resume(way.id)
    assert (way.paused_at, way.paused_reason) == (None, "")


def test_one_connection_of_a_channel_is_the_default(way, workspace):
    second = connections.make("email", "smtp", "Second", {"host": "two.example", "security": "none"})
    db.session.commit()
    assert not second.is_default
    connections.make_default(second.id)
    assert connections.default("email").id == second.id
    assert [row.id for row in connections.listing()][:2] == [second.id, way.id]
    db.session.add(
        Message(
            workspace_id=workspace.id, key="k", kind="test", channel="email", connection_id=way.id, address="a@b.example",
            planned_at=workspace.created_at, due_at=workspace.created_at,
        )
    )  # fmt: skip
    db.session.commit()
    with pytest.raises(Conflict):
        connections.remove(way.id)
    with pytest.raises(Conflict):
        connections.remove(second.id)
    db.session.execute(sa.delete(Message))
    connections.remove(way.id)
    assert db.session.get(Connection, way.id) is None


def test_providers_are_found_by_their_folder(app):
    assert set(connections.providers("email")) >= {"smtp", "memory"}
    assert set(connections.providers("sms")) >= {"pretend", "memory"}
    with pytest.raises(Invalid):
        connections.provider_class("email", "pigeon")
    with pytest.raises(Invalid):
        connections.provider_class("pigeon", "smtp")


def test_another_clients_connection_does_not_exist(way):
    from flowserver import extensions

    with extensions.workspace(way.workspace_id + 1), pytest.raises(NotFound):
        connections.get(way.id)
