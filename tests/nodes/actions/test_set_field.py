"""Writing a field: set, clear, count up, note the date; each in the type of the field."""

import pytest

from flowserver.domain.people import Customs
from flowserver.domain.steps import Go
from flowserver.nodes.actions.set_field import SetField

from ..kit import NOW, context, decide, item, mistakes, names, person

SAMPLES = [
    {"field": "city", "value": "Rome"},
    {"field": "first_name", "value": "Ada"},
    {"field": "city", "clear": True},
    {"field": "visits", "add": 1},
    {"field": "visits", "add": -3},
    {"field": "since", "today": True},
]
FIELDS = {
    "age": ("number", ()),
    "visits": ("number", ()),
    "city": ("text", ()),
    "member": ("yes_no", ()),
    "since": ("date", ()),
    "size": ("choice", ("S", "M")),
}


def write(settings, contact=None, **client):
    """The contact afterwards, the outcome and the changed keys."""
    ctx, one = context(fields=FIELDS, **client), item(contact)
    outcome = decide(SetField, settings, one, ctx)
    return one.contact, outcome, [row[3] for row in ctx.wishes.events]


def test_it_sets_a_field_and_raises_a_change():
    contact, outcome, changed = write({"field": "city", "value": "Rome"}, person(fields={"age": 3}))
    assert (contact.fields, outcome, changed) == ({"age": 3, "city": "Rome"}, Go(), ["city"])


def test_the_same_value_again_changes_nothing():
    ctx = context(fields=FIELDS)
    decide(SetField, {"field": "city", "value": "Rome"}, item(person(fields={"city": "Rome"})), ctx)
    assert not ctx.wishes.contacts and not ctx.wishes.events


def test_it_writes_names_too():
    contact, _, changed = write({"field": "first_name", "value": "Ada"})
    assert (contact.first_name, changed) == ("Ada", ["first_name"])
    contact, _, _ = write({"field": "first_name", "clear": True}, person(first_name="Ada"))
    assert contact.first_name == ""


def test_clearing_takes_the_field_away():
    contact, _, changed = write({"field": "city", "clear": True}, person(fields={"city": "Rome"}))
    assert (contact.fields, changed) == ({}, ["city"])


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        ("age", "40", 40),
        ("age", "3,5", 3.5),
        ("age", 0, 0),
        ("member", "yes", True),
        ("member", False, False),
        ("since", "2026-05-04", "2026-05-04"),
        ("size", "m", "M"),
        ("city", " Rome ", "Rome"),
    ],
)
def test_a_value_gets_the_type_of_its_field(field, typed, kept):
    contact, outcome, _ = write({"field": field, "value": typed}, customs=Customs("IT"))
    assert contact.fields[field] == kept and type(contact.fields[field]) is type(kept)
    assert outcome == Go()


@pytest.mark.parametrize(("field", "typed"), [("age", "forty"), ("since", "31/02/2026"), ("size", "XXL")])
def test_a_value_that_does_not_fit_is_left_out_and_the_contact_goes_on(field, typed):
    contact, outcome, changed = write({"field": field, "value": typed}, person(fields={field: "old"}))
    assert (contact.fields, outcome, changed) == ({field: "old"}, Go(skipped="wrong_type"), [])


def test_it_counts_up_and_down_from_nothing():
    contact, _, _ = write({"field": "visits", "add": "2"})
    assert contact.fields == {"visits": 2}
    contact, _, _ = write({"field": "visits", "add": -3}, person(fields={"visits": 2.5}))
    assert contact.fields == {"visits": -0.5}


@pytest.mark.parametrize("old", ["many", True, "2"])
def test_what_is_no_number_is_not_counted(old):
    contact, outcome, _ = write({"field": "visits", "add": 1}, person(fields={"visits": old}))
    assert (contact.fields["visits"], outcome) == (old, Go(skipped="not_a_number"))


def test_today_is_the_clients_day():
    late = NOW.replace(hour=22, minute=30)  # already tomorrow in Rome
    ctx, one = context(late, fields=FIELDS), item()
    decide(SetField, {"field": "since", "today": True}, one, ctx)
    assert one.contact.fields == {"since": "2026-05-05"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"value": "x"}, "field"),
        ({"field": "city"}, "value"),
        ({"field": "city", "value": ""}, "value"),
        ({"field": "city", "value": "x", "clear": True}, "value"),
        ({"field": "city", "clear": False}, "value"),
        ({"field": "city", "add": "many"}, "add"),
        ({"field": "city", "add": 1.5}, "add"),
        ({"field": "city", "value": ["x"]}, "value"),
        ({"field": "city", "value": {"x": 1}}, "value"),
        ({"field": "city", "value": "x" * 501}, "value"),
        ({"field": "first_name", "value": "x" * 121}, "value"),
        ({"field": "locale", "value": "x" * 9}, "value"),
        ({"field": "first_name", "add": 1}, "field"),
        ({"field": "email", "value": "a@example.org"}, "field"),
        ({"field": "phone", "clear": True}, "field"),
        ({"field": "external_id", "value": "1"}, "field"),
    ],
)
def test_bad_wishes_are_refused_at_their_field(raw, field):
    assert list(mistakes(SetField, raw)) == [field]


def test_it_says_what_it_does():
    said = [SetField(SetField.load(raw)).summary(names) for raw in SAMPLES]
    assert said == [
        "Set the field city to “Rome”",
        "Set the field first_name to “Ada”",
        "Clear the field city",
        "Add 1 to the field visits",
        "Add -3 to the field visits",
        "Note today's date in the field since",
    ]
