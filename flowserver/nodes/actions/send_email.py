"""Send one e-mail to every contact that comes here. Nobody without an address and consent gets it: they just go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Context, Go, Item, Outcome, Park, Plan
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm, Problem, fix, length
from flowserver.text import N_, Text

CLASSES = [
    ("marketing", N_("Marketing: needs consent, carries an unsubscribe link")),
    ("service", N_("Service: order, account, appointment")),
]


def outcome(plan: Plan) -> Outcome:
    """A send that is planned goes on, one that must be held parks here, one that may not be goes on without."""
    if plan.hold_until:
        return Park(plan.hold_until, absolute=True, reason=plan.reason)
    return Go() if plan.ok else Go(skipped=plan.reason)


class SendEmail(Action):
    name = "send_email"
    title = N_("E-mail")
    icon = "mail"
    group = "messages"
    sends = "email"
    needs = frozenset({"suppression", "caps"})

    class Settings(base.Settings):
        title = fields.String(validate=length(120))
        subject = fields.String(load_default="", validate=length(300))
        preheader = fields.String(validate=length(300))
        body = fields.Raw(load_default=list)
        text = fields.String(validate=length(100_000))
        from_name = fields.String(validate=length(120))
        from_email = fields.Email(error_messages={"invalid": N_("Enter an e-mail address like name@example.com")})
        class_ = fields.String(
            data_key="class",
            attribute="class",
            validate=validate.OneOf(["marketing", "service"], error=N_("Choose marketing or service")),
        )
        on_failure = fields.String(validate=validate.OneOf(["go_on", "end"], error=N_("Choose go_on or end")))

        @ma.validates("body")
        def _body(self, value: Any, **_: Any) -> None:
            if isinstance(value, str):
                length(500_000)(value)
            elif not isinstance(value, list) or not all(isinstance(block, dict) for block in value):
                raise ma.ValidationError(N_("Write the body as a list of blocks or as HTML"))
            elif len(value) > 100:
                raise ma.ValidationError(N_("An e-mail can have 100 blocks at most"))

    class Form(NodeForm):
        elsewhere = frozenset({"preheader", "body", "text", "from_name", "from_email"})

        title = wtforms.StringField(N_("Name of this step"), description=N_("Shown to you only. Empty: the subject"))
        subject = wtforms.StringField(N_("Subject"))
        class_ = wtforms.RadioField(N_("Kind of e-mail"), name="class", choices=dict(CLASSES), default="marketing")
        on_failure = wtforms.SelectField(
            N_("If it cannot be sent for good"),
            choices={"go_on": N_("Go on with the next step"), "end": N_("Leave the flow")},
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [outcome(plan) for plan in ctx.send(batch, "email", self.settings)]

    def summary(self, names: Names) -> str:
        return self.settings.get("title") or self.settings.get("subject") or Text("E-mail without a subject")

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        found = []
        if not str(self.settings.get("subject", "")).strip():
            found.append(fix(N_("The e-mail has no subject"), "subject"))
        if not has_text(self.settings.get("body")):
            found.append(fix(N_("The e-mail has no text"), "body"))
        return found


def has_text(body: Any) -> bool:
    """Whether a body, blocks or HTML, holds anything to read."""
    if isinstance(body, str):
        return bool(body.strip())
    return isinstance(body, list) and any(
        isinstance(block, Mapping) and any(str(block.get(part) or "").strip() for part in ("text", "label", "url"))
        for block in body
    )
