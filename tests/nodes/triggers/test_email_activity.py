"""E-mail activity: which events let in, which undo, and what the end of the window asks."""

import pytest

from flowserver.domain import definition
from flowserver.domain.steps import Fact, Sent
from flowserver.errors import Invalid
from flowserver.nodes import catalogue
from flowserver.nodes.triggers.email_activity import EVENTS, UNDONE, EmailActivity

from ..kit import NOW, item, mistakes, names

SAMPLES = [{"campaign": 5, "event": event} for event in EVENTS]


def trigger(event):
    return EmailActivity(EmailActivity.load({"campaign": 5, "event": event}))


def fact(type, campaign=5, **data):
    return Fact(type, NOW, f"campaign:{campaign}", {"message": 9, "campaign": campaign, **data})


@pytest.mark.parametrize(("event", "type"), EVENTS.items())
def test_each_answer_lets_in_with_its_event_of_this_campaign(event, type):
    one = trigger(event)
    assert one.admits(fact(type))
    assert not one.admits(fact(type, campaign=55))
    assert not one.admits(fact(type, cancelled=True))
    assert not any(one.admits(fact(other)) for other in set(EVENTS.values()) - {type})
    assert type in one.hears()


@pytest.mark.parametrize(("event", "types"), UNDONE.items())
def test_what_was_not_to_happen_undoes_a_start_of_the_same_message(event, types):
    one = trigger(event)
    for type in types:
        assert one.revokes(fact(type), {"message": 9})
        assert not one.revokes(fact(type), {"message": 10})
    assert set(types) <= one.hears()
    assert not one.happens()


def test_an_open_says_nothing_about_not_clicked_and_undoes_no_positive_start():
    assert not trigger("not_clicked").revokes(fact("email_opened"), {"message": 9})
    assert not trigger("opened").revokes(fact("email_bounced"), {"message": 9})
    assert trigger("opened").happens()


def holds(event, state="accepted", **times):
    return trigger(event).still_holds(item(cause=Sent(state, NOW, **times)))


def test_the_end_of_the_window_asks_once_more():
    assert holds("not_opened")
    assert holds("not_clicked", opened_at=NOW)
    assert not holds("not_opened", opened_at=NOW)
    assert not holds("not_clicked", clicked_at=NOW)
    assert not trigger("not_opened").still_holds(item())


@pytest.mark.parametrize("state", ["bounced", "failed", "skipped", "unknown"])
def test_what_never_arrived_is_not_not_opened(state):
    assert not holds("not_opened", state)
    assert not holds("not_clicked", state)


def test_an_open_that_was_a_scanners_after_all_starts_nothing():
    assert not holds("opened")
    assert not holds("clicked", opened_at=NOW)
    assert holds("clicked", opened_at=NOW, clicked_at=NOW)
    assert holds("sent", "bounced")
    assert trigger("opened").still_holds(item())


def compiled(event, **more):
    raw = {"type": "email_activity", "campaign": 5, "event": event, **more}
    return definition.compile({"format": 1, "name": "F", "trigger": raw, "steps": []}, catalogue.triggers(), {})


def test_a_negative_event_with_wait_0_is_refused_and_3_days_are_usual():
    for wait in ({"minutes": 0}, {"minutes": 59}):
        with pytest.raises(Invalid) as refused:
            compiled("not_opened", wait=wait)
        assert refused.value.messages == {"trigger.wait": ["Give people at least 1 hour"]}
    assert compiled("not_clicked", wait={"hours": 1}).wait == {"hours": 1}
    assert compiled("not_opened").wait == {"days": 3}
    assert compiled("opened").wait == {"minutes": 0}
    assert compiled("opened").include_existing


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"campaign": ["Choose an e-mail campaign"], "event": ["Choose what happens to the e-mail"]}),
        ({"campaign": 5, "event": "read"}, {"event": ["Choose what happens to the e-mail"]}),
    ],
)
def test_settings_that_do_not_do_are_refused_at_their_field(raw, wrong):
    assert mistakes(EmailActivity, raw) == wrong


def test_it_says_how_it_starts():
    assert trigger("not_opened").sentence(names) == "When a contact has not opened the email_campaign 5"
    assert trigger("not_opened").window()
    assert not trigger("clicked").window()
    assert trigger("sent").existing() == {"campaign": {"id": 5, "event": "sent"}}
