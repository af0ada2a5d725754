"""Flows that start with the value of a field: who matches already, in the database as in Python; every way a value changes."""

import itertools

import pytest
import sqlalchemy as sa

from flowserver.domain.steps import Contact as Seen
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Contact, Event
from flowserver.nodes.conditions import field_compares
from flowserver.nodes.triggers.field_value import OPERATORS
from flowserver.services.engine import audience, engine, enrollment, events
from flowserver.services.flows import flows, options
from flowserver.services.people import by_hand, contacts, fields, intake

from . import town

MARIO = {"type": "field_value", "field": "first_name", "operator": "equals", "value": "Mario"}


@pytest.fixture
def known(workspace):
    """The client's fields, one of each type."""
    fields.add(label="City", type="text")
    fields.add(label="Visits", type="number")
    fields.add(label="Since", type="date")
    fields.add(label="Member", type="yes_no")
    fields.add(label="Roast", type="choice", choices=["Light", "Dark"])


def go_live(**trigger):
    """A live flow with this starting point."""
    definition = {"name": "F", "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": [town.tag("started")]}
    flow = flows.create(definition)
    flows.publish(flow.id)
    return flow


def inside(flow):
    """Who came into the flow, by contact, in order."""
    return [run.contact_id for run in town.runs() if run.flow_id == flow.id]


# --- those who match already --------------------------------------------------------------------------------

VALUES = {
    "city": [
        None, "", "   ", "Roma", "ROMA ", "romA", "Róma", "Ro\u0301ma", "RÓMA", "Rom", "Via Roma 3", "Straße", "STRASSE", "ﬁn", "FIN",
        "ΣΊΣΥΦΟΣ", "σίσυφος", "İstanbul", "istanbul", "K", "\u212a", "ſ", "s", "12", "12,5", "2026-05-04", "\u00a0roma\u2003", "ŁÓDŹ", "łódź",
        "ẞ", "ss", "é", "E\u0301", "ǰ", "J\u030c", "%", "_", "'", '"', "\\", "💥",
    ],
    "visits": [None, 0, -3, 12, 12.5, 0.0000001, 999999999999999, 12.0],
    "since": [None, "2026-05-04", "2026-05-05", "1999-12-31"],
    "member": [None, True, False],
}  # fmt: skip


def test_the_database_finds_those_whom_the_condition_finds(workspace, known):
    """Every comparison of every value with every other: the same people, whatever the letters."""
    people = {}
    for n, (key, value) in enumerate((key, value) for key, values in VALUES.items() for value in values):
        row = Contact(workspace_id=workspace.id, email=f"v{n}@x.example", fields={} if value is None else {key: value})
        db.session.add(row)
        db.session.flush()
        people[row.id] = row.fields
    db.session.commit()
    for key, values in VALUES.items():
        wanted = [value for value in values if value not in (None, "", "   ")]
        for operator, value in itertools.product(set(OPERATORS) - {"changed"}, [*wanted, "yes", "no", "x"]):
            if operator == "contains" and key != "city":
                continue  # refused when the flow is written
            rule = {"field": {"field": key, "operator": operator, "value": value}}
            found = set(db.session.scalars(audience.people(rule, workspace.id)))
            expected = {
                id
                for id, own in people.items()
                if field_compares.compare(field_compares.value_of(Seen(1, 1, fields=own), key), operator, value)
            }
            assert found == expected, f"{key} {operator} {value!r}: {[people[id] for id in found ^ expected]}"


@pytest.mark.parametrize(
    ("key", "value", "operator", "wanted"),
    [("first_name", "MARIO", "equals", 1), ("email", "example", "contains", 2), ("last_name", None, "is_empty", 2)],
)
def test_it_finds_by_name_and_address_too(workspace, key, value, operator, wanted):
    for name in ("Mario", "Luigi"):
        contacts.upsert({"email": f"{name}@x.example", "first_name": name}, source="test")
    rule = {"field": {"field": key, "operator": operator, "value": value}}
    assert len(list(db.session.scalars(audience.people(rule, workspace.id)))) == wanted


