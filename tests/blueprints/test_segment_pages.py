"""Pages of segments."""

import html

import pytest

from flowserver.services.people import contacts, fields, segments, tags
from tests.conftest import make_user
from tests.services import town

SEGMENTS = "/c/caffe-lume/segments"
VIP = {"type": "has_tag", "tag": "vip"}


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def vip(workspace):
    """A segment with one contact, Ada Rossi."""
    ada = contacts.upsert({"email": "ada@x.example", "first_name": "Ada", "last_name": "Rossi"}, source="api")[0]
    tags.add([ada.id], ["vip"])
    return segments.create("Vip", VIP)


def asked(**more):
    """The page of one question as it is posted."""
    return {"name": "Vip", "row": "0", "c0-type": "has_tag", "c0-was": "has_tag", "c0-tag": "vip", "how": "all", **more}


def test_a_segment_is_made_shown_and_changed(console, workspace):
    assert "No segments yet" in console.get(SEGMENTS).text
    assert "Choose a question" in console.get(f"{SEGMENTS}/new").text
    page = console.post(f"{SEGMENTS}/new", data=asked())
    assert page.status_code == 303
    shown = html.unescape(console.get(page.location).text)
    assert "Has the tag “vip”?" in shown and "0 contacts at this moment" in shown
    edited = console.get(f"{page.location}/edit").text
    assert 'value="vip"' in edited and 'value="Vip"' in edited
    more = asked(
        **{
            "name": "Best",
            "c0-turned": "y",
            "row": ["0", "1"],
            "c1-type": "has_email",
            "c1-was": "has_email",
            "how": "any",
        }
    )
    assert console.post(f"{page.location}/edit", data=more).status_code == 303
    shown = html.unescape(console.get(SEGMENTS).text)
    assert "Best" in shown and "One of these:" in shown and "<strong>No</strong>" in shown
    assert segments.all()[0].rule == {"any": [{"not": VIP}, {"type": "has_email"}]}


def test_counting_shows_how_many_and_some_of_them_and_saves_nothing(console, vip):
    page = console.post(f"{SEGMENTS}/new", data=asked(act="count", name=""))
    assert page.status_code == 200 and "1 contact" in page.text and "Ada Rossi" in page.text
    assert "Ada Rossi" in console.get(f"{SEGMENTS}/{vip.id}").text
    assert len(segments.all()) == 1
    page = console.post(f"{SEGMENTS}/new", data=asked(**{"act": "count", "c0-tag": ""}))
    assert page.status_code == 422 and "Enter a tag" in page.text


def test_all_contacts_of_a_segment_are_shown_page_by_page(console, vip, workspace):
    ids = town.people(workspace, 60, first_name="Bea")
    tags.add(ids, ["vip"])
    assert f"{SEGMENTS}/{vip.id}/contacts" in console.get(f"{SEGMENTS}/{vip.id}").text
    first = console.get(f"{SEGMENTS}/{vip.id}/contacts").text
    assert "Ada Rossi" in first and "More contacts" in first
    after = first.split("after=")[1].split('"')[0]
    rest = console.get(f"{SEGMENTS}/{vip.id}/contacts?after={after}").text
    assert "Ada Rossi" not in rest and "More contacts" not in rest
    assert first.count("/c/caffe-lume/contacts/") + rest.count("/c/caffe-lume/contacts/") == 61
    assert console.get(f"{SEGMENTS}/{vip.id}/contacts?after=x").status_code == 200


def test_questions_are_added_removed_and_chosen_without_saving(console, workspace):
    page = console.post(f"{SEGMENTS}/new", data=asked(act="add"))
    assert page.status_code == 200 and "Question 2" in page.text and "In the segment when" in page.text
    page = console.post(f"{SEGMENTS}/new", data=asked(**{"act": "remove-0", "row": ["0", "1"], "c1-type": "has_email"}))
    assert page.status_code == 200 and "Question 2" not in page.text
    page = console.post(f"{SEGMENTS}/new", data=asked(**{"c0-type": "score_compares", "act": "type"}))
    assert page.status_code == 200 and "c0-points" in page.text
    page = html.unescape(console.get(f"{SEGMENTS}/new").text)
    assert "An earlier e-mail was opened" not in page and "Is in a segment" not in page
    assert segments.all() == []


def test_mistakes_stand_at_their_field_and_what_was_typed_stays(console, vip):
    page = console.post(f"{SEGMENTS}/new", data=asked(**{"name": "VIP", "c0-tag": "a,b"}))
    shown = html.unescape(page.text)
    assert page.status_code == 422 and 'value="a,b"' in shown and 'value="VIP"' in shown
    assert "There is already a segment called VIP" in shown and "There is a problem" in shown
    page = console.post(f"{SEGMENTS}/new", data=asked(**{"c0-type": "", "c0-was": ""}))
    assert page.status_code == 422 and "Choose what to ask" in page.text
    page = console.post(
        f"{SEGMENTS}/new", data=asked(**{"c0-type": "in_list", "c0-was": "in_list", "c0-list": "99", "name": "L"})
    )
    assert page.status_code == 422 and "There is no list" in html.unescape(page.text)


def test_a_segment_in_use_answers_409_and_links_to_its_users(console, vip, workspace):
    flow = town.live(workspace, {"key": "b", "type": "if_else", "if": {"type": "in_segment", "segment": vip.id}})
    page = console.post(f"{SEGMENTS}/{vip.id}/delete")
    assert page.status_code == 409 and "cannot be deleted" in page.text and f"/flows/{flow.id}" in page.text
    assert f"/flows/{flow.id}" in console.get(f"{SEGMENTS}/{vip.id}").text


def test_a_segment_is_deleted_after_a_question(console, vip):
    assert "The contacts stay" in console.get(f"{SEGMENTS}/{vip.id}/delete").text
    path = f"{SEGMENTS}/{vip.id}"
    assert console.post(f"{path}/delete").status_code == 303
    assert console.get(path).status_code == 404


def test_a_field_that_a_segment_asks_about_is_kept(db, console, workspace):
    field = fields.add(label="City", type="text")
    segments.create("Rome", {"type": "field_compares", "field": "city", "operator": "equals", "value": "Roma"})
    answer = console.post(f"/c/caffe-lume/settings/fields/{field.id}/delete")
    assert answer.status_code == 303 and "in use by: Rome" in console.get(answer.location).text
    assert fields.listing()


@pytest.mark.parametrize("path", ["", "/new", "/1", "/1/edit", "/1/contacts", "/1/delete"])
def test_a_stranger_finds_nothing(login, carol, vip, path):
    stranger = login(carol)
    path = f"{SEGMENTS}{path.replace('1', str(vip.id))}"
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, data=asked()).status_code in (404, 405)
    if str(vip.id) in path:
        assert stranger.get(path.replace("caffe-lume", "kino")).status_code == 404


def test_people_of_the_client_look_but_do_not_change(login, workspace, vip):
    reader = login(make_user("client", "dora@lume.example", workspace))
    page = reader.get(SEGMENTS)
    assert page.status_code == 200 and "New segment" not in page.text
    assert reader.post(f"{SEGMENTS}/new", data=asked()).status_code == 403
