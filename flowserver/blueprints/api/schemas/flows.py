"""Schemas of flows and their versions."""

from __future__ import annotations

import marshmallow as ma
from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging

STATES = ("draft", "active", "paused", "stopped", "completed")
MODES = ("freeze", "hold", "skip")
PEOPLE = ("finish", "move", "leave")


class Definition(ma.Schema):
    """A flow's definition, format 1. What is wrong is named by path, like `steps[1].then[0].subject`."""

    class Meta:
        unknown = ma.INCLUDE

    error_messages = {"type": "Send a JSON object"}

    format = fields.Anything(metadata={"description": "Always 1.", "enum": [1]})
    name = fields.Anything(metadata={"description": "Unique in the client.", "type": "string"})
    trigger = fields.Anything(
        metadata={
            "description": "How contacts get in: `type`, its own settings, `wait` (exactly one of minutes, hours, days),"
            " `reentry` (once or after_finish), `include_existing`.",
            "type": "object",
        },
    )
    goal = fields.Anything(
        metadata={
            "description": "What ends a run wherever it stands: an `event` word, or the `type` of a starting point with its"
            " settings; `within` (counted from entering), `label`, `outcome`.",
            "type": "object",
        },
    )
    exit = fields.Anything(
        metadata={"description": "As `goal`, for what makes contacts leave early.", "type": "object"},
    )
    sending_hours = fields.Anything(
        metadata={
            "description": "When marketing messages may go out, on the client's clock: `days` (monday …), `from`, `until`.",
            "type": "object",
        },
    )
    steps = fields.Anything(
        metadata={
            "description": "Steps in order, each with `key`, `type`, its own settings and, where it branches, the lanes"
            " `then` and `else`. Lists, tags and other objects by id or name.",
            "type": "array",
            "items": {"type": "object"},
        },
    )


class References(fields.Input):
    """How a definition names lists and other objects."""

    references = fields.Word(
        ("names", "ids"), load_default="names", metadata={"description": "Whether it names objects by name or by id."}
    )


class FlowQuery(paging.SyncQuery):
    """Which flows."""

    state = fields.Word(STATES)
    archived = fields.Flag(metadata={"description": "Only those put away, or only the others."})


class DraftQuery(fields.Input):
    """Which draft is replaced."""

    draft_number = fields.Count(
        metadata={"description": "The `draft_number` you changed: refused with 409 when somebody saved meanwhile."}
    )


class PublishIn(fields.Input):
    """How to go live."""

    include_existing = fields.YesNo(
        allow_none=True,
        metadata={
            "description": "Let in those who already match, the first time; the definition decides unless given."
        },
    )
    people = fields.Word(
        PEOPLE,
        metadata={
            "description": "What becomes of the contacts inside: `finish` the version they entered, `move` to the same "
            "step of the new one, or `leave`. Unless given they move when only texts of messages changed, and finish "
            "when more did."
        },
    )
    people_at = fields.Thing(
        keys=plain.String(),
        values=fields.Text(10),
        metadata={"description": 'Said otherwise for those at single steps, by key; `""` are those waiting to start.'},
    )


class ResumeIn(fields.Input):
    """How to go on."""

    let_in = fields.YesNo(
        load_default=False,
        metadata={"description": "Let in the contacts who would have started while a person had paused the flow."},
    )


class PauseIn(fields.Input):
    """How to pause."""

    mode = fields.Word(
        MODES,
        load_default="freeze",
        metadata={
            "description": "freeze: nobody moves, waits stand still. hold: waits run on, due steps run at resume."
            " skip: contacts walk on, sends are left out."
        },
    )


class StartIn(fields.Input):
    """Whom to start."""

    contacts = fields.Some(fields.Id(), 1000, metadata={"description": "Ids of contacts, 1,000 at most."})
    list = fields.Reference(metadata={"description": "A list, by id or name: everybody on it now."})
    segment = fields.Reference(metadata={"description": "A segment, by id or name: everybody in it now."})
    key = fields.Text(80, metadata={"description": "Makes a repetition harmless: the same key starts nobody twice."})


