"""Another flow sends its contacts here, with the step “Go to another flow”."""

from __future__ import annotations

from flowserver.domain.steps import Fact
from flowserver.nodes.base import Names, Trigger
from flowserver.text import N_, Text


class HandedOver(Trigger):
    """Hand-over: which flow is meant stands in the event, so whoever comes here is meant."""

    name = "handed_over"
    title = N_("Another flow")
    icon = "merge"
    listens_to = ("handed_over",)
    reentry = "after_finish"
    default_wait = {"minutes": 0}

    def admits(self, event: Fact) -> bool:
        return True

    def sentence(self, names: Names) -> Text:
        return Text("When another flow hands a contact over")
