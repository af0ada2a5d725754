"""The console's own mails leave through the MAIL_* settings."""

from dataclasses import replace

import pytest

from flowserver.errors import ProviderError, ProviderUnavailable
from flowserver.services.messages import console_mail
from tests.sinks import SmtpSink, free_port


@pytest.fixture
def settings(app):
    """``settings(port)`` points the MAIL_* settings there."""

    def point(port: int, **more):
        app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port)
        app.extensions["config"] = replace(app.extensions["config"], mail_timeout=0.3, **more)

    return point


def test_a_mail_leaves(settings, workspace):
    with SmtpSink() as sink:
        settings(sink.port)
        console_mail.send("bob@agency.example", "Your\ninvitation é", "Come in: https://x.example/i/1")
        console_mail.send("bob@agency.example", "Another", "x")
    mail = sink.mails[0].message
    assert mail["subject"] == "Your invitation é"
    assert mail["from"] == "flowserver <ciao@caffelume.example>"
    assert mail.get_all("Message-ID") == [mail["Message-ID"]]
    assert mail["Message-ID"].endswith("@caffelume.example>")
    assert "https://x.example/i/1" in mail.get_body(("plain",)).get_content()


def test_the_sender_of_the_settings_wins(settings, workspace):
    with SmtpSink() as sink:
        settings(sink.port, mail_default_sender="hello@agency.example")
        console_mail.send("bob@agency.example", "x", "y")
    assert sink.mails[0].sender == "hello@agency.example"


def test_a_server_that_is_away_or_silent_is_said_so(settings, workspace):
    settings(free_port())
    with pytest.raises(ProviderUnavailable):
        console_mail.send("bob@agency.example", "x", "y")
    with SmtpSink(delay=3) as sink:
        settings(sink.port)
        with pytest.raises(ProviderUnavailable):
            console_mail.send("bob@agency.example", "x", "y")


def test_a_refused_address_is_said_so(settings, workspace):
    with SmtpSink(lambda stage, words: "550 no" if stage == "rcpt" else None) as sink:
        settings(sink.port)
        with pytest.raises(ProviderError):
            console_mail.send("bob@agency.example", "x", "y")
