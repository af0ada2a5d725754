"""A field compares to a value, in the type the field has."""

import pytest

from flowserver.nodes.conditions.field_compares import ALONE, OPERATORS, FieldCompares, compare

from ..kit import holds, item, mistakes, names, person

OPERATIONS = [name for name, _ in OPERATORS]
SAMPLES = [
    *({"field": "city", "operator": name, "value": "Rome"} for name in OPERATIONS if name not in ALONE),
    *({"field": "city", "operator": name} for name in ALONE),
    {"field": "age", "operator": "more", "value": "40"},
]


@pytest.mark.parametrize("operator", OPERATIONS)
@pytest.mark.parametrize("contact", [person(), person(fields={"city": ""}), person(fields={"city": "  "})])
def test_a_missing_value_answers_no_to_everything_but_is_empty(operator, contact):
    settings = {"field": "city", "operator": operator, **({} if operator in ALONE else {"value": "x"})}
    assert holds(FieldCompares, settings, contact) is (operator == "is_empty")


@pytest.mark.parametrize("value", ["Rome", 0, False, "0"])
def test_what_is_there_is_filled_in(value):
    assert compare(value, "is_set", None) and not compare(value, "is_empty", None)


@pytest.mark.parametrize(
    ("value", "operator", "wanted", "answer"),
    [
        # text: whole, trimmed, NFC, without case
        ("Rome", "equals", " rome ", True),
        ("Rome", "equals", "Rom", False),
        ("Caf\u00e9", "equals", "cafe\u0301", True),  # composed and decomposed
        ("STRASSE", "equals", "straße", True),
        ("ΣΊΣΥΦΟΣ", "equals", "σίσυφος", True),
        ("Rome", "not_equals", "rome", False),
        ("Rome", "not_equals", "Paris", True),
        ("New Rome", "contains", "rOm", True),
        ("Cafe\u0301 Lume", "contains", "fé l", True),
        ("Rome", "contains", "Romes", False),
        ("Rome", "less", "Sofia", False),  # text has no order here
        ("Rome", "more", "Paris", False),
        ("5", "equals", 5, True),
        # numbers
        (40, "equals", "40", True),
        (40, "equals", "40.0", True),
        (40, "equals", "forty", False),
        (40, "not_equals", "forty", True),
        (40, "less", "40,5", True),
        (40.5, "more", 40, True),
        (40, "more", "40", False),
        (40, "less", "forty", False),
        (40, "more", "forty", False),
        (40, "more", "nan", False),
        (40, "less", "nan", False),
        (40, "not_equals", "nan", True),
        (-3, "less", 0, True),
        (2**60 + 1, "equals", str(2**60), False),
        (1234, "contains", "23", True),
        ("1000", "more", "999", True),  # digits in a text field are still a number
        ("0.30", "equals", "0.3", False),
        # dates
        ("2026-05-04", "equals", "2026-05-04", True),
        ("2026-05-04", "less", "2026-05-05", True),
        ("2026-05-04", "more", "2025-12-31", True),
        ("2026-05-04", "more", "2026-05-04", False),
        ("2026-05-04", "more", "Easter", False),
        ("2026-05-04", "less", "Easter", False),
        ("20260504", "more", "3", True),  # digits are no date
        # yes/no
        (True, "equals", "yes", True),
        (True, "equals", "no", False),
        (True, "equals", True, True),
        (False, "equals", "no", True),
        (False, "equals", "0", True),
        (False, "equals", "maybe", False),
        (False, "not_equals", "maybe", True),
        (True, "not_equals", "yes", False),
        (True, "less", "2", False),
        (False, "less", True, False),
    ],
)
def test_values_compare_in_their_own_type(value, operator, wanted, answer):
    assert compare(value, operator, wanted) is answer


def test_core_and_custom_fields_are_found():
    contact = person(first_name="Mario", fields={"city": "Rome"})
    assert holds(FieldCompares, {"field": "first_name", "value": "mario"}, contact)
    assert holds(FieldCompares, {"field": "city", "value": "ROME"}, contact)
    assert holds(FieldCompares, {"field": "email", "operator": "contains", "value": "@example.org"}, contact)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"value": "x"}, "field"),
        ({"field": "city"}, "value"),
        ({"field": "city", "value": ""}, "value"),
        ({"field": "city", "value": "  "}, "value"),
        ({"field": "city", "value": None}, "value"),
        ({"field": "city", "value": ["Rome"]}, "value"),
        ({"field": "city", "value": {"a": 1}}, "value"),
        ({"field": "city", "value": "x" * 501}, "value"),
        ({"field": "city", "operator": "sounds_like", "value": "x"}, "operator"),
    ],
)
def test_bad_settings_are_refused(raw, field):
    assert list(mistakes(FieldCompares, raw)) == [field]


@pytest.mark.parametrize("value", [0, False, "0"])
def test_nothing_and_no_are_values(value):
    assert mistakes(FieldCompares, {"field": "age", "value": value}) == {}


def test_a_form_that_asks_whether_it_is_empty_sends_no_value():
    form = FieldCompares.Form(data={"field": "city", "operator": "is_empty", "value": "left over"})
    assert form.to_settings() == {"field": "city", "operator": "is_empty"}


def test_it_says_what_decided_in_short():
    node = FieldCompares({"field": "city", "operator": "equals", "value": "x"})
    assert node.facts(item(person(fields={"city": "y" * 100}))) == {"city": "y" * 59 + "…"}
    assert node.question(names) == "the field city is “x”?"
    assert FieldCompares({"field": "city", "operator": "is_empty"}).question(names) == "the field city is empty?"
