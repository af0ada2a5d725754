"""Starting points that time, a person or another flow brings about, as people live them: from the wizard to the mail."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from .test_coupon import MARTA, make_contact
from .test_fixed_date import move_the_clock, put_on_newsletter
from .test_story import add, go_live, open_mail, set_up, write_mail, zone_at_noon

pytestmark = pytest.mark.browser

DAYS = 40  # the clock is moved by


def test_on_a_birthday_and_after_silence_the_mails_leave(product, page, run):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_contact(page, client)
    give_birthday(page, client, f"1984-{datetime.now(ZoneInfo(zone_at_noon())) + timedelta(days=DAYS):%m-%d}")
    begin(page, client, "Birthday or other date", "Birthday")
    page.get_by_label("Date field").select_option(label="Birthday")
    page.locator("[name=time]").fill("09:00")
    finish(page, "Happy birthday")
    begin(page, client, "No activity", "Silence")
    page.locator("[name=days]").fill("30")
    page.locator("[name=time]").fill("09:00")
    finish(page, "We miss you")
    move_the_clock(run, program, page, base, DAYS)
    open_mail(page, base, MARTA, "Happy birthday")
    open_mail(page, base, MARTA, "We miss you")


def test_a_person_starts_a_list_and_the_flow_hands_over_to_another(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_contact(page, client)
    put_on_newsletter(page, client)
    begin(page, client, "Another flow", "Second")
    finish(page, "The second flow")
    begin(page, client, "By hand or over the API", "First")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "The first flow", "Hello.")
    add(page, "start_flow")
    page.locator("[name=flow]").select_option(label="Second")
    page.get_by_role("button", name="Save step").click()
    page.get_by_text("Go to the flow Second").first.wait_for()
    go_live(page)
    page.get_by_role("link", name="Start contacts").first.click()
    page.locator("[name=who]").select_option(label="Newsletter")
    page.get_by_role("button", name="Count them first").click()
    page.get_by_text("1 contact enter").or_(page.get_by_text("1 contact enters")).first.wait_for()
    page.get_by_role("button", name="Start them now").click()
    open_mail(page, base, MARTA, "The first flow")
    open_mail(page, base, MARTA, "The second flow")


def give_birthday(page, client: str, day: str) -> None:
    """A field of the client's own, filled in for Marta."""
    page.goto(f"{client}/settings/fields")
    page.get_by_label("Label").fill("Birthday")
    page.get_by_label("Kind").select_option(label="Date")
    page.get_by_role("button", name="Add field").click()
    page.get_by_text("is ready").wait_for()
    page.goto(f"{client}/contacts?q={MARTA}")
    page.locator("main table a").first.click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Birthday").fill(day)
    page.locator("main form button[type=submit]").last.click()
    page.get_by_text("The contact is saved").wait_for()


def begin(page, client: str, card: str, name: str) -> None:
    """The card of the wizard, and the flow's name."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name=card, exact=True).click()
    page.get_by_label("Flow name").fill(name)


def finish(page, subject: str) -> None:
    """One mail, live."""
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, subject, "Hello.")
    go_live(page)
