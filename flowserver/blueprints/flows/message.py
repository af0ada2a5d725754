"""Write an e-mail or an SMS of a flow, look at it as a contact sees it, send a test."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as Answer

from flowserver.blueprints import composer
from flowserver.blueprints.composer import Desk
from flowserver.blueprints.flows.routes import anchor
from flowserver.blueprints.say import say
from flowserver.domain import definition as definitions
from flowserver.domain import edits, flow_graph
from flowserver.errors import NotFound
from flowserver.nodes import catalogue
from flowserver.services.flows import drafts, flows, options, outline
from flowserver.text import N_

bp = Blueprint("flow_message", __name__, url_prefix="/c/<client>/flows/<int:flow_id>/steps/<key>/message")


@bp.route("", methods=["GET", "POST"])
def write(flow_id: int, key: str) -> str | Answer | tuple[str, int]:
    """The composer of a step that sends."""
    return composer.answer(_desk(flow_id, key))


def _desk(flow_id: int, key: str) -> Desk:
    flow = flows.get(flow_id)
    step = edits.step(flow.draft, key)
    cls: Any = catalogue.actions().get(step["type"])
    if cls is None or not cls.sends:
        raise NotFound(_("This step sends no message"))
    steps = url_for("flows.steps", flow_id=flow_id)
    number, lede = _place(flow, key)
    return Desk(
        sends=cls.sends,
        title=cls.title,
        own=definitions.own_settings(step),
        form=cls.Form,
        seen=drafts.print_of(step),
        save=lambda settings, seen: _save(flow_id, key, settings, seen),
        here=url_for("flow_message.write", flow_id=flow_id, key=key),
        back=steps,
        back_label=N_("Back to steps"),
        done=url_for("flows.steps", flow_id=flow_id, _anchor=anchor(flow_id, key)),
        lede=lede,
        crumbs=[(_("Flows"), url_for("flows.index")), (flow.name, steps), (_("Step %(n)s", n=number), None)],
        nav="flows",
        more=N_("Another sender, kind of e-mail, name of this step"),
        brought=flow_graph.brought(options.compiled(flow.draft), key),
    )


def _save(flow_id: int, key: str, settings: dict[str, Any], seen: str) -> None:
    drafts.update(flow_id, key, settings, current_user.id, seen=seen)


def _place(flow: Any, key: str) -> tuple[int | None, str]:
    """The number of the step, and where it stands in words."""
    compiled = options.compiled(flow.draft)
    step = compiled.steps.get(key)
    number = step.number if step else None
    span = outline.flow_graph.arrivals(compiled).get(key)
    words = _("Step %(n)s of “%(flow)s”", n=number, flow=flow.name)
    return number, f"{words}, {say(outline.day(span))}" if span and span.known else words


@bp.get("/preview")
def preview(flow_id: int, key: str) -> Response:
    """The saved e-mail as a contact sees it, for a frame."""
    desk = _desk(flow_id, key)
    if desk.sends != "email":
        raise NotFound(_("This step sends no e-mail"))
    return composer.frame(desk.own, request.args.get("as", ""))
