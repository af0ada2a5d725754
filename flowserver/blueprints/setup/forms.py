"""The questions of the first run; the rules are in ``services/accounts/setup.py``."""

from __future__ import annotations

import wtforms
from flask_babel import lazy_gettext as _l
from wtforms import EmailField, PasswordField, SelectField, StringField


class FirstRunForm(wtforms.Form):
    agency = StringField(_l("Agency"), render_kw={"autocomplete": "organization"})
    name = StringField(_l("Your name"), render_kw={"autocomplete": "name"})
    email = EmailField(_l("Your e-mail address"), render_kw={"autocomplete": "username"})
    password = PasswordField(_l("Password"), render_kw={"autocomplete": "new-password"})
    client = StringField(_l("Client"))
    time_zone = SelectField(_l("Time zone"), validate_choice=False, render_kw={"data-zone": True})
    country = SelectField(_l("Country"), validate_choice=False)
    sender_name = StringField(_l("Sender name"))
    sender = EmailField(_l("Sender address"))
