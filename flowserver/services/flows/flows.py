"""Flows as a whole: make one, go live, pause, stop, copy, put away. The steps inside are in ``drafts.py``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.domain import definition as definitions
from flowserver.errors import Broken, Conflict, Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Enrollment, Flow, FlowEdit, FlowVersion, User
from flowserver.services.engine import enrollment, flow_state, missed, timetable
from flowserver.services.flows import checks, moments, moving, options
from flowserver.services.messages import deliveries
from flowserver.services.people import usage
from flowserver.text import N_, Text

PAUSE_MODES = ("freeze", "hold", "skip")
FINAL = ("stopped", "completed")
GOING_ON = timedelta(minutes=10)  # so long one person writing at one step is one entry of the history


# --- finding ---------------------------------------------------------------------------------------------


def get(flow_id: int, lock: bool = False) -> Flow:
    """The flow. ``lock`` holds its row until the transaction ends. Raises :class:`NotFound`."""
    query = sa.select(Flow).where(Flow.id == flow_id)
    flow = db.session.scalar(query.with_for_update() if lock else query)
    if flow is None:
        raise NotFound(N_("There is no such flow"))
    return flow


def live_version(flow: Flow) -> FlowVersion | None:
    """The version people enter now; ``None`` before the flow first went live."""
    return (
        db.session.scalar(sa.select(FlowVersion).where(FlowVersion.id == flow.version_id)) if flow.version_id else None
    )


def live_since(version: FlowVersion) -> tuple[datetime, int | None]:
    """Since when a version is the live one, and who took it live; nobody is known to have gone back to it."""
    query = sa.select(sa.func.max(FlowVersion.undone_at)).where(FlowVersion.replaced_id == version.id)
    back = db.session.scalar(query)
    return (back, None) if back is not None else (version.created_at, version.published_by)


def versions(flow_id: int) -> list[FlowVersion]:
    """What went live so far, newest first, 200 at most."""
    query = sa.select(FlowVersion).where(FlowVersion.flow_id == flow_id).order_by(FlowVersion.number.desc())
    return list(db.session.scalars(query.limit(200)))


def people_inside(flow_id: int) -> dict[int, int]:
    """How many contacts are inside, by version id. Those waiting to start count."""
    query = (
        sa.select(Enrollment.version_id, sa.func.count())
        .where(Enrollment.flow_id == flow_id, Enrollment.due_at.is_not(None))
        .group_by(Enrollment.version_id)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}


def people_names(user_ids: Iterable[int | None]) -> dict[int | None, str]:
    """What the people behind user ids are called; those who left are missing."""
    wanted = {one for one in user_ids if one}
    query = sa.select(User.id, User.name, User.email).where(User.id.in_(wanted))
    return {id: name or email for id, name, email in db.session.execute(query)} if wanted else {}


# --- making ----------------------------------------------------------------------------------------------


def create(definition: Mapping[str, Any], user_id: int | None = None) -> Flow:
    """Make a draft from a definition (references as ids or names; steps may be unfinished).

    Raises :class:`Invalid`: a name that is empty, too long or taken, a starting point that is not complete, an
    unknown reference.
    """
    resolved = checked(definition)
    flow = Flow(
        workspace_id=current_workspace(),
        name=resolved["name"],
        trigger_type=resolved["trigger"]["type"],
        draft=resolved,
        owner_id=user_id,
        updated_at=clock.now(),
    )
    db.session.add(flow)
    _claim(flow.name)
    db.session.commit()
    return flow


def checked(definition: Mapping[str, Any], flow: Flow | None = None) -> dict[str, Any]:
    """The draft a definition makes, of a new flow or as the next one of ``flow``; nothing is written.

    References become ids. Raises :class:`Invalid` by path, :class:`Conflict` for a moment that cannot change any more.
    """
    given: dict[str, Any] = {"name": flow.name} if flow else {"steps": []}
    wanted = moments.with_zone({"format": 1, **given, **definitions.plain(definition)})
    mistakes: dict[str, Any] = {}
    wanted["name"] = definitions.check_name(wanted.get("name"), mistakes)
    compiled = options.compiled(wanted)
    passed = moments.mistakes(compiled.trigger)
    whole = {**passed, **compiled.mistakes}
    mistakes.update({path: texts for path, texts in whole.items() if _blocks_a_draft(wanted, path)})
    if "name" not in mistakes:
        mistakes.update(_taken(wanted["name"], but=flow.id if flow else None))
    if flow and not mistakes and flow.version_id and wanted["trigger"].get("type") != flow.trigger_type:
        mistakes["trigger.type"] = [N_("A flow that has been live keeps its starting point. Duplicate it instead")]
    resolved, unknown = options.look_up(wanted)
    mistakes.update(unknown)
    if flow and "trigger" in resolved and not unknown:
        moments.refuse_change(flow, resolved["trigger"])
    if flow and resolved.get("trigger") == flow.draft.get("trigger"):  # what stands there already may have passed
        mistakes = {path: texts for path, texts in mistakes.items() if path not in passed}
    if mistakes:
        raise Invalid(mistakes)
    return resolved


def _blocks_a_draft(definition: Mapping[str, Any], path: str) -> bool:
    """A draft may lack settings of its steps; its keys, types, starting point and what is written must be sound."""
    if not path.startswith("steps[") or path.endswith((".key", ".type", ".then", ".else", "]")):
        return True
    return definitions.written(definition, path) not in (None, "", [], {})


def _taken(name: str, but: int | None = None) -> dict[str, Any]:
    query = sa.select(Flow.id).where(sa.func.lower(Flow.name) == name.lower())
    if but:
        query = query.where(Flow.id != but)
    if db.session.scalar(query.limit(1)) is None:
        return {}
    return {"name": [Text("There is a flow called “%(name)s” already. Choose another name", name=name)]}


def _claim(name: str) -> None:
    """Write a flow's name, which was free a moment ago. Raises :class:`Invalid` when somebody was faster."""
    try:
        db.session.flush()
    except sa.exc.IntegrityError as error:
        db.session.rollback()
        taken = _taken(name)
        if not taken:
            raise
        raise Invalid(taken) from error


