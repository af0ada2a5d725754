"""Loyalty as its people live it: a programme, a flow, a card scanned at the till, and the mail about the points leaves."""

from __future__ import annotations

import re

import pytest

from .test_story import add, go_live, open_mail, set_up, write_mail

pytestmark = pytest.mark.browser

MARTA = "marta@people.example"


def test_a_scan_at_the_till_sends_the_mail_about_the_points(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_programme(page, client)
    make_flow(page, client)
    number = make_card(page, client)
    agree(page)
    scan(page, client, number)
    mail = open_mail(page, base, MARTA, "12 points for you, 17 in all")
    assert "Lume Club" in mail.locator("body").inner_text()
    hand_out(page, client, number)
    see_as_customer(page, client, number)


def make_programme(page, client: str) -> None:
    """One point a euro, five as a welcome, a coffee for ten."""
    page.goto(f"{client}/loyalty/new")
    page.get_by_label("Name").fill("Lume Club")
    page.get_by_label("Welcome points").fill("5")
    page.get_by_role("button", name="Save programme").click()
    page.get_by_role("link", name="New reward").click()
    page.get_by_label("What it is").fill("A coffee")
    page.locator("[name=points]").fill("10")
    page.get_by_label("Take the points off").check()
    page.get_by_role("button", name="Save reward").click()
    page.get_by_text("By itself at 10 points, takes the points off").wait_for()


def make_flow(page, client: str) -> None:
    """The card of the wizard, its questions, one mail, live."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name="Loyalty card", exact=True).click()
    page.get_by_label("Flow name").fill("Points")
    page.get_by_label("Loyalty programme").select_option(label="Lume Club")
    page.locator("#plain").get_by_text(re.compile("gets points on the loyalty card")).first.wait_for()
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    subject = "{{ event.points }} points for you, {{ event.balance }} in all"
    write_mail(page, subject, "Your card of {{ event.programme }}", "{{ event.card_url }}")
    go_live(page)


def make_card(page, client: str) -> str:
    """A card for somebody nobody knows yet; its number."""
    page.goto(f"{client}/loyalty/cards/new")
    page.get_by_label("E-mail address or mobile number").fill(MARTA)
    page.get_by_role("button", name="Make card").click()
    page.get_by_text("The card is made.").wait_for()
    return re.sub(r"\D", "", page.locator("h1").inner_text())


def agree(page) -> None:
    """Note on the contact's page that it agreed to mails."""
    page.get_by_role("link", name=MARTA).click()
    page.get_by_text("Note a change").click()
    page.locator("[name=channel]").select_option("email")
    page.locator("[name=state]").select_option("given")
    page.locator("[name=words]").fill("Signed card at the till")
    page.locator("form[action$=consent] button").click()
    page.get_by_text("The consent is noted").wait_for()


def scan(page, client: str, number: str) -> None:
    """A scanner types the number and presses Enter; then the amount, then the next card may come."""
    page.goto(f"{client}/till")
    page.locator("input:focus").wait_for()  # a slow page has not set the cursor yet
    page.keyboard.type(number)
    page.keyboard.press("Enter")
    page.wait_for_url("**/till/cards/*")
    page.locator("input:focus").wait_for()
    page.keyboard.type("12.90")  # the cursor stands there
    page.get_by_label("Receipt number").fill("R-1")
    page.get_by_role("button", name="Add amount").click()
    page.get_by_text("12 points added. The card has 17 now.").wait_for()
    clean(page)


def hand_out(page, client: str, number: str) -> None:
    """The reward of ten points, which the card earned by itself."""
    page.goto(f"{client}/till")
    page.locator("input:focus").wait_for()  # a slow page has not set the cursor yet
    page.keyboard.type(number)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Hand out").click()
    page.locator(".flash").get_by_text("Collected: A coffee").wait_for()
    assert page.locator(".balance").inner_text() == "7"


def see_as_customer(page, client: str, number: str) -> None:
    """The card's own page, without a script."""
    page.goto(f"{client}/loyalty/cards?q={number}")
    page.get_by_role("link", name=re.compile(r"^\d{4} ")).click()
    clean(page)
    page.get_by_role("link", name="The customer’s page").click()
    page.get_by_role("heading", name="Lume Club").wait_for()
    assert page.locator(".balance").inner_text() == "7" and page.locator("script").count() == 0
    page.locator("img.code").evaluate("image => image.decode()")  # fails when the picture never comes
    clean(page)


def clean(page) -> None:
    """Readable by everybody."""
    from axe_playwright_python.sync_playwright import Axe

    assert [
        (one["id"], [node["html"] for node in one["nodes"]]) for one in Axe().run(page).response["violations"]
    ] == []
