"""Texts leave over HTTP, reports come back as webhooks: late, twice, in any order, forged."""

import hashlib
import hmac
import itertools
import json
import threading
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from flask import current_app

from flowserver.domain.tokens import number
from flowserver.extensions import db
from flowserver.models import (
    Connection,
    Consent,
    Contact,
    Engagement,
    Enrollment,
    Event,
    Message,
    Suppression,
    Workspace,
)
from flowserver.providers.base import DeliveryEvent
from flowserver.services.messages import deliveries
from flowserver.services.people import consents

TEXT = {"key": "text", "type": "send_sms", "text": "Hi {{ contact.first_name }}, it’s ready"}


class Phone(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.texts.append((self.headers.get("X-Phone-Secret"), body))
        status = self.server.status
        answer = json.dumps({"id": f"p{len(self.server.texts)}"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def phone(app):
    """A phone that takes texts over HTTP; the server's settings point to it."""
    one = ThreadingHTTPServer(("127.0.0.1", 0), Phone)
    one.texts, one.status = [], 202
    threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    config = app.extensions["config"]
    app.extensions["config"] = replace(
        config,
        phone_url=f"http://127.0.0.1:{one.server_port}",
        phone_secret="shared",  # noqa: S106
        private_hosts=(),
    )
    yield one
    deliveries.hang_up()
    one.shutdown()
    one.server_close()


@pytest.fixture
def way(workspace) -> Connection:
    return db.session.scalar(sa.select(Connection).where(Connection.channel == "sms"))


@pytest.fixture
def sent(phone, flow, planned, way):
    """A text that was accepted: its message id."""
    [message_id] = planned(flow(TEXT), step="text", channel="sms")
    deliveries.deliver(way.id)
    return message_id


def message(message_id) -> Message:
    db.session.expire_all()
    return db.session.get(Message, message_id)


def post(client, way, body, secret="shared", path=None, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return client.post(
        path or f"/hooks/pretend/{way.hook_token}", data=raw, headers={"X-Phone-Signature": signature, **headers}
    )


def report(phone, status, **more) -> dict:
    ref = phone.texts[0][1]["ref"]
    return {"id": "p1", "ref": ref, "status": status, "at": "2026-05-04T09:00:01+00:00", **more}


def events() -> list[str]:
    return list(db.session.scalars(sa.select(Event.type).order_by(Event.id)))


def test_a_text_leaves_over_http(sent, phone, way, clock):
    secret, text = phone.texts[0]
    assert secret == "shared"  # noqa: S105
    assert text["to"] == "+393330000000"
    assert text["from"] == "CaffeLume"
    assert text["text"] == "Hi Ada0, it’s ready"
    assert text["callback"] == f"http://localhost/hooks/pretend/{way.hook_token}"
    assert number(text["ref"]) == sent
    row = message(sent)
    assert (row.state, row.provider_ref, row.segments, row.accepted_at) == ("accepted", "p1", 1, clock.now)


@pytest.mark.parametrize(("status", "state"), [(202, "accepted"), (422, "failed"), (500, "planned"), (429, "planned")])
def test_what_the_phone_answers(phone, flow, planned, way, status, state):
    phone.status = status
    [message_id] = planned(flow(TEXT), step="text", channel="sms")
    deliveries.deliver(way.id)
    row = message(message_id)
    assert row.state == state
    assert row.attempts == 1


def test_a_wrong_secret_pauses_the_connection(phone, flow, planned, way):
    phone.status = 401
    [message_id] = planned(flow(TEXT), step="text", channel="sms")
    deliveries.deliver(way.id)
    assert (message(message_id).state, message(message_id).attempts) == ("planned", 0)
    assert way.paused_at is not None


def test_a_phone_that_is_away_costs_no_attempt(app, flow, planned, way):
    [message_id] = planned(flow(TEXT), step="text", channel="sms")
    deliveries.deliver(way.id)
    assert (message(message_id).state, message(message_id).attempts) == ("planned", 0)
    assert way.down_since is not None


def test_a_report_moves_the_message_and_tells_who_waits(sent, phone, way, client, clock):
    enrollment = db.session.scalar(sa.select(Enrollment))
    enrollment.awaits = "sms_delivered:text"
    db.session.commit()
    clock.forward(seconds=30)
    assert post(client, way, report(phone, "delivered")).status_code == 204
    row = message(sent)
    assert row.state == "delivered"
    assert row.delivered_at.isoformat() == "2026-05-04T09:00:01+00:00"
    assert events() == ["sms_delivered"]
    assert db.session.scalar(sa.select(Enrollment.due_at)) == clock.now
    assert post(client, way, report(phone, "delivered")).status_code == 204  # the same again
    assert events() == ["sms_delivered"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Engagement)) == 1


def test_a_failed_text_is_failed_with_its_reason(sent, phone, way, client):
    post(client, way, report(phone, "failed", error="no such number"))
    assert (message(sent).state, message(sent).reason) == ("failed", "no such number")
    assert events() == ["sms_failed"]


REPORTS = ["accepted", "failed", "delivered", "delivered"]


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(REPORTS))))
def test_every_order_of_reports_ends_the_same(sent, way, order):
    for kind in order:
        deliveries.record(way.id, [DeliveryEvent(f"{sent:x}", kind)])
    row = message(sent)
    assert row.state == "delivered"
    assert row.failed_at is None
    assert row.delivered_at is not None


