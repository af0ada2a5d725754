"""A field that comes to hold a value."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.field_value import FieldValue

from ..kit import NOW, item, mistakes, names, person

SAMPLES = [
    {"field": "first_name", "operator": "equals", "value": "Mario"},
    {"field": "visits", "operator": "more", "value": "3"},
    {"field": "city", "operator": "is_empty"},
    {"field": "city", "operator": "changed"},
]


def trigger(field="city", operator="equals", value="Roma"):
    given = {"field": field, "operator": operator, **({} if value is None else {"value": value})}
    return FieldValue(FieldValue.load(given))


def fires(old, new, operator="equals", value="Roma", **more):
    return trigger("city", operator, value).admits(Fact("field_changed", NOW, "city", {"old": old, "new": new, **more}))


def test_it_fires_on_the_change_from_not_matching_to_matching():
    assert fires(None, "Roma") and fires("Milano", "Roma") and fires("", "Roma")
    assert not fires("Roma", "Milano") and not fires("Roma", None)


def test_saving_the_same_value_again_is_nothing():
    assert not fires("Roma", "Roma") and not fires("roma", " ROMA ")


def test_a_contact_that_comes_in_with_the_value_counts():
    assert fires(None, "Roma", created=True) and not fires(None, "Milano", created=True)


def test_another_field_and_other_events_are_not_its_business():
    one = trigger()
    assert not one.admits(Fact("field_changed", NOW, "town", {"old": None, "new": "Roma"}))
    assert not one.admits(Fact("field_changed", NOW, "city", None))
    assert not one.admits(Fact("contact_created", NOW, "", {"filled": ["city"]}))


def test_text_matches_whole_trimmed_in_one_form_and_without_case():
    assert fires(None, " roma ") and fires(None, "ROMA")
    assert not fires(None, "Roma Termini") and not fires(None, "Rom")
    assert fires(None, "Cafe\u0301", value="CAFÉ") and fires(None, "STRASSE", value="Straße")


@pytest.mark.parametrize(
    ("operator", "value", "old", "new", "wanted"),
    [
        ("equals", 12, 11, 12.0, True),
        ("equals", 12, 12, 12.0, False),
        ("equals", True, None, True, True),
        ("equals", True, None, False, False),
        ("equals", False, True, False, True),
        ("equals", "2026-05-04", "2026-05-03", "2026-05-04", True),
        ("not_equals", "Roma", "Roma", "Milano", True),
        ("not_equals", "Roma", "Roma", None, False),
        ("not_equals", "Roma", None, "Milano", True),
        ("not_equals", "Roma", "Milano", "Napoli", False),
        ("contains", "rom", "Milano", "Via Roma", True),
        ("contains", "rom", "Roma", "Romagna", False),
        ("less", 10, 10, 9, True),
        ("less", 10, 9, 8, False),
        ("less", 10, None, 9, True),
        ("more", 10, 10, 10.5, True),
        ("more", "2026-05-04", "2026-05-04", "2026-05-05", True),
        ("is_set", None, None, "x", True),
        ("is_set", None, "x", "y", False),
        ("is_set", None, "", "  ", False),
        ("is_empty", None, "x", None, True),
        ("is_empty", None, "x", "", True),
        ("is_empty", None, "", None, False),
        ("changed", None, "x", "y", True),
        ("changed", None, None, "y", True),
        ("changed", None, "x", None, True),
        ("changed", None, "", None, False),
        ("changed", None, "x", "x", False),
    ],
)
def test_every_comparison_in_the_type_of_the_field(operator, value, old, new, wanted):
    assert fires(old, new, operator, value) is wanted


def test_changed_at_all_is_not_being_added():
    assert not fires(None, "Roma", "changed", None, created=True)


def test_a_contact_that_comes_in_without_the_field_is_empty():
    empty = trigger("city", "is_empty", None)
    assert empty.admits(Fact("contact_created", NOW, "", {"filled": ["email"]}))
    assert not empty.admits(Fact("contact_created", NOW, "", {"filled": ["city"]}))
    assert not empty.admits(Fact("contact_created", NOW, "", {}))


def test_a_value_that_changes_away_during_the_wait_undoes_the_start():
    one = trigger()
    assert one.revokes(Fact("field_changed", NOW, "city", {"old": "Roma", "new": "Milano"}), {})
    assert one.revokes(Fact("field_changed", NOW, "city", {"old": "Roma", "new": None}), {})
    assert not one.revokes(Fact("field_changed", NOW, "city", {"old": "Roma", "new": "ROMA"}), {})
    assert not one.revokes(Fact("field_changed", NOW, "town", {"old": "Roma", "new": "Milano"}), {})
    assert not trigger("city", "changed", None).revokes(Fact("field_changed", NOW, "city", {"old": 1, "new": 2}), {})


def test_at_the_end_of_the_wait_the_contact_is_looked_at_again():
    assert trigger().still_holds(item(person(fields={"city": "roma"})))
    assert not trigger().still_holds(item(person(fields={})))
    assert trigger("first_name", "equals", "Mario").still_holds(item(person(first_name="Mario")))
    assert trigger("city", "changed", None).still_holds(item(person()))


def test_those_who_match_already_are_preselected():
    assert FieldValue.include_existing and FieldValue.offers_existing and FieldValue.reentry == "once"
    assert trigger().existing() == {"field": {"field": "city", "operator": "equals", "value": "Roma"}}
    assert trigger("city", "is_set", None).existing() == {
        "field": {"field": "city", "operator": "is_set", "value": None}
    }
    assert trigger("city", "changed", None).existing() == {"nobody": True}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"field": ["Choose the field"]}),
        ({"field": "city"}, {"value": ["Enter the value"]}),
        ({"field": "city", "value": "  "}, {"value": ["Enter the value"]}),
        ({"field": "city", "value": ["x"]}, {"value": ["Write one value, not a list or an object"]}),
        ({"field": "city", "value": "x" * 501}, {"value": ["Use 500 characters at most"]}),
        ({"field": "city", "operator": "is"}, {"operator": ["Choose how to compare"]}),
        ({"field": "city", "operator": "is_set", "value": "x"},
         {"value": ["This comparison needs no value: leave it out"]}),
        ({"field": "", "value": "x"}, {"field": ["Choose one"]}),
        ({"field": "city", "operator": "changed", "leave": True},
         {"leave": ["A change has no end: nobody can leave when it no longer matches"]}),
    ],
)  # fmt: skip
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(FieldValue, raw) == wrong


def test_the_form_leaves_out_a_value_that_is_not_asked_for():
    assert FieldValue.Form(data={"field": "city", "operator": "is_set", "value": "x"}).to_settings() == {
        "field": "city",
        "operator": "is_set",
    }


def test_the_form_asks_what_happens_when_it_no_longer_matches():
    leaves = {"field": "city", "operator": "equals", "value": "Roma", "leave": True}
    filled = FieldValue.Form(data=FieldValue.Form.from_settings(leaves))
    assert filled.to_settings() == leaves and FieldValue(leaves).lasting()
    stays = {**leaves, "leave": False}
    filled = FieldValue.Form(data=FieldValue.Form.from_settings(stays))
    assert "leave" not in filled.to_settings() and not FieldValue(stays).lasting()
    assert "leave" not in FieldValue.Form(data={"operator": "changed", "leave": "yes"}).to_settings()


def test_it_says_how_the_flow_starts():
    assert trigger().sentence(names) == "When the field city of a contact becomes Roma"
    assert trigger("vip", "equals", True).sentence(names) == "When the field vip of a contact becomes yes"
    assert trigger("city", "is_set", None).sentence(names) == "When the field city of a contact is filled in"
    assert FieldValue({}).sentence(names) == "When … of a contact becomes …"
