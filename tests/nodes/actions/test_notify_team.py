"""A note to the team."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.notify_team import NotifyTeam

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [
    {"to": ["sales@agency.example", "b@agency.example"], "subject": "A lead", "text": "Call {{ contact.first_name }}"},
    {"to": [], "subject": "A lead", "text": "Call"},
]


def planned(ctx):
    """Key, kind, class and address of the messages."""
    return [(row[1], row[2], row[4], row[8]) for row in ctx.wishes.messages]


def test_everybody_named_is_told_once_and_it_is_no_mail_to_the_contact():
    ctx = context()
    settings = {**SAMPLES[0], "to": ["a@agency.example", "b@agency.example", "a@agency.example"]}
    assert decide(NotifyTeam, settings, item(person(email_consent="none")), ctx) == Go()
    assert planned(ctx) == [
        ("10:here:1:0", "team", "service", "a@agency.example"),
        ("10:here:1:1", "team", "service", "b@agency.example"),
    ]


def test_nobody_named_means_the_owner_then_the_clients_address():
    ctx = context(owners={5: "owner@agency.example"}, notify_email="all@lume.example")
    decide(NotifyTeam, SAMPLES[1], item(person(owner_id=5)), ctx)
    decide(NotifyTeam, SAMPLES[1], item(person(2, owner_id=6)), ctx)
    assert [row[3] for row in planned(ctx)] == ["owner@agency.example", "all@lume.example"]


def test_with_nobody_to_tell_the_contact_goes_on():
    assert decide(NotifyTeam, SAMPLES[1], item()) == Go(skipped="nobody_to_tell")
    assert decide(NotifyTeam, SAMPLES[0], item(), context(connections={})) == Go(skipped="no_connection")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"to": ["nobody"]}, "to"),
        ({"to": ["a@b.example\nBcc: c@d.example"]}, "to"),
        ({"to": ["a@b.example\n"]}, "to"),
        ({"to": "a@b.example"}, "to"),
        ({"to": [5]}, "to"),
        ({"to": [f"a{n}@b.example" for n in range(11)]}, "to"),
        ({"subject": "x" * 301}, "subject"),
        ({"text": "x" * 5001}, "text"),
    ],
)
def test_bad_wishes_are_refused(raw, field):
    assert list(mistakes(NotifyTeam, raw)) == [field]


def test_going_live_needs_a_subject_and_a_text():
    assert [problem.kind for problem in NotifyTeam({"subject": "  ", "text": "x"}).problems([])] == ["fix"]
    assert NotifyTeam(NotifyTeam.load(SAMPLES[0])).problems([]) == []


def test_addresses_may_be_separated_as_people_do():
    form = NotifyTeam.Form(data={"to": "a@x.example; b@x.example,c@x.example  d@x.example"})
    assert form.to_settings()["to"] == ["a@x.example", "b@x.example", "c@x.example", "d@x.example"]


def test_it_says_whom():
    assert NotifyTeam(SAMPLES[0]).summary(names) == "Tell sales@agency.example, b@agency.example"
    assert NotifyTeam({}).summary(names) == "Tell whoever looks after the contact"
