"""The questions of a client's settings; the rules are in the services and in the providers' own schemas."""

from __future__ import annotations

from typing import Any

import wtforms
from flask_babel import lazy_gettext as _l
from marshmallow import fields as ma_fields
from marshmallow import validate
from wtforms import (
    BooleanField,
    ColorField,
    EmailField,
    PasswordField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import PasswordInput

from flowserver.blueprints.console import LOCALES
from flowserver.providers.base import Provider
from flowserver.services.people.fields import TYPES

CLOCK = {"type": "time"}
NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


class GeneralForm(wtforms.Form):
    name = StringField(_l("Client"))
    time_zone = SelectField(_l("Time zone"), validate_choice=False)
    country = SelectField(_l("Country"), validate_choice=False)
    locale = SelectField(
        _l("Language of public pages"),
        validate_choice=False,
        choices=[SelectChoice(code, name) for code, name in LOCALES.items()],
    )
    postal_address = StringField(_l("Postal address"))
    brand_color = ColorField(_l("Brand colour"))
    notify_email = EmailField(_l("Address for alerts"))
    count_machine_opens = BooleanField(_l("Count opens made by mail programs on their own"))


class SendingForm(wtforms.Form):
    sender_name = StringField(_l("Sender name"))
    sender_email = EmailField(_l("Sender address"))
    sms_sender = StringField(_l("SMS sender"), render_kw={"maxlength": 16})
    quiet_from = StringField(_l("No SMS from"), render_kw=CLOCK)
    quiet_until = StringField(_l("until"), render_kw=CLOCK)
    cap_day = StringField(_l("A day"), render_kw=NUMBER)
    cap_week = StringField(_l("A week"), render_kw=NUMBER)


class FieldForm(wtforms.Form):
    label = StringField(_l("Label"))
    type = SelectField(
        _l("Kind"), validate_choice=False, choices=[SelectChoice(name, title) for name, title in TYPES.items()]
    )
    choices = TextAreaField(_l("Choices, one on each line"), render_kw={"rows": 5})


class SuppressionForm(wtforms.Form):
    channel = SelectField(
        _l("Channel"),
        validate_choice=False,
        choices=[SelectChoice("email", _l("E-mail")), SelectChoice("sms", _l("SMS"))],
    )
    address = StringField(_l("Address or number"), render_kw={"autocomplete": "off"})
    reason = StringField(_l("Why"), render_kw={"autocomplete": "off"})


class ReasonForm(wtforms.Form):
    reason = StringField(_l("Why"), render_kw={"autocomplete": "off"})


# --- a provider's own settings, as a form ----------------------------------------------------------------

_LABELS = {
    "host": _l("Server"),
    "port": _l("Port"),
    "security": _l("Encryption"),
    "username": _l("User name"),
    "password": _l("Password"),
    "secret": _l("Secret"),
    "api_key": _l("API key"),
    "signing_key": _l("Signing key"),
    "domain_per_minute": _l("Most messages a minute to one mail domain"),
}
_HINTS = {
    "host": _l("Leave it empty to use the mail server of this installation."),
    "port": _l("Usually 587 with STARTTLS, 465 with SSL."),
    "domain_per_minute": _l("Leave it empty for no limit."),
}
_OPTIONS = {"none": _l("None"), "starttls": "STARTTLS", "ssl": "SSL"}


class ConnectionForm(wtforms.Form):
    """What every connection has; :func:`provider_form` adds the provider's own questions."""

    name = StringField(_l("Name"))
    per_minute = StringField(_l("Most messages a minute"), render_kw=NUMBER)


def provider_form(cls: type[Provider]) -> type[ConnectionForm]:
    """A form that asks for the settings of a provider, each under ``set_<name>``."""
    own = {f"set_{name}": _question(name, field) for name, field in cls.Settings().fields.items()}
    return type("ProviderForm", (ConnectionForm,), own)


def _question(name: str, field: ma_fields.Field[Any]) -> Any:
    label = field.metadata.get("label") or _LABELS.get(name) or name.replace("_", " ").capitalize()
    hint = field.metadata.get("hint") or _HINTS.get(name, "")
    options = next((rule.choices for rule in field.validators if isinstance(rule, validate.OneOf)), None)
    if field.metadata.get("secret"):
        kept = PasswordInput(hide_value=False)  # it holds stars, never the secret itself
        return PasswordField(label, description=hint, widget=kept, render_kw={"autocomplete": "off"})
    if options:
        choices = [SelectChoice(option, _OPTIONS.get(option, option)) for option in options]
        return SelectField(label, description=hint, choices=choices, validate_choice=False)
    if isinstance(field, ma_fields.Boolean):
        return BooleanField(label, description=hint)
    return StringField(label, description=hint, render_kw=NUMBER if isinstance(field, ma_fields.Integer) else None)


def provider_settings(cls: type[Provider], form: ConnectionForm) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """``(settings as the provider's schema takes them, mistakes by form field)``."""
    values: dict[str, Any] = {}
    mistakes: dict[str, list[str]] = {}
    for name, field in cls.Settings().fields.items():
        typed = form[f"set_{name}"].data
        if isinstance(field, ma_fields.Integer):
            values[name], wrong = whole(typed)
            if wrong:
                mistakes[f"set_{name}"] = wrong
        else:
            values[name] = typed if isinstance(typed, bool) else (typed or "").strip()
    return values, mistakes


def whole(typed: str | None) -> tuple[int | None, list[str]]:
    """A whole number, ``None`` for nothing, and what is wrong with it."""
    text = (typed or "").strip()
    if not text:
        return None, []
    if not text.isdecimal() or len(text) > 9:
        return None, [str(_l("Enter a whole number, or leave it empty"))]
    return int(text), []
