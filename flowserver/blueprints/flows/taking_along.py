"""The question a new version asks: what becomes of those inside? Its form, and what each group would see, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from flowserver.blueprints.say import say
from flowserver.domain import flow_graph
from flowserver.services.flows import moving, outline
from flowserver.services.people.chapters import Chapters

FIELD, AT = "people", "people_at-"


def chosen(flow: Any, form: Mapping[str, str]) -> moving.Choice:
    """The choice of a form that was sent in. Raises :class:`Invalid`."""
    steps = {name.removeprefix(AT): value for name, value in form.items() if name.startswith(AT)}
    return moving.checked(flow, form.get(FIELD, ""), steps)


@dataclass(slots=True)
class Line:
    """Those who stand at one step, whatever version they are in."""

    key: str
    name: str
    contacts: int = 0
    sees: list[str] = field(default_factory=list)
    live: bool = False  # the step is in the live version, so a page can list them
    chosen: str = ""


@dataclass(slots=True)
class Question:
    """What is asked, as the page shows it."""

    impact: moving.Impact
    chosen: str
    lines: list[Line]
    version: int | None  # the only one people are in; None: several
    days: int  # so long the last ones take at most to finish

    @property
    def apart(self) -> bool:
        """Whether something is said for a single step."""
        return any(line.chosen for line in self.lines)


def question(flow: Any, live: Any, laid: outline.Outline, form: Mapping[str, str]) -> Question | None:
    """The question for the people inside a flow whose draft may go live; ``None``: nobody is inside."""
    impact = moving.impact(flow)
    if not impact.groups:
        return None
    chapters = Chapters(group.version.id for group in impact.groups)
    lines: dict[str, Line] = {}
    for group in reversed(impact.groups):
        key = group.landing.key
        chapter = chapters.get(group.version.id)
        line = lines.setdefault(key, Line(key, _name(chapter, key), chosen=form.get(f"{AT}{key}", "")))
        line.contacts += group.contacts
        line.live = line.live or group.version.id == live.id
        line.sees += [text for text in _sees(group, laid) if text not in line.sees]
    numbers = {group.version.number for group in impact.groups}
    longest = max(flow_graph.longest(chapters.get(group.version.id).compiled)[0] for group in impact.groups)  # type: ignore[union-attr]
    return Question(
        impact,
        form.get(FIELD) or impact.usual,
        list(lines.values()),
        numbers.pop() if len(numbers) == 1 else None,
        -(-longest // flow_graph.DAY),
    )


def _name(chapter: Any, key: str) -> str:
    if not key:
        return _("Waiting to start")
    number, words = chapter.step_number(key), say(chapter.about(key))
    return f"{number} · {words}" if number else words


def _sees(group: moving.Group, laid: outline.Outline) -> list[str]:
    """What those of a group who are moved see, in words."""
    landing, texts = group.landing, []
    if landing.step is None:
        return [_("Leave the flow: nothing is left of what came after this step")]
    if group.fits:
        texts.append(_stay(group) if landing.stays else _go_on(landing.step, laid))
    if group.again:
        texts.append(
            ngettext(
                "%(num)s would come to a step a second time and finishes the version entered",
                "%(num)s would come to a step a second time and finish the version they entered",
                group.again,
            )
        )
    return texts


def _stay(group: moving.Group) -> str:
    if not group.anew:
        return _("Stay where they are")
    if group.at_once:
        return _("Stay, but wait another time: %(n)s go on at once", n=group.at_once)
    return _("Stay, but wait another time. What they have waited counts")


def _go_on(key: str, laid: outline.Outline) -> str:
    number = laid.number(key)
    step = laid.flow.steps[key]
    words = say(step.node.summary(laid.names))
    return _("Go on with step %(n)s: %(step)s", n=number, step=words) if number else _("Go on: %(step)s", step=words)
