"""A contact asks for a document or downloads it: a price list, a guide. The system that hands it out reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger, length
from flowserver.nodes.goods import is_called
from flowserver.text import N_, Text

ACTS = ("requested", "downloaded")


class Document(Trigger):
    """Messages can show what the report brings: ``event.document``, ``event.url``."""

    name = "document"
    title = N_("Document")
    icon = "download"
    listens_to = ("document_requested", "document_downloaded")
    reentry = "after_finish"
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 0}
    brings: ClassVar[Mapping[str, Text]] = {"document": N_("Document"), "url": N_("Address of the document")}

    class Settings(base.Settings):
        act = fields.String(
            load_default="downloaded",
            validate=validate.OneOf(ACTS, error=N_("Choose whether it is requested or downloaded")),
        )
        document = fields.String(validate=length(120))

    class Form(NodeForm):
        act = wtforms.RadioField(
            N_("What the contact does"),
            choices={"requested": N_("Asks for the document"), "downloaded": N_("Downloads the document")},
            default="downloaded",
        )
        document = wtforms.StringField(
            N_("Document"), description=N_("Its name, as it is reported. Empty means any document.")
        )

    def admits(self, event: Fact) -> bool:
        mine = event.type == f"document_{self.settings['act']}"
        return mine and is_called(self.settings.get("document", ""), event.subject)

    def sentence(self, names: Names) -> Text:
        document = self.settings.get("document")
        if self.settings.get("act") == "requested":
            if document:
                return Text("When a contact asks for %(document)s", document=document)
            return Text("When a contact asks for a document")
        if document:
            return Text("When a contact downloads %(document)s", document=document)
        return Text("When a contact downloads a document")
