"""Starting contacts by hand on the flow's page and on the contact's page; the wizard of a fixed date."""

import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Flow
from flowserver.services.flows import flows
from flowserver.services.people import contacts, lists
from tests.conftest import make_user

from .test_flow_pages import bobs, follow, newsletter, words  # noqa: F401 - fixtures

ROOT = "/c/caffe-lume"
WAIT = {"key": "w", "type": "wait", "for": {"days": 1}}


def made(kind="manual_start", name="Call", **trigger):
    flow = flows.create({"name": name, "trigger": {"type": kind, **trigger}, "steps": [WAIT]})
    flows.publish(flow.id)
    return flow.id


def ada():
    return contacts.upsert({"email": "ada@x.example", "first_name": "Ada"}, source="api")[0].id


def inside():
    return db.session.scalar(sa.select(sa.func.count()).select_from(Enrollment))


def test_a_list_is_counted_first_and_started_then(bobs, newsletter, clock, queue):  # noqa: F811
    lists.join(newsletter.id, [ada()])
    page = f"{ROOT}/flows/{made()}/begin"
    assert "Start contacts" in words(bobs.get(page))
    data = {"kind": "group", "who": f"list:{newsletter.id}"}
    counted = bobs.post(page, data={**data, "count": "1"})
    assert "1 contact enter now" in words(counted) and inside() == 0
    answer = follow(bobs, page, **data)
    assert "They are on their way into the flow" in words(answer)
    queue.drain()
    said = words(bobs.get(page))
    assert "Everybody on Newsletter" in said and "1 contact entered" in said and "by Bob" in said and inside() == 1
    assert "Nobody would enter now" in words(bobs.post(page, data={**data, "count": "1"}))


def test_one_contact_is_found_by_its_address(bobs, newsletter, clock):  # noqa: F811
    ada()
    page = f"{ROOT}/flows/{made()}/begin"
    wrong = bobs.post(page, data={"kind": "one", "contact": "nobody@x.example", "count": "1"})
    assert wrong.status_code == 422 and "There is no contact with nobody@x.example" in words(wrong)
    assert 'value="nobody@x.example"' in wrong.get_data(as_text=True)
    empty = bobs.post(page, data={"kind": "group", "who": ""})
    assert empty.status_code == 422 and "Choose a list or segment" in words(empty)
    answer = follow(bobs, page, kind="one", contact="ADA@x.example")
    assert "1 contact has entered" in words(answer) and inside() == 1
    assert "Nobody has entered" in words(follow(bobs, page, kind="one", contact="ada@x.example"))


def test_a_contacts_page_starts_a_flow(bobs, newsletter, clock):  # noqa: F811
    contact, flow = ada(), made()
    page = f"{ROOT}/contacts/{contact}"
    assert "Start a flow" in words(bobs.get(page))
    answer = follow(bobs, f"{page}/flows", flow=flow)
    assert "The contact has entered the flow" in words(answer) and inside() == 1
    assert "Nothing changed" in words(follow(bobs, f"{page}/flows", flow=flow))
    assert bobs.post(f"{page}/flows", data={"flow": "x"}).status_code == 404
    flows.pause(flow)
    assert bobs.post(f"{page}/flows", data={"flow": flow}).status_code == 409
    assert "Start a flow" not in words(bobs.get(page))


def test_a_flow_nobody_can_enter_says_so_and_refuses(bobs, newsletter, clock):  # noqa: F811
    flow = made(kind="fixed_date", date="2026-05-06", time="09:00", list="Newsletter")
    page = f"{ROOT}/flows/{flow}/begin"
    assert "Nobody can be started here now" in words(bobs.get(page))
    refused = bobs.post(page, data={"kind": "group", "who": f"list:{newsletter.id}"})
    assert refused.status_code == 409 and "This flow starts at its date" in words(refused)


def test_people_who_only_read_see_it_and_change_nothing(login, workspace, newsletter, clock):  # noqa: F811
    flow = made()
    reader = login(make_user("client", "lea@lume.example", workspace))
    assert "Count them first" not in words(reader.get(f"{ROOT}/flows/{flow}/begin"))
    data = {"kind": "group", "who": f"list:{newsletter.id}"}
    assert reader.post(f"{ROOT}/flows/{flow}/begin", data=data).status_code == 403
    contact = ada()
    assert "Start a flow" not in words(reader.get(f"{ROOT}/contacts/{contact}"))
    assert reader.post(f"{ROOT}/contacts/{contact}/flows", data={"flow": flow}).status_code == 403


def test_strangers_find_nothing(login, carol, bobs, newsletter, clock):  # noqa: F811
    flow = made()
    stranger = login(carol)
    assert stranger.get(f"{ROOT}/flows/{flow}/begin").status_code == 404
    assert stranger.get(f"/c/kino/flows/{flow}/begin").status_code == 404
    assert stranger.post(f"/c/kino/flows/{flow}/begin", data={"kind": "one", "contact": "a"}).status_code == 404
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Contact)) == 0


def test_the_wizard_of_a_date_keeps_what_was_typed_and_says_what_is_wrong(bobs, newsletter, clock):  # noqa: F811
    page = f"{ROOT}/flows/new/fixed_date"
    first = words(bobs.get(page))
    assert "Client’s time zone: Europe/Rome. It is now Monday 4 May, 11:00." in first
    assert "Who may enter again" not in first
    wrong = bobs.post(page, data={"name": "", "date": "2026-05-01", "time": "09:00", "who": ""})
    said = words(wrong)
    assert wrong.status_code == 422
    for text in ("Enter a name for the flow", "Choose who should get the messages"):
        assert said.count(text) == 2  # in the summary and at the field
    data = {"name": "Christmas", "date": "2026-05-01", "time": "09:00", "who": f"list:{newsletter.id}"}
    wrong = bobs.post(page, data=data)
    assert words(wrong).count("The date must be in the future. 1 May 2026 has passed") == 2
    assert 'value="2026-05-01"' in wrong.get_data(as_text=True)
    preview = words(bobs.post(page, data={**data, "preview": "1"}))
    assert "On 1 May 2026 at 09:00 , send everyone on Newsletter to the first step" in preview
    follow(bobs, page, **{**data, "date": "2026-05-06"})
    flow = db.session.scalar(sa.select(Flow))
    assert flow.draft["trigger"] == {
        "type": "fixed_date",
        "date": "2026-05-06",
        "time": "09:00",
        "zone": "Europe/Rome",
        "list": newsletter.id,
        "reentry": "once",
    }
    follow(bobs, f"{ROOT}/flows/{flow.id}/check")
    assert "Starts 6 May 2026, 09:00" in words(bobs.get(f"{ROOT}/flows"))


def test_another_date_after_it_began_is_refused_with_what_was_typed(bobs, newsletter, clock, queue):  # noqa: F811
    from flowserver.services.engine import ticks

    flow = made(kind="fixed_date", date="2026-05-06", time="09:00", list="Newsletter")
    clock.forward(days=3)
    clock.now = clock.now.replace(day=6, hour=7)
    ticks.tick(clock.now)
    queue.drain()
    page = f"{ROOT}/flows/{flow}/start"
    answer = bobs.post(page, data={"date": "2026-07-01", "time": "09:00", "who": f"list:{newsletter.id}"})
    assert answer.status_code == 409 and "Duplicate the flow to use another date" in words(answer)
    assert 'value="2026-07-01"' in answer.get_data(as_text=True)
