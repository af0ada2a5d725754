"""The main job as its people live it: set up, make a flow, embed a form, sign up, get mails and a text, read the report."""

from __future__ import annotations

import re
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"  # noqa: S105


def test_from_an_empty_machine_to_a_welcome_series(product, page, foreign_site):
    base, program = product
    set_up(page, program)
    shop = foreign_site("menu.html", "<!doctype html><title>Menu</title><h1>Our menu</h1>")
    make_flow(page, base, shop)
    snippet, frame = make_form(page, base)
    sign_up(page, foreign_site, snippet, "marta@people.example", "Marta", "333 123 4567")
    confirm(page, base, "marta@people.example")
    mail = open_mail(page, base, "marta@people.example", "Welcome, Marta")
    click_in_mail(page, mail)
    sms = text_on_phone(page, base, "+393331234567")
    assert "Hello Marta" in sms
    open_mail(page, base, "marta@people.example", "One minute later")
    check_report(page, base)
    check_contact(page, base)
    sign_up_in_frame(page, base, foreign_site, frame)


def set_up(page, program) -> None:
    line = program.says("/setup?token=", seconds=90)
    page.goto(re.search(r"http\S+", line)[0])
    page.get_by_label("Agency").first.fill("Studio Ponte")
    page.locator("[name=name]").fill("Giulia Rossi")
    page.locator("[name=email]").fill("giulia@ponte.example")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=client]").fill("Caffè Lume")
    choose_or_fill(page.locator("[name=time_zone]"), zone_at_noon())
    choose_or_fill(page.locator("[name=country]"), "IT")
    page.locator("[name=sender]").fill("ciao@caffelume.example")
    page.locator("main form").first.locator("button[type=submit]").click()
    page.wait_for_url("**/c/caffe-lume/start")


def zone_at_noon() -> str:
    """A time zone where it is day now, so that the quiet hours do not hold the SMS."""
    zones = (
        "Europe/Rome",
        "Asia/Tokyo",
        "America/Los_Angeles",
        "Pacific/Auckland",
        "America/Sao_Paulo",
        "Asia/Kolkata",
    )
    return next(zone for zone in zones if 9 <= datetime.now(ZoneInfo(zone)).hour < 20)


def choose_or_fill(field, value: str) -> None:
    if field.evaluate("element => element.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)


def make_flow(page, base: str, shop: str) -> None:
    """Welcome mail at once, one minute, an SMS to those with a number, a second mail."""
    page.goto(f"{base}/c/caffe-lume/flows")
    page.get_by_role("link", name="New flow").first.click()
    page.get_by_role("link", name="List activity").click()
    page.locator("[name=name]").fill("Welcome")
    page.locator("[name=scope][value=list]").check(force=True)
    page.locator("[name=list]").select_option(label="Newsletter")
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "Welcome, {{ contact.first_name | default: 'friend' }}", "Good to have you with us.", shop)
    add(page, "if_else")
    page.get_by_label("Check whether the contact").or_(page.locator("fieldset.cond select")).first.select_option(
        "has_phone"
    )
    page.get_by_role("button", name="Save step").click()
    steps(page)
    add(page, "send_sms", lane="then")
    page.locator("[name=text]").fill("Hello {{ contact.first_name }}, your first coffee is on us. Stop: reply STOP")
    page.get_by_role("button", name="Save SMS").click()
    steps(page)
    add(page, "wait")
    page.locator("[name=for-amount]").fill("1")
    page.locator("[name=for-unit]").select_option("minutes")
    page.get_by_role("button", name="Save step").click()
    steps(page)
    add(page, "send_email")
    write_mail(page, "One minute later", "That was quick.")
    go_live(page)


def steps(page) -> None:
    """Back to the list of steps, wherever we are."""
    flow = re.search(r"(.*/flows/\d+)", page.url)[1]
    page.goto(flow + "/steps")


def add(page, kind: str, lane: str = "") -> None:
    """Add a step at the end of the list, or at the beginning of a lane, through the chooser."""
    if not page.locator(f"button[name=kind][value={kind}]").count():
        gaps = page.locator(f"a[href*='lane={lane}']" if lane else "ol.steps > li:last-child > .gap a.plus, a.plus")
        (gaps.first if lane else gaps.last).click()
    page.locator(f"button[name=kind][value={kind}]").first.click()


