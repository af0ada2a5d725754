"""Pages of coupons, and the till."""

import io
import re

import pytest

from flowserver.models import Coupon, CouponRedemption
from flowserver.services.people import lists
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons
from tests.services.town import a_list, people

ROOT, TILL = "/c/caffe-lume/coupons", "/c/caffe-lume/till/coupons"
FILLED = {
    "name": "Spring beans", "value": "15 %", "message": "", "codes": "generated", "prefix": "", "length": "8",
    "low_at": "50", "starts_on": "", "ends_on": "", "days": "", "uses": "1",
}  # fmt: skip


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def beans(workspace):
    """A campaign that makes its codes."""
    return coupon_campaigns.create({"name": "Spring beans", "value": "15 %", "message": "Not on gift cards"})


@pytest.fixture
def pool(workspace):
    """A campaign whose codes are imported."""
    return coupon_campaigns.create({"name": "Pool", "value": "5 €", "codes": "pool", "low_at": 2})


def test_campaigns_are_made_shown_changed_and_deleted(db, console):
    assert "No coupons yet" in console.get(ROOT).text
    made = console.post(f"{ROOT}/new", data={**FILLED, "days": "10", "ends_on": "2099-06-30", "replaces": "y"})
    assert made.status_code == 303
    page = console.get(made.location).text
    assert "Spring beans" in page and "No codes yet" in page
    wrong = console.post(f"{ROOT}/new", data={**FILLED, "value": "", "uses": "none", "ends_on": "soon"})
    assert wrong.status_code == 422
    for words in ("already a coupon campaign called Spring beans", "Enter what a coupon is worth", "from 1 to"):
        assert words in wrong.text
    assert 'value="none"' in wrong.text and 'value="soon"' in wrong.text
    edit = made.location + "/edit"
    assert 'value="2099-06-30"' in console.get(edit).text
    assert console.post(edit, data={**FILLED, "value": "20 %"}).status_code == 303
    assert "20 %" in console.get(ROOT).text
    assert console.post(edit, data={**FILLED, "name": " "}).status_code == 422
    assert "0 codes are in people" in console.get(made.location + "/delete").text
    assert console.post(made.location + "/delete").status_code == 303
    assert console.get(made.location).status_code == 404


def test_a_campaign_in_use_answers_409_and_links_to_its_flow(console, beans):
    from tests.services.test_coupons import live

    live(beans.id)
    page = console.post(f"{ROOT}/{beans.id}/delete")
    assert page.status_code == 409 and "in use and cannot be deleted" in page.text and "On used" in page.text
    assert "On used" in console.get(f"{ROOT}/{beans.id}").text


def test_codes_come_in_from_a_file_or_pasted_and_bad_lines_are_told(console, pool):
    path = f"{ROOT}/{pool.id}/import"
    assert "There are no codes yet" in console.get(f"{ROOT}/{pool.id}").text
    page = console.post(path, data={"codes": "A1\n\nA1\nB2", "handed_out": ""})
    assert page.status_code == 200 and "2 codes are in" in page.text and "2 lines were left out" in page.text
    assert "The line is empty" in page.text and "There is this code already" in page.text
    page = console.post(path, data={"file": (io.BytesIO(b"code\nC3\nD4\n"), "codes.csv"), "codes": ""})
    assert page.status_code == 303 and coupon_campaigns.left(pool.id) == 4
    assert console.post(path, data={"codes": ""}).status_code == 422
    assert console.post(path, data={"codes": "PAPER", "handed_out": "y"}).status_code == 303
    assert coupons.find("paper").state == "issued"


def test_a_campaign_of_its_own_codes_takes_no_import_and_a_pool_makes_none(console, beans, pool):
    assert console.post(f"{ROOT}/{beans.id}/import", data={"codes": "X"}).status_code == 409
    assert console.post(f"{ROOT}/{pool.id}/print", data={"count": "3"}).status_code == 409
    assert console.post(f"{ROOT}/{beans.id}/print", data={"count": "0"}).status_code == 422
    made = console.post(f"{ROOT}/{beans.id}/print", data={"count": "3"})
    assert made.status_code == 303 and "3 codes are made" in console.get(made.location).text
    lines = console.get(f"{ROOT}/{beans.id}/codes.csv?state=issued").text.splitlines()
    assert len(lines) == 4 and lines[0] == "code,state,issued_at,expires_at,uses"


def test_codes_are_searched_narrowed_paged_and_made_void(console, workspace, beans):
    ids = people(workspace, 35)
    given = coupons.issue_many(beans.id, ids).rows
    path = f"{ROOT}/{beans.id}"
    page = console.get(path).text
    older = re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&")
    assert page.count("Make void") == 25 and console.get(older).text.count("Make void") == 10
    assert console.get(f"{path}?q={given[0]['code'].lower()}").text.count("Make void") == 1
    assert console.get(f"{path}?q=c1@").text.count("Make void") == 1
    assert "No code matches" in console.get(f"{path}?state=void").text
    number = coupons.find(given[0]["code"]).id
    assert console.post(f"{path}/void/{number}").status_code == 303
    assert console.get(f"{path}?state=void").text.count("Make void") == 0
    assert "This code is void already" in console.post(f"{path}/void/{number}", follow_redirects=True).text
    assert console.post(f"{path}/void/{number + 999}").status_code == 404


