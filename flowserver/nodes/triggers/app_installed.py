"""A contact installs your app. The app, or the service behind it, reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import wtforms
from marshmallow import fields

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger, length
from flowserver.nodes.goods import is_called
from flowserver.text import N_, Text


class AppInstalled(Trigger):
    """Once for each contact, unless the author says otherwise: people install an app on every new phone."""

    name = "app_installed"
    title = N_("App installed")
    icon = "phone"
    listens_to = ("app_installed",)
    brings: ClassVar[Mapping[str, Text]] = {"app": N_("App"), "platform": N_("Platform")}

    class Settings(base.Settings):
        app = fields.String(validate=length(120))

    class Form(NodeForm):
        app = wtforms.StringField(N_("App"), description=N_("Its name, as it is reported. Empty means any app."))

    def admits(self, event: Fact) -> bool:
        return is_called(self.settings.get("app", ""), event.subject)

    def sentence(self, names: Names) -> Text:
        if self.settings.get("app"):
            return Text("When a contact installs %(app)s", app=self.settings["app"])
        return Text("When a contact installs the app")