def write_mail(page, subject: str, text: str, link: str = "") -> None:
    page.locator("[name=subject]").fill(subject)
    page.locator("button[name=act][value=add-text]").click()
    page.locator("[name=b0-text]").fill(text)
    if link:
        page.locator("button[name=act][value=add-button]").click()
        page.locator("[name=b1-label]").fill("Have a look")
        page.locator("[name=b1-url]").fill(link)
    page.get_by_role("button", name="Save e-mail").click()
    steps(page)


def go_live(page) -> None:
    """From the list of steps through the check."""
    page.get_by_role("link", name="Check and go live").first.click()
    page.get_by_role("button", name=re.compile("^Go live")).click()
    page.get_by_text(re.compile("Live: version 1")).first.wait_for()


def make_form(page, base: str) -> tuple[str, str]:
    """A form with first name and phone; returns its script-free snippet and its iframe."""
    page.goto(f"{base}/c/caffe-lume/forms/new")
    page.locator("[name=name]").fill("Website")
    page.locator("[name=list_id]").select_option(label="Newsletter")
    page.locator("[name=ask-phone]").check()
    page.locator("[name=sms_consent_text]").fill("Yes, text me.")
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url("**/snippet")
    codes = [code.input_value() for code in page.locator("main textarea").all()]
    return next(c for c in codes if "<form" in c), next(c for c in codes if "<iframe" in c)


def sign_up(page, foreign_site, snippet: str, email: str, name: str, phone: str) -> None:
    page.goto(foreign_site("shop.html", f"<!doctype html><title>Shop</title><h1>Shop</h1>{snippet}"))
    page.locator("[name=email]").fill(email)
    page.locator("[name=first_name]").fill(name)
    page.locator("[name=phone]").fill(phone)
    for box in page.locator("input[type=checkbox]").all():
        box.check()
    page.locator("form button, form input[type=submit]").first.click()
    page.wait_for_url(re.compile("/f/"))


def confirm(page, base: str, email: str) -> None:
    frame = open_mail(page, base, email, "onfirm")
    target = frame.locator("a[href*='/o/']").first.get_attribute("href")
    page.goto(target)
    page.locator("main form button").first.click()
    page.wait_for_load_state()


def open_mail(page, base: str, email: str, subject: str):
    """Wait for a mail in the mailbox, open it, return its frame."""
    link = wait_for_link(page, f"{base}/dev/mailbox/?q={email}", subject)
    link.click()
    return page.frame_locator("main iframe").first


def wait_for_link(page, address: str, words: str, seconds: float = 120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        page.goto(address)
        found = page.get_by_role("link", name=re.compile(re.escape(words)))
        if found.count():
            return found.first
        time.sleep(0.5)
    raise AssertionError(f"{words!r} never showed at {address}: {page.locator('main').inner_text()[:500]}")


def click_in_mail(page, frame) -> None:
    """Read for a moment, as a person does, then follow the button to the shop."""
    time.sleep(2)
    page.reload()
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Have a look").click()
    opened.value.get_by_role("heading", name="Our menu").wait_for()
    opened.value.close()


def text_on_phone(page, base: str, number: str) -> str:
    page.goto(f"{base}/dev/phone/")
    wait_for_link(page, f"{base}/dev/phone/", number).click()
    return page.locator("main").inner_text()


def check_report(page, base: str) -> None:
    page.goto(f"{base}/c/caffe-lume/flows/1/report?d=7")
    text = page.locator("main").inner_text()
    assert figure(page, "Entered") == "1", text
    assert figure(page, "Sent") == "3", text
    assert figure(page, "Opened") == "50 %", text
    assert figure(page, "Clicked") != "0 %", text


def figure(page, label: str) -> str:
    tile = page.locator(".kpi", has=page.locator("dt", has_text=re.compile(f"^{label}$")))
    return tile.locator("dd.v").first.inner_text().strip()


def check_contact(page, base: str) -> None:
    page.goto(f"{base}/c/caffe-lume/contacts?q=marta")
    page.get_by_role("link", name=re.compile("Marta")).first.click()
    text = page.locator("main").inner_text()
    for words in ("Welcome", "One minute later", "Newsletter", "+39"):
        assert words in text, (words, text)


def sign_up_in_frame(page, base: str, foreign_site, iframe: str) -> None:
    page.goto(foreign_site("frame.html", f"<!doctype html><title>Frame</title><h1>Frame</h1>{iframe}"))
    form = page.frame_locator("iframe")
    form.locator("[name=email]").fill("luca@people.example")
    form.get_by_role("button").first.click()
    form.get_by_text("luca@people.example").first.wait_for()
    confirm(page, base, "luca@people.example")