def free_name(wanted: str) -> str:
    """``wanted``, or the first of "wanted 2", "wanted 3" … that is free in this client."""
    taken = {name.lower() for name in db.session.scalars(sa.select(Flow.name))}
    for number in range(1, len(taken) + 2):
        end = "" if number == 1 else f" {number}"
        name = wanted[: 120 - len(end)].rstrip() + end
        if name.lower() not in taken:
            return name
    raise AssertionError("more names than flows")


def duplicate(flow_id: int, user_id: int | None = None) -> Flow:
    """A new draft with the same starting point and steps. Contacts and numbers stay with the old flow."""
    flow = get(flow_id)
    definition = copy.deepcopy(flow.draft)
    definition["name"] = free_name(flow.name)
    fresh = Flow(
        workspace_id=flow.workspace_id,
        name=definition["name"],
        trigger_type=flow.trigger_type,
        draft=definition,
        owner_id=user_id,
        updated_at=clock.now(),
    )
    db.session.add(fresh)
    _claim(fresh.name)
    db.session.commit()
    return fresh


def rename(flow_id: int, name: str, user_id: int | None = None) -> Flow:
    """Give the flow another name. Raises :class:`Invalid` when it is empty, too long or taken."""
    flow = get(flow_id, lock=True)
    mistakes: dict[str, Any] = {}
    name = definitions.check_name(name, mistakes)
    mistakes = mistakes or _taken(name, but=flow.id)
    if mistakes:
        raise Invalid(mistakes)
    if name != flow.name:
        before = flow.draft
        flow.name = name
        flow.draft = {**copy.deepcopy(flow.draft), "name": name}
        _claim(name)
        record(flow, user_id, before, N_("Renamed the flow to “%(name)s”"), name=name)
    db.session.commit()
    return flow


