"""Pages of loyalty: programmes, rewards, cards, the till, and the page of a card."""

import dataclasses
import html
import re

import pytest
import sqlalchemy as sa

from flowserver import create_app
from flowserver.domain import loyalty
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Movement, Programme, Reward
from flowserver.services.loyalty import cards, points, programmes
from flowserver.services.loyalty.ledger import By
from flowserver.services.people import contacts

from ..conftest import make_user

LOYALTY, TILL = "/c/caffe-lume/loyalty", "/c/caffe-lume/till"
CLUB = {"name": "Lume Club", "amount_per_point": "1", "welcome_points": "5", "code": "qr", "color": "#8a3b12"}


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def club(workspace):
    """A programme with a reward at 10 points."""
    row = programmes.create(CLUB)
    programmes.create_reward(row.id, {"title": "Free coffee", "points": 10, "uses_points": True})
    return row


@pytest.fixture
def card(club):
    """Marta's card."""
    marta = contacts.upsert({"email": "marta@x.example", "first_name": "Marta"}, source="api")[0]
    return cards.make(club.id, marta.id, by=By("till"))[0]


def text(answer):
    return html.unescape(answer.text)


def balance(card):
    db.session.expire_all()
    return cards.get(card.id).balance


# --- programmes and rewards ------------------------------------------------------------------------------


def test_a_programme_is_made_shown_and_changed(console, workspace):
    assert "No loyalty programme yet" in text(console.get(LOYALTY))
    made = console.post(f"{LOYALTY}/new", data=CLUB)
    assert made.status_code == 303 and "1 point for each 1.00" in text(console.get(made.location))
    row = db.session.scalar(sa.select(Programme))
    changed = console.post(f"{LOYALTY}/{row.id}/edit", data={**CLUB, "amount_per_point": "2,50", "code": "barcode"})
    assert changed.status_code == 303
    assert "1 point for each 2.50, 5 points as a welcome" in text(console.get(LOYALTY))
    assert 'value="2.50"' in console.get(f"{LOYALTY}/{row.id}/edit").text


def test_wrong_answers_about_a_programme_are_said_at_their_field_and_stay(console, club):
    wrong = {"name": "lume club", "amount_per_point": "0", "welcome_points": "-1", "code": "", "color": "red", "logo_url": "http://x", "form_id": "99"}  # fmt: skip
    page = console.post(f"{LOYALTY}/new", data=wrong)
    assert page.status_code == 422 and text(page).count('class="err"') == 7
    assert "“lume club” is taken" in text(page) and 'value="http://x"' in page.text
    assert "Enter a name" in text(console.post(f"{LOYALTY}/new", data={**CLUB, "name": " "}))


def test_a_reward_is_made_changed_and_deleted(console, club):
    new = f"{LOYALTY}/{club.id}/rewards/new"
    assert console.get(new).status_code == 200
    page = console.post(new, data={"title": "", "points": "x", "automatic": "1"})
    assert page.status_code == 422 and text(page).count('class="err"') == 2
    assert console.post(new, data={"title": "Mug", "points": "50", "automatic": ""}).status_code == 303
    mug = db.session.scalar(sa.select(Reward).where(Reward.title == "Mug"))
    assert (mug.automatic, mug.active, mug.points) == (False, True, 50)
    assert "By hand from 50 points on" in text(console.get(f"{LOYALTY}/{club.id}"))
    one = f"{LOYALTY}/rewards/{mug.id}"
    assert console.post(one, data={"title": "Cup", "points": "40", "automatic": "1"}).status_code == 303
    db.session.expire_all()
    assert (mug.title, mug.automatic, mug.active) == ("Cup", True, False)
    assert console.post(f"{one}/delete").status_code == 303


def test_what_is_in_use_is_not_deleted(console, club, card):
    points.add_amount(card.id, 20, by=By("till"))
    reward = db.session.scalar(sa.select(Reward.id))
    page = console.post(f"{LOYALTY}/rewards/{reward}/delete")
    assert page.status_code == 409 and "Cards were given this reward" in text(page)
    assert "cannot be deleted" in text(console.get(f"{LOYALTY}/{club.id}/delete"))
    assert console.post(f"{LOYALTY}/{club.id}/delete").status_code == 409
    empty = programmes.create({**CLUB, "name": "Empty"})
    assert console.post(f"{LOYALTY}/{empty.id}/delete").status_code == 303


