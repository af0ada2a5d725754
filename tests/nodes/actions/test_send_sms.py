"""An SMS is planned, held until the morning, or left out with a reason."""

from datetime import UTC, datetime

import pytest

from flowserver.domain.steps import Go, Park
from flowserver.nodes.actions.send_sms import SendSms

from ..kit import NOW, context, decide, item, mistakes, names, person

SAMPLES = [
    {"text": "Hello"},
    {"title": "Nudge", "text": "Hello", "sender": "Caffe Lume", "class": "service", "on_failure": "end"},
    {"text": "Hello", "sender": "+393331234567"},
]
QUIET = {"quiet_from": "21:00", "quiet_until": "08:00"}


def test_it_plans_one_message_to_the_number():
    ctx = context()
    assert decide(SendSms, SAMPLES[0], item(), ctx) == Go()
    assert [(row[3], row[5], row[8]) for row in ctx.wishes.messages] == [("sms", 2, "+393331230001")]


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (person(phone=None), "no_phone"),
        (person(sms_consent="none"), "no_consent"),
        (person(sms_consent="withdrawn"), "unsubscribed"),
        (person(email_consent="none"), None),
    ],
)
def test_who_may_not_get_it_goes_on_with_the_reason(contact, reason):
    assert decide(SendSms, SAMPLES[0], item(contact)) == Go(skipped=reason)


def test_at_night_it_waits_at_its_step_for_the_morning():
    late = NOW.replace(hour=22)  # midnight in Rome
    held = decide(SendSms, SAMPLES[0], item(), context(late, **QUIET))
    assert held == Park(datetime(2026, 5, 5, 6, 0, tzinfo=UTC), absolute=True, reason="quiet_hours")


def test_a_service_message_goes_at_any_hour():
    assert decide(SendSms, SAMPLES[1], item(), context(NOW.replace(hour=22), **QUIET)) == Go()


def test_who_may_not_get_it_does_not_wait_for_the_morning():
    one = item(person(sms_consent="none"))
    assert decide(SendSms, SAMPLES[0], one, context(NOW.replace(hour=22), **QUIET)) == Go(skipped="no_consent")


@pytest.mark.parametrize("sender", ["TwelveLetter", "Caffè", "12345", "+39", "Lume\n", "a-b", " Lume", ""])
def test_bad_senders_are_refused(sender):
    assert list(mistakes(SendSms, {"text": "Hi", "sender": sender})) == ["sender"]


def test_a_text_of_more_than_ten_parts_is_refused():
    assert mistakes(SendSms, {"text": "x" * 1531}) == {"text": ["Use 1,530 characters at most"]}


def test_going_live_needs_a_text():
    assert [problem.field for problem in SendSms({"text": "  "}).problems([])] == ["text"]
    assert SendSms(SAMPLES[0]).problems([]) == []


def test_it_is_called_by_its_name_then_the_beginning_of_its_text():
    assert SendSms(SAMPLES[1]).summary(names) == "Nudge"
    assert SendSms({"text": "x" * 61}).summary(names) == "x" * 59 + "…"
    assert SendSms({}).summary(names) == "SMS without a text"
