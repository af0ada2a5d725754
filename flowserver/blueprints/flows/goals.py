"""What ends a run from anywhere in the flow: its goal, and its exit. Asked in the words of the starting points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.blueprints.flows.forms import Fields, put_errors
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.nodes import catalogue
from flowserver.nodes.base import DurationField, Trigger
from flowserver.services.flows import drafts, flows, options
from flowserver.text import N_

bp = Blueprint("flow_goals", __name__, url_prefix="/c/<client>/flows/<int:flow_id>/<any(goal, exit):kind>")


class Details(wtforms.Form):
    """What goals and exits have in common."""

    within = DurationField(
        N_("Only within this time after entering"),
        description=N_("Leave it empty to watch as long as the contact is inside."),
    )
    label = wtforms.StringField(
        N_("Label in the report"), description=N_("For example “bought”."), render_kw={"maxlength": 60}
    )
    outcome = wtforms.RadioField(
        N_("This outcome is"),
        choices={"positive": N_("Positive"), "neutral": N_("Neutral"), "negative": N_("Negative")},
    )


def candidates() -> dict[str, type[Trigger]]:
    """The starting points that can end a flow: those where something happens at a moment."""
    return {name: node for name, node in catalogue.triggers().items() if node.listens_to}


class Page:
    """The questions of one goal: the starting point's own, then those all goals have in common."""

    def __init__(self, kind: str, node: type[Trigger], posted: Any, goal: Mapping[str, Any] | None):
        self.node = node
        own = {key: value for key, value in (goal or {}).items() if key != "type"}
        self.own = options.fill(node.Form(posted, data=node.Form.from_settings(own) if goal else None))
        usual = "positive" if kind == "goal" else "neutral"
        given = goal or {}
        self.details = Details(
            posted,
            data={
                "within": given.get("within"),
                "label": given.get("label", ""),
                "outcome": given.get("outcome", usual),
            },
        )

    @property
    def fields(self) -> Fields:
        """All fields in page order."""
        return Fields([*self.own, *self.details], self.details.form_errors)

    @property
    def errors(self) -> bool:
        """Whether the form came back with something to correct."""
        return any(field.errors for field in self.fields) or bool(self.details.form_errors)

    def goal(self) -> dict[str, Any]:
        """The goal as it stands in a definition."""
        found: dict[str, Any] = {"type": self.node.name, **self.own.to_settings()}
        if self.details.within.amount:
            found["within"] = self.details.within.data
        if (self.details.label.data or "").strip():
            found["label"] = self.details.label.data.strip()
        return {**found, "outcome": self.details.outcome.data}

    def put_errors(self, messages: Mapping[str, Any]) -> None:
        """Messages at their fields."""
        own = {field.short_name for field in self.own}
        put_errors(self.own, {name: texts for name, texts in messages.items() if name.split(".")[0] in own})
        put_errors(self.details, {name: texts for name, texts in messages.items() if name.split(".")[0] not in own})


@bp.route("", methods=["GET", "POST"])
def edit(flow_id: int, kind: str) -> str | Response | tuple[str, int]:
    """Choose what ends the flow, then answer its questions; POST saves the draft."""
    flow = flows.get(flow_id)
    goal = flow.draft.get(kind)
    chosen = request.values.get("type") or (goal or {}).get("type", "")
    if not chosen:
        return render_template("flows/goal_kinds.html", flow=flow, kind=kind, nodes=candidates())
    if chosen not in candidates():
        raise NotFound(_("We do not know this starting point"))
    known = goal if goal and goal.get("type") == chosen else None
    posted = request.form if request.method == "POST" else None
    page, seen = Page(kind, candidates()[chosen], posted, known), drafts.print_of(goal)
    if posted is None:
        return _page(flow, kind, page, seen)
    try:
        drafts.update_goal(flow.id, kind, page.goal(), current_user.id, seen=request.form.get("seen", ""))
    except Invalid as error:
        page.put_errors(error.messages)
        return _page(flow, kind, page, seen), 422
    except Conflict as error:
        page.put_errors({"_": [error.args[0]]})
        return _page(flow, kind, page, seen), 409
    return redirect(url_for("flow_life.settings", flow_id=flow.id, _anchor=kind), 303)


def _page(flow: Any, kind: str, page: Page, seen: str) -> str:
    return render_template("flows/goal.html", flow=flow, kind=kind, page=page, seen=seen)


@bp.post("/remove")
def remove(flow_id: int, kind: str) -> Response:
    """Take the goal or exit away."""
    drafts.update_goal(flow_id, kind, None, current_user.id)
    return redirect(url_for("flow_life.settings", flow_id=flow_id, _anchor=kind), 303)
