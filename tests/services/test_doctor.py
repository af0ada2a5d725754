"""The doctor names each thing that is wrong, and how to mend it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flowserver import extensions
from flowserver.models import Connection, Message
from flowserver.services.operations import doctor, health, schema
from tests.blueprints.test_health import enroll, plan


@pytest.fixture
def examine(app, monkeypatch):
    """``examine(mail_server=…)`` → checks by name; the tests' tables count as migrated."""
    monkeypatch.setattr(schema, "current", schema.newest)

    def run(**changes) -> dict[str, list[doctor.Check]]:
        app.extensions["config"] = dataclasses.replace(app.extensions["config"], **changes)
        extensions.db.session.commit()
        found: dict[str, list[doctor.Check]] = {}
        for check in doctor.examine():
            found.setdefault(check.name, []).append(check)
        return found

    return run


def one(found, name) -> doctor.Check:
    (check,) = found[name]
    return check


def test_every_finding_that_is_bad_says_how_to_mend_it(examine):
    for checks in examine().values():
        for check in checks:
            assert check.state in ("ok", "warn", "bad") and check.text
            assert check.mend or not check.bad


def test_silent_processes_are_bad_and_living_ones_are_well(examine, clock):
    assert one(examine(), "clocks").bad and one(examine(), "workers").bad
    health.beat("a", "clock", clock.now)
    health.beat("b", "worker", clock.now)
    found = examine()
    assert one(found, "clocks").state == one(found, "workers").state == "ok"


def test_late_steps_and_unknown_messages_are_told(examine, workspace, clock):
    enroll(workspace, due_at=clock.now - timedelta(minutes=42))
    plan(workspace, "1:a:1", "unknown")
    found = examine()
    assert one(found, "steps").bad and "42 min late" in one(found, "steps").text
    assert one(found, "unknown messages").state == "warn" and one(found, "unknown messages").text.startswith("1 ")


def test_paused_and_unreachable_connections_are_named_with_their_client(examine, workspace, clock):
    email, sms = extensions.db.session.query(Connection).order_by(Connection.id)
    email.paused_at, email.paused_reason = clock.now, "the server refused the password"
    sms.down_since = clock.now - timedelta(hours=3)
    texts = " / ".join(check.text for check in examine()["connections"])
    assert "“smtp” of Caffè Lume is paused: the server refused the password" in texts
    assert "“pretend” of Caffè Lume has not been reachable for 3 h" in texts


def test_a_secret_key_others_can_read_is_bad(examine, app):
    path = app.extensions["config"].data / "secret_key"
    path.write_text("x" * 60)
    path.chmod(0o644)
    check = one(examine(), "secret key")
    assert check.bad and check.mend == f"chmod 600 {path}"
    path.chmod(0o600)
    assert one(examine(), "secret key").state == "ok"


def test_a_short_secret_key_is_bad(examine):
    assert one(examine(secret_key="short"), "secret key length").bad  # noqa: S106


def test_a_full_disk_is_bad(examine, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(10**12, 10**12, 5 * 10**8))
    assert one(examine(), "disk").bad


def test_addresses(examine):
    assert one(examine(url="https://flow.example"), "address").state == "ok"
    assert one(examine(url="http://flow.example"), "address").bad
    assert one(examine(url="http://127.0.0.1:8000"), "address").state == "warn"


def test_redis_that_is_away_is_bad(examine, app):
    import redis

    from flowserver.jobqueue import RedisQueue

    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    app.extensions["queue"] = RedisQueue(redis.Redis(port=9, retry=retry))
    assert one(examine(), "redis").bad
    app.extensions["queue"].connection.close()


@pytest.mark.parametrize(
    ("settings", "kind", "state"), [((b"noeviction", b"yes"), "redis memory", "ok"), ((b"allkeys-lru", b"yes"), "redis memory", "bad"),
                                    ((b"noeviction", b"no"), "redis persistence", "warn")],
)  # fmt: skip
def test_redis_settings_that_lose_rings_are_told(examine, app, settings, kind, state):
    class Answering:
        """A Redis that answers PING and tells these settings."""

        def ping(self):
            return True

        def config_get(self, name):
            values = {"maxmemory-policy": settings[0], "appendonly": settings[1], "save": b""}
            return {name.encode(): values[name]}

    app.extensions["queue"] = type("Bell", (), {"connection": Answering(), "ring": lambda *_: None})()
    assert one(examine(), kind).state == state


# --- the mail server -------------------------------------------------------------------------------------


@pytest.fixture
def smtp():
    """``smtp({"EHLO": …})`` → port of a server that gives these answers, 250 to everything else."""
    listeners = []

    def start(answers: dict[str, bytes], tls: ssl.SSLContext | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def talk() -> None:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire, wire.makefile("rb") as lines:
                wire.sendall(b"220 mail.example ESMTP\r\n")
                for line in lines:
                    word = line.split()[0].decode().upper() if line.split() else ""
                    wire.sendall({"QUIT": b"221 bye\r\n", **answers}.get(word, b"250 ok\r\n"))
                    if tls and word == "STARTTLS":
                        with contextlib.suppress(OSError):
                            tls.wrap_socket(wire, server_side=True)
                        return

        threading.Thread(target=talk, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


def mail_check(examine, port: int, **changes) -> doctor.Check:
    return one(examine(mail_server="127.0.0.1", mail_port=port, **changes), "mail server")


def test_a_mail_server_that_answers_is_well_and_dns_is_said_not_to_be_checked(examine, smtp):
    found = examine(mail_server="127.0.0.1", mail_port=smtp({}))
    assert one(found, "mail server").state == "ok"
    assert "not checked" in one(found, "sender domains").text


def test_a_mail_server_that_is_away_is_bad(examine):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        check = mail_check(examine, unused.getsockname()[1])
    assert check.bad and "cannot be reached" in check.text


def test_a_refused_log_in_is_told_apart(examine, smtp):
    port = smtp({"EHLO": b"250-mail.example\r\n250 AUTH PLAIN\r\n", "AUTH": b"535 no\r\n"})
    check = mail_check(examine, port, mail_username="giulia", mail_password="wrong")  # noqa: S106
    assert check.bad and "refuses the log-in" in check.text and "MAIL_PASSWORD" in check.mend


def test_a_server_without_starttls_is_told_apart(examine, smtp):
    check = mail_check(examine, smtp({}), mail_use_tls=True)
    assert check.bad and "STARTTLS" in check.text


def self_signed(folder) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (folder / "pem").write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context


def test_a_certificate_nobody_vouches_for_is_told_apart(examine, smtp, tmp_path):
    port = smtp({"EHLO": b"250-mail.example\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n"}, self_signed(tmp_path))
    check = mail_check(examine, port, mail_use_tls=True)
    assert check.bad and "is not safe" in check.text and "certificate" in check.mend


def test_without_any_mail_server_it_says_so(examine):
    check = one(examine(mail_server="", mailbox_port=0), "mail server")
    assert check.bad and "flowserver up" in check.mend


def test_the_report_counts_what_needs_mending():
    checks = [doctor.ok("a", "fine"), doctor.bad("b", "broken", "mend it"), doctor.warn("c", "hm")]
    text = doctor.as_text(checks)
    assert "BAD   b: broken" in text and "→ mend it" in text and text.endswith("1 thing needs mending.")
    assert '"ok": false' in doctor.as_json(checks)
    assert doctor.as_text(checks[:1]).endswith("Everything works.")


def test_it_changes_nothing(examine, workspace):
    plan(workspace, "1:a:1", "planned")
    examine()
    assert extensions.db.session.query(Message).one().state == "planned"