# --- cards -----------------------------------------------------------------------------------------------


def test_a_card_is_made_for_somebody_new_and_found(console, club):
    made = console.post(f"{LOYALTY}/cards/new", data={"programme": club.id, "contact": "New@x.example"})
    assert made.status_code == 303 and "new@x.example" in console.get(made.location).text
    again = console.post(f"{LOYALTY}/cards/new", data={"programme": club.id, "contact": "new@x.example"})
    assert again.location == made.location
    assert console.post(f"{LOYALTY}/cards/new", data={"programme": club.id}).status_code == 303
    for wrong in ({"programme": ""}, {"programme": club.id, "contact": "nobody"}):
        assert console.post(f"{LOYALTY}/cards/new", data=wrong).status_code == 422
    number = db.session.scalar(sa.select(Card.number).where(Card.contact_id.is_not(None)))
    assert loyalty.show_number(number) in console.get(f"{LOYALTY}/cards?q=new").text
    assert "No card found" in text(console.get(f"{LOYALTY}/cards?q=unheard-of&programme={club.id}"))
    assert console.get(f"{LOYALTY}/cards?older=9999&newer=x").status_code == 200


def test_the_page_of_a_card_shows_its_ledger_and_takes_points_by_hand(console, card):
    page = f"{LOYALTY}/cards/{card.id}"
    once = re.search('name="once" value="([^"]+)"', console.get(page).text)[1]
    for _ in range(2):  # sent twice, counted once
        done = console.post(f"{page}/points", data={"points": "30", "reason": "Goodwill", "once": once})
        assert done.status_code == 303
    assert balance(card) == 35 and "Goodwill" in console.get(page).text and "Bob" in console.get(page).text
    wrong = console.post(f"{page}/points", data={"points": "-99", "reason": "x"})
    assert wrong.status_code == 422 and "has only 35 points" in text(wrong) and "Error:" in wrong.text
    movement = db.session.scalar(sa.select(Movement.id).where(Movement.delta == 30))
    assert console.post(f"{page}/undo/{movement}").status_code == 303 and balance(card) == 5
    assert console.post(f"{page}/undo/{movement}").status_code == 409
    assert console.post(f"{page}/undo/999").status_code == 404


def test_a_card_is_blocked_freed_and_replaced(console, card):
    page, old = f"{LOYALTY}/cards/{card.id}", card.number
    console.post(f"{page}/block", data={"blocked": "1"})
    assert "Blocked" in console.get(page).text
    refused = console.post(f"{page}/points", data={"points": "3"})
    assert refused.status_code == 409 and "This card is blocked" in text(refused)
    console.post(f"{page}/block")
    assert console.post(f"{page}/points", data={"points": "3"}).status_code == 303
    console.post(f"{page}/replace")
    assert loyalty.show_number(old) not in console.get(page).text


def test_a_card_without_a_contact_gets_one(console, club):
    loose = cards.make(club.id, by=By("till"))[0]
    page = f"{LOYALTY}/cards/{loose.id}"
    for wrong in ("", "nobody", "12"):
        assert console.post(f"{page}/attach", data={"contact": wrong}).status_code == 422
    assert console.post(f"{page}/attach", data={"contact": "luca@x.example"}).status_code == 303
    assert "luca@x.example" in console.get(page).text
    other = cards.make(club.id, by=By("till"))[0]
    assert console.post(f"{LOYALTY}/cards/{other.id}/attach", data={"contact": "luca@x.example"}).status_code == 409


def test_a_contact_shows_its_cards_and_gets_one(console, card, club):
    second = programmes.create({**CLUB, "name": "Second"})
    page = f"/c/caffe-lume/contacts/{card.contact_id}"
    shown = text(console.get(page))
    assert loyalty.show_number(card.number) in shown and "Give a card of Second" in shown
    made = console.post(f"{LOYALTY}/cards/for/{card.contact_id}", data={"programme": second.id})
    assert made.status_code == 303 and "Give a card" not in console.get(page).text
    for wrong in ("", "x", "99"):
        answer = console.post(f"{LOYALTY}/cards/for/{card.contact_id}", data={"programme": wrong})
        assert answer.status_code == 404


