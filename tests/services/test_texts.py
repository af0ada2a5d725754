"""Flows as text files: exported, planned, applied."""

from __future__ import annotations

import contextlib

import pytest

from flowserver import extensions as ext
from flowserver.errors import Invalid, NotFound
from flowserver.services.flows import flows, library, texts
from flowserver.services.people import lists

WELCOME = """\
format: 1
name: Welcome
trigger:
  type: list_joined
  list: Newsletter
  wait:
    minutes: 10
  reentry: once
steps:
- key: hello
  type: send_email
  subject: "Hello {{ contact.first_name | default: 'there' }}"
  body:
  - type: text
    text: |-
      Good to have you.
      See you soon.
- key: opened
  type: wait_for_event
  event: email_opened
  of: hello
  at_most:
    days: 2
  then:
  - key: engaged
    type: add_tag
    tag: engaged
  else:
  - key: pause
    type: wait
    for:
      days: 3
- key: done
  type: end
  label: welcomed
  outcome: positive
"""


@pytest.fixture(autouse=True)
def newsletter(workspace, db, app):
    with ext.workspace(workspace.id):
        yield lists.create("Newsletter")


def test_export_apply_export_gives_the_same_bytes():
    flow, action = texts.apply(WELCOME)
    assert action == "create" and flow.state == "draft"
    written = texts.export(flow.id)
    again, action = texts.apply(written)
    assert action == "nothing" and again.id == flow.id and texts.export(flow.id) == written
    assert flow.draft_number == 1


def test_every_ready_made_flow_comes_back_as_the_same_bytes(workspace, db):
    from flowserver.services.flows import options

    for template in library.templates():
        for _, name in options.references(template.definition):
            if isinstance(name, str) and name != "Newsletter":
                with contextlib.suppress(Invalid):
                    lists.create(name)
        try:
            flow = flows.create({**template.definition, "name": template.name})
        except Invalid:  # needs an object this client does not have
            continue
        text = texts.export(flow.id)
        assert texts.apply(text)[1] == "nothing" and texts.export(flow.id) == text, template.slug
        renamed = text.replace(f"name: {template.name}", "name: Copy of it", 1)
        copied, action = texts.apply(renamed)
        assert action == "create" and texts.export(copied.id) == renamed
        flows.delete(copied.id)


def test_the_order_of_keys_and_comments_do_not_matter():
    flow, _ = texts.apply(WELCOME)
    text = texts.export(flow.id)
    mixed = "# by hand\n" + text.replace("format: 1\nname: Welcome\n", "") + "name: Welcome\nformat: 1\n"
    assert texts.plan(mixed).action == "nothing" and texts.apply(mixed)[1] == "nothing"


def test_a_plan_says_what_would_change_and_changes_nothing():
    assert texts.plan(WELCOME).action == "create"
    with pytest.raises(NotFound):
        texts.by_name("Welcome")
    flow, _ = texts.apply(WELCOME, publish=True)
    assert flow.state == "active"
    found = texts.plan(WELCOME.replace("days: 3", "days: 4"))
    assert (found.action, found.flow_id, found.state, found.inside) == ("change", flow.id, "active", 0)
    assert [line for line in found.diff if line[0] in "+-" and line[:3] not in ("---", "+++")] == [
        "-      days: 3",
        "+      days: 4",
    ]
    assert flows.get(flow.id).draft_number == 1


def test_applying_changes_the_draft_and_goes_live_only_when_asked():
    flow, _ = texts.apply(WELCOME, publish=True)
    changed = WELCOME.replace("days: 3", "days: 4")
    assert texts.apply(changed)[1] == "change"
    assert flows.get(flow.id).draft_changed and len(flows.versions(flow.id)) == 1
    assert texts.apply(changed, publish=True)[1] == "nothing"
    assert not flows.get(flow.id).draft_changed and len(flows.versions(flow.id)) == 2


def test_a_renamed_list_keeps_working_and_is_written_by_its_new_name(newsletter):
    flow, _ = texts.apply(WELCOME)
    lists.update(newsletter.id, "News")
    assert "list: News\n" in texts.export(flow.id)
    assert texts.apply(texts.export(flow.id))[1] == "nothing"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("list: Newsletter", "list: Unknown", "trigger.list"),
        ("days: 2", "days: -2", "steps[1].at_most"),
        ("name: Welcome", "name: ''", "name"),
        ("type: add_tag", "type: add_tags", "steps[1].then[0].type"),
    ],
)
def test_mistakes_are_named_by_path(old, new, path):
    for act in (texts.plan, texts.apply):
        with pytest.raises(Invalid) as caught:
            act(WELCOME.replace(old, new))
        assert path in caught.value.messages
