"""Pages of lists and signup forms."""

import html
import re

import pytest
import sqlalchemy as sa

from flowserver.models import Contact, ContactList, Field, Form
from flowserver.services.people import contacts, forms, lists

LISTS, FORMS = "/c/caffe-lume/lists", "/c/caffe-lume/forms"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def news(workspace):
    """A list with one contact."""
    row = lists.create("News")
    lists.join(row.id, [contacts.upsert({"email": "m@x.example"}, source="api")[0].id])
    return row


def form_values(news, **more):
    return {"name": "Footer", "list_id": news.id, "double_opt_in": "y", "title": "Coffee letters", **more}


# --- lists ---------------------------------------------------------------------------------------------


def test_lists_are_made_shown_and_renamed(db, console):
    assert "No lists yet" in console.get(LISTS).text
    page = console.post(f"{LISTS}/new", data={"name": "News", "description": "Stories", "public": "y"})
    assert page.status_code == 303 and "Stories" in console.get(page.location).text
    assert console.post(f"{LISTS}/new", data={"name": "news"}).status_code == 422
    number = db.session.scalar(sa.select(ContactList.id))
    assert console.post(f"{LISTS}/{number}/edit", data={"name": "Letters"}).status_code == 303
    assert "Letters" in console.get(LISTS).text


def test_deleting_a_list_asks_what_happens_to_its_contacts(db, console, news):
    assert "1 contact is on this list" in console.get(f"{LISTS}/{news.id}/delete").text
    page = console.post(f"{LISTS}/{news.id}/delete", data={})
    assert page.status_code == 422 and "Choose what happens" in page.text
    assert console.post(f"{LISTS}/{news.id}/delete", data={"contacts": "delete"}).status_code == 303
    db.session.expire_all()
    assert not db.session.scalar(sa.select(ContactList.id)) and not db.session.scalar(sa.select(Contact.id))


def test_a_list_in_use_answers_409_and_links_to_its_users(db, console, news):
    form = forms.create({"name": "Footer", "list_id": news.id})
    page = console.post(f"{LISTS}/{news.id}/delete", data={"contacts": "keep"})
    assert page.status_code == 409 and "cannot be deleted" in page.text and f"/forms/{form.id}" in page.text
    assert db.session.get(ContactList, news.id)


# --- forms ---------------------------------------------------------------------------------------------


def test_a_form_is_made_and_its_snippets_work(db, console, client, news, workspace):
    db.session.add(
        Field(workspace_id=workspace.id, key="roast", label="Roast", type="choice", choices=["Light", "Dark"])
    )
    data = form_values(
        news,
        email_consent_text="I agree.",
        **{"ask-first_name": "1", "ask-roast": "1", "required-roast": "1", "label-roast": "Your roast"},
    )
    page = console.post(f"{FORMS}/new", data=data)
    assert page.status_code == 303
    shown = console.get(page.location).text
    form = db.session.scalar(sa.select(Form))
    assert form.fields == [
        {"key": "first_name", "label": "", "required": False},
        {"key": "roast", "label": "Your roast", "required": True},
    ]
    plain, framed, link = (html.unescape(part) for part in re.findall(r"<textarea[^>]*>(.*?)</textarea>", shown, re.S))
    assert (
        link == f"http://localhost/f/{form.public_id}" and f'src="{link}?embed=1"' in framed and "<script" not in plain
    )
    names = re.findall(r'name="([^"]+)"', plain)
    assert names == ["first_name", "email", "roast", "consent-email", "your-website"]
    answers = {
        "first_name": "Marta",
        "email": "marta@x.example",
        "roast": "Dark",
        "consent-email": "y",
        "your-website": "",
    }
    assert client.post(f"/f/{form.public_id}", data=answers).status_code == 303
    assert client.post(f"/f/{form.public_id}", data={**answers, "roast": ""}).status_code == 422


def test_titles_with_signs_stay_text_in_snippets(console, news):
    form = forms.create({"name": 'A "B" & <C>'.replace("<C>", "C"), "title": 'Say "hi" & more', "list_id": news.id})
    framed = html.unescape(
        re.findall(r"<textarea[^>]*>(.*?)</textarea>", console.get(f"{FORMS}/{form.id}/snippet").text, re.S)[1]
    )
    assert "Say &#34;hi&#34; &amp; more" in framed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "Enter a name for the form"),
        ({"name": "Taken"}, "already a form called Taken"),
        ({"list_id": ""}, "Choose the list people join"),
        ({"list_id": "9999"}, "Choose the list people join"),
        ({"title": "<script>alert(1)</script>"}, "plain text"),
        ({"thanks_url": "javascript:alert(1)"}, "starts with https"),
        ({"locale": "xx"}, "Choose a language"),
        ({"double_opt_in": "", "email_consent_text": ""}, "write the words"),
        ({"label-first_name": "<b>x</b>", "ask-first_name": "1"}, "plain text"),
    ],
)
def test_mistakes_come_back_with_what_was_typed(db, console, news, changes, words):
    forms.create({"name": "Taken", "list_id": news.id})
    data = {key: value for key, value in {**form_values(news, intro="Typed"), **changes}.items() if value}
    page = console.post(f"{FORMS}/new", data=data)
    assert (
        page.status_code == 422
        and words in page.text
        and ">Typed</textarea>" in page.text.replace("\r\n", "").replace("\n", "")
    )
    assert "<script>alert" not in page.text and db.session.scalar(sa.select(sa.func.count(Form.id))) == 1


def test_a_form_is_changed_closed_and_deleted(db, console, news):
    form = forms.create({"name": "Footer", "list_id": news.id, "fields": [{"key": "phone", "required": True}]})
    number = form.id
    page = console.get(f"{FORMS}/{number}").text
    assert f"/f/{form.public_id}?embed=1" in page and 'id="ask-phone" name="ask-phone" value="1" checked' in page
    assert console.post(f"{FORMS}/{form.id}", data=form_values(news, closed="y")).status_code == 303
    db.session.expire_all()
    assert form.closed and form.fields == [] and "Closed" in console.get(FORMS).text
    assert console.get(f"{FORMS}/{form.id}/delete").status_code == 200
    assert console.post(f"{FORMS}/{form.id}/delete").status_code == 303
    assert console.get(f"{FORMS}/{number}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        LISTS,
        f"{LISTS}/new",
        f"{LISTS}/1",
        f"{LISTS}/1/edit",
        f"{LISTS}/1/delete",
        FORMS,
        f"{FORMS}/new",
        f"{FORMS}/1",
        f"{FORMS}/1/snippet",
        f"{FORMS}/1/delete",
    ],
)
def test_a_stranger_finds_nothing(login, carol, news, path):
    stranger = login(carol)
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, data={"name": "x", "contacts": "delete"}).status_code in (404, 405)
    own = path.replace("caffe-lume", "kino")
    if "/1" in own:
        assert stranger.get(own).status_code == 404
