"""Every ready-made flow is real: it loads, makes a draft, and needs nothing but its links filled in to go live."""

from __future__ import annotations

import json

import pytest

from flowserver.models import ContactList
from flowserver.services.flows import checks, flows, library


def test_there_are_templates_in_their_order():
    names = [one.name for one in library.templates()]
    assert names[:2] == ["Welcome series", "Lead nurturing, e-mail and SMS"]
    assert len(names) >= 6


@pytest.mark.parametrize("slug", [one.slug for one in library.templates()])
def test_a_template_goes_live_once_its_links_are_filled_in(slug, db, workspace):
    newsletter = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(newsletter)
    db.session.commit()
    template = library.get(slug)
    steps = json.loads(json.dumps(library.steps(slug)).replace('"url": ""', '"url": "https://example.com/x"'))
    trigger = dict(template.definition["trigger"])
    if template.trigger == "list_joined":
        trigger["list"] = newsletter.id
    flow = flows.create({"name": template.name, "trigger": trigger, **library.goals(slug), "steps": steps})
    assert [str(one.text) for one in checks.findings(flow.draft)] == []
    assert flows.publish(flow.id).number == 1


def test_a_button_of_a_template_must_lead_somewhere_before_it_goes_live(workspace):
    found = checks.findings({**library.get("win-back").definition, "name": "x"})
    assert "A link or button leads nowhere" in [str(one.text) for one in found]
