"""A contact joins any list or one list you choose. With double opt-in it counts when the contact confirms."""

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


class ListJoined(Trigger):
    """List activity: ``any`` = the contact is new in the address book; ``list`` = it was not on that list before."""

    name = "list_joined"
    title = N_("List activity")
    icon = "list"
    group = "contact"
    listens_to = ("contact_created", "list_joined")
    offers_existing = True

    class Settings(base.Settings):
        scope = fields.String(validate=validate.OneOf(["any", "list"], error=N_("Choose any list or one list")))
        list = Ref("list")

        @ma.pre_load
        def _scope_from_list(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
            return {"scope": "list" if data.get("list") else "any", **data}

        @ma.validates_schema
        def _list_goes_with_scope(self, data: Mapping[str, Any], **_: Any) -> None:
            if data["scope"] == "list" and not data.get("list"):
                raise ma.ValidationError(N_("Choose the list"), "list")
            if data["scope"] == "any" and data.get("list"):
                raise ma.ValidationError(N_("Choose “one list” to name a list"), "list")

    class Form(NodeForm):
        shows = {"list": "scope=list"}
        scope = wtforms.RadioField(
            N_("Which list"),
            choices={"any": N_("Any list"), "list": N_("One list")},
            default="list",
        )
        list = ChoiceOf(N_("List"), source="list")

        def to_settings(self) -> dict[str, Any]:
            scope = self.scope.data or ""
            return {
                "scope": scope,
                **({"list": self.list.data} if scope == "list" and self.list.data else {}),
            }

    def admits(self, event: Fact) -> bool:
        if self.settings["scope"] == "any":
            return event.type == "contact_created"
        return event.type == "list_joined" and event.subject == str(self.settings["list"])

    def existing(self) -> Mapping[str, Any]:
        return {"list": self.settings["list"]} if self.settings["scope"] == "list" else {"all": True}

    def sentence(self, names: Names) -> Text:
        if self.settings.get("scope") == "any":
            return Text("When a contact joins the address book")
        return Text("When a contact joins the list %(list)s", list=names("list", self.settings.get("list")))