def test_a_report_settles_an_unknown_message(sent, way):
    row = message(sent)
    row.state = "unknown"
    db.session.commit()
    deliveries.record(way.id, [DeliveryEvent(f"{sent:x}", "delivered")])
    assert message(sent).state == "delivered"


def test_the_providers_own_id_will_do(sent, way):
    assert deliveries.record(way.id, [DeliveryEvent("", "delivered", provider_ref="p1")]) == 1
    assert message(sent).state == "delivered"


@pytest.mark.parametrize("kind", ["unknown", "planned", "claimed", "nonsense"])
def test_words_we_do_not_know_change_nothing(sent, way, kind):
    assert deliveries.record(way.id, [DeliveryEvent(f"{sent:x}", kind)]) == 0
    assert message(sent).state == "accepted"


def test_a_complaint_ends_marketing(sent, way):
    deliveries.record(way.id, [DeliveryEvent(f"{sent:x}", "complained")] * 2)
    db.session.expire_all()
    assert db.session.scalar(sa.select(Contact.sms_consent)) == "withdrawn"
    assert db.session.scalar(sa.select(Suppression.reason)) == "complaint"
    assert events().count("unsubscribed") == 1
    assert message(sent).state == "accepted"


# --- the door of the webhooks ----------------------------------------------------------------------------------


def test_reports_of_nobody_are_taken_and_forgotten(sent, phone, way, client):
    for ref in ("", "zzz", "999999", "f" * 40, "🙂"):
        assert post(client, way, {**report(phone, "delivered"), "ref": ref, "id": "pX"}).status_code == 204
    assert message(sent).state == "accepted"


def test_a_forged_report_is_refused(sent, phone, way, client):
    assert post(client, way, report(phone, "delivered"), secret="guessed").status_code == 403  # noqa: S106
    assert client.post(f"/hooks/pretend/{way.hook_token}", json=report(phone, "delivered")).status_code == 403
    assert post(client, way, report(phone, "delivered"), **{"X-Phone-Signature": "é"}).status_code == 403
    assert message(sent).state == "accepted"


def test_without_a_secret_the_door_is_closed(sent, phone, way, client, app):
    app.extensions["config"] = replace(current_app.extensions["config"], phone_secret="")
    assert post(client, way, report(phone, "delivered"), secret="").status_code == 403


@pytest.mark.parametrize("path", ["/hooks/pretend/nobody", "/hooks/smtp/{token}", "/hooks/nosuch/{token}"])
def test_unknown_addresses_are_not_found(sent, phone, way, client, path):
    path = path.format(token=way.hook_token)
    assert post(client, way, report(phone, "delivered"), path=path).status_code == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{", b"null", b'{"at": 5, "ref": {}}', b'{"at": "yesterday"}', b"\xff", b"[" * 100_000,
        b'{"a":' * 100_000, b'{"ref": "\\ud800", "status": "delivered"}', b'{"ref": "a\\u0000b", "status": "failed"}',
        b'{"ref": "1", "status": [], "id": NaN}',
    ],
)  # fmt: skip
def test_genuine_nonsense_is_answered_not_broken(sent, phone, way, client, raw):
    assert post(client, way, raw).status_code in (204, 400)


def test_only_post(workspace, way, client):
    assert client.get(f"/hooks/pretend/{way.hook_token}").status_code == 405