def save_draft(flow_id: int, definition: Mapping[str, Any], number: int, user_id: int | None = None) -> Flow:
    """Replace the whole draft.

    ``number`` is the ``draft_number`` the change was made from: when somebody saved meanwhile it raises
    :class:`Conflict`. Raises :class:`Invalid` for a definition that is not sound.
    """
    flow = get(flow_id, lock=True)
    if flow.draft_number != number:
        raise Conflict(N_("Somebody else saved this flow meanwhile. Load the page again to see what changed"))
    resolved = checked(definition, flow)
    before = flow.draft
    flow.draft, flow.name, flow.trigger_type = resolved, resolved["name"], resolved["trigger"]["type"]
    _claim(flow.name)
    record(flow, user_id, before, N_("Replaced the draft"))
    db.session.commit()
    return flow


def record(flow: Flow, user_id: int | None, before: Mapping[str, Any], what: str, **params: Any) -> FlowEdit:
    """Write one change of the draft into the history and raise its number. The caller commits.

    ``what`` is a message id with ``params``; ``flow.draft`` already holds the draft after the change. The same person
    writing on at the same step (``params["key"]``) within ten minutes goes on with the same entry.
    """
    now = clock.now()
    words = getattr(what, "msgid", what)
    edit = _going_on(flow, user_id, words, params.get("key"), now)
    if edit is None:
        edit = FlowEdit(
            workspace_id=flow.workspace_id, flow_id=flow.id, user_id=user_id, created_at=now, before=dict(before)
        )
        db.session.add(edit)
    edit.what, edit.params, edit.after = words, params, flow.draft
    db.session.flush()
    flow.draft_number += 1
    live = live_version(flow)
    if live is None:
        flow.broken = ""  # the next going live looks again
    flow.draft_changed = live is None or _but_name(live.definition) != _but_name(flow.draft)
    flow.updated_at = now
    return edit


