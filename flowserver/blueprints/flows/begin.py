"""Start contacts in a flow by hand: one, a list or a segment, with the head-count first."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.blueprints.flows.forms import put_errors
from flowserver.errors import Invalid
from flowserver.nodes.base import AudienceOf
from flowserver.services.flows import flows, hand_starts, options
from flowserver.text import N_

bp = Blueprint("flow_begin", __name__, url_prefix="/c/<client>/flows/<int:flow_id>/begin")


class BeginForm(wtforms.Form):
    """Whom to start."""

    kind = wtforms.RadioField(
        N_("Whom do you want to start?"),
        choices={"group": N_("Everybody on a list or in a segment"), "one": N_("One contact")},
        default="group",
    )
    who = AudienceOf(N_("List or segment"))
    contact = wtforms.StringField(
        N_("Contact"),
        description=N_("E-mail address, mobile number or customer number."),
        render_kw={"maxlength": 254, "autocomplete": "off"},
    )
    shows = {"who": "kind=group", "contact": "kind=one"}

    def rule(self) -> dict[str, Any]:
        """The contacts that were chosen. Raises :class:`Invalid` by field."""
        if self.kind.data == "one":
            return hand_starts.some([hand_starts.one(self.contact.data or "")])
        chosen = self.who.chosen()
        if not chosen:
            raise Invalid({"who": [N_("Choose a list or segment")]})
        try:
            return hand_starts.group(**chosen)
        except Invalid as error:
            raise Invalid({"who": [text for texts in error.messages.values() for text in texts]}) from None


@bp.route("", methods=["GET", "POST"])
def begin(flow_id: int) -> str | Response | tuple[str, int]:
    """Choose whom to start; POST counts them (``count=1``) or starts them."""
    flow = flows.get(flow_id)
    form = options.fill(BeginForm(request.form if request.method == "POST" else None))
    if request.method == "GET":
        return _page(flow, form)
    try:
        rule = form.rule()
    except Invalid as error:
        put_errors(form, error.messages)
        return _page(flow, form), 422
    if "count" in request.form:
        return _page(flow, form, hand_starts.reach(flow, rule) if flow.version_id else None)
    row = hand_starts.begin(flow.id, rule, user_id=current_user.id)
    flash(_said(row), "ok" if row.entered or row.done_at is None else "warn")
    return redirect(url_for("flow_begin.begin", flow_id=flow_id), 303)


def _said(row: Any) -> str:
    if row.done_at is None:
        return _("They are on their way into the flow. Load this page again to see how many have entered.")
    if not row.entered:
        return _("Nobody has entered: each of them is in the flow already, or may not enter again.")
    return ngettext("%(num)d contact has entered.", "%(num)d contacts have entered.", row.entered)


def _page(flow: Any, form: BeginForm, reach: Any = None) -> str:
    rows, names = hand_starts.latest(flow.id), options.namer()
    return render_template(
        "flows/begin.html",
        flow=flow,
        form=form,
        reach=reach,
        offered=hand_starts.offered(flow),
        rows=[(row, hand_starts.meant(row.rule, names)) for row in rows],
        who=flows.people_names([row.user_id for row in rows]),
    )
