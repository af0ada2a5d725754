"""Changes to the steps of a draft. Each is written into the history and can be undone.

Nothing here touches the live version: people inside a flow notice nothing before it goes live again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
import wtforms
from sqlalchemy import orm

from flowserver.domain import definition as definitions
from flowserver.domain import edits, flow_graph
from flowserver.domain.edits import Place, Shape
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Flow, FlowEdit
from flowserver.nodes import catalogue
from flowserver.services.flows import flows, moments, options
from flowserver.text import N_

Definition = dict[str, Any]
_LETTERS = "23456789abcdefghijkmnpqrstuvwxyz"


def shape() -> Shape:
    """Which step types wait, which end the flow, which lanes each has: from the nodes there are."""
    actions = catalogue.actions()
    return Shape(
        waits=frozenset(name for name, cls in actions.items() if cls.waits),
        ends=frozenset(name for name, cls in actions.items() if not cls.ports),
        lanes={name: [port for port in cls.ports if port in definitions.LANES] for name, cls in actions.items()},
    )


def fresh(type: str) -> str:
    """A key no step ever had: the type and five random letters."""
    return f"{type}-{''.join(secrets.choice(_LETTERS) for _ in range(5))}"


def print_of(step: Mapping[str, Any] | None) -> str:
    """A short print of a step's (or starting point's) own settings: a form carries it, so that nobody's text is lost."""
    own = {name: value for name, value in (step or {}).items() if name not in definitions.LANES}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()[:16]


# --- changes ---------------------------------------------------------------------------------------------


def _change(
    flow_id: int,
    user_id: int | None,
    operation: Callable[[Definition], Definition | None],
    what: str,
    params: Callable[[Definition, Definition], Mapping[str, Any]] = lambda before, after: {},
) -> FlowEdit | None:
    """Apply an operation to the draft and record it; ``None`` when it changes nothing."""
    flow = flows.get(flow_id, lock=True)
    if flow.archived_at or flow.state in flows.FINAL:
        db.session.rollback()
        raise Conflict(N_("This flow has ended. Duplicate it to change its steps"))
    before = copy.deepcopy(flow.draft)
    after = operation(copy.deepcopy(before))
    if after is None or after == before:
        db.session.rollback()
        return None
    kind = after.get("trigger", {}).get("type", flow.trigger_type)
    if kind != flow.trigger_type and flow.version_id:
        db.session.rollback()
        raise Conflict(N_("A flow that has been live keeps its starting point. Duplicate it instead"))
    flow.draft, flow.trigger_type = after, kind
    edit = flows.record(flow, user_id, before, what, **params(before, after))
    db.session.commit()
    return edit


def _named(definition: Definition, key: str) -> dict[str, str]:
    """How the history calls a step: what it was called at that time."""
    step = edits.step(definition, key)
    return {"step": str(options.summary(step, options.namer(definition)))}


def add(flow_id: int, type: str, place: Place, user_id: int | None = None) -> str:
    """Add a step of a type with its usual settings. Returns its key; raises :class:`Invalid` for an unknown type."""
    cls = catalogue.actions().get(type)
    if cls is None:
        raise Invalid({"type": [N_("Choose the kind of step to add")]})
    key = fresh(type)

    def operation(draft: Definition) -> Definition:
        added = edits.insert(draft, {"key": key, "type": type}, place)
        return edits.update(added, key, usual_settings(added, key, cls))

    _change(flow_id, user_id, operation, N_("Added “%(step)s”"), lambda before, after: _named(after, key))
    return key


def usual_settings(draft: Mapping[str, Any], key: str, cls: Any) -> dict[str, Any]:
    """The settings a new step begins with: what its form shows at first, asking about the last message it can ask about."""
    form = options.fill(cls.Form(), draft, key)
    for field in form:
        if isinstance(field, wtforms.SelectField) and not hasattr(field, "source") and not field.data:
            field.data = next((choice.value for choice in field.iter_choices()), None)
    settings: dict[str, Any] = {
        name: value for name, value in form.to_settings().items() if value not in (None, "", [])
    }
    before = flow_graph.before(options.compiled(draft), key)
    for field in form:
        if getattr(field, "source", "") != "step":
            continue
        for choice in reversed(field.iter_choices()):
            trial = {**settings, field.short_name: choice.value}
            if choice.value and not cls(trial).problems(before):
                settings = trial
                break
    return settings


