"""Flows that start with a tag, a change of consent, a form that was filled in."""

import pytest

from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services.engine import engine, enrollment
from flowserver.services.flows import flows
from flowserver.services.people import consents, contacts, forms, intake, lists, signups, tags

from . import town


def go_live(*steps, **trigger):
    """A live flow with this starting point, at once."""
    definition = {
        "name": f"F {trigger}"[:100],
        "trigger": {"wait": {"minutes": 0}, **trigger},
        "steps": list(steps or [town.tag("t")]),
    }
    flow = flows.create(definition)
    flows.publish(flow.id)
    return flow


def inside(flow):
    return [run.contact_id for run in town.runs() if run.flow_id == flow.id]


def test_a_tag_starts_it_by_hand_by_program_and_by_another_flow(workspace, queue, clock):
    flow = go_live(type="tag_added", tag="VIP")
    other = town.live(workspace, town.tag("v", "vip"), list=town.a_list(workspace), name="Tagger")
    ids = town.people(workspace, 4)
    tags.add([ids[0]], ["vip"])
    tags.add([ids[0]], ["vip"])
    tags.add([ids[3]], ["other"])
    intake.add_tags(ids[1], ["Vip"])
    town.join(int(other.draft["trigger"]["list"]), [ids[2]])
    engine.advance()
    queue.drain()
    assert sorted(inside(flow)) == ids[:3]


def test_those_who_have_the_tag_are_let_in_only_if_ticked(workspace, queue, clock):
    ids = town.people(workspace, 3)
    tags.add(ids[:2], ["vip"])
    assert inside(go_live(type="tag_added", tag="vip")) == []
    ticked = go_live(town.tag("other"), type="tag_added", tag="vip", include_existing=True)
    assert flows.would_start(ticked).contacts == 2
    enrollment.enroll_existing(ticked.id)
    assert inside(ticked) == ids[:2]


def test_consent_starts_it_and_taking_it_back_undoes_the_start(workspace, clock):
    given = go_live(type="consent_changed", channel="sms", state="given", wait={"hours": 1})
    gone = go_live(type="consent_changed", channel="sms", state="withdrawn")
    ada = db.session.get(Contact, town.people(workspace, 1, sms_consent="none")[0])
    consents.change(ada, "sms", "given", source="till")
    consents.change(ada, "sms", "given", source="till")
    db.session.commit()
    assert inside(given) == [ada.id] and inside(gone) == []
    consents.change(ada, "sms", "withdrawn", source="till")
    db.session.commit()
    assert inside(gone) == [ada.id]
    assert [run.end_reason for run in town.runs() if run.flow_id == given.id] == ["start_undone"]


def test_those_who_agreed_already_are_counted_for_their_channel(workspace, clock):
    town.people(workspace, 2, sms_consent="none")
    town.people(workspace, 1, sms_consent="given")
    flow = flows.create(
        {"name": "F", "trigger": {"type": "consent_changed", "channel": "sms", "state": "given"}, "steps": []}
    )
    assert flows.would_start(flow).contacts == 1


@pytest.mark.parametrize("double", [True, False])
def test_a_form_starts_it_when_it_is_filled_in_and_its_answers_come_along(workspace, clock, queue, double):
    """With double opt-in that is when the address is confirmed."""
    news = lists.create("News")
    words = {"email_consent_text": "Send me news."}
    form = forms.create({"name": "Footer", "list_id": news.id, "double_opt_in": double, **words})
    other = forms.create({"name": "Other", "list_id": news.id})
    flow, elsewhere = go_live(type="form_filled", form=form.id), go_live(type="form_filled", form=other.id)
    signups.receive(form, {"email": "Ada@x.example", "consent_email": "y"})
    if double:
        assert inside(flow) == []
        content = town.messages()[-1].content
        button = next(block for block in content["body"] if block["type"] == "button")
        signups.confirm(button["url"].rsplit("/", 1)[1])
    [run] = [run for run in town.runs() if run.flow_id == flow.id]
    assert run.data["answers"]["email"] == "ada@x.example" and run.data["form"] == form.id
    assert inside(elsewhere) == []
    assert contacts.get(run.contact_id).email == "ada@x.example"
