"""Choices of places for forms: countries and time zones, named in the reader's language."""

from __future__ import annotations

from flask_babel import get_locale
from flask_babel import gettext as _
from wtforms import SelectChoice

from flowserver.domain import people
from flowserver.services.accounts import accounts


def countries() -> list[SelectChoice]:
    """All countries by name, after an empty first choice."""
    names = get_locale().territories
    found = sorted((names.get(code, code), code) for code in people.countries() if code in names)
    return [SelectChoice("", _("Choose a country")), *(SelectChoice(code, name) for name, code in found)]


def time_zones(present: str = "") -> list[SelectChoice]:
    """The time zones, grouped by continent, after an empty first choice. ``present`` is among them under its own name."""
    found = [SelectChoice("", _("Choose a time zone"), optgroup="")]
    for name in dict.fromkeys([*accounts.offered_time_zones(), *([present] if present else [])]):
        region, slash, place = name.partition("/")
        found.append(SelectChoice(name, (place if slash else name).replace("_", " "), optgroup=region if slash else ""))
    return sorted(found, key=lambda choice: (choice.optgroup or "", choice.value != ""))
