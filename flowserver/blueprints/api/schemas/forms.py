"""Schemas of forms."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields
from flowserver.services.people.forms import LOCALES

MOST_QUESTIONS = 50


class QuestionIn(fields.Input):
    """One input of a form, beside the e-mail address that is always there."""

    key = fields.Text(
        40, required=True, metadata={"description": "first_name, last_name, phone or the key of a custom field."}
    )
    label = fields.Text(80, metadata={"description": "What stands at the input; the field's own label unless given."})
    required = fields.YesNo(metadata={"description": "Must be filled in."})


class FormChange(fields.Input):
    """What changes about a form."""

    name = fields.Text(120)
    list = fields.Reference(metadata={"description": "The list people join, by id or name."})
    title = fields.Text(200)
    intro = fields.Text(600)
    button = fields.Text(60)
    double_opt_in = fields.YesNo(
        metadata={"description": "Nobody is a contact before pressing the button in an e-mail."}
    )
    email_consent_text = fields.Text(
        2000, metadata={"description": "Words to tick for e-mail; without them confirming is the consent."}
    )
    sms_consent_text = fields.Text(2000, metadata={"description": "Words to tick for SMS."})
    thanks_title = fields.Text(200)
    thanks_text = fields.Text(600)
    thanks_url = fields.Text(500, metadata={"description": "Where people go afterwards instead of our page."})
    locale = fields.Word(LOCALES, metadata={"description": "Language of the form; empty: the client's."})
    closed = fields.YesNo(metadata={"description": "Takes no more answers."})
    fields = fields.Some(  # type: ignore[assignment]
        fields.Part(QuestionIn), MOST_QUESTIONS, metadata={"description": "What it asks, in order."}
    )


class FormIn(FormChange):
    """A signup form."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client; people do not see it."})
    list = fields.Reference(required=True, metadata={"description": "The list people join, by id or name."})


class QuestionShown(fields.Shown):
    """One input of a form."""

    key = plain.String()
    label = plain.String(metadata={"description": "Empty: the field's own label."})
    required = plain.Boolean()


class Form(fields.Shown):
    """A signup form that stands on the client's pages."""

    id = plain.Integer()
    name = plain.String()
    url = plain.String(metadata={"description": "Its page, for links and frames."})
    list_id = plain.Integer()
    title = plain.String()
    intro = plain.String()
    button = plain.String()
    fields = plain.List(plain.Nested(QuestionShown))  # type: ignore[assignment]
    double_opt_in = plain.Boolean()
    email_consent_text = plain.String()
    sms_consent_text = plain.String()
    thanks_title = plain.String()
    thanks_text = plain.String()
    thanks_url = plain.String()
    locale = plain.String()
    closed = plain.Boolean()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class FormPage(fields.Shown):
    """A page of forms."""

    data = plain.List(plain.Nested(Form))
    next = plain.String(allow_none=True)


class Snippet(fields.Shown):
    """What is put into a page."""

    html = plain.String(metadata={"description": "The form itself: plain HTML without a script."})
    iframe = plain.String(metadata={"description": "The form in a frame, in the client's colours."})