# --- the till --------------------------------------------------------------------------------------------


def test_a_scan_finds_the_card_or_says_what_is_wrong(console, card):
    assert "autofocus" in console.get(TILL).text
    found = console.get(f"{TILL}?card={card.number}")
    assert found.status_code == 303 and "Marta" in console.get(found.location).text
    assert console.get(f"{TILL}?card=http://localhost/k/{card.public_id}").location == found.location
    wrong = card.number[:-1] + str((int(card.number[-1]) + 1) % 10)
    for typed, words in (("", "Scan the card"), ("123", "13 digits"), (wrong, "A digit of this number is wrong"), (cards.new_number(), "no card with this number")):  # fmt: skip
        page = console.get(f"{TILL}?card={typed}")
        assert page.status_code == 422 and words in text(page) and typed in page.text


def test_a_card_is_found_by_its_person_too(console, card, club):
    for typed in ("marta@x.example", "Marta", "mart"):
        assert console.get(f"{TILL}?card={typed}").location == f"{TILL}/cards/{card.id}"
    other = contacts.upsert({"phone": "3337654321", "first_name": "Marta", "last_name": "Neri"}, source="api")[0]
    second = cards.make(club.id, other.id, by=By("till"))[0]
    page = console.get(f"{TILL}?card=Marta")
    assert page.status_code == 200 and "Which card?" in page.text
    assert f"/till/cards/{card.id}" in page.text and f"/till/cards/{second.id}" in page.text
    assert console.get(f"{TILL}?card=3337654321").location == f"{TILL}/cards/{second.id}"
    nobody = console.get(f"{TILL}?card=Giovanni")
    assert nobody.status_code == 422 and "Nobody of this name has a card" in text(nobody) and "Giovanni" in nobody.text


def test_an_amount_is_added_once_for_each_receipt_and_undone(console, card):
    page = f"{TILL}/cards/{card.id}"
    for _ in range(2):
        added = console.post(f"{page}/amount", data={"amount": "12,90", "receipt": "R1"}, follow_redirects=True)
    assert "entered before" in text(added) and balance(card) == 17
    once = re.search('name="once" value="([^"]+)"', added.text)[1]
    for _ in range(2):
        console.post(f"{page}/amount", data={"amount": "3", "once": once})
    assert balance(card) == 20 and once not in console.get(page).text
    last = re.search(r'action="[^"]*/undo/(\d+)"', console.get(page).text)[1]
    undone = console.post(f"{page}/undo/{last}", follow_redirects=True)
    assert "Undone. The card has 17 points now." in text(undone)
    for wrong in ("", "0", "-4", "many"):
        answer = console.post(f"{page}/amount", data={"amount": wrong, "receipt": "R7"})
        assert answer.status_code == 422 and 'value="R7"' in answer.text


def test_a_card_scanned_into_the_amount_is_a_scan(console, card, club):
    other = cards.make(club.id, by=By("till"))[0]
    moved = console.post(f"{TILL}/cards/{card.id}/amount", data={"amount": other.number})
    assert moved.status_code == 303 and moved.location == f"{TILL}/cards/{other.id}"
    assert balance(card) == balance(other) == 5


def test_rewards_are_seen_given_and_collected_at_the_till(console, card, club):
    mug = programmes.create_reward(club.id, {"title": "Mug", "points": 12, "automatic": False})
    page = f"{TILL}/cards/{card.id}"
    earned = console.post(f"{page}/amount", data={"amount": "10"}, follow_redirects=True)
    assert "New reward: Free coffee" in text(earned) and "Mug" in text(earned)
    assert console.post(f"{page}/give/{mug.id}").status_code == 303
    assert console.post(f"{page}/give/{mug.id}").status_code == 409
    grant = db.session.scalar(sa.select(CardReward.id).order_by(CardReward.id))
    assert "Collected: Free coffee" in text(console.post(f"{page}/collect/{grant}", follow_redirects=True))
    assert console.post(f"{page}/collect/{grant}").status_code == 409
    assert balance(card) == 5


