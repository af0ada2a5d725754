"""Schemas of segments."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging

RULE = (
    "One condition, or `all`, `any` or `not` of several, nested once: the same as `if` of a step `if_else`. Conditions "
    "about an earlier message of a flow make no sense here and are refused."
)


class SegmentQuery(paging.SyncQuery):
    """Which segments."""

    name = fields.Text(120, metadata={"description": "The segment of this name, however it is capitalised."})


class SegmentIn(fields.Input):
    """A segment."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    rule = fields.Thing(required=True, metadata={"description": RULE})


class SegmentChange(fields.Input):
    """What changes about a segment."""

    name = fields.Text(120)
    rule = fields.Thing(metadata={"description": RULE})


class Segment(fields.Shown):
    """A saved rule over contacts."""

    id = plain.Integer()
    name = plain.String()
    rule = plain.Dict(metadata={"description": "With names, as `if` of a step `if_else`."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class SegmentPage(fields.Shown):
    """A page of segments."""

    data = plain.List(plain.Nested(Segment))
    next = plain.String(allow_none=True)


class SegmentCount(fields.Shown):
    """How many contacts are in a segment."""

    contacts = plain.Integer()
    complete = plain.Boolean(metadata={"description": "Whether that is all: counting ends after some seconds."})


class Member(fields.Shown):
    """A contact who is in a segment."""

    id = plain.Integer()


class MemberPage(fields.Shown):
    """Some contacts who are in a segment."""

    data = plain.List(plain.Nested(Member))
    next = plain.String(allow_none=True)
