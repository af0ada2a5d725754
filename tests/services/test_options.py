"""What can be chosen, what ids are called, which objects a definition refers to."""

from __future__ import annotations

import pytest

from flowserver.errors import Invalid
from flowserver.extensions import workspace as within
from flowserver.models import ContactList, Field, Workspace
from flowserver.nodes import catalogue
from flowserver.services.flows import flows, options


@pytest.fixture
def objects(db, workspace):
    """A list and a field here, and a list of the same name at another client."""
    here = ContactList(workspace_id=workspace.id, name="Newsletter")
    other = Workspace(slug="kino", name="Kino", time_zone="Europe/Warsaw")
    db.session.add_all([here, other, Field(workspace_id=workspace.id, key="city", label="City", type="text")])
    db.session.flush()
    there = ContactList(workspace_id=other.id, name="Cinema")
    db.session.add(there)
    db.session.commit()
    return here, there


def definition(list_):
    return {
        "format": 1,
        "name": "F",
        "trigger": {"type": "list_joined", "list": list_},
        "steps": [
            {"key": "a", "type": "send_email", "title": "Hello"},
            {
                "key": "b",
                "type": "if_else",
                "if": {"any": [{"type": "in_list", "list": list_}, {"not": {"type": "field_compares", "field": "City", "value": "x"}}]},
                "then": [{"key": "c", "type": "join_list", "list": list_}],
                "else": [{"key": "d", "type": "wait_for_event", "event": "email_opened", "of": "a", "at_most": {"days": 1}}],
            },
        ],
    }  # fmt: skip


def test_names_become_ids_and_come_back(objects):
    here, _ = objects
    resolved = options.resolve(definition("newsletter"))
    assert options.references(resolved) == {("list", here.id), ("field", "city"), ("step", "a")}
    assert options.unresolve(resolved)["trigger"]["list"] == "Newsletter"
    assert options.resolve(options.unresolve(resolved)) == resolved
    assert options.resolve(definition(here.id))["steps"][1]["then"][0]["list"] == here.id


def test_what_does_not_exist_here_is_named_by_path(objects):
    _, there = objects
    with pytest.raises(Invalid) as refused:
        options.resolve(definition("Cinema"))
    assert set(refused.value.messages) == {"trigger.list", "steps[1].if.any[0].list", "steps[1].then[0].list"}
    with pytest.raises(Invalid):
        options.resolve(definition(there.id))


def test_the_definition_handed_in_stays_as_it_is(objects):
    given = definition("Newsletter")
    options.resolve(given)
    assert given["trigger"]["list"] == "Newsletter"


def test_choices_are_those_of_this_client(objects):
    here, there = objects
    assert options.choices("list") == [(here.id, "Newsletter")]
    assert ("city", "City") in options.choices("field")
    with within(there.workspace_id):
        assert options.choices("list") == [(there.id, "Cinema")]


def test_users_are_those_who_work_for_the_client(workspace, alice, bob, carol):
    assert {label for _, label in options.choices("user")} == {alice.email, bob.email}


def test_messages_to_ask_about_are_those_before(objects):
    found = options.choices("step", definition(objects[0].id), "d")
    assert [(key, str(label)) for key, label in found] == [("a", "Step 1: Hello")]
    assert options.choices("step", definition(objects[0].id), "a") == []


def test_a_form_is_filled_and_says_when_there_is_nothing_to_choose(workspace):
    form = options.fill(catalogue.actions()["join_list"].Form())
    assert [str(choice.label) for choice in form["list"].iter_choices()] == ["There is no list yet"]


def test_names_of_things_that_are_gone(workspace):
    assert str(options.name("list", 99)) == "a deleted list"
    assert str(options.namer({"steps": []})("step", "gone")) == "a step that is gone"


def test_a_namer_asks_once_per_kind(objects, db):
    import sqlalchemy as sa

    statements, number = [], objects[0].id
    sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    names = options.namer()
    for _ in range(20):
        names("list", number)
    assert len([one for one in statements if "contact_list" in one]) == 1


def test_nonsense_definitions_do_not_break_it(workspace):
    for broken in (
        {},
        {"trigger": 3, "steps": "x"},
        {"steps": [3, {"key": 1}]},
        {"trigger": {"type": []}, "steps": None},
    ):
        options.references(broken)
        options.look_up(broken)


def test_a_flow_keeps_working_when_a_list_is_renamed(objects, db):
    here, _ = objects
    flow = flows.create({"name": "F", "trigger": {"type": "list_joined", "list": "Newsletter"}, "steps": []})
    here.name = "News"
    db.session.commit()
    assert options.unresolve(flow.draft)["trigger"]["list"] == "News"
