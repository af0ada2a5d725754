"""Schemas of contacts."""

from __future__ import annotations

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.domain.consent import CHANNELS, STATES

MOST_AT_ONCE = 1000


def _consent_states() -> fields.Part:
    return fields.Part(ConsentStates, metadata={"description": "Consent by channel; what is left out stays as it is."})


class ConsentStates(fields.Input):
    """Consent by channel."""

    email = fields.Word(STATES)
    sms = fields.Word(STATES)
    web_push = fields.Word(STATES)
    mobile_push = fields.Word(STATES)
    ads = fields.Word(STATES)


class ContactValues(fields.Input):
    """Values of a contact. What is left out stays as it is, null or empty text clears."""

    email = fields.Text(320, allow_none=True, metadata={"description": "Unique in the client."})
    phone = fields.Text(
        60, allow_none=True, metadata={"description": "International, or as written in the client's country."}
    )
    external_id = fields.Text(120, allow_none=True, metadata={"description": "Your own id of this person. Unique."})
    first_name = fields.Text(120, allow_none=True)
    last_name = fields.Text(120, allow_none=True)
    locale = fields.Text(20, allow_none=True, metadata={"description": "Language, like en, it or pl."})
    fields = fields.Thing(  # type: ignore[assignment]
        metadata={"description": "Custom fields by key, each of its field's type."}
    )


class ContactIn(ContactValues):
    """A contact with its tags, lists and consent."""

    tags = fields.Some(fields.Text(60), 50, metadata={"description": "Added to those there are; new ones are made."})
    lists = fields.Some(fields.Reference(), 50, metadata={"description": "Lists to join, by id or name."})
    consent = _consent_states()
    consent_source = fields.Text(80, metadata={"description": "Where consent was given, for the proof."})
    consent_words = fields.Text(2000, metadata={"description": "What was agreed to, word for word."})


class ContactsIn(fields.Input):
    """Many contacts."""

    contacts = fields.Each(
        fields.Part(ContactIn),
        MOST_AT_ONCE,
        required=True,
        metadata={"description": "Each is taken or refused on its own."},
    )


class ContactQuery(paging.SyncQuery):
    """Which contacts."""

    email = fields.Text(320)
    phone = fields.Text(60)
    external_id = fields.Text(120)
    list = fields.Text(200, metadata={"description": "Id or name of a list they are on."})
    tag = fields.Text(60, metadata={"description": "A tag they have."})
    status = fields.Word(("active", "suppressed", "bounced"))


class OnList(fields.Shown):
    """A list the contact is on."""

    id = plain.Integer()
    name = plain.String()


class ConsentShown(fields.Shown):
    """Consent by channel: none, given or withdrawn."""

    email = plain.String(metadata={"enum": ["none", *STATES]})
    sms = plain.String(metadata={"enum": ["none", *STATES]})
    web_push = plain.String(metadata={"enum": ["none", *STATES]})
    mobile_push = plain.String(metadata={"enum": ["none", *STATES]})
    ads = plain.String(metadata={"enum": ["none", *STATES]})


class Contact(fields.Shown):
    """A contact."""

    id = plain.Integer()
    email = plain.String(allow_none=True)
    phone = plain.String(allow_none=True, metadata={"description": "E.164, like +393331234567."})
    external_id = plain.String(allow_none=True)
    first_name = plain.String()
    last_name = plain.String()
    locale = plain.String()
    fields = plain.Dict()  # type: ignore[assignment]
    score = plain.Integer()
    tags = plain.List(plain.String())
    lists = plain.List(plain.Nested(OnList))
    consent = plain.Nested(ConsentShown)
    status = plain.String(metadata={"enum": ["active", "suppressed", "bounced"]})
    source = plain.String(metadata={"description": "How we came to know the contact."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()
    last_activity_at = plain.DateTime(allow_none=True)


class ContactPage(fields.Shown):
    """A page of contacts."""

    data = plain.List(plain.Nested(Contact))
    next = plain.String(allow_none=True)


class Outcome(fields.Shown):
    """What became of one contact."""

    index = plain.Integer(metadata={"description": "Its place in the request, from 0."})
    result = plain.String(metadata={"enum": ["created", "updated", "refused"]})
    id = plain.Integer(allow_none=True)
    errors = plain.Dict(keys=plain.String(), values=plain.List(plain.String()))


class Outcomes(fields.Shown):
    """What became of many contacts."""

    data = plain.List(plain.Nested(Outcome))
    created = plain.Integer()
    updated = plain.Integer()
    refused = plain.Integer()


class TagsIn(fields.Input):
    """Tags to put on a contact."""

    tags = fields.Some(fields.Text(60), 50, required=True)


class JoinIn(fields.Input):
    """A list to join."""

    list = fields.Reference(
        required=True, metadata={"description": "Id or name.", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    )


class ConsentIn(fields.Input):
    """One change of consent, with its proof."""

    channel = fields.Word(list(CHANNELS), required=True)
    state = fields.Word(STATES, required=True)
    source = fields.Text(80, metadata={"description": "Where: a shop, a form, a call."})
    words = fields.Text(2000, metadata={"description": "What was agreed to, word for word."})
    at = fields.Instant(metadata={"description": "When; now unless given."})


class Consent(fields.Shown):
    """One change of consent."""

    id = plain.Integer()
    channel = plain.String()
    state = plain.String()
    at = plain.DateTime()
    source = plain.String()
    words = plain.String()


class ConsentPage(fields.Shown):
    """A page of consent changes."""

    data = plain.List(plain.Nested(Consent))
    next = plain.String(allow_none=True)


class WhyQuery(fields.Input):
    """Which message: one that was planned, or the step of a flow that should have sent it."""

    message = fields.Count(metadata={"description": "Id of a message."})
    flow = fields.Count(metadata={"description": "Id of a flow, together with `step`."})
    step = fields.Text(60, metadata={"description": "Key of the step.", "example": "welcome"})


class Gate(fields.Shown):
    """One thing that was checked."""

    state = plain.String(metadata={"enum": ["ok", "bad", "skip"], "description": "skip: not checked any more."})
    title = plain.String()
    text = plain.String()
    at = plain.DateTime(allow_none=True)


class Why(fields.Shown):
    """Why a contact got a message, or did not."""

    kind = plain.String(metadata={"enum": ["ok", "warn", "info"], "description": "It went, it did not, not yet."})
    title = plain.String()
    text = plain.String()
    at = plain.DateTime(allow_none=True)
    checks = plain.List(plain.Nested(Gate), metadata={"description": "In the order they are made."})
