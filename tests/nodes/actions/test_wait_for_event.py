"""Waiting for something to happen: yes at once, no at the time-out."""

from datetime import timedelta

import pytest

from flowserver.domain.steps import Fact, Go, Park, Sent
from flowserver.nodes.actions.send_email import SendEmail
from flowserver.nodes.actions.send_sms import SendSms
from flowserver.nodes.actions.wait_for_event import WaitForEvent

from ..kit import NOW, context, decide, item, mistakes, names, person

OPENED = {"event": "email_opened", "of": "welcome", "at_most": {"days": 2}}
PURCHASE = {"event": "purchase", "at_most": {"days": 2}}
SAMPLES = [
    OPENED,
    {"event": "email_clicked", "of": "welcome", "at_most": {"hours": 12}},
    {"event": "sms_delivered", "of": "text", "at_most": {"minutes": 0}},
    {"event": "sms_failed", "of": "text", "at_most": {"days": 365}},
]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(settings, sent, now=NOW, parked_at=None):
    """The outcome for a contact whose message is in this state."""
    messages = {settings["of"]: sent} if sent else {}
    return decide(WaitForEvent, settings, item(messages=messages, parked_at=parked_at), context(now))


# --- reactions to a message ------------------------------------------------------------------------------


def test_the_wait_counts_from_the_acceptance_of_the_message():
    sent = Sent("accepted", NOW - 5 * HOUR, accepted_at=NOW - HOUR)
    assert at(OPENED, sent) == Park(NOW - HOUR + 2 * DAY, awaits="email_opened:welcome")


def test_an_open_answers_yes_at_once_even_one_that_came_before():
    sent = Sent("accepted", NOW, accepted_at=NOW - HOUR, opened_at=NOW - HOUR)
    assert at(OPENED, sent) == Go("then")
    assert at({**OPENED, "event": "email_clicked"}, sent) == Park(NOW - HOUR + 2 * DAY, awaits="email_clicked:welcome")


def test_the_time_out_answers_no_to_the_second():
    sent = Sent("accepted", NOW, accepted_at=NOW)
    assert at(OPENED, sent, NOW + 2 * DAY) == Go("else")
    assert isinstance(at(OPENED, sent, NOW + 2 * DAY - timedelta(seconds=1)), Park)


@pytest.mark.parametrize("state", ["planned", "claimed", "handed"])
def test_while_the_message_has_not_left_the_time_out_moves(state):
    late = NOW + 10 * DAY
    assert at(OPENED, Sent(state, NOW), late, parked_at=NOW) == Park(late + 2 * DAY, awaits="email_opened:welcome")


def test_looking_again_takes_a_minute_however_short_the_wait():
    at_once = {**OPENED, "at_most": {"minutes": 0}}
    assert at(at_once, Sent("planned", NOW)) == Park(NOW + timedelta(minutes=1), awaits="email_opened:welcome")
    assert at(at_once, Sent("accepted", NOW, accepted_at=NOW)) == Go("else")


@pytest.mark.parametrize("state", ["skipped", "failed", "bounced"])
def test_a_message_that_never_arrives_answers_no_at_once(state):
    assert at(OPENED, Sent(state, NOW)) == Go("else", facts={"message": state})


def test_without_a_message_the_answer_is_no():
    assert at(OPENED, None) == Go("else", facts={"message": "none"})


def test_one_whose_answer_was_never_heard_counts_from_its_planning():
    sent = Sent("unknown", NOW - DAY)
    assert at(OPENED, sent) == Park(NOW + DAY, awaits="email_opened:welcome")
    assert at(OPENED, sent, NOW + DAY) == Go("else")
    assert at(OPENED, Sent("unknown", NOW - 9 * DAY, opened_at=NOW)) == Go("then")


