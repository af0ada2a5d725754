"""Published versions in the form the engine reads, kept by the application: versions never change."""

from __future__ import annotations

import sqlalchemy as sa
from flask import current_app

from flowserver.domain import definition
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import FlowVersion
from flowserver.nodes.catalogue import actions, triggers

MOST_KEPT = 500


def compiled(version_id: int) -> definition.Compiled:
    """The compiled form of a published version.

    Raises :class:`Invalid` when this release cannot read it any more.
    """
    kept: dict[int, definition.Compiled] = current_app.extensions.setdefault("versions", {})
    if version_id not in kept:
        t = FlowVersion.__table__.c
        raw = db.session.execute(sa.select(t.definition).where(t.id == version_id)).scalar_one()
        if len(kept) > MOST_KEPT:
            kept.clear()
        kept[version_id] = definition.compile(raw, triggers(), actions())
    return kept[version_id]


def hears(version_id: int) -> frozenset[str]:
    """Event types that a version starts with, is undone by, ends with or waits for; kept longer than the compiled versions, for it is smaller."""
    kept: dict[int, frozenset[str]] = current_app.extensions.setdefault("hears", {})
    if version_id not in kept:
        try:
            flow = compiled(version_id)
        except Invalid:  # it is paused as soon as somebody in it is due
            return frozenset()
        starts: frozenset[str] = flow.trigger.hears()
        ends = (goal.listens_to for goal in flow.goals)
        kept[version_id] = starts.union(*ends, *(step.node.hears() for step in flow.steps.values()))
    return kept[version_id]
