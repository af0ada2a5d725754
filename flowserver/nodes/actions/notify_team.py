"""Tell people of your team by e-mail that a contact came this far. Never counted as mail to the contact."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm, Problem, fix, length
from flowserver.text import N_, Text

_ADDRESS = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,189}")
MOST = 10


class NotifyTeam(Action):
    name = "notify_team"
    title = N_("Notify the team")
    icon = "bell"
    group = "team"
    reasons = {"nobody_to_tell": N_("There is nobody to tell")}

    class Settings(base.Settings):
        to = fields.List(fields.String(), load_default=list)
        subject = fields.String(load_default="", validate=length(300))
        text = fields.String(load_default="", validate=length(5000))

        @ma.validates("to")
        def _addresses(self, value: list[str], **_: Any) -> None:
            if len(value) > MOST:
                raise ma.ValidationError(Text("Tell %(n)s people at most", n=MOST))
            for address in value:
                if not _ADDRESS.fullmatch(address):
                    raise ma.ValidationError(Text("“%(address)s” is not an e-mail address", address=address[:80]))

    class Form(NodeForm):
        to = wtforms.StringField(
            N_("To"),
            description=N_("E-mail addresses, separated by commas. Empty: whoever looks after the contact"),
        )
        subject = wtforms.StringField(N_("Subject"), default="{{ contact.email }}")
        text = wtforms.TextAreaField(N_("Text"))

        def to_settings(self) -> dict[str, Any]:
            to = [part for part in re.split(r"[,;\s]+", self.to.data or "") if part]
            return {"to": to, "subject": self.subject.data or "", "text": self.text.data or ""}

        @classmethod
        def from_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
            to = settings.get("to")
            return {**settings, "to": ", ".join(map(str, to)) if isinstance(to, list) else to}

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        plans = [ctx.notify(item, self.settings["to"]) for item in batch]
        return [Go(skipped=None if plan.ok else plan.reason) for plan in plans]

    def summary(self, names: Names) -> str:
        to = self.settings.get("to") or []
        return Text("Tell %(who)s", who=", ".join(to)) if to else Text("Tell whoever looks after the contact")

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        if self.settings.get("subject", "").strip() and self.settings.get("text", "").strip():
            return []
        return [fix(N_("The note to the team has no subject or no text"), "text")]
