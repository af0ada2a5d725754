"""A signup form as WTForms: one input per question. The rules are the service's; here are widgets only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import wtforms
from flask_babel import gettext as _
from wtforms import SelectChoice

from flowserver.services.people.forms import Question

TRAP = "your-website"  # a hyphen, so that no custom field is ever called that
NAMES = ("first_name", "last_name")
CONSENTS = {"email": "consent-email", "sms": "consent-sms"}
STAMP = "opened-at"
VISITOR = "fs-visitor"  # written in by the script of a tracked site
_FILL = {"first_name": "given-name", "last_name": "family-name", "phone": "tel"}


def make(questions: Sequence[Question], email_words: str, sms_words: str) -> type[wtforms.Form]:
    """The form class of these questions, the e-mail address after the names."""
    # WTForms shows fields in the order they were made in, whatever the class says
    names: dict[str, Any] = {one.key: _field(one) for one in questions if one.key in NAMES}
    email = wtforms.EmailField(_("E-mail"), render_kw={"autocomplete": "email", "required": True, "maxlength": 254})
    fields = {one.key: _field(one) for one in questions if one.key not in NAMES}
    consents = {}
    if email_words:
        consents[CONSENTS["email"]] = wtforms.BooleanField(email_words)
    if sms_words:
        consents[CONSENTS["sms"]] = wtforms.BooleanField(sms_words)
    members: dict[str, Any] = {**names, "email": email, **fields, **consents}
    return type("SignupForm", (wtforms.Form,), members)


def _field(question: Question) -> wtforms.Field:
    attributes = {"required": True} if question.required else {}
    label = question.label
    if question.type == "choice":
        options = [SelectChoice("", _("Choose")), *(SelectChoice(choice, choice) for choice in question.choices)]
        return wtforms.SelectField(label, choices=options, validate_choice=False, render_kw=attributes)
    if question.type == "yes_no":
        options = [SelectChoice("", _("Choose")), SelectChoice("yes", _("Yes")), SelectChoice("no", _("No"))]
        return wtforms.SelectField(label, choices=options, validate_choice=False, render_kw=attributes)
    if question.type == "tel":
        return wtforms.TelField(label, render_kw={**attributes, "autocomplete": "tel", "maxlength": 40})
    if question.type == "date":  # text, not a date picker: typed values must survive an error
        return wtforms.StringField(label, render_kw={**attributes, "placeholder": "2026-12-31", "maxlength": 40})
    if question.type == "number":
        return wtforms.StringField(label, render_kw={**attributes, "inputmode": "decimal", "maxlength": 40})
    fill = {"autocomplete": _FILL[question.key]} if question.key in _FILL else {}
    return wtforms.StringField(label, render_kw={**attributes, **fill, "maxlength": 500})
