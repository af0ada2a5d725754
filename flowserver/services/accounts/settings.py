"""What a client's settings pages change: name, sender, quiet hours, limits, brand; and the agency's own."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from flowserver import clock, jobqueue
from flowserver.domain import people, sending
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Agency, User, Workspace
from flowserver.services.accounts import accounts, brand, clients
from flowserver.services.messages import campaign_runs
from flowserver.services.operations.checked import checked
from flowserver.text import N_, Text

log = structlog.get_logger()

MOST_A_DAY = 1000  # of messages to one contact: a limit above it limits nothing


def save_agency(by: User, *, name: str, time_zone: str) -> Agency:
    """Change the agency's name and the time zone of pages that belong to no client. Raises :class:`Invalid` by field."""
    values = checked(name=lambda: _filled(name), time_zone=lambda: accounts.time_zone(time_zone))
    agency = accounts.agency()
    assert agency is not None
    agency.name = values["name"]
    agency.settings = {**agency.settings, "time_zone": values["time_zone"]}
    db.session.commit()
    log.info("agency.changed", by=by.id)
    return agency


def _filled(name: str) -> str:
    found = people.name(name)
    if not found:
        raise Invalid(N_("Enter a name"))
    return found


def save_general(
    workspace: Workspace,
    *,
    name: str,
    time_zone: str,
    country: str,
    locale: str,
    postal_address: str,
    brand_color: str,
    notify_email: str,
    count_machine_opens: bool,
) -> None:
    """Change what the client is and how its pages look. Raises :class:`Invalid` by field."""
    values = checked(
        name=lambda: clients.free_name(name, but=workspace.id),
        time_zone=lambda: accounts.time_zone(time_zone),
        country=lambda: clients.country_code(country),
        locale=lambda: accounts.one_of(locale, accounts.LOCALES),
        postal_address=lambda: people.line(postal_address, 300),
        brand_color=lambda: color(brand_color),
        notify_email=lambda: people.email(notify_email) if notify_email.strip() else "",
    )
    if bool(count_machine_opens) != workspace.count_machine_opens:  # then stored opens count differently
        jobqueue.wake_after_commit(db.session, "judge", workspace.id)
    _change(workspace, {**values, "count_machine_opens": bool(count_machine_opens)})


def save_sending(
    workspace: Workspace,
    *,
    sender_name: str,
    sender_email: str,
    sms_sender: str,
    quiet_from: str,
    quiet_until: str,
    cap_day: str | int | None,
    cap_week: str | int | None,
) -> None:
    """Change the sender, the hours without SMS and the limit of marketing messages. Raises :class:`Invalid` by field."""
    values = checked(
        sender_name=lambda: _sender_name(sender_name),
        sender_email=lambda: people.email(sender_email),
        sms_sender=lambda: sms_name(sms_sender),
        quiet_from=lambda: wall_time(quiet_from),
        quiet_until=lambda: wall_time(quiet_until),
        cap_day=lambda: cap(cap_day),
        cap_week=lambda: cap(cap_week),
    )
    if values["cap_day"] and values["cap_week"] and values["cap_week"] < values["cap_day"]:
        raise Invalid({"cap_week": [N_("The limit for a week cannot be below the limit for a day")]})
    _change(workspace, values)


def _change(workspace: Workspace, values: dict[str, Any]) -> None:
    """Set columns of a client and commit; what waits for the end of its quiet hours follows them."""
    now = clock.now()
    before = _quiet_until(workspace, now)
    for name, value in values.items():
        setattr(workspace, name, value)
    campaign_runs.quiet_hours_changed(workspace.id, before, _quiet_until(workspace, now) or now)
    db.session.commit()
    log.info("client.changed", workspace=workspace.id)


def _quiet_until(workspace: Workspace, now: datetime) -> datetime | None:
    return sending.quiet_until(now, ZoneInfo(workspace.time_zone), workspace.quiet_from, workspace.quiet_until)


# --- single answers ------------------------------------------------------------------------------------


def _sender_name(name: str) -> str:
    found = people.name(name)
    if not found:
        raise Invalid(N_("Enter the name contacts see as the sender"))
    if any(char in found for char in '"\\,;:@'):
        raise Invalid(N_("Write the sender name without quotes, commas, colons and @"))
    return found


def sms_name(name: str) -> str:
    """The sender of texts: up to 11 letters, digits and spaces with at least one letter, or a number of up to 15 digits."""
    found = people.clean(name)
    if re.fullmatch(r"\+?[0-9]{3,15}", found):
        return found
    if len(found) > 11:
        raise Invalid(Text("Use at most %(most)s characters for the SMS sender", most=11))
    if found and not (re.fullmatch(r"[A-Za-z0-9 .&-]+", found) and re.search("[A-Za-z]", found)):
        raise Invalid(N_("Use letters from A to Z, digits and spaces, with at least one letter"))
    return found


def wall_time(text: str) -> str:
    """``9:00`` → ``09:00``. Raises :class:`Invalid` for what no clock shows."""
    found = re.fullmatch(r"(\d{1,2})[:.](\d{2})(?::\d{2})?", text.strip())
    try:
        return time(int(found[1]), int(found[2])).strftime("%H:%M") if found else _no_time()
    except ValueError:
        return _no_time()


def _no_time() -> str:
    raise Invalid(N_("Enter a time like 21:00"))


def cap(raw: str | int | None) -> int | None:
    """A limit of messages, from 1; empty means none."""
    text = str(raw if raw is not None else "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_A_DAY:
        raise Invalid(Text("Enter a whole number from 1 to %(most)s, or leave it empty for no limit", most=MOST_A_DAY))
    return int(text)


def color(raw: str) -> str:
    """``#0b6478``. Refused when neither white nor black text can be read on it (contrast below 4.5:1)."""
    found = raw.strip().lower()
    found = "#" + "".join(2 * char for char in found[1:]) if re.fullmatch(r"#[0-9a-f]{3}", found) else found
    if not re.fullmatch(r"#[0-9a-f]{6}", found):
        raise Invalid(N_("Enter a colour like #0b6478"))
    if brand.contrast(found, brand.ink_on(found)) < brand.LEAST:
        raise Invalid(N_("Text cannot be read on this colour. Choose a darker or a lighter one"))
    return found
