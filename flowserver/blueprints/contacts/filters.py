"""How templates show what is known about contacts: numbers, values of fields, where somebody came from, days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from babel import Locale, UnknownLocaleError, dates
from flask import Flask, url_for
from flask_babel import get_locale
from flask_babel import gettext as _

from flowserver.blueprints import console
from flowserver.blueprints.say import say
from flowserver.domain.people import show_phone
from flowserver.services.people import timeline


@dataclass(frozen=True)
class Day:
    """The lines of one day on the client's clock."""

    day: date
    entries: list[Any]


def init_app(app: Flask) -> None:
    """Give the filters to all templates."""
    app.jinja_env.filters.update(
        phone=show_phone,
        value=value,
        language=language,
        source=source,
        groupby_day=groupby_day,
        short=short,
        leads_to=leads_to,
    )


_PAGES = {  # what a line of the history leads to: its page, and the name of the id there
    "flow": ("flows.show", "flow_id"),
    "campaign": ("campaigns.show", "campaign_id"),
    "list": ("lists.show", "list_id"),
    "form": ("forms.edit", "form_id"),
}


def leads_to(link: tuple[str, int] | None) -> str:
    """The address of what a line of the history is about; empty where it is about nothing with a page."""
    if link is None:
        return ""
    endpoint, name = _PAGES[link[0]]
    page: Mapping[str, Any] = {name: link[1]}
    return url_for(endpoint, **page)


def value(raw: Any, type_: str) -> str:
    """A custom field's value in words."""
    if raw is None:
        return "–"
    if type_ == "yes_no":
        return _("Yes") if raw else _("No")
    if type_ == "number":
        return console.number(raw)
    if type_ == "date":
        return _day(str(raw))
    return str(raw)


def _day(text: str) -> str:
    try:
        return console.day(date.fromisoformat(text))
    except ValueError:
        return text


def short(moment: datetime | None) -> str:
    """``22 Nov 2026`` on the client's clock: a day where there is little room."""
    return dates.format_date(console.local(moment), "d MMM y", locale=get_locale()) if moment else "–"


def language(code: str) -> str:
    """A language code as the reader's word for it."""
    try:
        name = Locale.parse(code, sep="-" if "-" in code else "_").get_display_name(get_locale())
    except (UnknownLocaleError, ValueError):
        name = None
    return name or code


def source(text: str) -> str:
    """Where somebody or something came from, in words."""
    return str(say(timeline.source(text)))


def groupby_day(entries: Iterable[Any]) -> list[Day]:
    """Lines of a history in groups of one local day."""

    def local_day(entry: Any) -> date:
        at: datetime = entry.at
        return console.local(at).date()

    return [Day(day, list(group)) for day, group in groupby(entries, local_day)]
