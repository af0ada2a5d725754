"""A score as its people live it: a click in a mail brings points by a rule, some more by hand, and the limit is passed."""

from __future__ import annotations

import re

import pytest

from .test_coupon import MARTA, make_contact
from .test_story import add, go_live, open_mail, set_up, write_mail

pytestmark = pytest.mark.browser


def test_a_contact_that_reaches_100_points_gets_the_mail(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_rule(page, client)
    make_flow(page, client)
    make_contact(page, client)
    contact = contact_page(page, client)
    give(page, contact, "70")
    tag(page, client, contact)
    mail = open_mail(page, base, MARTA, "You have 100 points")
    assert "from 70" in mail.locator("body").inner_text()
    page.goto(contact)
    page.get_by_text("Where the score comes from").click()
    page.get_by_role("link", name="All movements, and what each rule brought").click()
    page.get_by_role("heading", name="Where it comes from").wait_for()
    page.get_by_role("link", name="Came to the tasting").wait_for()


def make_rule(page, client: str) -> None:
    page.goto(f"{client}/scores")
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Title").fill("Came to the tasting")
    page.get_by_label("When a contact does this").select_option(label="Gets a tag")
    page.get_by_label("Which tag").fill("tasting")
    page.get_by_label("Points").fill("30")
    page.get_by_role("button", name="Save rule").click()
    page.get_by_text("The rule is saved").wait_for()


def make_flow(page, client: str) -> None:
    """The card of the wizard, "reaches or passes" 100, one mail, live."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name="Contact score", exact=True).click()
    page.get_by_label("Flow name").fill("Hot lead")
    page.locator("[name=points]").fill("100")
    page.locator("#plain").get_by_text(re.compile("reaches or passes 100 points")).first.wait_for()
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "You have {{ event.new }} points", "Up from {{ event.old }}.")
    go_live(page)


def contact_page(page, client: str) -> str:
    """The address of Marta's page."""
    page.goto(f"{client}/contacts")
    page.locator("main table a.name").first.click()
    page.get_by_text("Change the score").wait_for()
    return page.url


def give(page, contact: str, points: str) -> None:
    page.goto(contact)
    page.get_by_text("Change the score").click()
    page.locator("[name=points]").fill(points)
    page.locator("form[action$=score] button").click()
    page.get_by_text("The score is changed").wait_for()


def tag(page, client: str, contact: str) -> None:
    page.goto(f"{contact}/edit")
    page.locator("[name=tags]").fill("tasting")
    page.locator("main form button[type=submit]").last.click()
    page.get_by_text("Change the score").wait_for()
