"""Make a flow: choose the starting point, answer its questions, see it in one sentence; or begin from a template."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.blueprints.flows.forms import Start
from flowserver.errors import Invalid, NotFound
from flowserver.nodes import catalogue
from flowserver.nodes.base import Trigger
from flowserver.services.flows import flows, library, options
from flowserver.text import N_

bp = Blueprint("wizard", __name__, url_prefix="/c/<client>/flows/new")

GROUPS = (
    ("contact", N_("About the contact"), N_("Something is known or changes.")),
    ("messages", N_("Reactions to a message"), N_("A contact did, or did not, react to a campaign.")),
    ("shop", N_("Shop and loyalty"), N_("A contact collects points or uses a coupon.")),
    ("calendar", N_("Website and calendar"), N_("A visit or a date starts the flow.")),
    ("", N_("More starting points"), N_("Everything else that can start a flow.")),
)

SET_UP = {  # source → what its starting points lack while it is empty, and the page that mends it
    "email_campaign": (N_("Needs an e-mail campaign"), "/c/%s/campaigns/new"),
    "sms_campaign": (N_("Needs an SMS campaign"), "/c/%s/campaigns/new"),
    "programme": (N_("Needs a loyalty programme"), "/c/%s/loyalty/new"),
    "coupon_campaign": (N_("Needs a coupon campaign"), "/c/%s/coupons/new"),
    "monitor": (N_("Needs site tracking"), "/c/%s/sites/new"),
    "conversion_rule": (N_("Needs a conversion rule"), "/c/%s/conversions/new"),
    "date": (N_("Needs a date field"), "/c/%s/settings/fields"),
}


@bp.get("")
def new() -> str:
    """All starting points by group, and the templates."""
    triggers = list(catalogue.triggers().values())
    known = {group for group, *_ in GROUPS}
    groups = [
        (title, hint, [node for node in triggers if (node.group if node.group in known else "") == group])
        for group, title, hint in GROUPS
    ]
    return render_template(
        "wizard/new.html",
        groups=[group for group in groups if group[2]],
        templates=library.templates(),
        lacks=_lacks(triggers),
    )


def _lacks(triggers: Iterable[type[Trigger]]) -> dict[str, tuple[str, str]]:
    """What starting points lack in the present client, by name: in words, and the page that mends it."""
    empty = options.empty(SET_UP)
    lacking = {node.name: min(empty & node.lives_on(), default="") for node in triggers}
    return {name: SET_UP[source] for name, source in lacking.items() if source}


@bp.route("/<trigger>", methods=["GET", "POST"])
def details(trigger: str) -> str | Response | tuple[str, int]:
    """The questions of one starting point; POST makes the draft, or renders the sentence again (``preview=1``)."""
    if trigger not in catalogue.triggers():
        raise NotFound(_("There is no such starting point"))
    template = _template(trigger)
    if request.method == "GET":
        return _page(_prefilled(trigger, template), template)
    start = Start(trigger, request.form)
    if start.only_shown:
        return _page(start, template)
    steps = library.steps(template.slug) if template else []
    ends = library.goals(template.slug) if template else {}
    definition = {"name": start.details.name.data or "", "trigger": start.trigger(), **ends, "steps": steps}
    try:
        flow = flows.create(definition, current_user.id)
    except Invalid as error:
        start.put_errors(error.messages)
        return _page(start, template), 422
    return redirect(url_for("flows.steps", flow_id=flow.id), 303)


def _template(trigger: str) -> library.Template | None:
    slug = request.values.get("template", "")
    found = library.get(slug) if slug else None
    return found if found and found.trigger == trigger else None


def _prefilled(trigger: str, template: library.Template | None) -> Start:
    if template is None:
        return Start(trigger, None)
    return Start(trigger, None, template.definition["trigger"], flows.free_name(template.name))


def _page(start: Start, template: library.Template | None) -> str:
    return render_template(
        "wizard/details.html", start=start, sentences=start.sentences(options.namer()), template=template
    )
