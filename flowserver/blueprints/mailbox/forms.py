"""The box on the pretend phone."""

import wtforms
from flask_babel import lazy_gettext as _l


class AnswerForm(wtforms.Form):
    """A text typed on the phone, to one of the senders it knows."""

    line = wtforms.SelectField(_l("To"), validate_choice=False)
    text = wtforms.TextAreaField(_l("Text"))