def test_those_who_match_are_let_in_at_activation_and_counted_before(workspace, queue, clock):
    ids = town.people(workspace, 3, first_name="mario")
    town.people(workspace, 2, first_name="Luigi")
    town.people(town.client("kino"), 1, first_name="Mario")
    definition = {"name": "F", "trigger": {**MARIO, "wait": {"minutes": 0}}, "steps": [town.tag("t")]}
    flow = flows.create(definition)
    assert flows.would_start(flow).contacts == 3
    flows.publish(flow.id)
    assert enrollment.enroll_existing(flow.id, chunk=2) == 3
    assert inside(flow) == ids


def test_they_stay_out_where_the_author_says_so(workspace, queue, clock):
    town.people(workspace, 1, first_name="Mario")
    flow = go_live(**MARIO, include_existing=False)
    assert flow.existing_after is None
    queue.drain()
    assert inside(flow) == []


def test_nobody_matches_changed_at_all_already(workspace, queue, clock):
    town.people(workspace, 1, first_name="Mario")
    flow = go_live(type="field_value", field="first_name", operator="changed")
    assert flows.would_start(flow).contacts == 0
    queue.drain()
    assert inside(flow) == []


# --- every way a value changes ------------------------------------------------------------------------------


def test_a_change_by_hand_by_program_and_by_a_step_starts_it(workspace, known, queue, clock):
    flow = go_live(type="field_value", field="city", operator="equals", value="Roma")
    setter = town.live(
        workspace,
        {"key": "s", "type": "set_field", "field": "city", "value": "roma"},
        list=town.a_list(workspace),
        name="Setter",
    )
    by = [contacts.upsert({"email": f"c{n}@x.example"}, source="test")[0].id for n in range(5)]
    by_hand.save(by[0], {"fields": {"city": "Roma"}}, [], "")
    contacts.update(by[1], {"fields": {"city": "ROMA"}})
    intake.save({"email": "c2@x.example", "fields": {"city": "Roma"}})
    intake.save_many(
        [{"email": "c3@x.example", "fields": {"city": "Roma"}}, *({"email": f"n{n}@x.example"} for n in range(30))]
    )
    town.join(int(setter.draft["trigger"]["list"]), [by[4]])
    queue.drain()
    engine.advance()
    queue.drain()
    assert sorted(inside(flow)) == by
    new, _ = contacts.upsert({"email": "new@x.example", "fields": {"city": "Roma"}}, source="test")
    assert inside(flow)[-1] == new.id


def test_a_step_says_what_the_value_was_and_what_it_is(workspace, known, queue, clock):
    go_live(type="field_value", field="city", operator="equals", value="Roma")
    town.live(workspace, {"key": "s", "type": "set_field", "field": "city", "value": "Roma"}, list=1, name="Setter")
    ids = town.people(workspace, 1, fields={"city": "Milano"})
    town.join(1, ids)
    engine.advance()
    changed = db.session.scalar(sa.select(Event).where(Event.type == "field_changed"))
    assert (changed.subject, changed.data["old"], changed.data["new"]) == ("city", "Milano", "Roma")


def test_a_silent_change_starts_nothing(workspace, known, queue, clock):
    flow = go_live(type="field_value", field="city", operator="equals", value="Roma", include_existing=False)
    contacts.upsert({"email": "a@x.example", "fields": {"city": "Roma"}}, source="import", silent=True)
    queue.drain()
    assert inside(flow) == []


def test_a_value_that_changes_away_during_the_wait_undoes_the_start_and_keeps_once(workspace, known, queue, clock):
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma", "wait": {"hours": 1}}
    flow = go_live(**trigger)
    one, _ = contacts.upsert({"email": "a@x.example", "fields": {"city": "Roma"}}, source="test")
    contacts.update(one.id, {"fields": {"city": "Milano"}})
    assert [run.end_reason for run in town.runs()] == ["start_undone"]
    contacts.update(one.id, {"fields": {"city": "Roma"}})  # once is not used up
    clock.forward(hours=2)
    engine.advance()
    contacts.update(one.id, {"fields": {"city": "Milano"}})  # later it goes on
    contacts.update(one.id, {"fields": {"city": "Roma"}})  # and once is once
    assert [run.end_reason for run in town.runs() if run.flow_id == flow.id] == ["start_undone", "finished"]


