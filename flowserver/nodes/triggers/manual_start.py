"""You choose the moment: start one contact, a list or a segment with a button, or over the API."""

from __future__ import annotations

from flowserver.domain.steps import Fact
from flowserver.nodes.base import Names, Trigger
from flowserver.text import N_, Text


class ManualStart(Trigger):
    """Started by hand: no event of its own. Whom it is for is said when it is started."""

    name = "manual_start"
    title = N_("By hand or over the API")
    icon = "play"
    by_hand = True
    reentry = "after_finish"
    default_wait = {"minutes": 0}

    def admits(self, event: Fact) -> bool:
        return False

    def sentence(self, names: Names) -> Text:
        return Text("When somebody starts a contact or a group by hand")
