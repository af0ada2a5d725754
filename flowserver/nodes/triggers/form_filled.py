"""A contact fills in one of your forms. With double opt-in it counts when the contact confirms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.text import N_, Text


class FormFilled(Trigger):
    """The answers come along: messages may use {{ event.answers.first_name }}."""

    name = "form_filled"
    title = N_("Form filled in")
    icon = "field"
    listens_to = ("form_filled",)
    reentry = "after_finish"

    class Settings(base.Settings):
        scope = fields.String(validate=validate.OneOf(["any", "form"], error=N_("Choose any form or one form")))
        form = Ref("form")

        @ma.pre_load
        def _scope_from_form(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
            return {"scope": "form" if data.get("form") else "any", **data}

        @ma.validates_schema
        def _form_goes_with_scope(self, data: Mapping[str, Any], **_: Any) -> None:
            if data["scope"] == "form" and not data.get("form"):
                raise ma.ValidationError(N_("Choose the form"), "form")
            if data["scope"] == "any" and data.get("form"):
                raise ma.ValidationError(N_("Choose “one form” to name a form"), "form")

    class Form(NodeForm):
        shows = {"form": "scope=form"}
        scope = wtforms.RadioField(
            N_("Which form"), choices={"any": N_("Any form"), "form": N_("One form")}, default="form"
        )
        form = ChoiceOf(N_("Form"), source="form")

        def to_settings(self) -> dict[str, Any]:
            scope = self.scope.data or ""
            return {"scope": scope, **({"form": self.form.data} if scope == "form" and self.form.data else {})}

    def admits(self, event: Fact) -> bool:
        return self.settings["scope"] == "any" or event.subject == str(self.settings["form"])

    def sentence(self, names: Names) -> Text:
        if self.settings.get("scope") == "any":
            return Text("When a contact fills in any form")
        return Text("When a contact fills in the form %(form)s", form=names("form", self.settings.get("form")))
