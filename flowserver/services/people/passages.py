"""Where a contact is right now in the client's flows, and taking it out of one by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from flowserver import clock
from flowserver.errors import Conflict, NotFound
from flowserver.extensions import db
from flowserver.models import Enrollment
from flowserver.services.people.chapters import GONE, Chapter, Chapters
from flowserver.text import N_, Text


@dataclass(frozen=True, slots=True)
class Passage:
    """A live run: its flow, where it stands in words, and when it goes on (``None`` while the flow is paused)."""

    id: int
    flow_id: int
    flow_name: str
    where: str
    until: datetime | None


def inside(contact_id: int) -> list[Passage]:
    """The live runs of a contact, the one that goes on first on top."""
    query = sa.select(Enrollment).where(Enrollment.contact_id == contact_id, Enrollment.due_at.is_not(None))
    runs = list(db.session.scalars(query.order_by(Enrollment.due_at).limit(50)))
    chapters = Chapters(run.version_id for run in runs)
    return [_passage(run, chapters.get(run.version_id)) for run in runs]


def _passage(run: Enrollment, chapter: Chapter | None) -> Passage:
    name = chapter.flow_name if chapter else GONE
    return Passage(run.id, run.flow_id, name, _where(run, chapter), None if run.held else run.due_at)


def _where(run: Enrollment, chapter: Chapter | None) -> str:
    if run.held:
        return N_("Held, because the flow is paused")
    if not run.step or chapter is None:
        return N_("Waits to start")
    number = chapter.step_number(run.step)
    about = chapter.about(run.step)
    return Text("Step %(n)s: %(step)s", n=number, step=about) if number is not None else about


def take_out(contact_id: int, run_id: int) -> None:
    """End a live run by hand; what it had planned is not sent. Raises :class:`NotFound`, :class:`Conflict` when it is over."""
    query = sa.select(Enrollment).where(Enrollment.id == run_id, Enrollment.contact_id == contact_id).with_for_update()
    run = db.session.scalar(query)
    if run is None:
        raise NotFound(N_("There is no such passage"))
    if run.due_at is None:
        raise Conflict(N_("The contact has already left this flow"))
    run.due_at, run.ended_at, run.end_reason = None, clock.now(), "taken_out"
    run.held, run.awaits = False, None
    db.session.commit()
