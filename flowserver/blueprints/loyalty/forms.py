"""Forms of the loyalty pages. The rules are in the services; here are labels and widgets only."""

from __future__ import annotations

from collections.abc import Sequence

import wtforms
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice
from wtforms.fields import ColorField

_PLAIN = {"autocomplete": "off"}


class ProgrammeForm(wtforms.Form):
    """A loyalty programme."""

    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, **_PLAIN})
    amount_per_point = wtforms.StringField(_l("Amount for one point"), render_kw={"inputmode": "decimal", **_PLAIN})
    welcome_points = wtforms.StringField(_l("Welcome points"), render_kw={"inputmode": "numeric", **_PLAIN})
    form_id = wtforms.SelectField(_l("Who gets a card"), validate_choice=False)
    code = wtforms.RadioField(
        _l("The card shows its number as"),
        choices=[SelectChoice("qr", _l("QR code")), SelectChoice("barcode", _l("Barcode"))],
        validate_choice=False,
    )
    color = ColorField(_l("Colour of the card"))
    logo_url = wtforms.StringField(
        _l("Address of the logo"), render_kw={"maxlength": 500, "inputmode": "url", **_PLAIN}
    )
    welcome_text = wtforms.TextAreaField(_l("Words on the card"), render_kw={"rows": 3, "maxlength": 600})
    closed = wtforms.BooleanField(_l("Close the programme"))

    def prepare(self, forms: Sequence[tuple[int, str]]) -> ProgrammeForm:
        """Fill in the choices."""
        self.form_id.choices = [
            SelectChoice("", _("Only those whom staff or a till give one")),
            *(
                SelectChoice(str(number), _("And who fills in the form “%(form)s”", form=name))
                for number, name in forms
            ),
        ]
        return self


class RewardForm(wtforms.Form):
    """A reward."""

    title = wtforms.StringField(_l("What it is"), render_kw={"maxlength": 120, **_PLAIN})
    points = wtforms.StringField(_l("Points"), render_kw={"inputmode": "numeric", **_PLAIN})
    automatic = wtforms.RadioField(
        _l("How it is given"),
        choices=[SelectChoice("1", _l("By itself")), SelectChoice("", _l("By hand"))],
        validate_choice=False,
    )
    uses_points = wtforms.BooleanField(_l("Take the points off when it is collected"))
    active = wtforms.BooleanField(_l("It can be had now"), default=True)


class CardForm(wtforms.Form):
    """A new card."""

    programme = wtforms.SelectField(_l("Loyalty programme"), validate_choice=False)
    contact = wtforms.StringField(_l("E-mail address or mobile number"), render_kw={"maxlength": 254, **_PLAIN})

    def prepare(self, programmes: Sequence[tuple[int, str]]) -> CardForm:
        """Fill in the choices."""
        first = [] if len(programmes) == 1 else [SelectChoice("", _("Choose a loyalty programme"))]
        self.programme.choices = [*first, *(SelectChoice(str(number), name) for number, name in programmes)]
        return self


class AttachForm(wtforms.Form):
    """Whose card it is."""

    contact = wtforms.StringField(_l("E-mail address or mobile number"), render_kw={"maxlength": 254, **_PLAIN})


class PointsForm(wtforms.Form):
    """Points by hand."""

    points = wtforms.StringField(_l("Points"), render_kw={"inputmode": "numeric", **_PLAIN})
    reason = wtforms.StringField(_l("Reason"), render_kw={"maxlength": 120, **_PLAIN})
