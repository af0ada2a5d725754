"""A field as its people live it: a flow waits for a value, somebody writes it on the contact's page, the mail leaves."""

from __future__ import annotations

import re

import pytest

from .test_coupon import MARTA, make_contact
from .test_story import add, go_live, open_mail, set_up, write_mail

pytestmark = pytest.mark.browser


def test_a_contact_that_gets_the_value_gets_the_mail(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_field(page, client)
    make_flow(page, client)
    make_contact(page, client)
    page.goto(f"{client}/contacts")
    page.locator("main table a.name").first.click()
    page.get_by_role("link", name="Edit").first.click()
    page.get_by_label("Favourite roast").select_option("Dark")
    page.locator("main form button[type=submit]").last.click()
    mail = open_mail(page, base, MARTA, "Dark it is")
    assert "Dark" in mail.locator("body").inner_text()


def make_field(page, client: str) -> None:
    page.goto(f"{client}/settings/fields")
    page.get_by_label("Label").fill("Favourite roast")
    page.get_by_label("Kind").select_option(label="One of several choices")
    page.get_by_label("Choices").fill("Light\nDark")
    page.get_by_role("button", name="Add field").click()
    page.get_by_text("is ready").wait_for()


def make_flow(page, client: str) -> None:
    """The card of the wizard; the value is asked for as the field needs it; one mail, live."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name="Field value", exact=True).click()
    page.get_by_label("Flow name").fill("Dark roast")
    with page.expect_navigation():
        page.locator("[name=field]").select_option(label="Favourite roast")
    assert page.get_by_label("Flow name").input_value() == "Dark roast"
    page.locator("select[name=value]").select_option("Dark")
    page.locator("#plain").get_by_text(re.compile("becomes Dark")).first.wait_for()
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "{{ contact.favourite_roast }} it is", "We roast {{ contact.favourite_roast }} beans for you.")
    go_live(page)