def test_a_value_that_changes_away_later_ends_the_run_where_people_leave_when_they_no_longer_match(
    workspace, known, queue, clock
):
    trigger = {"type": "field_value", "field": "city", "operator": "equals", "value": "Roma", "leave": True}
    steps = [town.wait("pause", days=3)]
    flow = flows.create({"name": "Romans", "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": steps})
    flows.publish(flow.id)
    one, _ = contacts.upsert({"email": "a@x.example", "fields": {"city": "Roma"}}, source="test")
    engine.advance()
    contacts.update(one.id, {"fields": {"city": " roma "}})  # still in Rome
    assert [run.end_reason for run in town.runs()] == [None]
    contacts.update(one.id, {"fields": {"city": "Milano"}})
    assert [(run.end_reason, run.due_at) for run in town.runs()] == [("stopped_matching", None)]
    contacts.update(one.id, {"fields": {"city": "Roma"}})  # it has been in the flow: once is once
    assert len(town.runs()) == 1


def test_a_value_that_was_changed_silently_is_noticed_at_the_end_of_the_wait(workspace, known, queue, clock):
    go_live(type="field_value", field="city", operator="equals", value="Roma", wait={"hours": 1})
    one, _ = contacts.upsert({"email": "a@x.example", "fields": {"city": "Roma"}}, source="test")
    contacts.update(one.id, {"fields": {"city": "Milano"}}, silent=True)
    clock.forward(hours=2)
    engine.advance()
    assert [run.end_reason for run in town.runs()] == ["no_longer_matches"]


def test_the_same_event_twice_starts_it_once(workspace, known, queue, clock):
    flow = go_live(type="field_value", field="city", operator="equals", value="Roma", reentry="after_finish")
    one = town.people(workspace, 1, fields={"city": "Roma"})[0]
    for _ in range(2):
        events.record(one, "field_changed", subject="city", key="k1", data={"old": None, "new": "Roma"})
        engine.advance()
    assert inside(flow) == [one]


# --- bad input ----------------------------------------------------------------------------------------------


def refused(**trigger):
    """What is wrong with a starting point, by setting."""
    with pytest.raises(Invalid) as error:
        flows.create({"name": "Bad", "trigger": {"type": "field_value", **trigger}, "steps": []})
    return error.value.messages


def test_an_empty_value_is_refused(workspace, known):
    assert refused(field="city", operator="equals", value=" ") == {"trigger.value": ["Enter the value"]}
    assert refused(field="city") == {"trigger.value": ["Enter the value"]}


def test_text_for_a_number_field_is_refused(workspace, known):
    assert refused(field="visits", value="many") == {"trigger.value": ["Write a number, like 12 or 3.5"]}


def test_an_invalid_date_is_refused(workspace, known):
    assert refused(field="since", value="2026-02-30") == {"trigger.value": ["The date 2026-02-30 does not exist"]}
    assert refused(field="since", value="soon") == {"trigger.value": ["Write a date like 2026-05-31"]}


def test_an_unknown_field_is_refused(workspace, known):
    assert refused(field="town", value="Roma") == {"trigger.field": ["There is no field “town” in this client"]}


def test_a_field_that_was_deleted_keeps_the_flow_from_going_live(workspace, known):
    flow = flows.create({"name": "F", "trigger": {"type": "field_value", "field": "city", "value": "x"}, "steps": []})
    with pytest.raises(Exception, match="in use by: F"):
        fields.remove(next(field.id for field in fields.listing() if field.key == "city"))
    db.session.delete(next(field for field in fields.listing() if field.key == "city"))
    db.session.commit()
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert error.value.messages["trigger.field"] == ["There is no field “city” in this client"]


def test_a_choice_that_is_not_in_the_list_is_refused(workspace, known):
    assert refused(field="roast", value="Burnt") == {"trigger.value": ["Choose one of: Light, Dark"]}


