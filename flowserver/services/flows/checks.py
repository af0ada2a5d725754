"""What is wrong with a draft, with everything the database knows: lists that were deleted, a client without a sender."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from flowserver.domain import checks
from flowserver.domain import definition as definitions
from flowserver.domain.checks import Finding
from flowserver.extensions import current_workspace, db
from flowserver.models import Field, Flow, Workspace
from flowserver.services.engine import timetable
from flowserver.services.flows import moments, options
from flowserver.services.site import conversions
from flowserver.text import N_


def findings(definition: Mapping[str, Any], flow: Flow | None = None) -> list[Finding]:
    """Everything to look at in a definition of the present client, what must be fixed first.

    ``flow`` is the one whose draft it is: what has begun already need not be in the future any more.
    """
    resolved, unknown = options.look_up(definition)
    compiled = options.compiled(resolved)
    passed = {} if flow is not None and timetable.fired(flow.id) else moments.mistakes(compiled.trigger)
    flawed = {path: [text] for path, text in options.flaws(resolved).items()}
    found = checks.findings(compiled, client(), {**flawed, **unknown, **passed, **_itself(resolved, flow)})
    return [*found, *_remarks(resolved)]


def _remarks(definition: Mapping[str, Any]) -> list[Finding]:
    """What deserves a look about the objects the flow starts with."""
    started_by = options.references({"trigger": definition.get("trigger")})
    texts = [conversions.unrecorded(id) for source, id in started_by if source == "conversion_rule"]
    return [Finding("check", text, "trigger", "", "rule") for text in texts if text]


def _itself(definition: Mapping[str, Any], flow: Flow | None) -> dict[str, Any]:
    """Steps that send contacts to the flow they stand in, or take them out of it."""
    words = N_("A flow cannot start or leave itself: choose another flow")
    return {
        path: [words]
        for holder, key, source, path in options.spots(definition)
        if source == "flow" and flow is not None and holder[key] == flow.id
    }


def client() -> checks.Client:
    """What a flow depends on in the settings of the present client."""
    workspace = db.session.scalar(sa.select(Workspace).where(Workspace.id == current_workspace()))
    if workspace is None:
        return checks.Client()
    return checks.Client(
        workspace.sender_email, workspace.sms_sender, frozenset(db.session.scalars(sa.select(Field.key)))
    )


def by_path(definition: Mapping[str, Any], found: Iterable[Finding]) -> dict[str, list[str]]:
    """Findings as ``{path: [text]}``, as :class:`flowserver.errors.Invalid` carries them."""
    where = {step["key"]: path for path, _, step in definitions.walk(definition.get("steps", []))}
    messages: dict[str, list[str]] = {}
    for one in found:
        start = (
            where.get(one.step, "")
            if one.place == "step"
            else {"flow": "", "client": "client"}.get(one.place, one.place)
        )
        path = ".".join(part for part in (start, one.field) if part)
        messages.setdefault(path or "_", []).append(one.text)
    return messages
