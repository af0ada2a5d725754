"""Who uses a list, a tag, a field, a form, a segment or a campaign, so that nothing in use is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flowserver.domain import scoring
from flowserver.errors import Conflict
from flowserver.extensions import db
from flowserver.models import Campaign, ConversionRule, Flow, FlowVersion, Form, Programme, ScoreRule, Segment
from flowserver.services.flows import options
from flowserver.text import Text


@dataclass(frozen=True)
class Use:
    """What needs the object. ``kind`` is ``flow``, ``form``, ``segment``, ``campaign``, ``conversion_rule``,
    ``score_rule`` or ``programme``."""

    kind: str
    id: int
    name: str


class InUse(Conflict):
    """Refused because others need it; ``uses`` names them, for links."""

    def __init__(self, text: str, uses: list[Use]):
        super().__init__(text)
        self.uses = uses


def of(source: str, key: Any) -> list[Use]:
    """Everything that refers to an object: ``of("list", 3)``, ``of("tag", "vip")``. Flows: draft or live version."""
    return [
        *_flows(source, key),
        *_forms(source, key),
        *_segments(source, key),
        *_rules(source, key),
        *_score_rules(source, key),
        *_campaigns(source, key),
        *_programmes(source, key),
    ]


def refuse_if_used(source: str, key: Any, name: str) -> None:
    """Raise :class:`InUse` when anything needs the object called ``name``."""
    uses = of(source, key)
    if uses:
        names = ", ".join(use.name for use in uses[:5])
        raise InUse(Text("“%(name)s” is in use by: %(users)s", name=name, users=names), uses)


@contextmanager
def told(source: str, key: int | str) -> Iterator[None]:
    """Within the block an object changes (and is committed): live flows that use it show whether it still serves. Commits."""
    before = flaws(source, key)
    yield
    mark(source, key, before)
    db.session.commit()


def flaws(source: str, key: int | str) -> dict[int, str]:
    """What live flows that use an object should show, by flow id; ``""`` where nothing is wrong."""
    return {flow.id: text for flow, text in _flaws(source, key)}


def mark(source: str, key: int | str, before: Mapping[int, str]) -> None:
    """Write on the live flows that use an object what is wrong now, unless they show something else than ``before``.

    The caller commits.
    """
    for flow, text in _flaws(source, key):
        if flow.broken in ("", before.get(flow.id, "")):
            flow.broken = text


def gone(source: str, key: int) -> None:
    """Write on the live flows that use an object that it is there no more. The caller commits."""
    mark(source, key, {})


def starting_points(source: str, key: int | str) -> list[tuple[str, Mapping[str, Any]]]:
    """Names of live flows that use an object, with their starting points."""
    return [(flow.name, definition["trigger"]) for flow, definition in _live(source, key)]


def _live(source: str, key: int | str) -> Sequence[Any]:
    ids = [use.id for use in of(source, key) if use.kind == "flow"]
    flows = sa.select(Flow, FlowVersion.definition).join(FlowVersion, FlowVersion.id == Flow.version_id)
    return db.session.execute(flows.where(Flow.id.in_(ids))).all()


def _flaws(source: str, key: int | str) -> Iterator[tuple[Flow, str]]:
    for flow, definition in _live(source, key):
        wrong = {**options.flaws(definition), **options.unfit(definition)}
        yield flow, str(next(iter(wrong.values()), ""))[:300]


def _flows(source: str, key: Any) -> list[Use]:
    active = sa.select(Flow).where(Flow.archived_at.is_(None), Flow.state.not_in(("stopped", "completed")))
    flows = list(db.session.scalars(active.order_by(Flow.name)))
    live = {flow.version_id for flow in flows if flow.version_id}
    versions = {
        version.id: version.definition
        for version in db.session.scalars(sa.select(FlowVersion).where(FlowVersion.id.in_(live)))
    }
    return [
        Use("flow", flow.id, flow.name)
        for flow in flows
        if any(_refers(definition, source, key) for definition in (flow.draft, versions.get(flow.version_id or 0, {})))
    ]


def _refers(definition: Mapping[str, Any], source: str, key: Any) -> bool:
    if source == "tag":  # tags are written by name, so that a flow can make one
        return _mentions_tag(definition, key)
    return any(kind == source and str(one) == str(key) for kind, one in options.references(definition))


def _mentions_tag(part: Any, name: str) -> bool:
    if isinstance(part, Mapping):
        return part.get("tag") == name or any(_mentions_tag(value, name) for value in part.values())
    return isinstance(part, list) and any(_mentions_tag(value, name) for value in part)


def _forms(source: str, key: Any) -> list[Use]:
    if source not in ("list", "field"):
        return []
    return [
        Use("form", form.id, form.name)
        for form in db.session.scalars(sa.select(Form).order_by(Form.name))
        if (source == "list" and form.list_id == key)
        or (source == "field" and any(asked.get("key") == key for asked in form.fields))
    ]


def _segments(source: str, key: Any) -> list[Use]:
    return [
        Use("segment", segment.id, segment.name)
        for segment in db.session.scalars(sa.select(Segment).order_by(Segment.name))
        if _refers(options.as_definition(segment.rule), source, key)
    ]


def _rules(source: str, key: Any) -> list[Use]:
    if source != "monitor":
        return []
    query = sa.select(ConversionRule.id, ConversionRule.name).where(ConversionRule.monitor_id == key)
    found = db.session.execute(query.order_by(sa.func.lower(ConversionRule.name)))
    return [Use("conversion_rule", id, name) for id, name in found]


def _programmes(source: str, key: Any) -> list[Use]:
    """Loyalty programmes whose cards a form gives out."""
    if source != "form":
        return []
    query = sa.select(Programme.id, Programme.name).where(Programme.form_id == key)
    return [
        Use("programme", id, name) for id, name in db.session.execute(query.order_by(sa.func.lower(Programme.name)))
    ]


def _campaigns(source: str, key: Any) -> list[Use]:
    """Campaigns that still have to go to a list or segment."""
    if source not in ("list", "segment"):
        return []
    audience = Campaign.list_id if source == "list" else Campaign.segment_id
    query = sa.select(Campaign).where(audience == key, Campaign.state.in_(("draft", "scheduled", "sending")))
    return [Use("campaign", row.id, row.name) for row in db.session.scalars(query.order_by(Campaign.name))]


def _score_rules(source: str, key: Any) -> list[Use]:
    acts = [name for name, act in scoring.ACTS.items() if act.source == source]
    mine = sa.select(ScoreRule).where(ScoreRule.act.in_(acts), ScoreRule.subject == str(key))
    rows = db.session.scalars(mine.order_by(ScoreRule.title)) if acts else ()
    return [Use("score_rule", row.id, row.title) for row in rows]