def update(
    flow_id: int,
    key: str,
    settings: Mapping[str, Any],
    user_id: int | None = None,
    seen: str = "",
    type: str = "",
) -> FlowEdit | None:
    """Give a step other settings, cleaned by its type's rules.

    ``seen`` is the :func:`print_of` the step when the form was opened: when somebody changed this step meanwhile it
    raises :class:`Conflict`. Raises :class:`Invalid` with a message per setting.
    """
    draft = flows.get(flow_id).draft
    step = edits.step(draft, key)
    if seen and seen != print_of(step):
        raise Conflict(N_("Somebody else changed this step meanwhile. Your text is below: compare, then save again"))
    cls = catalogue.actions()[type or step["type"]]
    checked = cls.load(settings)
    wanted = _as_stored(cls, checked)
    _, unknown = options.look_up({"steps": [{"key": key, "type": cls.name, **wanted}]})
    if unknown:
        raise Invalid({path.removeprefix("steps[0]."): texts for path, texts in unknown.items()})
    return _change(
        flow_id,
        user_id,
        lambda draft: edits.update(draft, key, {**wanted, **_revision(cls)}, type if type != step["type"] else ""),
        N_("Changed “%(step)s”"),
        lambda before, after: {**_named(after, key), "key": key},
    )


def _revision(cls: Any) -> dict[str, int]:
    return {"rev": cls.revision} if cls.revision != 1 else {}


