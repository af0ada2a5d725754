"""Pages of score rules, and of where a contact's score comes from."""

import html

import pytest

from flowserver.services.engine import events
from flowserver.services.engine.events import NewEvent
from flowserver.services.people import by_hand, forms, lists, score_rules
from tests.conftest import make_user
from tests.services import town

SCORES = "/c/caffe-lume/scores"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def bought(workspace):
    """A rule for purchases."""
    return score_rules.create({"title": "Bought", "act": "purchase", "points": 5})


def text(answer):
    return html.unescape(answer.text)


def test_a_rule_is_made_shown_changed_switched_and_deleted(db, console, workspace):
    assert "No score rules yet" in console.get(SCORES).text
    assert "Choose one" in console.get(f"{SCORES}/new").text
    form = forms.create({"name": "Footer", "list_id": lists.create("News").id})
    data = {
        "title": "Signed up",
        "act": "form_filled",
        "form": form.id,
        "words": "ignored",
        "points": "10",
        "frequency": "once",
    }
    assert console.post(f"{SCORES}/new", data=data).status_code == 303
    shown = text(console.get(SCORES))
    assert "Signed up" in shown and "Fills in a form: Footer" in shown and "+10" in shown and "Once ever" in shown
    made = score_rules.everything()[0].row
    path = f"{SCORES}/{made.id}"
    page = text(console.get(path))
    assert 'value="Signed up"' in page and f'<option value="{form.id}" selected>' in page
    assert console.post(path, data={**data, "points": "-3", "form": ""}).status_code == 303
    assert "Any form" in text(console.get(path)) and "-3" in text(console.get(SCORES))
    assert console.post(f"{path}/switch", data={"on": "0"}).status_code == 303
    assert "Switch on" in console.get(SCORES).text
    assert console.post(f"{path}/switch", data={"on": "1"}).status_code == 303
    assert "Switch off" in console.get(SCORES).text
    assert console.post(f"{path}/delete").status_code == 303
    assert "No score rules yet" in console.get(SCORES).text and console.get(path).status_code == 404


def test_mistakes_stand_at_their_field_and_what_was_typed_stays(console, bought):
    data = {"title": "bought", "act": "custom_event", "event": "Not a word", "points": "many", "frequency": "every"}
    answer = console.post(f"{SCORES}/new", data=data)
    shown = text(answer)
    assert answer.status_code == 422 and "There is a problem" in shown
    for words in ("There is already a rule called bought", "Enter a whole number other than 0", "Enter the word"):
        assert words in shown
    assert 'value="many"' in shown and 'value="Not a word"' in shown
    answer = console.post(f"{SCORES}/new", data={"title": "New", "points": "5"})
    assert answer.status_code == 422 and "Choose what the contact does" in text(answer)


def test_a_contacts_page_says_where_its_score_comes_from(db, console, workspace, bought):
    ada = town.people(workspace, 1, first_name="Ada")[0]
    for n in range(60):
        events.record_many([NewEvent(workspace.id, ada, "purchase", key=f"o{n}")])
    by_hand.score(ada, "-7", "Complained")
    assert f"{SCORES}/contacts/{ada}" in console.get(f"/c/caffe-lume/contacts/{ada}").text
    page = text(console.get(f"{SCORES}/contacts/{ada}"))
    for words in ("293 points", "Bought", "+300", "Complained", "-7", "By a score rule", "Older"):
        assert words in page, words
    older = page.split("before=")[1].split('"')[0]
    rest = text(console.get(f"{SCORES}/contacts/{ada}?before={older}"))
    assert rest.count("By a score rule") == 11 and "Older" not in rest
    score_rules.delete(bought.id)
    assert "By a score rule that was deleted" in text(console.get(f"{SCORES}/contacts/{ada}"))
    assert console.get(f"{SCORES}/contacts/{ada}?before=x").status_code == 200


def test_totals_are_added_up_again_in_the_background(db, console, workspace, queue):
    ada = town.people(workspace, 1, score=9)[0]
    answer = console.post(f"{SCORES}/recompute")
    assert answer.status_code == 303 and "being added up again" in console.get(SCORES).text
    assert "9 points" in console.get(f"{SCORES}/contacts/{ada}").text
    console.post(f"{SCORES}/recompute")
    assert queue.rings == [("recompute", workspace.id)]
    queue.drain()
    db.session.expire_all()
    assert "0 points" in console.get(f"{SCORES}/contacts/{ada}").text


def test_a_form_that_a_rule_counts_links_to_the_rule(console, workspace):
    form = forms.create({"name": "Footer", "list_id": lists.create("News").id})
    made = score_rules.create({"title": "Signed up", "act": "form_filled", "subject": form.id, "points": 5})
    answer = console.post(f"/c/caffe-lume/forms/{form.id}/delete")
    assert answer.status_code == 409 and f"/scores/{made.id}" in answer.text


@pytest.mark.parametrize("path", ["", "/new", "/1", "/1/switch", "/1/delete", "/recompute", "/contacts/1"])
def test_a_stranger_finds_nothing(login, carol, bought, path):
    stranger = login(carol)
    path = f"{SCORES}{path.replace('/1', f'/{bought.id}')}"
    assert stranger.get(path).status_code in (404, 405)
    assert stranger.post(path, data={"title": "Mine", "act": "purchase", "points": "1"}).status_code in (404, 405)
    if str(bought.id) in path:
        assert stranger.get(path.replace("caffe-lume", "kino")).status_code in (404, 405)
        assert stranger.post(path.replace("caffe-lume", "kino")).status_code in (404, 405)
    assert score_rules.get(bought.id).title == "Bought"


def test_people_of_the_client_look_but_do_not_change(login, workspace, bought):
    reader = login(make_user("client", "dora@lume.example", workspace))
    page = reader.get(SCORES).text
    assert "Bought" in page and "New rule" not in page and "Switch off" not in page
    assert reader.post(f"{SCORES}/{bought.id}/switch").status_code == 403
