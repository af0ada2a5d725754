"""The form that makes a key of the API, and the words for what a key may do. Clients' keys and the agency's share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import wtforms
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice, SelectMultipleField, StringField
from wtforms.widgets import CheckboxInput, ListWidget

from flowserver.blueprints.say import say
from flowserver.domain import scopes

_PARTS = [SelectChoice(one, one) for one in scopes.SCOPES if ":" in one]


class KeyForm(wtforms.Form):
    name = StringField(_l("Name"))
    scopes = SelectMultipleField(
        _l("What it may do"),
        default=["read", "write"],
        validate_choice=False,
        choices=[SelectChoice("read", _l("Read")), SelectChoice("write", _l("Write"))],
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    parts = SelectMultipleField(_l("Only some parts"), validate_choice=False, choices=_PARTS)

    def wanted(self) -> list[str]:
        """The scopes that were ticked. Parts beside both of the boxes for everything, which come ticked, mean these parts."""
        whole, some = list(self.scopes.data or []), list(self.parts.data or [])
        return some if some and set(whole) == set(scopes.VERBS) else [*whole, *some]


def parts() -> list[tuple[str, str]]:
    """``[(part, its name)]`` of the API, in words."""
    return [(part, str(say(words))) for part, words in scopes.PARTS.items()]


def said(given: Iterable[str]) -> list[str]:
    """What a key may do, in words."""
    have = set(given)
    found = [_verbs(have, "")] if have & set(scopes.VERBS) else []
    for part, words in parts():
        verbs = _verbs(have, part + ":")
        if verbs:
            found.append(_("%(part)s: %(verbs)s", part=words, verbs=verbs[:1].lower() + verbs[1:]))
    return found


def _verbs(have: set[str], before: str) -> str:
    reads, writes = before + "read" in have, before + "write" in have
    if reads and writes:
        return _("Reads and writes")
    return _("Reads") if reads else _("Writes") if writes else ""


def shown() -> dict[str, Any]:
    """What the templates of ``macros/keys.html`` need."""
    return {"parts": parts(), "said": said}