def test_a_coupon_is_given_to_a_contact_and_to_a_list(console, workspace, beans, pool):
    path = f"{ROOT}/{beans.id}/give"
    ids = people(workspace, 3)
    number = a_list(workspace, members=ids)
    assert console.post(path, data={"to": "one", "who": "c0@x.example"}).status_code == 303
    for data, words in (
        ({"to": "one", "who": ""}, "Enter an e-mail address or a mobile number"),
        ({"to": "one", "who": "nobody@x.example"}, "There is no contact with nobody@x.example"),
        ({"to": "one", "who": "no@@x"}, "Enter an e-mail address like"),
        ({"to": "list", "list_id": ""}, "Choose the list"),
        ({"to": "list", "list_id": "99999"}, "Choose the list"),
    ):
        page = console.post(path, data=data)
        assert page.status_code == 422 and words in page.text, data
    page = console.post(path, data={"to": "list", "list_id": str(number)}, follow_redirects=True)
    assert "2 contacts got a coupon" in page.text
    page = console.post(f"{ROOT}/{pool.id}/give", data={"to": "one", "who": "c0@x.example"})
    assert page.status_code == 409 and "no code left" in page.text
    assert len(lists.choices()) == 1


# --- the till ----------------------------------------------------------------------------------------------


def test_a_code_is_looked_up_used_and_taken_back_at_the_till(db, console, workspace, beans):
    [one] = people(workspace, 1)
    code = coupons.issue(beans.id, one).code
    page = console.get(f"{TILL}?code={code.lower()}").text
    for words in (code, "15 %", "Not on gift cards", "c0@x.example", "Can be used"):
        assert words in page
    used = console.post(TILL, data={"code": code, "place": "Via Po", "receipt": "R-1", "amount": "12,50"})
    assert used.status_code == 303
    page = console.get(used.location).text
    assert "is used" in page and "12.50" in page and "Via Po" in page
    again = console.post(TILL, data={"code": code, "place": "Via Po"})
    assert again.status_code == 409 and "used up" in again.text and "Cannot be used" in again.text
    row = db.session.query(CouponRedemption).one()
    assert row.user_id is not None
    assert console.post(f"{TILL}/{row.id}/undo").status_code == 303
    assert "already" in console.post(f"{TILL}/{row.id}/undo", follow_redirects=True).text
    assert 'value="Via Po"' in console.get(f"{TILL}?code={code}").text  # the place is remembered
    assert coupons.find(code).state == "issued"


def test_the_till_says_why_a_code_cannot_be_used(console, workspace, clock, beans):
    for code, status in (("NOBODY", 404), ("x" * 41, 422), ("", 422)):
        page = console.post(TILL, data={"code": code})
        assert page.status_code == status and "There is a problem" in page.text, code
    assert console.get(f"{TILL}?code=NOBODY").status_code == 404
    code = coupons.issue(beans.id, None).code
    page = console.post(TILL, data={"code": code, "amount": "-3"})
    assert page.status_code == 422 and "cannot be less than 0" in page.text and 'value="-3"' in page.text
    coupons.void(code)
    assert console.post(TILL, data={"code": code}).status_code == 410
    assert "was made void" in console.get(f"{TILL}?code={code}").text


def test_the_contacts_page_shows_its_coupons(console, workspace, beans):
    [one] = people(workspace, 1)
    code = coupons.issue(beans.id, one).code
    page = console.get(f"/c/caffe-lume/contacts/{one}").text
    assert code in page and "Spring beans" in page
    assert "Got the coupon" in page and f"{ROOT}/{beans.id}" in page


# --- who may -----------------------------------------------------------------------------------------------

PATHS = [ROOT, f"{ROOT}/new", TILL, *(f"{ROOT}/1{end}" for end in ("", "/edit", "/delete", "/import", "/print", "/give", "/codes.csv", "/void/1")), f"{TILL}/1/undo"]  # fmt: skip


def test_a_stranger_finds_nothing(db, login, carol, beans):
    code = coupons.issue(beans.id, None).code
    stranger = login(carol)
    for path in PATHS:
        for answer in (stranger.get(path), stranger.post(path, data={**FILLED, "code": code})):
            assert answer.status_code in (404, 405), path
    own = stranger.post(TILL.replace("caffe-lume", "kino"), data={"code": code})
    assert own.status_code == 404
    assert stranger.get(f"/c/kino/coupons/{beans.id}").status_code == 404
    assert db.session.query(Coupon).one().uses == 0


def test_people_of_the_client_read_and_change_nothing(login, workspace, beans):
    from tests.conftest import make_user

    code = coupons.issue(beans.id, None).code
    reader = login(make_user("client", "lume@x.example", workspace))
    assert "New coupon campaign" not in reader.get(ROOT).text
    assert "Make void" not in reader.get(f"{ROOT}/{beans.id}").text
    assert "Use this coupon" not in reader.get(f"{TILL}?code={code}").text
    for path in (f"{ROOT}/new", f"{ROOT}/{beans.id}/give", TILL):
        assert reader.post(path, data={"code": code}).status_code == 403
    assert coupon_codes.uses() == []


def test_the_wizard_says_that_a_campaign_is_needed_and_leads_to_it(login, bob, workspace):
    from tests.conftest import make_user

    console, reader = login(bob), login(make_user("client", "lume@x.example", workspace))
    page = console.get("/c/caffe-lume/flows/new").text
    assert "Needs a coupon campaign" in page and f'href="{ROOT}/new"' in page
    assert f'href="{ROOT}/new"' not in reader.get("/c/caffe-lume/flows/new").text
    coupon_campaigns.create({"name": "Spring beans", "value": "15 %"})
    assert "Needs a coupon campaign" not in console.get("/c/caffe-lume/flows/new").text
