"""Schemas of lists, tags and custom fields."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.domain.people import FIELD_TYPES


class ListQuery(paging.SyncQuery):
    """Which lists."""

    name = fields.Text(120, metadata={"description": "The list of this name, however it is capitalised."})


class ListIn(fields.Input):
    """A list."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    description = fields.Text(300, metadata={"description": "What people get; shown where they choose their topics."})
    public = fields.YesNo(metadata={"description": "Offered as a topic on the preference page."})


class ListChange(fields.Input):
    """What changes about a list."""

    name = fields.Text(120)
    description = fields.Text(300)
    public = fields.YesNo()


class ListDeletion(fields.Input):
    """What happens to the contacts of a list that is deleted."""

    contacts = fields.Word(
        ("keep", "delete"), load_default="keep", metadata={"description": "What happens to the contacts on it."}
    )


class List(fields.Shown):
    """A list contacts join and leave."""

    id = plain.Integer()
    name = plain.String()
    description = plain.String()
    public = plain.Boolean()
    contacts = plain.Integer(metadata={"description": "How many are on it."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class ListPage(fields.Shown):
    """A page of lists."""

    data = plain.List(plain.Nested(List))
    next = plain.String(allow_none=True)


class TagQuery(paging.SyncQuery):
    """Which tags."""

    name = fields.Text(60, metadata={"description": "The tag of this name."})


class TagIn(fields.Input):
    """A tag."""

    name = fields.Text(60, required=True, metadata={"description": "Kept in lower case."})


class Tag(fields.Shown):
    """A word put on contacts."""

    id = plain.Integer()
    name = plain.String()
    contacts = plain.Integer(metadata={"description": "How many have it."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class TagPage(fields.Shown):
    """A page of tags."""

    data = plain.List(plain.Nested(Tag))
    next = plain.String(allow_none=True)


class FieldIn(fields.Input):
    """A custom field."""

    label = fields.Text(60, required=True, metadata={"description": "What people read. Its key follows from it."})
    type = fields.Word(FIELD_TYPES, required=True)
    choices = fields.Some(fields.Text(120), 200, metadata={"description": "At least two, for the type choice."})


class FieldChange(fields.Input):
    """What changes about a custom field."""

    label = fields.Text(60, metadata={"description": "The key stays."})
    choices = fields.Some(
        fields.Text(120), 200, metadata={"description": "Replaces those there are. Contacts keep what they have."}
    )


class Field(fields.Shown):
    """A custom field of contacts."""

    id = plain.Integer()
    key = plain.String(metadata={"description": "As used in `fields` of contacts and in {{ contact.<key> }}."})
    label = plain.String()
    type = plain.String(metadata={"enum": list(FIELD_TYPES)})
    choices = plain.List(plain.String())
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class FieldPage(fields.Shown):
    """A page of custom fields."""

    data = plain.List(plain.Nested(Field))
    next = plain.String(allow_none=True)
