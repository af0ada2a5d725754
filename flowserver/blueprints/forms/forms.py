"""The page that makes a signup form. The rules are in the service; here are labels and widgets only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wtforms
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice

from flowserver.blueprints.console import LOCALES
from flowserver.services.people.forms import Question


class FormForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, "autocomplete": "off"})
    list_id = wtforms.SelectField(_l("People join the list"), validate_choice=False)
    title = wtforms.StringField(_l("Heading"), render_kw={"maxlength": 200})
    intro = wtforms.TextAreaField(_l("Text under the heading"), render_kw={"rows": 2, "maxlength": 600})
    button = wtforms.StringField(_l("Button"), render_kw={"maxlength": 60})
    double_opt_in = wtforms.BooleanField(_l("Send an e-mail to confirm the address"), default=True)
    email_consent_text = wtforms.TextAreaField(_l("Words of the box for e-mails"), render_kw={"rows": 2})
    sms_consent_text = wtforms.TextAreaField(_l("Words of the box for SMS"), render_kw={"rows": 2})
    thanks_title = wtforms.StringField(_l("Heading of the thank-you page"), render_kw={"maxlength": 200})
    thanks_text = wtforms.TextAreaField(_l("Text of the thank-you page"), render_kw={"rows": 2, "maxlength": 600})
    thanks_url = wtforms.StringField(_l("Or send people on to"), render_kw={"maxlength": 500, "inputmode": "url"})
    locale = wtforms.SelectField(_l("Language"), validate_choice=False)
    closed = wtforms.BooleanField(_l("Take no more signups"))

    def prepare(self, lists: Sequence[tuple[int, str]], language: str) -> FormForm:
        """Fill in the choices."""
        self.list_id.choices = [
            SelectChoice("", _("Choose a list") if lists else _("There is no list yet")),
            *(SelectChoice(str(number), name) for number, name in lists),
        ]
        own = _("As the client's: %(language)s", language=LOCALES.get(language, language))
        self.locale.choices = [SelectChoice("", own), *(SelectChoice(code, name) for code, name in LOCALES.items())]
        return self


def asked(posted: Mapping[str, str], available: Sequence[Question]) -> list[dict[str, Any]]:
    """The questions that were ticked, in the order of the page."""
    return [
        {
            "key": question.key,
            "label": posted.get(f"label-{question.key}", ""),
            "required": bool(posted.get(f"required-{question.key}")),
        }
        for question in available
        if posted.get(f"ask-{question.key}")
    ]
