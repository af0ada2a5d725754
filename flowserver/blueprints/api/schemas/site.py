"""Schemas of tracked sites, conversion rules and conversions."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.blueprints.api.schemas.coupons import Amount
from flowserver.blueprints.api.schemas.events import WhoIn

SOURCES = ("any", "pages", "event", "manual")
ORIGINS = ("site", "step", "api", "hand")


class MonitorIn(fields.Input):
    """A site to track."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    domains = fields.Some(
        fields.Text(260),
        20,
        required=True,
        metadata={"description": "Its hosts. With and without www. is the same; other subdomains count on their own."},
    )
    ask_consent = fields.YesNo(
        metadata={"description": "Keep and send nothing before the site calls flowserver.consent(true)."}
    )
    enabled = fields.YesNo(metadata={"description": "When false, the script on its pages does nothing."})


class MonitorChange(MonitorIn):
    """What changes about a site."""

    name = fields.Text(120)
    domains = fields.Some(fields.Text(260), 20)


class Monitor(fields.Shown):
    """A site that is tracked."""

    id = plain.Integer()
    name = plain.String()
    domains = plain.List(plain.String())
    ask_consent = plain.Boolean()
    enabled = plain.Boolean()
    key = plain.String(metadata={"description": "Public: it stands in the address of the script."})
    script = plain.String(metadata={"description": "Address of the script for its pages."})
    verified_at = plain.DateTime(allow_none=True, metadata={"description": "When the first visit came from it."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class MonitorPage(fields.Shown):
    """A page of sites."""

    data = plain.List(plain.Nested(Monitor))
    next = plain.String(allow_none=True)


class RuleIn(fields.Input):
    """A conversion rule."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    source = fields.Word(
        SOURCES,
        required=True,
        metadata={
            "description": "any: a visit to any page of a site. pages: some pages. event: a custom event of the site's"
            " script. manual: recorded by a step of a flow or by a program."
        },
    )
    monitor = fields.Reference(
        allow_none=True, metadata={"description": "Id or name of the site, unless it is recorded."}
    )
    patterns = fields.Some(
        fields.Text(500),
        50,
        metadata={
            "description": "Whole addresses of pages; * stands for anything within a part of the path, ** across parts."
        },
    )
    event = fields.Text(60, metadata={"description": "Name of the custom event."})
    each_time = fields.YesNo(metadata={"description": "Count each time; otherwise once for each contact."})
    amount = Amount(allow_none=True, metadata={"description": "What one is worth where no amount is given."})
    enabled = fields.YesNo()


class RuleChange(RuleIn):
    """What changes about a conversion rule. What was counted stays."""

    name = fields.Text(120)
    source = fields.Word(SOURCES)


class Rule(fields.Shown):
    """A conversion rule."""

    id = plain.Integer()
    name = plain.String()
    source = plain.String(metadata={"enum": list(SOURCES)})
    monitor_id = plain.Integer(allow_none=True)
    patterns = plain.List(plain.String())
    event = plain.String()
    each_time = plain.Boolean()
    amount = plain.Float(allow_none=True)
    enabled = plain.Boolean()
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class RulePage(fields.Shown):
    """A page of conversion rules."""

    data = plain.List(plain.Nested(Rule))
    next = plain.String(allow_none=True)


class ConversionQuery(paging.SyncQuery):
    """Which conversions."""

    rule = fields.Count(metadata={"description": "Id of a conversion rule."})
    contact = fields.Count(metadata={"description": "Id of a contact."})


class ConversionIn(fields.Input):
    """A conversion to be counted."""

    rule = fields.Reference(required=True, metadata={"description": "Id or name of a rule whose source is manual."})
    contact = fields.Part(WhoIn, required=True, metadata={"description": "Who converted: a contact that is there."})
    amount = Amount(allow_none=True, metadata={"description": "The rule's amount unless given."})
    key = fields.Text(
        120, metadata={"description": "An order number or the like: the same one again is the same conversion."}
    )
    at = fields.Instant(metadata={"description": "When it happened, with its zone; now unless given."})


class Conversion(fields.Shown):
    """A conversion that was counted."""

    id = plain.Integer()
    rule_id = plain.Integer()
    contact_id = plain.Integer(allow_none=True, metadata={"description": "null: the contact was erased."})
    at = plain.DateTime()
    amount = plain.Float(allow_none=True)
    key = plain.String()
    source = plain.String(metadata={"enum": list(ORIGINS)})
    url = plain.String(metadata={"description": "The page, where a site counted it."})
    undone_at = plain.DateTime(allow_none=True)
    updated_at = plain.DateTime()


class ConversionPage(fields.Shown):
    """A page of conversions."""

    data = plain.List(plain.Nested(Conversion))
    next = plain.String(allow_none=True)


class TokenIn(fields.Input):
    """Who has logged in on the client's own site."""

    contact = fields.Part(WhoIn, required=True, metadata={"description": "A contact that is there."})
    valid_for = fields.Whole(60, 86_400, load_default=3600, metadata={"description": "Seconds the token is good for."})


class Token(fields.Shown):
    """A token for `flowserver.identify(token)` on a tracked site."""

    token = plain.String()
    contact_id = plain.Integer()
    expires_at = plain.DateTime()


class Seen(fields.Shown):
    """A page a contact saw."""

    id = plain.Integer()
    monitor_id = plain.Integer()
    visit_id = plain.Integer(metadata={"description": "Pages of one visit have the same."})
    url = plain.String()
    at = plain.DateTime()
    first = plain.Boolean(metadata={"description": "Whether the visit began with it."})
    stay = plain.Integer(metadata={"description": "Seconds it was in front of the visitor, where a flow asks for it."})


class SeenPage(fields.Shown):
    """A page of pages that were seen."""

    data = plain.List(plain.Nested(Seen))
    next = plain.String(allow_none=True)
