"""Has agreed to marketing, by channel."""

import pytest

from flowserver.domain.consent import CHANNELS
from flowserver.nodes.conditions.has_consent import HasConsent

from ..kit import holds, item, mistakes, names, person

SAMPLES = [{"channel": "email"}, {"channel": "sms"}]


@pytest.mark.parametrize("state", ["none", "given", "withdrawn"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_only_given_is_yes(channel, state):
    contact = person(**{f"{one}_consent": state if one == channel else "given" for one in CHANNELS})
    assert holds(HasConsent, {"channel": channel}, contact) is (state == "given")
    assert HasConsent({"channel": channel}).facts(item(contact)) == {"consent": state}


@pytest.mark.parametrize("raw", [{}, {"channel": ""}, {"channel": "fax"}, {"channel": None}, {"channel": ["email"]}])
def test_it_needs_a_channel(raw):
    assert list(mistakes(HasConsent, raw)) == ["channel"]


def test_its_question():
    assert HasConsent({"channel": "sms"}).question(names) == "Has agreed to marketing by SMS?"
    assert HasConsent({"channel": "ads"}).question(names) == "Has agreed to being shown ads?"
    assert HasConsent({"channel": "email"}).question(names) == "Has agreed to marketing by e-mail?"
