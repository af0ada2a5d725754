"""Forms of the contact pages. The rules are in the services; here are labels and widgets only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import wtforms
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice
from wtforms.widgets import CheckboxInput, ListWidget

from flowserver.domain.consent import CHANNELS
from flowserver.domain.people import Spec, show_phone

OWN = "own-"  # before the key of a custom field, which may be called like one of ours


class ContactForm(wtforms.Form):
    """The fields every contact has; :func:`contact_form` adds those of the client."""

    email = wtforms.StringField(_l("E-mail address"), render_kw={"autocomplete": "off", "inputmode": "email"})
    phone = wtforms.TelField(_l("Mobile number"), render_kw={"autocomplete": "off"})
    first_name = wtforms.StringField(_l("First name"), render_kw={"autocomplete": "off"})
    last_name = wtforms.StringField(_l("Last name"), render_kw={"autocomplete": "off"})
    external_id = wtforms.StringField(_l("Customer number"), render_kw={"autocomplete": "off"})
    locale = wtforms.StringField(_l("Language"), render_kw={"autocomplete": "off", "maxlength": 8})
    lists = wtforms.SelectMultipleField(
        _l("Lists"),
        coerce=int,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validate_choice=False,
    )
    tags = wtforms.StringField(_l("Tags"), render_kw={"autocomplete": "off"})

    def values(self) -> dict[str, Any]:
        """What was typed, as the contact service takes it."""
        core = {key: self[key].data or "" for key in CORE}
        own = {name.removeprefix(OWN): field.data for name, field in self._fields.items() if name.startswith(OWN)}
        return {**core, **({"fields": own} if own else {})}

    def place(self, messages: Mapping[str, Any]) -> dict[str, Any]:
        """The service's messages by the names of this form's fields."""
        own = messages.get("fields", {})
        rest = {key: texts for key, texts in messages.items() if key != "fields"}
        return {**rest, **{OWN + key: texts for key, texts in own.items()}}


CORE = ("email", "phone", "first_name", "last_name", "external_id", "locale")


def contact_form(specs: Iterable[Spec], lists: list[tuple[int, str]]) -> type[ContactForm]:
    """The form with one more input per custom field, and the client's lists."""
    fields = {OWN + spec.key: _own(spec) for spec in specs}

    class _Form(ContactForm):
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self.lists.choices = [SelectChoice(number, name) for number, name in lists]

    return type("ContactForm", (_Form,), fields)


def _own(spec: Spec) -> wtforms.Field:
    if spec.type == "choice":
        choices = [SelectChoice("", _("Not known")), *(SelectChoice(one, one) for one in spec.choices)]
        return wtforms.SelectField(spec.label, choices=choices, validate_choice=False)
    if spec.type == "yes_no":
        choices = [SelectChoice("", _("Not known")), SelectChoice("yes", _("Yes")), SelectChoice("no", _("No"))]
        return wtforms.SelectField(spec.label, choices=choices, validate_choice=False)
    hint = {"date": _("For example 2026-05-31"), "number": _("A number")}.get(spec.type, "")
    return wtforms.StringField(spec.label, description=hint, render_kw={"autocomplete": "off"})


def as_typed(contact: Any, lists: Iterable[int], tags: Iterable[str]) -> dict[str, Any]:
    """A contact in the shape of the form."""
    core = {key: getattr(contact, key) or "" for key in CORE}
    own = {OWN + key: _typed(value) for key, value in contact.fields.items()}
    core["phone"] = show_phone(contact.phone) if contact.phone else ""
    return {**core, **own, "lists": list(lists), "tags": ", ".join(tags)}


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


class ConsentForm(wtforms.Form):
    channel = wtforms.SelectField(
        _l("Channel"),
        choices=[SelectChoice(key, _l(name)) for key, name in CHANNELS.items()],
        validate_choice=False,
    )
    state = wtforms.SelectField(
        _l("The contact"),
        choices=[SelectChoice("given", _l("agreed")), SelectChoice("withdrawn", _l("withdrew consent"))],
        validate_choice=False,
    )
    words = wtforms.TextAreaField(_l("Where and how"), render_kw={"rows": 2, "maxlength": 2000})


class ScoreForm(wtforms.Form):
    points = wtforms.StringField(_l("Points"), render_kw={"inputmode": "numeric", "autocomplete": "off"})
    reason = wtforms.StringField(_l("Reason"), render_kw={"maxlength": 120, "autocomplete": "off"})


class TagForm(wtforms.Form):
    name = wtforms.StringField(_l("Tag"), render_kw={"maxlength": 60, "autocomplete": "off"})


class DeleteForm(wtforms.Form):
    sure = wtforms.BooleanField(_l("Delete this contact and everything personal about it"))
