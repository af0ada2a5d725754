"""What every provider promises, run over whatever the folder holds."""

import inspect
from types import SimpleNamespace

import pytest

from flowserver.providers import base
from flowserver.registry import discover

FOUND = [
    (channel, name, cls)
    for channel, root in (("email", base.EmailProvider), ("sms", base.SmsProvider))
    for name, cls in discover(f"flowserver.providers.{channel}", root).items()
]
CONFIG = SimpleNamespace(
    private_hosts=(), mail_connections=3, phone_url="", phone_secret="", mail_server="", mailbox_port=0
)


@pytest.mark.parametrize(("channel", "name", "cls"), FOUND)
def test_a_provider_is_one_file_of_its_name(channel, name, cls):
    module = inspect.getmodule(cls)
    assert module.__name__ == f"flowserver.providers.{channel}.{name}"
    assert module.__doc__
    assert cls.title
    assert cls.channel == channel


@pytest.mark.parametrize(("channel", "name", "cls"), FOUND)
def test_it_works_without_settings_and_reports_in_our_words(channel, name, cls):
    one = cls(cls.load({}), CONFIG)
    assert one.lines >= 1
    assert isinstance(one.session(), base.Session)
    assert set(getattr(cls, "kinds", {}).values()) <= base.KINDS
    assert cls.secrets() <= set(cls.Settings().fields)


@pytest.mark.parametrize(("channel", "name", "cls"), FOUND)
def test_without_a_secret_no_webhook_is_genuine(channel, name, cls):
    one = cls(cls.load({}), CONFIG)
    assert not one.hook_secret()
    assert not one.is_genuine(base.WebhookRequest(b"{}", {}))


def test_memory_keeps_what_it_is_given():
    for channel, name, cls in FOUND:
        if name == "memory":
            cls.outbox.clear()
            assert cls({}, CONFIG).session().send(channel) is base.TAKEN
            assert cls.outbox == [channel]
            cls.outbox.clear()
