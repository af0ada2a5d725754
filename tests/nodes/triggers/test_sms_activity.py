"""SMS activity: sent, delivered, not delivered, and the late report that undoes."""

import pytest

from flowserver.domain.steps import Fact, Sent
from flowserver.nodes.triggers.sms_activity import EVENTS, SmsActivity

from ..kit import NOW, item, mistakes, names

SAMPLES = [{"campaign": 5, "event": event} for event in EVENTS]


def trigger(event):
    return SmsActivity(SmsActivity.load({"campaign": 5, "event": event}))


def fact(type, campaign=5, **data):
    return Fact(type, NOW, f"campaign:{campaign}", {"message": 9, **data})


@pytest.mark.parametrize(("event", "types"), EVENTS.items())
def test_each_answer_lets_in_with_its_events_of_this_campaign(event, types):
    one = trigger(event)
    for type in types:
        assert one.admits(fact(type))
        assert not one.admits(fact(type, campaign=4))
        assert not one.admits(fact(type, cancelled=True))
        assert type in one.hears()
    assert not any(one.admits(fact(other)) for other in set().union(*EVENTS.values()) - types)


def test_a_late_delivered_undoes_a_not_delivered_that_still_waits():
    assert trigger("not_delivered").revokes(fact("sms_delivered"), {"message": 9})
    assert not trigger("not_delivered").revokes(fact("sms_delivered"), {"message": 8})
    assert not trigger("delivered").revokes(fact("sms_delivered"), {"message": 9})
    assert not trigger("not_delivered").happens()
    assert trigger("delivered").happens()


def test_not_delivered_is_asked_again_when_the_wait_is_over():
    assert trigger("not_delivered").still_holds(item(cause=Sent("failed", NOW)))
    assert not trigger("not_delivered").still_holds(item(cause=Sent("delivered", NOW)))
    assert not trigger("not_delivered").still_holds(item())
    assert trigger("sent").still_holds(item())


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"campaign": ["Choose an SMS campaign"], "event": ["Choose what happens to the SMS"]}),
        ({"campaign": 5, "event": "opened"}, {"event": ["Choose what happens to the SMS"]}),
    ],
)
def test_an_unknown_event_and_a_missing_campaign_are_refused(raw, wrong):
    assert mistakes(SmsActivity, raw) == wrong


def test_it_says_how_it_starts():
    assert trigger("not_delivered").sentence(names) == "When the SMS the sms_campaign 5 is not delivered"
    assert trigger("sent").existing() == {"campaign": {"id": 5, "event": "sent"}}
    assert SmsActivity.include_existing
