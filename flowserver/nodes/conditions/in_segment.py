"""The contact belongs to a segment at this moment: its rule is asked anew each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text


class InSegment(Condition):
    name = "in_segment"
    title = N_("Is in a segment")
    icon = "filter"
    in_segments = False  # a segment inside a segment could come round to itself

    class Settings(base.Settings):
        segment = Ref("segment", required=True, error_messages={"required": N_("Choose the segment")})

    class Form(NodeForm):
        segment = ChoiceOf(N_("Segment"), source="segment")

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__(settings)
        segment = settings.get("segment")
        self.needs = frozenset({f"segment:{segment}"} if isinstance(segment, int) else ())  # type: ignore[misc]

    def holds(self, item: Item, ctx: Context) -> bool:
        rule = ctx.segments.get(self.settings["segment"])
        return rule is not None and rule.holds(item, ctx)

    def question(self, names: Names) -> Text:
        return Text("Is in the segment “%(segment)s”?", segment=names("segment", self.settings.get("segment")))