class FlowRow(fields.Shown):
    """A flow without its definition."""

    id = plain.Integer()
    name = plain.String()
    state = plain.String(metadata={"enum": list(STATES)})
    trigger = plain.String(metadata={"description": "The type of its starting point."})
    live_version = plain.Integer(
        allow_none=True, metadata={"description": "Number of the version people enter now; null before it went live."}
    )
    draft_number = plain.Integer(metadata={"description": "Raised by every change of the draft."})
    draft_changed = plain.Boolean(metadata={"description": "The draft differs from the live version."})
    closed = plain.Boolean(metadata={"description": "Nobody enters, those inside finish."})
    archived = plain.Boolean()
    pause_mode = plain.String(allow_none=True, metadata={"enum": [*MODES, None]})
    pause_reason = plain.String(allow_none=True, metadata={"description": "Why the engine paused it by itself."})
    broken = plain.String(
        allow_none=True, metadata={"description": "What it refers to that was deleted or switched off, in words."}
    )
    inside = plain.Integer(metadata={"description": "How many contacts are inside now, waiting to start included."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()
    activated_at = plain.DateTime(allow_none=True)
    paused_at = plain.DateTime(allow_none=True)
    starts_at = plain.DateTime(
        allow_none=True, metadata={"description": "When a date or a daily look next starts contacts; null: never."}
    )


class Start(fields.Shown):
    """Contacts that are started together."""

    id = plain.Integer()
    flow_id = plain.Integer()
    by = plain.String(metadata={"enum": ["time", "hand", "api"]})
    list_id = plain.Integer(allow_none=True)
    segment_id = plain.Integer(allow_none=True)
    contacts = plain.List(plain.Integer(), allow_none=True, metadata={"description": "Those that were named by id."})
    entered = plain.Integer(metadata={"description": "How many have entered so far."})
    done = plain.Boolean(metadata={"description": "Everybody was looked at."})
    started_at = plain.DateTime()
    done_at = plain.DateTime(allow_none=True)


class StartPage(fields.Shown):
    """A page of starts."""

    data = plain.List(plain.Nested(Start))
    next = plain.String(allow_none=True)


class Flow(FlowRow):
    """A flow with the definition of its draft."""

    definition = plain.Nested(Definition)


class FlowPage(fields.Shown):
    """A page of flows."""

    data = plain.List(plain.Nested(FlowRow))
    next = plain.String(allow_none=True)


class Finding(fields.Shown):
    """Something to look at before going live."""

    kind = plain.String(metadata={"enum": ["fix", "check"], "description": "fix blocks going live, check does not."})
    path = plain.String(metadata={"description": "Where: a path in the definition, or client for its settings."})
    text = plain.String()


class Inside(fields.Shown):
    """Those who stand at one step of one version, and what they would see if they were moved to the draft."""

    version = plain.Integer()
    step = plain.String(metadata={"description": "Its key; empty: waiting to start."})
    contacts = plain.Integer()
    to = plain.String(
        allow_none=True,
        metadata={"description": "The step of the draft they would stand at; null: nothing is left and they leave."},
    )
    again = plain.Integer(
        metadata={"description": "Of them, who would come to a step a second time, and so finish their version."}
    )
    at_once = plain.Integer(metadata={"description": "Of them, who go on at once, as their wait became shorter."})


class Check(fields.Shown):
    """Is the draft ready to go live?"""

    ready = plain.Boolean()
    findings = plain.List(plain.Nested(Finding))
    would_start = plain.Integer(
        allow_none=True,
        metadata={"description": "How many already match and could be let in at the first going live; null: none can."},
    )
    would_start_complete = plain.Boolean(
        metadata={"description": "false: there are more; counting ends at 10,000, and after some seconds."}
    )
    people = plain.String(metadata={"description": "What becomes of those inside unless you say otherwise."})
    inside = plain.List(plain.Nested(Inside))


class VersionRow(fields.Shown):
    """What went live, without its definition."""

    number = plain.Integer()
    live = plain.Boolean(metadata={"description": "People enter this version now."})
    inside = plain.Integer(metadata={"description": "How many contacts are on it now."})
    undone_at = plain.DateTime(allow_none=True, metadata={"description": "When the version before it came back."})
    created_at = plain.DateTime()


class VersionPage(fields.Shown):
    """A page of versions."""

    data = plain.List(plain.Nested(VersionRow))
    next = plain.String(allow_none=True)


class Version(fields.Shown):
    """What went live, word for word."""

    number = plain.Integer()
    created_at = plain.DateTime()
    definition = plain.Nested(Definition)