def _but_name(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition without its name: a new name alone need not go live."""
    return {key: value for key, value in definition.items() if key != "name"}


def _going_on(flow: Flow, user_id: int | None, what: str, key: str | None, now: datetime) -> FlowEdit | None:
    """The latest entry of the history, when this change only goes on with it."""
    if not key or user_id is None:
        return None
    query = sa.select(FlowEdit).where(FlowEdit.flow_id == flow.id).order_by(FlowEdit.id.desc()).limit(1)
    last = db.session.scalar(query)
    if last is None or (last.user_id, last.what, last.params.get("key")) != (user_id, what, key):
        return None
    return last if last.created_at > now - GOING_ON else None


# --- going live and after --------------------------------------------------------------------------------


def publish(
    flow_id: int,
    user_id: int | None = None,
    include_existing: bool | None = None,
    people: moving.Choice = moving.USUAL,
) -> FlowVersion:
    """Make the draft the live version, and the flow live the first time.

    ``include_existing``: let in those who already match, at the first going live only; ``None`` leaves it to the
    definition. ``people``: what becomes of those inside. Raises :class:`Invalid` with every problem that must
    be fixed by path, :class:`Broken` when one of them is an object that was deleted or switched off, :class:`Conflict`
    when the flow is stopped or the draft is live already.
    """
    flow = get(flow_id, lock=True)
    if flow.state in FINAL or flow.archived_at:
        raise Conflict(N_("This flow has been stopped for good. Duplicate it to use it again"))
    if flow.version_id and not flow.draft_changed:
        raise Conflict(N_("This draft is live already"))
    moments.refuse_change(flow, flow.draft["trigger"])
    first = flow.activated_at is None
    draft = copy.deepcopy(flow.draft)
    if first and include_existing is not None:
        draft["trigger"]["include_existing"] = include_existing
    problems = [one for one in checks.findings(draft, flow) if one.kind == "fix"]
    if problems:
        _refuse(flow, draft, problems)
    number = (
        db.session.scalar(sa.select(sa.func.max(FlowVersion.number)).where(FlowVersion.flow_id == flow.id)) or 0
    ) + 1
    version = FlowVersion(
        workspace_id=flow.workspace_id, flow_id=flow.id, number=number, definition=draft, published_by=user_id,
        created_at=clock.now(), replaced_id=flow.version_id,
    )  # fmt: skip
    db.session.add(version)
    db.session.flush()
    replaced = live_version(flow)
    if replaced is not None:
        moving.take_along(flow, version, replaced, people)
    if flow.broken:
        flow_state.resolve_alerts(flow.workspace_id, f"flow:{flow.id}")
    flow.draft, flow.version_id, flow.draft_changed, flow.broken = draft, version.id, False, ""
    flow.updated_at = version.created_at
    if first:
        flow.activated_at, flow.state = version.created_at, "active"
        if options.compiled(draft).include_existing:
            flow.existing_after = 0  # let in from the first contact on; the job remembers here how far it came
            jobqueue.wake_after_commit(db.session, "enroll", flow.id)
    timetable.schedule(flow, version.created_at, replaced.definition["trigger"] if replaced else None)
    db.session.commit()
    return version


def undo_publish(flow_id: int, user_id: int | None = None) -> tuple[FlowVersion, int]:
    """Make the version before the live one live again; the draft stays as it is.

    Those who were taken along and have not walked on stand where they stood; everybody else finishes the version they
    are in. Returns the version and how many were put back. Raises :class:`Conflict` when there is none, when the flow
    is stopped, or when the version cannot go live any more.
    """
    flow = get(flow_id, lock=True)
    version = live_version(flow)
    if flow.state in FINAL or flow.archived_at:
        raise Conflict(N_("This flow has been stopped for good. Duplicate it to use it again"))
    before = db.session.get(FlowVersion, version.replaced_id) if version and version.replaced_id else None
    if version is None or before is None:
        raise Conflict(N_("There is no version before this one"))
    moments.refuse_change(flow, before.definition["trigger"])
    if any(one.kind == "fix" for one in checks.findings(before.definition, flow)):
        raise Conflict(Text("Version %(n)s cannot go live again: something it needs is gone", n=before.number))
    put_back = moving.put_back(version)
    version.undone_at = flow.updated_at = clock.now()
    flow.version_id, flow.draft_changed = before.id, _but_name(before.definition) != _but_name(flow.draft)
    timetable.schedule(flow, version.undone_at, version.definition["trigger"])
    db.session.commit()
    return before, put_back


def _refuse(flow: Flow, draft: Mapping[str, Any], problems: Sequence[Any]) -> NoReturn:
    """Say what keeps a flow from going live; a draft shows from now on what is gone."""
    messages, lost = checks.by_path(draft, problems), options.lost(draft)
    if not lost:
        raise Invalid(messages)
    if flow.version_id is None:  # a live one is marked when the object changes
        flow.broken = str(next(iter(lost.values())))[:300]
        db.session.commit()
    raise Broken(messages)


def would_start(flow: Flow) -> enrollment.Matching | None:
    """How many contacts "those who already match" are now; ``None`` where the starting point cannot say."""
    compiled = options.compiled(flow.draft)
    if compiled.trigger is None or not compiled.trigger.offers_existing:
        return None
    return enrollment.count_existing(compiled, flow.workspace_id)


def meant_now(flow: Flow) -> enrollment.Matching | None:
    """How many contacts a starting point with one moment would start if it were now; ``None`` for all others."""
    trigger, now = options.compiled(flow.draft).trigger, clock.now()
    if trigger is None or not trigger.one_shot:
        return None
    rule = trigger.audience(now, now, timetable.zone_of(flow.workspace_id))
    return enrollment.count_people(rule, flow.workspace_id)


def pause(flow_id: int, mode: str = "freeze", user_id: int | None = None, reason: str = "") -> Flow:
    """Pause a live flow: nobody enters. ``mode`` says what happens to the people inside.

    ``freeze``: nobody moves, waits stand still. ``hold``: waits run on, due steps run at resume. ``skip``: people
    walk on and sends are left out.
    """
    flow = get(flow_id, lock=True)
    if mode not in PAUSE_MODES:
        raise Invalid({"mode": [N_("Choose what happens to the contacts inside")]})
    if flow.state != "active":
        raise Conflict(N_("Only a live flow can be paused"))
    if flow.paused_at is not None:
        raise Conflict(N_("The contacts inside are still being let go after the last pause. Try again in a minute"))
    flow.state, flow.pause_mode, flow.pause_reason, flow.paused_at = "paused", mode, reason, clock.now()
    flow.updated_at = flow.paused_at
    missed.begin(flow)
    db.session.commit()
    if mode != "skip":
        flow_state.hold(flow.id)
    return flow


def would_have_started(flow: Flow) -> enrollment.Matching:
    """How many contacts would have started since a person paused the flow."""
    by_person = flow.state == "paused" and not flow.pause_reason and not flow.closed
    return missed.count(flow) if by_person else enrollment.Matching(0, True)


def resume(flow_id: int, user_id: int | None = None, let_in: bool = False) -> Flow:
    """Let a paused flow go on. With ``let_in`` those who would have started meanwhile enter after all, by a job."""
    flow = get(flow_id, lock=True)
    if flow.state != "paused":
        raise Conflict(N_("This flow is not paused"))
    if not flow.pause_reason:  # while the engine had paused it, people went on entering
        moments.reopen(flow)
    missed.finish(flow, let_in)
    flow.state, flow.pause_reason = "active", ""  # how long and how it was paused stays until all are let go
    flow.updated_at = clock.now()
    flow_state.resolve_alerts(flow.workspace_id, f"flow:{flow.id}")
    if flow.existing_after is not None:
        jobqueue.wake_after_commit(db.session, "enroll", flow.id)
    db.session.commit()
    flow_state.release(flow_id)
    deliveries.release_flow(flow_id)
    return get(flow_id)


def stop(flow_id: int, user_id: int | None = None) -> Flow:
    """Stop a flow for good: nobody enters, everybody inside leaves now. It cannot be undone."""
    flow = get(flow_id, lock=True)
    if flow.state not in ("active", "paused"):
        raise Conflict(N_("Only a live or paused flow can be stopped"))
    flow.state, flow.updated_at = "stopped", clock.now()
    moments.forget(flow)
    flow_state.resolve_alerts(flow.workspace_id, f"flow:{flow.id}")
    usage.gone("flow", flow.id)
    db.session.commit()
    flow_state.end_all(flow_id, "flow_stopped")
    return get(flow_id)


def close(flow_id: int, closed: bool = True, user_id: int | None = None) -> Flow:
    """Close the door (nobody enters, those inside finish), or open it again."""
    flow = get(flow_id, lock=True)
    if flow.state not in ("active", "paused"):
        raise Conflict(N_("Only a live or paused flow has a door to close"))
    if flow.closed and not closed:
        moments.reopen(flow)
    flow.closed, flow.updated_at = closed, clock.now()
    db.session.commit()
    return flow


def archive(flow_id: int, archived: bool = True, user_id: int | None = None) -> Flow:
    """Put a flow away that is a draft or has ended, or take it out again."""
    flow = get(flow_id, lock=True)
    if archived and flow.state in ("active", "paused"):
        raise Conflict(N_("Stop the flow before you archive it"))
    flow.archived_at = clock.now() if archived else None
    flow.updated_at = clock.now()
    db.session.commit()
    return flow


def delete(flow_id: int, user_id: int | None = None) -> str:
    """Delete a flow that never went live. Returns its name; raises :class:`Conflict` for one with people or numbers."""
    flow = get(flow_id, lock=True)
    if flow.version_id:
        raise Conflict(N_("This flow has been live and its numbers are kept. Archive it instead"))
    name = flow.name
    uses = [use for use in usage.of("flow", flow.id) if (use.kind, use.id) != ("flow", flow.id)]
    if uses:
        raise usage.InUse(Text("“%(name)s” is in use by: %(users)s", name=name, users=uses[0].name), uses)
    db.session.execute(sa.delete(FlowEdit).where(FlowEdit.flow_id == flow.id))
    db.session.delete(flow)
    db.session.commit()
    return name
