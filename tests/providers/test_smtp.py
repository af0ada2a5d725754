"""SMTP sessions against real servers: encryption, log-in, pipelining, idle lines."""
# ruff: noqa: S106

import datetime
import ipaddress
import socket
import ssl
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flowserver.errors import Invalid, ProviderAuthFailed, ProviderUnavailable
from flowserver.providers.base import TAKEN, Email
from flowserver.providers.email import smtp
from tests.sinks import SmtpSink, free_port

MAIL = Email("1:a:1", "me@x.example", "you@y.example", b"Subject: x\r\n\r\nHello\r\n.\r\n..dots\r\n")


def provider(**settings) -> smtp.Smtp:
    config = SimpleNamespace(
        private_hosts=("127.0.0.1",),
        mail_server="",
        mailbox_port=0,
        mail_timeout=3.0,
        mail_connections=2,
        mail_default_sender="",
    )
    return smtp.Smtp(settings, config)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1: nobody trusts it unless told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class Keeper:
    """Keeps what it is given."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ada", b"secret")
    return AuthResult(success=good, handled=good)


@pytest.fixture
def tls_server(certificate):
    """An aiosmtpd server that wants STARTTLS and a log-in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    keeper = Keeper()
    controller = Controller(
        keeper,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    controller.start()
    yield keeper, controller.port
    controller.stop()


@pytest.fixture
def trusting(monkeypatch, certificate):
    """A machine that trusts the certificate."""
    usual = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda *a, **k: usual(cafile=str(certificate[0])))


def secure(port, **more) -> smtp.Smtp:
    settings = {"host": "127.0.0.1", "port": port, "security": "starttls", "username": "ada", "password": "secret"}
    return provider(**{**settings, **more})


def test_a_mail_goes_over_an_encrypted_line_with_a_log_in(tls_server, trusting):
    keeper, port = tls_server
    session = secure(port).session()
    assert session.send(MAIL) is TAKEN
    assert session.send(MAIL) is TAKEN
    session.close()
    sender, to, content = keeper.mails[1]
    assert (sender, to) == ("me@x.example", ["you@y.example"])
    assert content == MAIL.data  # dots at the start of a line arrive as they were


def test_a_certificate_nobody_trusts_is_refused(tls_server):
    keeper, port = tls_server
    with pytest.raises(ProviderUnavailable, match="certificate is not trusted"):
        secure(port).check()
    answer = secure(port).session().send(MAIL)
    assert answer.state == "unsent"
    assert keeper.mails == []


def test_a_wrong_password_is_said_so(tls_server, trusting):
    with pytest.raises(ProviderAuthFailed):
        secure(tls_server[1], password="wrong").check()
    with pytest.raises(ProviderAuthFailed):
        secure(tls_server[1], password="wrong").session().send(MAIL)


def test_a_server_without_encryption_gets_no_password():
    with SmtpSink() as sink, pytest.raises(ProviderUnavailable):
        secure(sink.port).check()


def test_nobody_there():
    with pytest.raises(ProviderUnavailable):
        provider(host="127.0.0.1", port=free_port(), security="none").check()
    with pytest.raises(ProviderUnavailable, match="No mail server"):
        provider().check()


def test_a_server_that_never_answers_is_given_up():
    silent = socket.create_server(("127.0.0.1", 0))
    one = provider(host="127.0.0.1", port=silent.getsockname()[1], security="none")
    one.config.mail_timeout = 0.2
    assert one.session().send(MAIL).state == "unsent"
    silent.close()


def test_an_answer_to_the_text_that_never_comes_is_unknown():
    with SmtpSink(lambda stage, words: None, delay=5) as sink:
        one = provider(host="127.0.0.1", port=sink.port, security="none")
        one.config.mail_timeout = 0.1
        assert one.session().send(MAIL).state == "unknown"