def _as_stored(cls: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Cleaned settings under the names a definition uses (``class``, ``if``), without empty ones."""
    names = {(field.attribute or name): (field.data_key or name) for name, field in cls.Settings().fields.items()}
    return {names.get(name, name): value for name, value in settings.items() if value not in (None, "", [], {})}


def update_trigger(
    flow_id: int, trigger: Mapping[str, Any], user_id: int | None = None, seen: str = ""
) -> FlowEdit | None:
    """Change the starting point's settings, wait and who may enter again. Its type stays once the flow was live."""
    flow = flows.get(flow_id)
    if seen and seen != print_of(flow.draft.get("trigger")):
        raise Conflict(N_("Somebody else changed the starting point meanwhile. Compare, then save again"))
    if flow.version_id and trigger.get("type") != flow.trigger_type:
        raise Conflict(N_("A flow that has been live keeps its starting point. Duplicate it instead"))
    wanted = check_trigger(trigger)
    moments.refuse_change(flow, wanted)

    def operation(draft: Definition) -> Definition:
        draft["trigger"] = wanted
        return draft

    return _change(flow_id, user_id, operation, N_("Changed the starting point"))


def check_trigger(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """A starting point with its references as ids. Raises :class:`Invalid` by setting (``wait``, ``list`` …)."""
    whole = moments.with_zone({"format": 1, "name": "-", "trigger": copy.deepcopy(dict(trigger)), "steps": []})
    compiled = options.compiled(whole)
    resolved, unknown = options.look_up(whole)
    found = {**unknown, **moments.mistakes(compiled.trigger), **compiled.mistakes}
    if found:
        raise Invalid({path.removeprefix("trigger."): texts for path, texts in found.items()})
    return dict(resolved["trigger"])


def update_goal(
    flow_id: int, kind: str, goal: Mapping[str, Any] | None, user_id: int | None = None, seen: str = ""
) -> FlowEdit | None:
    """Set what ends a run from anywhere in the flow: its ``goal`` or its ``exit``; ``None`` takes it away.

    Raises :class:`Invalid` by setting (``within``, ``list`` …), :class:`Conflict` when somebody changed it meanwhile.
    """
    flow = flows.get(flow_id)
    if seen and seen != print_of(flow.draft.get(kind)):
        raise Conflict(N_("Somebody else changed this meanwhile. Compare, then save again"))
    wanted = None if goal is None else check_goal(kind, goal)

    def operation(draft: Definition) -> Definition:
        draft.pop(kind, None)
        return draft if wanted is None else {**draft, kind: wanted}

    words = {"goal": N_("Changed the goal"), "exit": N_("Changed the exit")}
    return _change(flow_id, user_id, operation, words[kind])


def check_goal(kind: str, goal: Mapping[str, Any]) -> dict[str, Any]:
    """A goal or exit with its references as ids. Raises :class:`Invalid` by setting."""
    whole = {"format": 1, "name": "-", "trigger": {}, kind: copy.deepcopy(dict(goal)), "steps": []}
    resolved, unknown = options.look_up(whole)
    found = {**unknown, **options.compiled(whole).mistakes}
    mine = {path.removeprefix(f"{kind}."): texts for path, texts in found.items() if path.partition(".")[0] == kind}
    if mine:
        raise Invalid({"_" if path == kind else path: texts for path, texts in mine.items()})
    return dict(resolved[kind])


def update_hours(flow_id: int, hours: Mapping[str, Any] | None, user_id: int | None = None) -> FlowEdit | None:
    """Set when the flow may send marketing messages; ``None``: at any time. Raises :class:`Invalid` by setting."""
    whole = {"format": 1, "name": "-", "trigger": {}, "sending_hours": hours, "steps": []}
    start = "sending_hours"
    found = {path: texts for path, texts in options.compiled(whole).mistakes.items() if path.startswith(start)}
    if found:
        raise Invalid({path.removeprefix(start).lstrip(".") or "_": texts for path, texts in found.items()})

    def operation(draft: Definition) -> Definition:
        draft.pop(start, None)
        return draft if hours is None else {**draft, start: dict(hours)}

    return _change(flow_id, user_id, operation, N_("Changed the sending hours"))


def delete(flow_id: int, key: str, user_id: int | None = None) -> FlowEdit | None:
    """Delete a step with everything on its paths. Raises :class:`NotFound`."""
    return _change(
        flow_id,
        user_id,
        lambda draft: edits.delete(draft, key),
        N_("Deleted “%(step)s”"),
        lambda before, after: _named(before, key),
    )


def duplicate(flow_id: int, key: str, user_id: int | None = None) -> str:
    """Put a copy of a step and its paths right after it. Returns the key of the copy."""
    made: list[str] = []

    def operation(draft: Definition) -> Definition:
        after, new = edits.copy(draft, key, fresh, options.rename_steps)
        made[:] = [new]
        return after

    _change(flow_id, user_id, operation, N_("Duplicated “%(step)s”"), lambda before, after: _named(before, key))
    return made[0]


def step_up(flow_id: int, key: str, user_id: int | None = None) -> FlowEdit | None:
    """Move a step one place up in reading order; ``None`` when it is the first."""
    return _move(flow_id, key, user_id, lambda draft: edits.up(draft, key, shape()))


def step_down(flow_id: int, key: str, user_id: int | None = None) -> FlowEdit | None:
    """Move a step one place down in reading order; ``None`` when it is the last."""
    return _move(flow_id, key, user_id, lambda draft: edits.down(draft, key, shape()))


def move(flow_id: int, key: str, place: Place, user_id: int | None = None) -> FlowEdit | None:
    """Move a step with its paths into another gap."""
    return _move(flow_id, key, user_id, lambda draft: edits.move(draft, key, place))


def _move(
    flow_id: int, key: str, user_id: int | None, operation: Callable[[Definition], Definition | None]
) -> FlowEdit | None:
    return _change(flow_id, user_id, operation, N_("Moved “%(step)s”"), lambda before, after: _named(before, key))


# --- history ---------------------------------------------------------------------------------------------


def history(flow_id: int, before: int | None = None, most: int = 50) -> list[FlowEdit]:
    """The latest changes of a draft, newest first, without the drafts themselves loaded."""
    query = (
        sa.select(FlowEdit)
        .options(orm.defer(FlowEdit.before), orm.defer(FlowEdit.after))
        .where(FlowEdit.flow_id == flow_id)
        .order_by(FlowEdit.id.desc())
        .limit(most)
    )
    return list(db.session.scalars(query.where(FlowEdit.id < before) if before else query))


def get_edit(flow_id: int, edit_id: int) -> FlowEdit:
    """One change of a flow's draft. Raises :class:`NotFound`."""
    edit = db.session.scalar(sa.select(FlowEdit).where(FlowEdit.id == edit_id, FlowEdit.flow_id == flow_id))
    if edit is None:
        raise NotFound(N_("There is no such change"))
    return edit


def undo(flow_id: int, edit_id: int, user_id: int | None = None) -> FlowEdit | None:
    """Bring the draft back to what it was before a change. Later changes go too; all stay in the history.

    The name is left alone, unless the change was a new name. ``None`` when the draft is like that already.
    """
    edit = get_edit(flow_id, edit_id)
    wanted = copy.deepcopy(edit.before)
    name = str(edit.before.get("name", ""))
    if {**edit.after, "name": name} == edit.before:
        number = flows.get(flow_id).draft_number
        renamed = flows.rename(flow_id, name, user_id).draft_number != number
        return history(flow_id, most=1)[0] if renamed else None

    def operation(draft: Definition) -> Definition:
        wanted["name"] = draft.get("name", "")
        return wanted

    return _change(flow_id, user_id, operation, N_("Undid: %(change)s"), lambda b, a: {"change": _said(edit)})


def _said(edit: FlowEdit) -> str:
    return edit.what % edit.params if edit.params else edit.what


def discard(flow_id: int, user_id: int | None = None) -> FlowEdit | None:
    """Throw the draft away: it becomes the live version again. Raises :class:`Conflict` before the first going live."""
    flow: Flow = flows.get(flow_id)
    live = flows.live_version(flow)
    if live is None:
        raise Conflict(N_("There is no live version to go back to"))
    wanted = {**copy.deepcopy(live.definition), "name": flow.name}
    return _change(flow_id, user_id, lambda draft: wanted, N_("Went back to the live version"))
