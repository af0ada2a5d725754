"""A fixed date as its people live it: the wizard, the day that comes, the mail that leaves, the flow that is completed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from tests.runtime.conftest import wait_for

from .test_coupon import MARTA, make_contact
from .test_story import open_mail, set_up, write_mail, zone_at_noon

pytestmark = pytest.mark.browser


def test_on_the_day_everyone_on_the_list_gets_the_mail(product, page):
    base, program = product
    client = f"{base}/c/caffe-lume"
    set_up(page, program)
    make_contact(page, client)
    put_on_newsletter(page, client)
    make_flow(page, client)
    page.goto(f"{client}/flows")
    assert "Starts" in page.locator("table").inner_text()
    bring_the_day(program)
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


def bring_the_day(program) -> None:
    """Nobody wants to wait two days: the date in the database becomes the minute before this one."""
    now = datetime.now(UTC)
    local = (now - timedelta(minutes=1)).astimezone(ZoneInfo(zone_at_noon()))
    engine = engine_of(program)
    with engine.begin() as connection:
        found = connection.execute(sa.text("SELECT definition FROM flow_version")).scalar_one()
        definition = json.loads(found) if isinstance(found, str) else found
        definition["trigger"] |= {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}
        wanted = "CAST(:text AS jsonb)" if engine.dialect.name == "postgresql" else ":text"
        connection.execute(sa.text(f"UPDATE flow_version SET definition = {wanted}"), {"text": json.dumps(definition)})
        moment_has_come(connection, now)
        past = as_kept(connection, now - timedelta(days=1))  # they have been on the list for long
        connection.execute(sa.text("UPDATE membership SET joined_at = :past"), {"past": past})
    engine.dispose()


def engine_of(program) -> sa.Engine:
    """The database of the running product."""
    return sa.create_engine(
        program.env.get("DATABASE_URL") or f"sqlite:///{program.env['FLOWSERVER_DATA']}/flowserver.db"
    )


def as_kept(connection, moment: datetime) -> str:
    """An instant as the database keeps it."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}" if connection.dialect.name == "sqlite" else f"{moment:%Y-%m-%d %H:%M:%S+00}"


def moment_has_come(connection, now: datetime) -> None:
    """Every flow that time starts is due since a minute, and was last looked at an hour ago."""
    times = {
        "at": as_kept(connection, now - timedelta(minutes=1)),
        "since": as_kept(connection, now - timedelta(hours=1)),
    }
    due = "UPDATE flow SET starts_at = :at, starts_since = :since WHERE starts_at IS NOT NULL"
    connection.execute(sa.text(due), times)


def completed(page, client: str) -> bool:
    page.goto(f"{client}/flows")
    return "Completed" in page.locator("table").inner_text()