def test_an_sms_is_delivered_or_not():
    delivered = Sent("delivered", NOW, accepted_at=NOW, delivered_at=NOW)
    failed = Sent("failed", NOW, accepted_at=NOW, failed_at=NOW)
    did, did_not = SAMPLES[2], SAMPLES[3]
    assert (at(did, delivered).port, at(did, failed).port) == ("then", "else")
    assert at(did_not, failed) == Go("then")
    assert at(did_not, delivered) == Park(NOW + 365 * DAY, awaits="sms_failed:text")
    assert at(did_not, Sent("skipped", NOW)).port == "else"


# --- other events ----------------------------------------------------------------------------------------


def test_any_other_event_counts_from_the_moment_the_contact_waits():
    assert decide(WaitForEvent, PURCHASE, item()) == Park(NOW + 2 * DAY, awaits="purchase")


@pytest.mark.parametrize(
    ("facts", "now", "port"),
    [
        ([Fact("purchase", NOW + HOUR)], NOW + HOUR, "then"),
        ([Fact("purchase", NOW - HOUR)], NOW + HOUR, None),  # before it began to wait
        ([Fact("refund", NOW + HOUR)], NOW + HOUR, None),
        ([], NOW + 2 * DAY, "else"),
        ([Fact("purchase", NOW + HOUR)], NOW + 9 * DAY, "then"),  # found late, but it happened in time
        ([Fact("purchase", NOW - HOUR)], NOW + 2 * DAY, "else"),
    ],
)
def test_what_happened_while_it_waits_decides(facts, now, port):
    outcome = decide(WaitForEvent, PURCHASE, item(events=facts, parked_at=NOW), context(now))
    assert outcome == (Go(port) if port else Park(NOW + 2 * DAY, awaits="purchase"))


# --- settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({**OPENED, "event": ""}, "event"),
        ({**OPENED, "event": "Bought it"}, "event"),
        ({**OPENED, "event": "email_opened\n"}, "event"),
        ({"of": "welcome", "at_most": {"days": 1}}, "event"),
        ({"event": "email_opened", "at_most": {"days": 1}}, "of"),
        ({**PURCHASE, "of": "welcome"}, "of"),
        ({**OPENED, "of": 5}, "of"),
        ({"event": "email_opened", "of": "welcome"}, "at_most"),
        ({**OPENED, "at_most": {"days": -1}}, "at_most"),
        ({**OPENED, "at_most": {"days": 366}}, "at_most"),
        ({**OPENED, "at_most": {"days": 0.5}}, "at_most"),
        ({**OPENED, "at_most": {"years": 1}}, "at_most"),
    ],
)
def test_bad_settings_are_refused_at_their_field(raw, field):
    assert list(mistakes(WaitForEvent, raw)) == [field]


class Earlier:
    """A compiled step that comes before."""

    def __init__(self, key, node):
        self.key, self.node = key, node


@pytest.mark.parametrize(
    ("before", "problems"),
    [
        ([], ["of"]),
        ([Earlier("other", SendEmail({}))], ["of"]),
        ([Earlier("welcome", SendSms({}))], ["of"]),  # nobody opens an SMS
        ([Earlier("welcome", SendEmail({}))], []),
    ],
)
def test_the_message_must_come_before_and_be_of_the_kind(before, problems):
    assert [problem.field for problem in WaitForEvent(OPENED).problems(before)] == problems


def test_it_says_what_it_waits_for():
    assert WaitForEvent(OPENED).summary(names) == "Did the contact open “the step welcome”?"
    assert WaitForEvent(PURCHASE).summary(names) == "Wait for “purchase”"
    assert WaitForEvent(OPENED).waits_words() == "waits up to 2 days"
    assert WaitForEvent({}).waits_words() == ""
    assert WaitForEvent(PURCHASE).hears() == {"purchase"}


def test_who_has_no_address_waits_for_nothing():
    one = item(person(email=None))
    decide(SendEmail, {"subject": "Hi"}, one)
    assert decide(WaitForEvent, {**OPENED, "of": "here"}, one).port == "else"
