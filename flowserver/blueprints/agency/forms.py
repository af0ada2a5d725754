"""The questions of the agency's pages; the rules are in the services."""

from __future__ import annotations

import wtforms
from flask_babel import lazy_gettext as _l
from wtforms import EmailField, RadioField, SelectChoice, SelectField, SelectMultipleField, StringField
from wtforms.widgets import CheckboxInput, ListWidget

ROLES = [
    SelectChoice("admin", _l("Agency admin")),
    SelectChoice("staff", _l("Staff")),
    SelectChoice("client", _l("Client, read only")),
]
ROLE_NOTES = {
    "admin": _l("Opens every client, and changes the team and the agency"),
    "staff": _l("Does everything in the clients chosen below"),
    "client": _l("Looks at the clients chosen below and changes nothing"),
}


class ClientForm(wtforms.Form):
    name = StringField(_l("Client"), render_kw={"autofocus": True})
    time_zone = SelectField(_l("Time zone"), validate_choice=False, render_kw={"data-zone": True})
    country = SelectField(_l("Country"), validate_choice=False)
    sender_name = StringField(_l("Sender name"))
    sender_email = EmailField(_l("Sender address"))


class AccessForm(wtforms.Form):
    role = RadioField(_l("Role"), choices=ROLES, default="staff", validate_choice=False)
    workspaces = SelectMultipleField(
        _l("Clients"), coerce=int, validate_choice=False, widget=ListWidget(), option_widget=CheckboxInput()
    )


class InviteForm(AccessForm):
    email = EmailField(_l("E-mail address"))


class AgencyForm(wtforms.Form):
    name = StringField(_l("Agency"))
    time_zone = SelectField(_l("Time zone"), validate_choice=False)
