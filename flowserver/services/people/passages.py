"""Where a contact is right now in the client's flows, and taking it out of one, or on to its next step, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.errors import Conflict, NotFound
from flowserver.extensions import db
from flowserver.models import Decision, Enrollment
from flowserver.services.engine import engine, events, flow_state
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


def take_out(contact_id: int | None, run_id: int) -> None:
    """End a live run by hand; what it had planned is not sent. ``contact_id``: whose run it must be.

    Raises :class:`NotFound`, :class:`Conflict` when it is over.
    """
    run = _live(contact_id, run_id)
    flow_state.note_ends([run.id], "taken_out")
    run.due_at, run.ended_at, run.end_reason = None, clock.now(), "taken_out"
    run.held, run.awaits = False, None
    db.session.commit()


def move_on(run_id: int) -> None:
    """End a live run's wait now: it goes on as when the time is up, at once.

    What waits for the start begins (if it still matches); a wait for an event goes on as if the event had not come;
    a message that is held for quiet hours or limits is looked at again. Raises :class:`NotFound`,
    :class:`Conflict` when it is over or its flow is paused.
    """
    run = _live(None, run_id)
    if run.held:
        raise Conflict(N_("The flow is paused. Resume it first"))
    step = engine.compiled(run.version_id).steps.get(run.step)
    if step is not None and run.parked_at is not None and set(step.ports) & {"next", "else"} and _is_wait(step):
        _to_next(run, "next" if "next" in step.ports else "else", step.ports)
    else:
        run.due_at, run.due_kind = clock.now(), "absolute"
    jobqueue.wake_after_commit(db.session, "advance")
    db.session.commit()


def _is_wait(step: Any) -> bool:
    """Whether a step does nothing but wait, for a time or for an event."""
    return bool(step.node.waits or step.node.hears())


def _to_next(run: Enrollment, port: str, ports: Mapping[str, str | None]) -> None:
    now, following = clock.now(), ports[port]
    decision = {"enrollment_id": run.id, "step": run.step, "visit": run.visit, "at": now, "outcome": port}
    db.session.add(Decision(workspace_id=run.workspace_id, reason="moved_on", **decision))
    run.parked_at, run.awaits = None, None
    if following is None:
        run.due_at, run.ended_at, run.end_reason = None, now, "finished"
    else:
        run.step, run.due_at, run.due_kind = following, now, "absolute"


def _live(contact_id: int | None, run_id: int) -> Enrollment:
    """A live run, locked with its contact as an advance would lock them."""
    query = sa.select(Enrollment).where(Enrollment.id == run_id)
    if contact_id is not None:
        query = query.where(Enrollment.contact_id == contact_id)
    run = db.session.scalar(query)
    if run is None:
        raise NotFound(N_("There is no such passage"))
    events.lock_contacts([run.contact_id])
    run = db.session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if run is None or run.due_at is None:
        raise Conflict(N_("The contact has already left this flow"))
    return run
