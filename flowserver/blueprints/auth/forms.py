"""What the pages of the door ask. The rules are in ``services/accounts/accounts.py`` and ``services/accounts/team.py``."""

from __future__ import annotations

import wtforms
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, EmailField, PasswordField, SelectChoice, SelectField, StringField


class LoginForm(wtforms.Form):
    email = EmailField(_l("E-mail address"), render_kw={"autocomplete": "username", "autofocus": True})
    password = PasswordField(_l("Password"), render_kw={"autocomplete": "current-password"})
    stay = BooleanField(_l("Stay logged in on this device for 14 days"))


class ForgottenForm(wtforms.Form):
    email = EmailField(_l("E-mail address"), render_kw={"autocomplete": "username"})


class NewPasswordForm(wtforms.Form):
    password = PasswordField(_l("New password"), render_kw={"autocomplete": "new-password"})


class JoinForm(wtforms.Form):
    name = StringField(_l("Your name"), render_kw={"autocomplete": "name"})
    password = PasswordField(_l("Password"), render_kw={"autocomplete": "new-password"})


class ProfileForm(wtforms.Form):
    name = StringField(_l("Name"), render_kw={"autocomplete": "name"})
    locale = SelectField(_l("Language"), validate_choice=False)
    theme = SelectField(
        _l("Colours"),
        validate_choice=False,
        choices=[
            SelectChoice("", _l("As the system is set")),
            SelectChoice("light", _l("Light")),
            SelectChoice("dark", _l("Dark")),
        ],
    )


class PasswordForm(wtforms.Form):
    old = PasswordField(_l("Present password"), render_kw={"autocomplete": "current-password"})
    new = PasswordField(_l("New password"), render_kw={"autocomplete": "new-password"})
