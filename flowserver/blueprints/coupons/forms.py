"""Forms of the coupon pages: labels and widgets; the rules are in the services."""

from __future__ import annotations

import wtforms
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice

_WHOLE = {"inputmode": "numeric", "autocomplete": "off"}
_OFF = {"autocomplete": "off"}


class CampaignForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, **_OFF})
    value = wtforms.StringField(_l("What a coupon is worth"), render_kw={"maxlength": 60, **_OFF})
    message = wtforms.TextAreaField(_l("What people should know about it"), render_kw={"rows": 2, "maxlength": 600})
    codes = wtforms.RadioField(
        _l("Where the codes come from"),
        choices=[SelectChoice("generated", _l("We make them")), SelectChoice("pool", _l("You import them"))],
        default="generated",
        validate_choice=False,
    )
    prefix = wtforms.StringField(_l("Codes begin with"), render_kw={"maxlength": 12, **_OFF})
    length = wtforms.StringField(_l("Random letters and digits after it"), default="8", render_kw=_WHOLE)
    low_at = wtforms.StringField(_l("Warn when fewer codes are left than"), default="50", render_kw=_WHOLE)
    starts_on = wtforms.StringField(_l("First day"), render_kw={"type": "date"})
    ends_on = wtforms.StringField(_l("Last day"), render_kw={"type": "date"})
    days = wtforms.StringField(_l("Days a coupon is good after a contact got it"), render_kw=_WHOLE)
    uses = wtforms.StringField(_l("How often each code can be used"), default="1", render_kw=_WHOLE)
    replaces = wtforms.BooleanField(_l("A new coupon replaces the one a contact has"))


class ImportForm(wtforms.Form):
    file = wtforms.FileField(_l("Text or CSV file"), render_kw={"accept": ".csv,.txt,text/csv,text/plain"})
    codes = wtforms.TextAreaField(
        _l("Or paste codes here"), render_kw={"rows": 8, "class": "mono", "spellcheck": "false"}
    )
    handed_out = wtforms.BooleanField(_l("People have these codes already, for example on paper"))


class PrintForm(wtforms.Form):
    count = wtforms.StringField(_l("How many codes"), render_kw=_WHOLE)


class GiveForm(wtforms.Form):
    to = wtforms.RadioField(
        _l("Who gets a coupon"),
        choices=[SelectChoice("one", _l("One contact")), SelectChoice("list", _l("Everybody on a list"))],
        default="one",
        validate_choice=False,
    )
    who = wtforms.StringField(_l("E-mail address or mobile number"), render_kw={"maxlength": 254, **_OFF})
    list_id = wtforms.SelectField(_l("List"), validate_choice=False)


class TillForm(wtforms.Form):
    code = wtforms.StringField(
        _l("Code"),
        render_kw={"maxlength": 80, "autocapitalize": "characters", "spellcheck": "false", "class": "mono", **_OFF},
    )
    amount = wtforms.StringField(_l("Amount of the purchase"), render_kw={"inputmode": "decimal", **_OFF})
    receipt = wtforms.StringField(_l("Receipt number"), render_kw={"maxlength": 80, **_OFF})
    place = wtforms.StringField(_l("Place"), render_kw={"maxlength": 120, **_OFF})