def test_a_choice_that_was_taken_out_shows_on_the_flows_that_ask_for_it(workspace, known):
    flow = flows.create(
        {"name": "F", "trigger": {"type": "field_value", "field": "roast", "value": "Dark"}, "steps": []}
    )
    flows.publish(flow.id)
    roast = next(field for field in fields.listing() if field.key == "roast")
    fields.change(roast.id, label="Roast", choices=["Light", "Medium"])
    db.session.expire_all()
    assert flows.get(flow.id).broken == "Choose one of: Light, Medium"
    fields.change(roast.id, label="Roast", choices=["Light", "Dark"])
    db.session.expire_all()
    assert flows.get(flow.id).broken == ""


def test_a_moment_has_its_day_on_the_clients_clock(workspace, clock, known):
    flow = flows.create(
        {"name": "F", "trigger": {"type": "field_value", "field": "since", "value": "2026-05-02"}, "steps": []}
    )
    flows.publish(flow.id, None, False)
    (one, other) = town.people(workspace, 2)
    contacts.update(one, {"fields": {"since": "2026-05-01T23:30:00Z"}})  # half past one in Rome
    contacts.update(other, {"fields": {"since": "2026-05-01T00:00:00Z"}})  # no time at all, as programs write it
    assert [run.contact_id for run in town.runs()] == [one]


def test_a_value_longer_than_the_field_is_refused(workspace, known):
    assert refused(field="city", value="x" * 501) == {"trigger.value": ["Use at most 500 characters"]}
    assert list(refused(field="first_name", value="x" * 121)) == ["trigger.value"]


def test_a_comparison_that_does_not_suit_the_field_is_refused(workspace, known):
    assert list(refused(field="city", operator="less", value="x")) == ["trigger.operator"]
    assert list(refused(field="visits", operator="contains", value="1")) == ["trigger.operator"]
    assert list(refused(field="member", operator="more", value="yes")) == ["trigger.operator"]


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("Visits", " 12,50 ", 12.5),
        ("visits", "12", 12),
        ("since", "4/5/2026", "2026-05-04"),
        ("member", "Yes", True),
        ("member", "no", False),
        ("roast", "DARK", "Dark"),
        ("city", "  Roma ", "Roma"),
        ("email", "Ada@Example.org", "ada@example.org"),
        ("phone", "333 123 4567", "+393331234567"),
    ],
)
def test_a_value_is_kept_in_the_type_of_its_field(workspace, known, field, value, kept):
    flow = flows.create({"name": "F", "trigger": {"type": "field_value", "field": field, "value": value}, "steps": []})
    assert flow.draft["trigger"]["value"] == kept and type(flow.draft["trigger"]["value"]) is type(kept)


def test_conditions_and_steps_keep_their_values_in_the_type_of_the_field_too(workspace, known):
    rule = {"all": [{"type": "field_compares", "field": "visits", "operator": "more", "value": "3"}]}
    steps = [
        {"key": "b", "type": "if_else", "if": rule},
        {"key": "s", "type": "set_field", "field": "member", "value": "yes"},
    ]
    flow = flows.create({"name": "F", "trigger": {"type": "list_joined"}, "steps": steps})
    assert flow.draft["steps"][0]["if"]["all"][0]["value"] == 3 and flow.draft["steps"][1]["value"] is True
    rule["all"][0]["value"] = "many"
    with pytest.raises(Invalid) as error:
        flows.create(
            {"name": "G", "trigger": {"type": "list_joined"}, "steps": [{"key": "b", "type": "if_else", "if": rule}]}
        )
    assert error.value.messages == {"steps[0].if.all[0].value": ["Write a number, like 12 or 3.5"]}


def test_the_form_asks_for_the_value_as_the_field_needs_it(workspace, known):
    from flowserver.nodes.triggers.field_value import FieldValue

    def asked(field, value=""):
        return options.fill(FieldValue.Form(data={"field": field, "value": value})).value

    assert [option.value for option in asked("member", True).iter_choices()] == ["", "yes", "no"]
    assert [option.value for option in asked("member", True).iter_choices() if option.selected] == ["yes"]
    assert [option.value for option in asked("roast").iter_choices()] == ["", "Light", "Dark"]
    assert asked("since").render_kw["type"] == "date" and "type" not in (asked("since", "soon").render_kw or {})
    assert asked("visits").render_kw["inputmode"] == "decimal"
    assert asked("city").choices == [] and asked("gone").choices == []
