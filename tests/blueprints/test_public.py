"""The form strangers see: no cookie, any frame, polite words, and only a POST confirms."""

import dataclasses
import re

import pytest
import sqlalchemy as sa

from flowserver import create_app
from flowserver.models import Contact, ContactList, Message, Signup
from flowserver.services.people import forms


@pytest.fixture
def coffee(db, workspace, alice):
    """The address of a form at /f/."""
    letters = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(letters)
    db.session.flush()
    return forms.create(
        {
            "name": "Footer",
            "title": "Coffee letters",
            "list_id": letters.id,
            "fields": [{"key": "first_name"}, {"key": "phone", "label": "Mobile"}],
            "email_consent_text": "Send me e-mails.",
        }
    )


ANSWERS = {"email": "marta@example.com", "first_name": "Marta", "consent-email": "y"}


def count(db, model):
    db.session.expire_all()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model))


def test_a_visitor_signs_up_and_confirms(db, client, coffee):
    page = client.get(f"/f/{coffee.public_id}")
    assert page.status_code == 200 and "Coffee letters" in page.text
    stamp = re.search(r'name="opened-at" value="([^"]+)"', page.text)[1]
    sent = client.post(f"/f/{coffee.public_id}", data={**ANSWERS, "opened-at": stamp})
    assert sent.status_code == 303 and "marta" not in sent.location
    assert "marta@example.com" in client.get(sent.location).text
    body = db.session.scalar(sa.select(Message)).content["body"]
    link = next(block["url"] for block in body if block["type"] == "button").removeprefix("http://localhost")
    assert client.head(link).status_code == client.get(link).status_code == 200
    assert "Yes, sign me up" in client.get(link).text and not count(db, Contact)
    assert "You are in" in client.post(link).text and count(db, Contact) == 1
    assert client.post(link).status_code == 200 and count(db, Contact) == 1


def test_public_pages_set_no_cookie_and_may_be_framed(client, coffee):
    for page in (
        client.get(f"/f/{coffee.public_id}?embed=1"),
        client.post(f"/f/{coffee.public_id}", data=ANSWERS),
        client.get(f"/f/{coffee.public_id}/thanks"),
    ):
        assert "Set-Cookie" not in page.headers
        assert "frame-ancestors *" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in client.get("/o/x").headers["Content-Security-Policy"]


def test_a_plain_form_on_a_foreign_page_needs_no_stamp(db, client, coffee):
    page = client.post(f"/f/{coffee.public_id}", data=ANSWERS, headers={"Referer": "https://caffelume.example/blog"})
    assert page.status_code == 303
    assert db.session.scalar(sa.select(Signup.page)) == "https://caffelume.example/blog"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "marta"}, "Enter an e-mail address like"),
        ({"email": "m@mailinator.com"}, "still have tomorrow"),
        ({"first_name": "<script>alert(1)</script>"}, "without signs like &lt;"),
        ({"first_name": "x" * 100_000}, "too long"),
        ({"consent-email": ""}, "Tick the box"),
        ({"opened-at": "forged"}, "open for too long"),
    ],
)
def test_bad_answers_come_back_with_words_and_typed_values(db, client, coffee, changes, words):
    page = client.post(f"/f/{coffee.public_id}", data={**ANSWERS, "phone": "333 12", **changes})
    assert page.status_code == 422 and words in page.text and "There is a problem" in page.text
    assert 'value="333 12"' in page.text and "<title>Error" in page.text
    assert "<script>alert" not in page.text and len(page.text) < 30_000
    assert not count(db, Signup)


def test_a_megabyte_is_refused_politely(db, client, coffee):
    page = client.post(f"/f/{coffee.public_id}", data={**ANSWERS, "first_name": "x" * 1_000_000})
    assert page.status_code == 413 and "too large" in page.text and not count(db, Signup)


def test_a_filled_trap_looks_like_success(db, client, coffee):
    page = client.post(f"/f/{coffee.public_id}", data={**ANSWERS, "your-website": "http://spam.example"})
    assert page.status_code == 303 and client.get(page.location).status_code == 200
    assert not count(db, Signup) and not count(db, Message)


@pytest.mark.parametrize("token", ["x", "1-1.forged", "%00", "a" * 3000])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_forged_confirmation_gets_a_polite_page(client, coffee, token, method):
    page = getattr(client, method)(f"/o/{token}")
    assert page.status_code == 404 and "does not work any more" in page.text


def test_a_closed_form_says_so(db, client, coffee):
    forms.update(coffee.id, {"closed": True})
    for page in (client.get(f"/f/{coffee.public_id}"), client.post(f"/f/{coffee.public_id}", data=ANSWERS)):
        assert page.status_code == 410 and "closed" in page.text
    assert not count(db, Signup)


def test_without_a_way_to_send_nothing_is_kept_and_the_words_are_polite(db, client, coffee):
    from flowserver.models import Connection

    db.session.execute(sa.delete(Connection))
    db.session.commit()
    page = client.post(f"/f/{coffee.public_id}", data=ANSWERS)
    assert page.status_code == 503 and "Try again later" in page.text and 'value="Marta"' in page.text
    assert not count(db, Signup)


def test_an_unknown_form_is_not_found(client, coffee):
    assert client.get("/f/nothing").status_code == client.post("/f/nothing").status_code == 404


def test_it_speaks_the_language_of_the_form(client, coffee):
    forms.update(coffee.id, {"locale": "it"})
    assert '<html lang="it"' in client.get(f"/f/{coffee.public_id}").text


def test_thanks_may_be_a_page_of_the_client(db, client, coffee):
    forms.update(coffee.id, {"double_opt_in": False, "thanks_url": "https://caffelume.example/thanks"})
    page = client.post(f"/f/{coffee.public_id}", data=ANSWERS)
    assert page.location == "https://caffelume.example/thanks" and count(db, Contact) == 1
    assert "form-action 'self' https://caffelume.example" in page.headers["Content-Security-Policy"]


def test_the_colour_of_the_client_is_a_stylesheet(client, coffee, db, workspace):
    workspace.brand_color = "#ffe08a"
    sheet = client.get(f"/f/{coffee.public_id}/brand.css")
    assert sheet.mimetype == "text/css" and "--brand: #ffe08a; --on-brand: #1b2023" in sheet.text


def test_one_visitor_may_not_send_all_day(app, coffee):
    limited = create_app(dataclasses.replace(app.extensions["config"], rate_limits=True))
    limited.test_client_class = app.test_client_class
    client = limited.test_client()
    pages = [client.post(f"/f/{coffee.public_id}", data={}) for _ in range(25)]
    assert [page.status_code for page in pages] == [422] * 20 + [429] * 5
    assert "Too many tries" in pages[-1].text and client.get(f"/f/{coffee.public_id}").status_code == 200


def test_questions_stand_in_the_order_of_the_code_to_copy(client, coffee):
    page = client.get(f"/f/{coffee.public_id}").text
    names = ("first_name", "email", "phone", "consent-email")
    places = [page.index(f'name="{name}"') for name in names]
    assert places == sorted(places)
