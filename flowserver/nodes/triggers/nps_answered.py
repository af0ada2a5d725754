"""A contact says how likely they are to recommend you, from 0 to 10. The system that asks reports the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger
from flowserver.text import N_, Text

BANDS: Mapping[str, tuple[int, int]] = {"any": (0, 10), "critics": (0, 6), "passives": (7, 8), "promoters": (9, 10)}
_SENTENCES = {
    "any": N_("When a contact answers how likely they are to recommend you"),
    "critics": N_("When a contact would not recommend you and answers 0 to 6"),
    "passives": N_("When a contact is undecided and answers 7 or 8"),
    "promoters": N_("When a contact would recommend you and answers 9 or 10"),
}


class NpsAnswered(Trigger):
    """The usual bands of the net promoter score. Messages can show ``event.score`` and ``event.comment``."""

    name = "nps_answered"
    title = N_("Recommendation answered")
    icon = "score"
    listens_to = ("nps_answered",)
    reentry = "after_finish"
    brings: ClassVar[Mapping[str, Text]] = {"score": N_("Answer from 0 to 10"), "comment": N_("Comment")}

    class Settings(base.Settings):
        band = fields.String(
            load_default="any", validate=validate.OneOf([*BANDS], error=N_("Choose which answers start the flow"))
        )

    class Form(NodeForm):
        band = wtforms.RadioField(
            N_("Which answers"),
            choices={
                "any": N_("Any answer"),
                "critics": N_("0 to 6: would not recommend you"),
                "passives": N_("7 or 8: undecided"),
                "promoters": N_("9 or 10: would recommend you"),
            },
            default="any",
        )

    def admits(self, event: Fact) -> bool:
        least, most = BANDS[self.settings["band"]]
        score = (event.data or {}).get("score")
        return isinstance(score, int) and least <= score <= most

    def sentence(self, names: Names) -> Text:
        return Text(_SENTENCES[self.settings.get("band") or "any"].msgid)
