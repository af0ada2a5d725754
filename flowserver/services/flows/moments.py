"""Starting points that time brings about, while they are written: their zone, moments that have passed, what has fired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.errors import Conflict
from flowserver.extensions import current_workspace, db
from flowserver.models import Enrollment, Flow, FlowStart, FlowVersion
from flowserver.nodes import catalogue
from flowserver.services.engine import flow_state, leavers, timetable
from flowserver.services.people import usage
from flowserver.text import N_, Text

_F, _S, _E = (table.__table__.c for table in (Flow, FlowStart, Enrollment))
FIRED = N_("The date has come and the flow has started its contacts. Duplicate the flow to use another date")


def with_zone(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition; where its starting point keeps a time zone and names none, with the client's."""
    trigger = definition.get("trigger")
    cls = catalogue.triggers().get(str(trigger.get("type"))) if isinstance(trigger, Mapping) else None
    if not isinstance(trigger, Mapping) or cls is None or "zone" not in cls.Settings().fields or trigger.get("zone"):
        return dict(definition)
    workspace_id = current_workspace() or 0
    return {**definition, "trigger": {**trigger, "zone": timetable.zone_of(workspace_id).key}}


def mistakes(trigger: Any) -> dict[str, Any]:
    """What is wrong with the one moment of a starting point, by path: it has passed. Empty for all others."""
    if trigger is None or not trigger.one_shot:
        return {}
    found = trigger.passed(clock.now(), timetable.zone_of(current_workspace() or 0))
    return {f"trigger.{found[0]}": [found[1]]} if found else {}


def refuse_change(flow: Flow, trigger: Mapping[str, Any]) -> None:
    """Raise :class:`Conflict` for another starting point than the live one, where its one moment has come."""
    live = db.session.get(FlowVersion, flow.version_id) if flow.version_id else None
    before = (live.definition if live else flow.draft).get("trigger", {})
    cls = catalogue.triggers().get(flow.trigger_type)
    if cls is not None and cls.one_shot and dict(trigger) != dict(before) and timetable.fired(flow.id):
        raise Conflict(FIRED)


def reopen(flow: Flow) -> None:
    """Let time start contacts again, after a pause or behind a door that opens. The caller commits.

    What came meanwhile is passed over. Raises :class:`Conflict` when that was the flow's one moment: it was missed.
    """
    now = clock.now()
    cls = catalogue.triggers().get(flow.trigger_type)
    if cls is not None and cls.one_shot and flow.starts_at is not None and flow.starts_at <= now:
        zone = timetable.zone_of(flow.workspace_id)
        when = f"{flow.starts_at.astimezone(zone):%Y-%m-%d %H:%M}"
        text = Text(timetable.MISSED.msgid, flow=flow.name, when=when)
        flow_state.alert(flow.workspace_id, "flow_missed", f"flow:{flow.id}", text)
        db.session.commit()
        words = N_(
            "%(when)s passed while nobody could enter, so this flow would start nobody."
            " Give it another date and go live with that first"
        )
        raise Conflict(Text(words.msgid, when=when))
    timetable.schedule(flow, now)


def forget(flow: Flow) -> None:
    """Nothing starts contacts of this flow any more. The caller commits."""
    flow.starts_at = None
    end = sa.update(FlowStart.__table__).where(_S.flow_id == flow.id, _S.done_at.is_(None)).values(done_at=clock.now())
    for start_id in db.session.connection().scalars(end.returning(_S.id)).all():
        leavers.forget(start_id, None)


def complete(now: datetime) -> int:
    """Mark flows whose one moment has come and whose people have all left; returns how many. Commits.

    Flows that hand over to one of them show it from now on.
    """
    names = [name for name, trigger in catalogue.triggers().items() if trigger.one_shot]
    came = sa.exists().where(_S.flow_id == _F.id, _S.by == "time")
    coming = sa.exists().where(_S.flow_id == _F.id, _S.done_at.is_(None))
    inside = sa.exists().where(_E.flow_id == _F.id, _E.due_at.is_not(None))
    through = sa.and_(_F.state == "active", _F.trigger_type.in_(names), _F.starts_at.is_(None), came, ~coming, ~inside)
    end = sa.update(Flow.__table__).where(through).values(state="completed", updated_at=now)
    ended = db.session.connection().execute(end.returning(_F.id, _F.workspace_id)).all()
    for row in ended:
        with extensions.workspace(row.workspace_id):
            usage.gone("flow", row.id)
    db.session.commit()
    return len(ended)
