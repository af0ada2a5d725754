"""An e-mail is planned, held, or left out with a reason."""

from datetime import timedelta

import pytest

from flowserver.domain.steps import Go, Park
from flowserver.nodes.actions.send_email import SendEmail

from ..kit import NOW, context, decide, item, mistakes, names, person

BODY = [{"type": "text", "text": "Hi"}]
SAMPLES = [
    {"subject": "Hello", "body": BODY},
    {
        "title": "First mail",
        "subject": "Hello {{ contact.first_name | default: 'there' }}",
        "preheader": "At last",
        "body": "<p>Own HTML</p>",
        "text": "Own text",
        "from_name": "Caffè Lume",
        "from_email": "ciao@caffelume.example",
        "class": "service",
        "on_failure": "end",
    },
]
MAIL = SAMPLES[0]


def test_it_plans_one_message():
    ctx, one = context(), item(step="welcome")
    assert decide(SendEmail, MAIL, one, ctx) == Go()
    (row,) = ctx.wishes.messages
    assert (row[1], row[3], row[4], row[8], row[14]) == (
        "10:welcome:1",
        "email",
        "marketing",
        "c1@example.org",
        "planned",
    )
    assert one.messages["welcome"].state == "planned"


@pytest.mark.parametrize(
    ("contact", "class_", "reason"),
    [
        (person(email=None), "service", "no_email"),
        (person(email_consent="none"), "marketing", "no_consent"),
        (person(email_consent="withdrawn"), "marketing", "unsubscribed"),
        (person(email_consent="none"), "service", None),
        (person(status="bounced"), "service", "bounced"),
        (person(status="suppressed"), "service", "suppressed"),
        (person(paused_until=NOW + timedelta(days=3)), "marketing", "on_pause"),
        (person(paused_until=NOW + timedelta(days=3)), "service", None),
        (person(paused_until=NOW), "marketing", None),
    ],
)
def test_who_may_not_get_it_goes_on_with_the_reason(contact, class_, reason):
    ctx, one = context(), item(contact, step="welcome")
    assert decide(SendEmail, {**MAIL, "class": class_}, one, ctx) == Go(skipped=reason)
    assert [(row[14], row[15]) for row in ctx.wishes.messages] == [("skipped" if reason else "planned", reason)]
    assert one.messages["welcome"].state == ("skipped" if reason else "planned")


def test_a_suppressed_address_gets_nothing():
    assert decide(SendEmail, MAIL, item(), context(suppressed={("email", "c1@example.org")})) == Go(
        skipped="suppressed"
    )
    assert decide(SendEmail, MAIL, item(), context(suppressed={("sms", "c1@example.org")})) == Go()


def test_a_client_without_a_mail_connection_sends_nothing():
    assert decide(SendEmail, MAIL, item(), context(connections={"sms": 2})) == Go(skipped="no_connection")


def test_in_a_flow_paused_with_skip_people_walk_on_without():
    assert decide(SendEmail, MAIL, item(), context(skip_sends=True)) == Go(skipped="paused")


def test_the_message_limit_holds_it_at_its_step_until_the_next_free_day():
    ctx = context(cap_day=1, recent={(1, "email"): [NOW - timedelta(hours=2)]})
    held = decide(SendEmail, MAIL, item(), ctx)
    assert held == Park(NOW + timedelta(days=1), absolute=True, reason="message_limit")
    assert not ctx.wishes.messages
    assert decide(SendEmail, {**MAIL, "class": "service"}, item(), ctx) == Go()


def test_the_limit_counts_what_this_batch_plans():
    ctx = context(cap_day=1)
    first, second = item(person(1), step="a"), item(person(1), step="b")
    assert decide(SendEmail, MAIL, first, ctx) == Go()
    assert isinstance(decide(SendEmail, MAIL, second, ctx), Park)


def test_e_mail_knows_no_quiet_hours():
    at_night = context(NOW.replace(hour=22), quiet_from="21:00", quiet_until="08:00")
    assert decide(SendEmail, MAIL, item(), at_night) == Go()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"subject": "x" * 301}, "subject"),
        ({"body": 5}, "body"),
        ({"body": ["x"]}, "body"),
        ({"body": [{}] * 101}, "body"),
        ({"body": "x" * 500_001}, "body"),
        ({"from_email": "nobody"}, "from_email"),
        ({"class": "spam"}, "class"),
        ({"on_failure": "explode"}, "on_failure"),
        ({"template": 5}, "template"),
    ],
)
def test_bad_settings_are_refused(raw, field):
    assert list(mistakes(SendEmail, raw)) == [field]


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ({}, ["subject", "body"]),
        ({"subject": " ", "body": [{"type": "divider"}]}, ["subject", "body"]),
        ({"subject": "Hi", "body": [{"type": "text", "text": "  "}, {"type": "text", "text": None}]}, ["body"]),
        ({"subject": "Hi", "body": "   "}, ["body"]),
        ({"subject": "Hi", "body": [{"type": "button", "label": "Go"}]}, []),
        (MAIL, []),
    ],
)
def test_going_live_needs_a_subject_and_something_to_read(raw, fields):
    assert [(problem.kind, problem.field) for problem in SendEmail(raw).problems([])] == [("fix", f) for f in fields]


def test_it_is_called_by_its_name_then_its_subject():
    assert SendEmail(SAMPLES[1]).summary(names) == "First mail"
    assert SendEmail(MAIL).summary(names) == "Hello"
    assert SendEmail({}).summary(names) == "E-mail without a subject"