@pytest.mark.parametrize("pipelining", [True, False])
def test_with_and_without_pipelining(pipelining):
    with SmtpSink(pipelining=pipelining) as sink:
        session = provider(host="127.0.0.1", port=sink.port, security="none").session()
        assert [session.send(MAIL) for _ in range(3)] == [TAKEN] * 3
        assert [mail.data for mail in sink.mails] == [MAIL.data] * 3
        assert sink.connections == 1
        session.close()
        session.close()


def test_a_line_that_lay_idle_is_asked_before_it_is_used(monkeypatch):
    with SmtpSink() as sink:
        session = provider(host="127.0.0.1", port=sink.port, security="none").session()
        session.send(MAIL)
        monkeypatch.setattr(smtp, "IDLE", -1.0)
        assert session.send(MAIL) is TAKEN
        assert sink.connections == 1
        sink.hang_up()
        assert session.send(MAIL) is TAKEN
        assert sink.connections == 2
        session.close()


def test_a_server_that_speaks_before_the_final_dot_has_not_taken_it():
    def script(stage, words):
        return "354 go\r\n451 4.3.0 no room after all" if stage == "data" else None

    with SmtpSink(script) as sink:
        big = Email("k", "me@x.example", "you@y.example", b"Subject: x\r\n\r\n" + b"x" * 70 * 20000)
        assert provider(host="127.0.0.1", port=sink.port, security="none").session().send(big).state == "retry"


@pytest.mark.parametrize(
    ("code", "words", "stage", "state"),
    [
        (250, "ok", "rcpt", None),
        (450, "4.2.0 busy", "rcpt", "retry"),
        (550, "5.1.1 unknown", "rcpt", "bounced"),
        (550, "5.1.1 unknown", "mail", "failed"),
        (550, "5.1.1 unknown", "text", "bounced"),
        (550, "5.7.26 DMARC", "text", "failed"),
        (551, "user moved", "rcpt", "bounced"),
        (550, "Mailbox unavailable", "rcpt", "bounced"),
        (550, "Access denied", "rcpt", "failed"),
        (554, "no", "rcpt", "failed"),
        (503, "bad sequence", "data", "failed"),
    ],
)
def test_what_answers_mean(code, words, stage, state):
    answer = smtp.judge(code, words, stage)
    assert (answer and answer.state) == state


def test_missing_credentials_are_no_matter_of_one_message():
    with pytest.raises(ProviderAuthFailed):
        smtp.judge(530, "5.7.0 Authentication required", "mail")


def test_a_client_cannot_name_a_server_of_our_own_network():
    one = provider(host="127.0.0.1", port=25, security="none")
    one.config.private_hosts = ()
    with pytest.raises(ProviderUnavailable, match="private address"):
        one.check()


def test_which_server_it_is():
    one = provider()
    one.config = SimpleNamespace(
        mail_server="mx.example", mail_port=587, mail_use_ssl=False, mail_use_tls=True, mail_username="u", mail_password="p",
        mail_timeout=9.0, mailbox_port=1025, private_hosts=(),
    )  # fmt: skip
    assert one.server() == smtp.Server("mx.example", 587, "starttls", "u", "p", 9.0)
    one.config.mail_server = ""
    assert (one.server().host, one.server().port) == ("127.0.0.1", 1025)
    one.settings = {"host": "own.example", "security": "ssl"}
    assert (one.server().host, one.server().port, one.server().security) == ("own.example", 465, "ssl")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"host": "x", "security": "none", "password": "p"}, "security"),
        ({"host": "x", "security": "magic"}, "security"),
        ({"host": "x", "port": 70000}, "port"),
        ({"nosuch": 1}, "nosuch"),
    ],
)
def test_settings_that_cannot_work_are_named(raw, field):
    with pytest.raises(Invalid) as caught:
        smtp.Smtp.load(raw)
    assert field in caught.value.messages


def test_the_password_is_a_secret():
    assert smtp.Smtp.secrets() == {"password"}
