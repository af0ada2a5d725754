"""Pages of tracked sites, and the wizard's box that tries an address."""

import html
import re

import pytest

from flowserver.extensions import db
from flowserver.services.flows import flows
from flowserver.services.site import monitors

SITES = "/c/caffe-lume/sites"
WIZARD = "/c/caffe-lume/flows/new/site_visit"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def site(workspace, clock):
    row = monitors.create({"name": "Shop", "domains": "shop.example"})
    row.verified_at = clock.now
    db.session.commit()
    return row


def test_a_site_is_made_shown_changed_and_deleted(console, clock):
    assert "No site is tracked yet" in console.get(SITES).text
    data = {"name": "Shop", "domains": "https://www.Shop.example/\nblog.shop.example", "ask_consent": "y"}
    made = console.post(f"{SITES}/new", data=data)
    assert made.status_code == 303
    page = html.unescape(console.get(made.location).text)
    row = monitors.everything()[0].row
    assert row.domains == ["shop.example", "blog.shop.example"] and row.ask_consent and row.enabled
    assert f'<script src="http://localhost/t/{row.public_id}.js" defer></script>' in page
    assert "script-src http://localhost; connect-src http://localhost" in page and "No visit has come" in page
    changed = console.post(f"{made.location}/edit", data={"name": "Coffee", "domains": "shop.example"})
    assert changed.status_code == 303
    assert "Coffee" in console.get(SITES).text and "Off" in console.get(SITES).text
    assert console.post(f"{made.location}/delete").status_code == 303
    assert console.get(made.location).status_code == 404


def test_mistakes_come_back_with_what_was_typed(console, site):
    for changes, words in (
        ({"name": ""}, "Enter a name for the site"),
        ({"name": "SHOP"}, "already a site called SHOP"),
        ({"domains": ""}, "Enter the domain of the site"),
        ({"domains": "ftp://shop.example/path"}, "“ftp://shop.example/path” is no domain"),
        ({"domains": "javascript:alert(1)"}, "is no domain"),
        ({"domains": "\n".join(f"a{n}.example" for n in range(21))}, "Enter 20 domains at most"),
    ):
        page = console.post(f"{SITES}/new", data={"name": "Typed", "domains": "typed.example", **changes})
        assert page.status_code == 422 and words in page.text
        assert "Typed" in page.text or "typed.example" in page.text


def test_a_site_in_use_answers_409(console, site):
    flows.create({"name": "Back again", "trigger": {"type": "site_visit", "monitor": "Shop"}, "steps": []})
    page = console.post(f"{SITES}/{site.id}/delete")
    assert page.status_code == 409 and "Back again" in page.text
    assert "Back again" in console.get(f"{SITES}/{site.id}").text


def test_changing_the_domains_asks_for_a_first_visit_again(site):
    assert monitors.update(site.id, {"domains": ["shop.example"]}).verified_at
    assert monitors.update(site.id, {"domains": ["new.example"]}).verified_at is None


def wizard(site, **more):
    given = {"name": "Back again", "monitor": site.id, "scope": "page", "url": "https://shop.example/coffee/*"}
    return {**given, "wait-amount": "0", "wait-unit": "minutes", "reentry": "after_finish", **more}


def test_the_wizard_says_whether_an_address_would_match_and_why_not(console, site):
    yes = console.post(WIZARD, data=wizard(site, address="https://shop.example/coffee/dark", **{"try": "address"}))
    assert yes.status_code == 200 and "Yes, a visit to this address would start the flow" in yes.text
    no = console.post(WIZARD, data=wizard(site, address="https://shop.example/tea", **{"try": "address"}))
    assert no.status_code == 200 and "No. Its path is /tea, not /coffee/*" in no.text
    assert 'value="https://shop.example/tea"' in no.text and 'value="Back again"' in no.text
    assert console.get("/c/caffe-lume/flows").text.count("Back again") == 0


def test_an_address_that_would_match_on_a_site_that_is_not_watched_is_no_match(console, site):
    given = {"url": "https://other.example/coffee/*", "address": "https://other.example/coffee/dark", "try": "address"}
    no = console.post(WIZARD, data=wizard(site, **given))
    assert no.status_code == 200 and "No. This address is not on the site" in no.text


def test_the_wizard_makes_a_flow_and_its_start_can_be_tried_later(console, site):
    made = console.post(WIZARD, data=wizard(site))
    assert made.status_code == 303
    flow = int(re.search(r"/flows/(\d+)", made.location)[1])
    assert flows.get(flow).draft["trigger"]["url"] == "https://shop.example/coffee/*"
    page = console.post(
        f"/c/caffe-lume/flows/{flow}/start", data=wizard(site, address="https://x.example/", **{"try": "address"})
    )
    assert page.status_code == 200 and "No. It is on x.example, not on shop.example" in page.text


def test_a_host_outside_the_monitor_is_refused_at_the_address(console, site):
    page = console.post(WIZARD, data=wizard(site, url="https://other.example/coffee"))
    assert page.status_code == 422
    assert "This address is not on the site. Begin with https://shop.example" in page.text
    assert 'value="https://other.example/coffee"' in page.text


def test_a_monitor_that_is_not_verified_or_deleted_or_off_blocks_going_live(console, site):
    made = console.post(WIZARD, data=wizard(site))
    flow = re.search(r"(.*/flows/\d+)", made.location)[1]
    site.verified_at = None
    db.session.commit()
    page = console.post(f"{flow}/check")
    assert page.status_code == 422 and "No visit has come from Shop yet" in page.text
    monitors.update(site.id, {"enabled": False})
    assert "Tracking of Shop is switched off" in console.get(f"{flow}/check").text
    db.session.delete(db.session.merge(site))
    db.session.commit()
    assert "The site was deleted. Choose another one" in console.get(f"{flow}/check").text


def test_a_stranger_finds_no_site(login, carol, site):
    assert login(carol).get(f"{SITES}/{site.id}").status_code == 404
