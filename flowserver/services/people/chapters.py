"""Names of flows and steps for a person's history: what an enrollment, a decision or a message was about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flowserver.domain import definition as definitions
from flowserver.domain import liquid
from flowserver.domain.definition import Compiled
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Campaign, Flow, FlowVersion
from flowserver.nodes.base import Names
from flowserver.services.flows import options, outline
from flowserver.text import N_, Text

GONE = N_("a deleted flow")


@dataclass(slots=True)
class Chapter:
    """One version of a flow, ready to be spoken of."""

    flow_id: int
    flow_name: str
    number: int
    definition: Mapping[str, Any]
    compiled: Compiled
    names: Names

    def step_number(self, key: str) -> int | None:
        """The number of a step as it was in this version; waits have none."""
        step = self.compiled.steps.get(key)
        return step.number if step else None

    def about(self, key: str) -> str:
        """What the step does, in a few words; empty when it is not in this version."""
        for _, _, step in definitions.walk(self.definition.get("steps", [])):
            if step.get("key") == key:
                return options.summary(step, self.names)
        return ""

    def where(self, key: str) -> str:
        """ "Lead nurturing, step 2"; the flow alone for waits."""
        number = self.step_number(key)
        if number is None:
            return self.flow_name
        return Text("%(flow)s, step %(n)s", flow=self.flow_name, n=number)

    def start(self) -> str:
        """How the flow starts, in words."""
        return outline.sentence(self.definition, self.names)

    def settings(self, key: str) -> Mapping[str, Any]:
        """The settings of a step, empty when it is not in this version."""
        step = self.compiled.steps.get(key)
        return step.settings if step else {}


class Chapters:
    """The versions a page speaks of, read in two queries."""

    def __init__(self, version_ids: Iterable[int | None]):
        wanted = {one for one in version_ids if one}
        query = (
            sa.select(FlowVersion, Flow.name)
            .join(Flow, Flow.id == FlowVersion.flow_id)
            .where(FlowVersion.id.in_(wanted))
        )
        self._rows = {version.id: (version, name) for version, name in db.session.execute(query)} if wanted else {}
        self._made: dict[int, Chapter] = {}

    def get(self, version_id: int | None) -> Chapter | None:
        """The version, ``None`` when it is unknown."""
        if version_id not in self._rows:
            return None
        if version_id not in self._made:
            version, name = self._rows[version_id]
            definition = version.definition
            self._made[version_id] = Chapter(
                version.flow_id,
                name,
                version.number,
                definition,
                options.compiled(definition),
                options.namer(definition),
            )
        return self._made[version_id]

    def of(self, message: Any) -> str:
        """Where a message came from, in words: flow and step, or the campaign."""
        if message.campaign_id is None:
            return self.where(message.version_id, message.step)
        campaign = db.session.get(Campaign, message.campaign_id)
        return Text("Campaign “%(campaign)s”", campaign=campaign.name) if campaign is not None else ""

    def where(self, version_id: int | None, key: str) -> str:
        """Flow and step in words."""
        chapter = self.get(version_id)
        return chapter.where(key) if chapter else GONE


_BROUGHT = re.compile(r"\{\{-?\s*event\.[^}]*\}\}")  # what an event brought is not kept for each message


def headline(message: Any, chapters: Chapters, facts: Mapping[str, Any] | None = None) -> str:
    """What a message was about: its subject, or the first words of an SMS; with the ``facts`` of its reader filled in."""
    chapter = chapters.get(message.version_id)
    content = message.content or (chapter.settings(message.step) if chapter else {})
    if message.campaign_id is not None:
        campaign = db.session.get(Campaign, message.campaign_id)
        content = campaign.content if campaign is not None else {}
    text = str(content.get("subject") or content.get("text") or "")
    text = text if facts is None else _filled(text, facts)
    return text if len(text) <= 80 else text[:79] + "…"


def _filled(text: str, facts: Mapping[str, Any]) -> str:
    """A text as its reader sees it today; as it was written where it cannot be filled in."""
    try:
        return liquid.compile(_BROUGHT.sub("…", text)).render({"contact": facts}) or text
    except Invalid:
        return text