def test_a_blocked_card_takes_nothing_at_the_till(console, card):
    cards.block(card.id)
    page = console.get(f"{TILL}/cards/{card.id}")
    assert "This card is blocked" in text(page) and "Add amount" not in page.text
    assert console.post(f"{TILL}/cards/{card.id}/amount", data={"amount": "5"}).status_code == 409


def test_the_tab_for_coupons_stands_there_once_its_page_does(app, console):
    there = app.url_map.bind("").test("/c/x/till/coupons", "GET")
    assert (">Coupon</a>" in console.get(TILL).text) == there


def test_people_of_the_client_only_look(login, workspace, card, club):
    reader = login(make_user("client", "dora@lume.example", workspace))
    for address in (LOYALTY, f"{LOYALTY}/{club.id}", f"{LOYALTY}/cards", f"{LOYALTY}/cards/{card.id}", TILL, f"{TILL}/cards/{card.id}"):  # fmt: skip
        page = reader.get(address)
        assert page.status_code == 200
        assert not re.search(r"Undo<|Add amount|New programme|Block the card|New reward", page.text), address
    assert reader.post(f"{TILL}/cards/{card.id}/amount", data={"amount": "5"}).status_code == 403


def test_strangers_find_none_of_it(login, carol, card, club):
    stranger = login(carol)
    for address in (LOYALTY, f"{LOYALTY}/cards/{card.id}", TILL, f"{TILL}/cards/{card.id}"):
        assert stranger.get(address).status_code == 404
    for address in (f"/c/kino/loyalty/{club.id}", f"/c/kino/loyalty/cards/{card.id}", f"/c/kino/till/cards/{card.id}"):
        assert stranger.get(address).status_code == 404
    assert stranger.post(f"/c/kino/till/cards/{card.id}/amount", data={"amount": "5"}).status_code == 404
    assert "no card with this number" in stranger.get(f"/c/kino/till?card={card.number}").text


# --- the page of a card ----------------------------------------------------------------------------------


def test_the_page_of_a_card_shows_points_rewards_and_the_code_without_a_script(client, card, club):
    programmes.update(club.id, {"welcome_text": "Good to see you", "logo_url": "https://lume.example/logo.png"})
    programmes.create_reward(club.id, {"title": "Mug", "points": 30})
    points.add_amount(card.id, 10, by=By("till"))
    page = client.get(f"/k/{card.public_id}")
    shown = text(page)
    for words in ("Lume Club", "15", "Marta", "Free coffee", "15 points to go", "Good to see you", "https://lume.example/logo.png", loyalty.show_number(card.number)):  # fmt: skip
        assert words in shown, words
    assert "<script" not in page.text and "Set-Cookie" not in page.headers and 'content="noindex"' in page.text
    assert page.headers["X-Robots-Tag"].startswith("noindex") and page.headers["Referrer-Policy"] == "no-referrer"
    assert "#8a3b12" in client.get(f"/k/{card.public_id}/brand.css").text


def test_the_code_is_a_picture_without_style_or_script(client, card, club):
    for kind, sign in (("qr", 'viewBox="0 0 29 29"'), ("barcode", 'viewBox="0 -6 117 72"')):
        programmes.update(club.id, {"code": kind})
        code = client.get(f"/k/{card.public_id}/code.svg")
        assert code.mimetype == "image/svg+xml" and sign in code.text
        assert "style" not in code.text and "script" not in code.text


def test_a_wrong_address_shows_no_card(client, card):
    for address in ("/k/nobody", f"/k/{card.number}", f"/k/{card.public_id[:-1]}", f"/k/{card.public_id}x/code.svg"):
        assert client.get(address).status_code == 404


def test_the_page_of_a_card_is_not_asked_for_without_end(app, card):
    limited = create_app(dataclasses.replace(app.extensions["config"], rate_limits=True))
    visitor = limited.test_client()
    answers = [visitor.get(f"/k/{card.public_id}/brand.css").status_code for _ in range(121)]
    assert answers[:120] == [200] * 120 and answers[120] == 429