def test_a_report_about_another_connections_message_changes_nothing(sent, phone, client, way):
    other = Workspace(slug="kino", name="Kino", time_zone="Europe/Warsaw")
    db.session.add(other)
    db.session.flush()
    foreign = Connection(
        workspace_id=other.id,
        channel="sms",
        provider="pretend",
        name="x",
        settings={},
        hook_token="foreign",  # noqa: S106
    )
    db.session.add(foreign)
    db.session.commit()
    assert post(client, foreign, report(phone, "delivered")).status_code == 204
    assert message(sent).state == "accepted"


def test_a_long_text_is_delivered_when_all_its_parts_are(sent, phone, way, client):
    for part in (1, 3, 1):
        assert post(client, way, report(phone, "delivered", part=part, parts=3)).status_code == 204
        assert message(sent).state == "accepted" and events() == []
    post(client, way, report(phone, "delivered", part=2, parts=3))
    assert message(sent).state == "delivered" and events() == ["sms_delivered"]


@pytest.mark.parametrize("order", list(itertools.permutations(["delivered", "failed", "delivered"])))
def test_a_long_text_with_a_part_that_failed_is_not_delivered_whatever_order_they_come_in(
    sent, phone, way, client, order
):
    for part, status in enumerate(order, 1):
        post(client, way, report(phone, status, part=part, parts=3, error="handset off"))
    assert message(sent).state == "failed"


@pytest.mark.parametrize(("part", "parts"), [(0, 3), (4, 3), (1, 256), ("1", 3), (True, 2), (None, 2), (1.5, 2)])
def test_parts_that_make_no_sense_are_the_whole_text(sent, phone, way, client, part, parts):
    post(client, way, report(phone, "delivered", part=part, parts=parts))
    assert message(sent).state == "delivered"


def incoming(words, sender="+393330000000", id="p9") -> dict:
    return {
        "type": "incoming",
        "id": id,
        "from": sender,
        "to": "CaffeLume",
        "text": words,
        "at": "2026-05-04T09:00:01+00:00",
    }


def test_stop_ends_texts_for_good(sent, phone, way, client):
    assert post(client, way, incoming("Stop")).status_code == 204
    assert post(client, way, incoming("Stop")).status_code == 204
    db.session.expire_all()
    contact = db.session.scalar(sa.select(Contact))
    assert (contact.sms_consent, contact.email_consent) == ("withdrawn", "given")
    suppression = db.session.scalar(sa.select(Suppression))
    assert (suppression.channel, suppression.address, suppression.reason) == ("sms", "+393330000000", "stop")
    proof = db.session.scalar(sa.select(Consent))
    assert (proof.source, proof.words) == ("STOP", "Stop")
    assert events().count("unsubscribed") == 1


def test_stop_from_a_stranger_is_remembered_too(sent, phone, way, client):
    post(client, way, incoming("STOP", sender="+447700900123"))
    assert db.session.scalar(sa.select(Suppression.address)) == "+447700900123"
    assert db.session.scalar(sa.select(Contact.sms_consent)) == "given"


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", None, 5])
def test_a_moment_that_cannot_be_is_now(sent, phone, way, client, clock, at):
    assert post(client, way, {**report(phone, "delivered"), "at": at}).status_code == 204
    assert message(sent).delivered_at == clock.now
    assert post(client, way, {**incoming("STOP"), "at": at}).status_code == 204
    assert db.session.scalar(sa.select(Consent.at).where(Consent.state == "withdrawn")) == clock.now


def test_stop_told_again_does_not_undo_a_newer_agreement(sent, phone, way, client, clock):
    post(client, way, incoming("STOP"))
    clock.now += timedelta(hours=1)
    consents.change(db.session.scalar(sa.select(Contact)), "sms", "given", source="till")
    db.session.commit()
    clock.now += timedelta(hours=1)
    for id in ("p9", "late"):  # the very same text; another one, written before the agreement and only heard of now
        assert post(client, way, incoming("STOP", id=id)).status_code == 204
    assert db.session.scalar(sa.select(Contact.sms_consent)) == "given"
    assert db.session.scalar(sa.select(Suppression)) is None
    post(client, way, {**incoming("STOP", id="p10"), "at": clock.now.isoformat()})
    assert db.session.scalar(sa.select(Contact.sms_consent)) == "withdrawn"


def test_other_texts_change_nothing(sent, phone, way, client):
    post(client, way, incoming("Thank you"))
    assert db.session.scalar(sa.select(Suppression)) is None
    assert events() == []
