"""Score rules of a client: what brings points, making and changing, on and off, and how a total comes about."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flowserver.blueprints.fieldkit import sent
from flowserver.blueprints.scores.forms import RuleForm
from flowserver.domain import scoring
from flowserver.errors import Invalid
from flowserver.services.flows import options
from flowserver.services.people import contacts, score_rules, scores

bp = Blueprint("scores", __name__, url_prefix="/c/<client>/scores")

PAGE = 50


@bp.get("")
def index() -> str:
    return render_template("scores/index.html", entries=score_rules.everything(), frequencies=scoring.FREQUENCIES)


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    return _edit(None)


@bp.route("/<int:rule_id>", methods=["GET", "POST"])
def edit(rule_id: int) -> ResponseReturnValue:
    return _edit(score_rules.get(rule_id))


def _edit(row: Any) -> ResponseReturnValue:
    form = options.fill(RuleForm(sent(), data=RuleForm.of(row) if row else None))
    if request.method == "POST":
        try:
            if row:
                score_rules.update(row.id, form.values())
            else:
                score_rules.create(form.values())
        except Invalid as error:
            form.put_errors(error.messages)
        else:
            flash(_("The rule is saved."))
            return redirect(url_for(".index"), 303)
    return render_template("scores/edit.html", form=form, row=row), 422 if form.errors else 200


@bp.post("/<int:rule_id>/switch")
def switch(rule_id: int) -> ResponseReturnValue:
    """Switch a rule on (``on=1``) or off."""
    row = score_rules.switch(rule_id, request.form.get("on") == "1")
    flash(
        _("The rule “%(title)s” is on.", title=row.title)
        if row.enabled
        else _("The rule “%(title)s” is off.", title=row.title)
    )
    return redirect(url_for(".index"), 303)


@bp.post("/<int:rule_id>/delete")
def delete(rule_id: int) -> ResponseReturnValue:
    score_rules.delete(rule_id)
    flash(_("The rule is deleted. The points it brought stay."))
    return redirect(url_for(".index"), 303)


@bp.post("/recompute")
def recompute() -> ResponseReturnValue:
    """Have every total set to the sum of its movements, by a job."""
    scores.ask_to_recompute()
    flash(_("All totals are being added up again, in the background. Large address books take some minutes."))
    return redirect(url_for(".index"), 303)


@bp.get("/contacts/<int:contact_id>")
def explain(contact_id: int) -> str:
    """Where the score of a contact comes from: by rule, and movement by movement."""
    contact = contacts.get(contact_id)
    before = request.args.get("before", "")
    found = scores.ledger(contact_id, PAGE + 1, int(before) if before.isdecimal() and len(before) < 19 else None)
    shown = found[:PAGE]
    return render_template(
        "scores/contact.html",
        contact=contact,
        shares=scores.shares(contact_id),
        ledger=shown,
        rules=scores.known_rules(shown),
        older=shown[-1].id if len(found) > PAGE else None,
        before=before,
    )
