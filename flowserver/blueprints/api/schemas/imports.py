"""Schemas of imports."""

from __future__ import annotations

from typing import Any

from marshmallow import fields as plain

from flowserver.blueprints.api import fields
from flowserver.blueprints.api.schemas.contacts import ContactValues

MOST_ROWS = 50_000  # in JSON; a file may have a million
STATES = ("uploaded", "running", "done", "stopped", "failed")


class Columns(fields.Text):
    """Words separated by commas; empty ones are kept."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return [one.strip() for one in text.split(",")]


class ImportOptions(fields.Input):
    """How rows are taken in."""

    filename = fields.Text(200, metadata={"description": "What it is called in the console."})
    list = fields.Text(200, metadata={"description": "A list everybody joins, by id or name."})
    columns = Columns(
        metadata={
            "description": "What the columns of a CSV file hold, in order: email, phone, external_id, first_name,"
            " last_name, full_name, locale, tags or field:<key>; nothing between two commas leaves a column out."
            " Guessed from the headings unless given."
        }
    )
    country = fields.Text(2, metadata={"description": "Country whose way of writing numbers, dates and phones holds."})
    start_flows = fields.Flag(metadata={"description": "Let flows start as they do for single contacts."})
    leave_known = fields.Flag(metadata={"description": "Change nothing about contacts that are there already."})
    email_consent = fields.Flag(metadata={"description": "These people agreed to get e-mails."})
    sms_consent = fields.Flag(metadata={"description": "These people agreed to get SMS."})
    consent_words = fields.Text(2000, metadata={"description": "Where and how they agreed, for the proof."})


class ImportRow(ContactValues):
    """A contact. What is left out or empty stays as it is."""

    tags = fields.Some(fields.Text(60), 50, metadata={"description": "Added to those there are; new ones are made."})


class ImportIn(fields.Input):
    """Contacts to import."""

    rows = fields.Some(
        fields.Part(ImportRow),
        MOST_ROWS,
        metadata={"description": "Read in the background; what is wrong with a row is told in `refused`."},
    )


class Import(fields.Shown):
    """Contacts on their way in."""

    id = plain.Integer()
    filename = plain.String()
    state = plain.String(metadata={"enum": list(STATES)})
    reason = plain.String(allow_none=True, metadata={"description": "Why it failed."})
    rows = plain.Integer(metadata={"description": "How many there are."})
    done = plain.Integer(metadata={"description": "How many were read so far."})
    created = plain.Integer(metadata={"description": "Contacts that are new."})
    updated = plain.Integer(metadata={"description": "Rows about contacts that were there."})
    refused = plain.Integer(metadata={"description": "Rows that were refused; see /imports/{import_id}/refused."})
    list_id = plain.Integer(allow_none=True)
    columns = plain.Dict(metadata={"description": "What each column holds, by its heading."})
    created_at = plain.DateTime()
    finished_at = plain.DateTime(allow_none=True)
    updated_at = plain.DateTime()


class ImportPage(fields.Shown):
    """A page of imports."""

    data = plain.List(plain.Nested(Import))
    next = plain.String(allow_none=True)
