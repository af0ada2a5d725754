"""Schemas of score rules and of the movements of a score."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.domain.scoring import ACTS, FREQUENCIES, MOST

SUBJECT = (
    "What the act is narrowed to: a form, list, site, conversion rule, coupon campaign or loyalty programme by id or "
    "name, a tag, or the name of a document, event or app. Left out: any."
)
DETAIL = "For `page_visited` an address, with `*` and `**`; for `custom_event` the word it is reported under."


class ScoreRuleIn(fields.Input):
    """A score rule."""

    title = fields.Text(120, required=True, metadata={"description": "Unique in the client; explains the points."})
    points = fields.Whole(-MOST, MOST, required=True, metadata={"description": "Below 0 takes points off; not 0."})
    act = fields.Word(tuple(ACTS), required=True, metadata={"description": "What the contact does."})
    subject = fields.Reference(allow_none=True, metadata={"description": SUBJECT})
    detail = fields.Text(500, metadata={"description": DETAIL})
    frequency = fields.Word(tuple(FREQUENCIES), metadata={"description": "`daily` means the client's day."})
    enabled = fields.YesNo()


class ScoreRuleChange(fields.Input):
    """What changes about a score rule. Another act forgets what the old one was narrowed to."""

    title = fields.Text(120)
    points = fields.Whole(-MOST, MOST)
    act = fields.Word(tuple(ACTS))
    subject = fields.Reference(allow_none=True)
    detail = fields.Text(500)
    frequency = fields.Word(tuple(FREQUENCIES))
    enabled = fields.YesNo()


class ScoreRule(fields.Shown):
    """A score rule."""

    id = plain.Integer()
    title = plain.String()
    points = plain.Integer()
    act = plain.String(metadata={"enum": list(ACTS)})
    subject = plain.String(allow_none=True, metadata={"description": "The id of the object, or words; null for any."})
    detail = plain.String()
    frequency = plain.String(metadata={"enum": list(FREQUENCIES)})
    enabled = plain.Boolean()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class ScoreRulePage(fields.Shown):
    """A page of score rules."""

    data = plain.List(plain.Nested(ScoreRule))
    next = plain.String(allow_none=True)


class ScoreRuleQuery(paging.PageQuery):
    """Which score rules."""

    updated_since = fields.Instant(metadata={"description": "Only those changed since this moment."})


class PointsIn(fields.Input):
    """Points to give or take."""

    points = fields.Whole(-MOST, MOST, required=True, metadata={"description": "Below 0 takes points off; not 0."})
    reason = fields.Text(120, metadata={"description": "Shown where the total is explained."})


class ScoreMovement(fields.Shown):
    """One movement of a contact's score. The total is the sum of all of them."""

    id = plain.Integer()
    points = plain.Integer()
    reason = plain.String(metadata={"description": "The title the rule had then, or the words given."})
    rule = plain.Integer(allow_none=True, metadata={"description": "The score rule, which may be deleted by now."})
    event = plain.String(allow_none=True, metadata={"description": "The key of the event the rule counted."})
    at = plain.DateTime()


class ScoreMovementPage(fields.Shown):
    """A page of movements, oldest first."""

    data = plain.List(plain.Nested(ScoreMovement))
    next = plain.String(allow_none=True)


class ScoreTotal(fields.Shown):
    """A contact's score."""

    score = plain.Integer()
