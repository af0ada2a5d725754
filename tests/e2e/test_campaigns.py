"""Campaigns as their people live them: an SMS that the network could not deliver, a newsletter whose link is clicked."""

from __future__ import annotations

import re
import time

import pytest

from .test_purchase import make_key, post
from .test_story import add, click_in_mail, open_mail, set_up, wait_for_link, write_mail

pytestmark = pytest.mark.browser

LUCA, MARTA = "luca@people.example", "marta@people.example"


def test_what_becomes_of_a_campaign_starts_flows(product, page, foreign_site):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    shop = foreign_site("menu.html", "<!doctype html><title>Menu</title><h1>Our menu</h1>")
    key = make_key(page, base)
    both = {"email": "given", "sms": "given"}
    lists = {"lists": ["Newsletter"], "consent": both}
    post(base, key, {"email": LUCA, "phone": "+393331234599", **lists}, "contacts")  # the pretend phone fails these
    post(base, key, {"email": MARTA, "phone": "+393331234567", **lists}, "contacts")
    make_campaign(page, client, "sms", "Spring news")
    page.locator("[name=text]").fill("Spring beans are here")
    page.get_by_role("button", name="Save SMS").click()
    send(page)
    make_campaign(page, client, "email", "May letter")
    write_letter(page, shop)
    send(page)
    make_flow(page, client, "SMS activity", "Spring news", "not_delivered", "By mail instead")
    open_mail(page, base, LUCA, "By mail instead")
    make_flow(page, client, "E-mail activity", "May letter", "clicked", "Thanks for reading")
    frame = open_mail(page, base, MARTA, "News in May")
    click_in_mail(page, frame)
    wait_for_link(page, f"{base}/dev/mailbox/?q={MARTA}", "Thanks for reading")
    page.goto(f"{base}/dev/mailbox/?q={MARTA}")
    assert page.get_by_role("link", name=re.compile("By mail instead")).count() == 0
    check_report(page, client)


def make_campaign(page, client: str, channel: str, name: str) -> None:
    """Channel and name, then everybody on the list."""
    page.goto(f"{client}/campaigns")
    page.get_by_role("link", name="New campaign").first.click()
    page.locator(f"[name=channel][value={channel}]").check(force=True)
    page.get_by_label("Campaign name").fill(name)
    page.get_by_role("button", name="Create campaign").click()
    page.locator("[name=list]").select_option(label="Newsletter")
    page.get_by_role("button", name="Save and write the message").click()


def write_letter(page, shop: str) -> None:
    page.locator("[name=subject]").fill("News in May")
    page.locator("button[name=act][value=add-text]").click()
    page.locator("[name=b0-text]").fill("We have new beans.")
    page.locator("button[name=act][value=add-button]").click()
    page.locator("[name=b1-label]").fill("Have a look")
    page.locator("[name=b1-url]").fill(shop)
    page.get_by_role("button", name="Save e-mail").click()


def send(page) -> None:
    """See what will happen, and let it."""
    page.get_by_text("2 contacts").first.wait_for()
    page.get_by_role("button", name="Send campaign").click()
    page.get_by_text("The campaign is on its way").wait_for()


def make_flow(page, client: str, card: str, campaign: str, event: str, subject: str) -> None:
    """The card of the wizard, its questions, one mail, live."""
    page.goto(f"{client}/flows/new")
    page.locator("main").get_by_role("link", name=card, exact=True).click()
    page.get_by_label("Flow name").fill(card)
    page.locator("[name=campaign]").select_option(label=campaign)
    page.locator(f"[name=event][value={event}]").check(force=True)
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, subject, "Good to hear from you.")
    page.get_by_role("link", name="Check and go live").first.click()
    page.get_by_role("button", name=re.compile("^Go live")).click()
    page.get_by_text(re.compile("Live")).first.wait_for()


def check_report(page, client: str) -> None:
    """The newsletter's own report says the same, person by person."""
    page.goto(f"{client}/campaigns")
    page.get_by_role("link", name="May letter").first.click()
    until = time.monotonic() + 20
    while "Being sent" in page.locator("main .page-head").inner_text() and time.monotonic() < until:
        page.reload()
    assert "50 %" in page.locator(".kpi", has=page.locator("dt", has_text=re.compile("^Clicked$"))).inner_text()
    page.get_by_role("link", name="Recipients", exact=True).click()
    assert "Clicked" in page.get_by_role("row", name=re.compile(MARTA)).inner_text()
