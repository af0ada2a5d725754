"""A coupon as its people live it: made, given to a contact, used at the till; then the thank-you mail leaves."""

from __future__ import annotations

import re

import pytest

from .test_story import add, go_live, open_mail, set_up, write_mail

pytestmark = pytest.mark.browser

MARTA = "marta@people.example"


def test_a_coupon_used_at_the_till_sends_the_thank_you_mail(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_campaign(page, client)
    make_flow(page, client)
    make_contact(page, client)
    code = give(page, client)
    use(page, client, code)
    mail = open_mail(page, base, MARTA, f"Thanks for {code}")
    assert "15 %" in mail.locator("body").inner_text()
    page.goto(f"{client}/till/coupons?code={code}")
    page.get_by_text("This code is used up").wait_for()


def make_campaign(page, client: str) -> None:
    page.goto(f"{client}/coupons/new")
    page.get_by_label("Name").fill("Spring beans")
    page.get_by_label("What a coupon is worth").fill("15 %")
    page.get_by_label("Codes begin with").fill("SPRING-")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Spring beans").wait_for()


def make_flow(page, client: str) -> None:
    """The card of the wizard, its questions, one mail, live."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name="Coupon", exact=True).and_(page.locator("main a")).click()
    page.get_by_label("Flow name").fill("Coupon used")
    page.get_by_label("Coupon campaign").select_option(label="Spring beans")
    page.locator("#plain").get_by_text(re.compile("uses a coupon of")).first.wait_for()
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "Thanks for {{ event.code }}", "Your {{ event.value }} is taken off.")
    go_live(page)


def make_contact(page, client: str) -> None:
    """Somebody who agreed to get mails."""
    page.goto(f"{client}/contacts/new")
    page.locator("[name=email]").fill(MARTA)
    page.locator("main form button[type=submit]").last.click()
    page.get_by_text("Note a change").click()
    page.locator("[name=channel]").select_option("email")
    page.locator("[name=state]").select_option("given")
    page.locator("[name=words]").fill("Signed card at the till")
    page.locator("form[action$=consent] button").click()
    page.get_by_text("The consent is noted").wait_for()


def give(page, client: str) -> str:
    """Give Marta a coupon; her code."""
    page.goto(f"{client}/coupons")
    page.get_by_role("link", name="Spring beans").click()
    page.get_by_role("link", name="Give to contacts").click()
    page.get_by_label("E-mail address or mobile number").fill(MARTA)
    page.get_by_role("button", name="Give out").click()
    told = page.get_by_text(re.compile("has the code")).inner_text()
    return re.search(r"SPRING-\w+", told)[0]


def use(page, client: str, code: str) -> None:
    """At the till: type the code, see that it can be used, use it."""
    page.goto(f"{client}/till/coupons")
    page.get_by_label("Code").fill(code.lower())
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("Can be used").wait_for()
    page.get_by_label("Amount of the purchase").fill("24,50")
    page.get_by_label("Receipt number").fill("R-1")
    page.get_by_label("Place").fill("Via Po")
    page.get_by_role("button", name="Use this coupon").click()
    page.get_by_text(re.compile(f"{code} is used")).wait_for()
