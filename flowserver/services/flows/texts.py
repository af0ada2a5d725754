"""Flows as text files: export one, plan what a file would change, apply it. A flow is known by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from flowserver.domain import flowtext
from flowserver.errors import NotFound
from flowserver.extensions import db
from flowserver.models import Flow
from flowserver.services.flows import checks, flows, recipes
from flowserver.text import Text


@dataclass(frozen=True)
class Plan:
    """What applying a text would do. ``action``: create, change, nothing; ``diff`` from what is there to the text."""

    name: str
    action: str
    flow_id: int | None = None
    state: str = ""
    inside: int = 0
    diff: list[str] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)  # of the draft as it would be


def written(definition: Mapping[str, Any]) -> str:
    """A stored definition of the present client as its canonical text."""
    return flowtext.dump(recipes.written(definition))


def export(flow_id: int) -> str:
    """A flow's draft as text. Raises :class:`NotFound`."""
    return written(flows.get(flow_id).draft)


def everything() -> list[tuple[int, str]]:
    """``[(id, name)]`` of the flows that are not put away, by name."""
    query = sa.select(Flow.id, Flow.name).where(Flow.archived_at.is_(None)).order_by(sa.func.lower(Flow.name), Flow.id)
    return [(row.id, row.name) for row in db.session.execute(query)]


def by_name(name: str) -> Flow:
    """The flow of this name, however it is capitalised. Raises :class:`NotFound`."""
    found = _find(name)
    if found is None:
        raise NotFound(Text("There is no flow called “%(name)s”", name=name[:120]))
    return found


def _find(name: str) -> Flow | None:
    query = sa.select(Flow).where(sa.func.lower(Flow.name) == name.strip().lower())
    return db.session.scalar(query.order_by(Flow.archived_at.is_not(None), Flow.id).limit(1))


def plan(text: str) -> Plan:
    """What :func:`apply` would do; nothing is changed. Raises :class:`Invalid` by path for what it would refuse."""
    definition = flowtext.load(text)
    name, before = str(definition.get("name") or ""), _find(str(definition.get("name") or ""))
    try:
        after = _try(definition, before)
    finally:
        db.session.rollback()
    if before is None:
        return Plan(name, "create", diff=_diff("", after[0]), findings=after[1])
    here = export(before.id)
    inside = sum(flows.people_inside(before.id).values())
    action = "nothing" if here == after[0] else "change"
    return Plan(name, action, before.id, before.state, inside, _diff(here, after[0]), after[1])


def _try(definition: Mapping[str, Any], flow: Flow | None) -> tuple[str, list[Any]]:
    """The text the draft would have, and what would be found in it, without keeping anything."""
    draft = flows.checked(definition, flow)
    return written(draft), checks.findings(draft)


def _diff(before: str, after: str) -> list[str]:
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=2))


def apply(text: str, *, publish: bool = False) -> tuple[Flow, str]:
    """Make the flow a text describes, or change the draft of the one of its name; ``(flow, action)`` as in a plan.

    ``publish``: go live with it, where it is not live already. Raises :class:`Invalid` by path, :class:`Conflict`.
    """
    definition = flowtext.load(text)
    flow, action = _find(str(definition.get("name") or "")), "nothing"
    if flow is None:
        flow, action = flows.create(definition), "create"
    elif _try(definition, flow)[0] != export(flow.id):
        flow, action = flows.save_draft(flow.id, definition, flow.draft_number), "change"
    if publish and (flow.version_id is None or flow.draft_changed):
        flows.publish(flow.id)
    return flow, action
