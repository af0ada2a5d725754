"""Agreeing and withdrawing."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.consent_changed import ConsentChanged

from ..kit import NOW, mistakes, names

SAMPLES = [{"channel": "email", "state": "given"}, {"channel": "sms", "state": "withdrawn"}]


def change(new, channel="email"):
    return Fact("consent_changed", NOW, channel, {"channel": channel, "old": "none", "new": new})


def test_it_is_that_channel_and_that_way():
    one = ConsentChanged(ConsentChanged.load(SAMPLES[0]))
    assert (
        one.admits(change("given")) and not one.admits(change("withdrawn")) and not one.admits(change("given", "sms"))
    )
    assert not one.admits(Fact("consent_changed", NOW, "email"))


def test_taking_it_back_during_the_wait_undoes_the_start():
    one = ConsentChanged(ConsentChanged.load(SAMPLES[0]))
    assert one.revokes(change("withdrawn"), {}) and not one.revokes(change("given"), {})
    assert not one.revokes(change("withdrawn", "sms"), {})
    assert one.existing() == {"consent": SAMPLES[0]}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"channel": ["Choose the channel"], "state": ["Choose whether the contact agreed or withdrew"]}),
        ({"channel": "fax", "state": "given"}, {"channel": ["Choose the channel"]}),
        ({"channel": "sms", "state": "none"}, {"state": ["Choose whether the contact agreed or withdrew"]}),
    ],
)
def test_bad_answers_are_refused(raw, wrong):
    assert mistakes(ConsentChanged, raw) == wrong


def test_it_says_how_the_flow_starts():
    assert ConsentChanged(SAMPLES[0]).sentence(names) == "When a contact agrees to e-mail"
    assert ConsentChanged(SAMPLES[1]).sentence(names) == "When a contact withdraws from SMS"
    push = ConsentChanged({"channel": "web_push", "state": "given"})
    assert push.sentence(names) == "When a contact agrees to web push"
