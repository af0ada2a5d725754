"""A fixed date as its people live it: the wizard, the day that comes, the mail that leaves, the flow that is completed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.runtime.conftest import wait_for

from .test_coupon import MARTA, make_contact
from .test_story import PASSWORD, open_mail, set_up, write_mail, zone_at_noon

pytestmark = pytest.mark.browser


def test_on_the_day_everyone_on_the_list_gets_the_mail(product, page, run):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_contact(page, client)
    put_on_newsletter(page, client)
    make_flow(page, client)
    page.goto(f"{client}/flows")
    assert "Starts" in page.locator("table").inner_text()
    move_the_clock(run, program, page, base)
    mail = open_mail(page, base, MARTA, "The boxes are here")
    assert "Have a look at the boxes" in mail.locator("body").inner_text()
    page.goto(f"{client}/flows/1/begin")
    text = page.locator("main").inner_text()
    assert "Everybody on Newsletter" in text and "1 contact entered" in text
    wait_for(lambda: completed(page, client), 30, "the flow to be completed")


def put_on_newsletter(page, client: str) -> None:
    page.goto(f"{client}/contacts?q={MARTA}")
    page.locator("main table a").first.click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Newsletter").check()
    page.locator("main form button[type=submit]").last.click()
    page.get_by_text("The contact is saved").wait_for()


def make_flow(page, client: str) -> None:
    """The card of the wizard, a date that has passed is refused, one in two days is taken; one mail, live."""
    page.goto(f"{client}/flows/new")
    page.get_by_role("link", name="Fixed date", exact=True).click()
    page.get_by_label("Flow name").fill("Christmas boxes")
    today = datetime.now(ZoneInfo(zone_at_noon()))
    page.locator("[name=date]").fill(f"{today - timedelta(days=1):%Y-%m-%d}")
    page.locator("[name=time]").fill("09:00")
    page.locator("[name=who]").select_option(label="Newsletter")
    page.get_by_role("button", name="Create flow and add steps").click()
    page.get_by_role("link", name="The date must be in the future").wait_for()
    page.locator("[name=date]").fill(f"{today + timedelta(days=2):%Y-%m-%d}")
    assert "send everyone on Newsletter" in page.locator("#plain").inner_text()
    page.get_by_role("button", name="Create flow and add steps").click()
    page.locator("button[name=kind][value=send_email]").first.click()
    write_mail(page, "The boxes are here", "Have a look at the boxes.")
    page.get_by_role("link", name="Check and go live").first.click()
    page.get_by_role("button", name="Go live").click()
    page.get_by_text("Live: version 1").first.wait_for()


def move_the_clock(run, program, page, base: str, days: int = 2) -> None:
    """Nobody wants to wait days: the product starts anew with its clock at two seconds before nine on that day."""
    today = datetime.now(ZoneInfo(zone_at_noon()))
    moment = (today + timedelta(days=days)).replace(hour=9, minute=0, second=0, microsecond=0)
    program.stop()
    kept = {name: value for name, value in program.env.items() if name != "FLOWSERVER_DATA"}
    ahead = moment - timedelta(seconds=2) - datetime.now(UTC)
    again = run(
        *("up", "--port", base.rpartition(":")[2]),
        data=Path(program.env["FLOWSERVER_DATA"]),
        **kept,
        FLOWSERVER_CLOCK_AHEAD=str(int(ahead.total_seconds())),
    )
    again.says("flowserver runs at", seconds=90)
    page.goto(f"{base}/login")
    if page.locator("[name=password]").count():
        page.locator("[name=email]").fill("giulia@ponte.example")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button[type=submit]").first.click()
        page.wait_for_url(lambda url: "/login" not in url)


def completed(page, client: str) -> bool:
    page.goto(f"{client}/flows")
    return "Completed" in page.locator("table").inner_text()
