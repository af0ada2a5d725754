"""Conversion rules of a client, and what they counted."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice

from flowserver.blueprints.fieldkit import add_errors, sent
from flowserver.errors import Conflict, Invalid
from flowserver.services.site import conversions, monitors

bp = Blueprint("conversions", __name__, url_prefix="/c/<client>/conversions")

SOURCES = (
    ("any", _l("Any page of a site")),
    ("pages", _l("Some pages of a site")),
    ("event", _l("A custom event of a site")),
    ("manual", _l("A step of a flow, or a program")),
)


class RuleForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, "autocomplete": "off"})
    source = wtforms.RadioField(
        _l("What counts"),
        choices=[SelectChoice(value, label) for value, label in SOURCES],
        default="pages",
        validate_choice=False,
    )
    monitor = wtforms.SelectField(_l("Site"), validate_choice=False)
    patterns = wtforms.TextAreaField(
        _l("Addresses of the pages"),
        render_kw={"rows": 3, "inputmode": "url", "autocomplete": "off", "spellcheck": "false"},
    )
    event = wtforms.StringField(_l("Name of the event"), render_kw={"maxlength": 60, "autocomplete": "off"})
    each_time = wtforms.RadioField(
        _l("How often"),
        choices=[SelectChoice("", _l("Once for each contact")), SelectChoice("y", _l("Each time"))],
        default="",
        validate_choice=False,
    )
    amount = wtforms.StringField(_l("Amount"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    enabled = wtforms.BooleanField(_l("Count conversions"), default=True)


@bp.get("")
def index() -> str:
    return render_template("conversions/index.html", entries=conversions.everything(), sources=dict(SOURCES))


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = RuleForm(sent(), monitor=request.args.get("site", ""))
    if request.method == "POST":
        try:
            row = conversions.create({**_values(form), "enabled": True})
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The conversion rule is saved."))
            return redirect(url_for(".show", rule_id=row.id), 303)
    return _page(form, None)


@bp.get("/<int:rule_id>")
def show(rule_id: int) -> str:
    return render_template(
        "conversions/show.html",
        entry=conversions.entry(rule_id),
        recent=conversions.recent(rule_id),
        uses=conversions.uses(rule_id),
        sources=dict(SOURCES),
    )


@bp.route("/<int:rule_id>/edit", methods=["GET", "POST"])
def edit(rule_id: int) -> ResponseReturnValue:
    row = conversions.get(rule_id)
    form = RuleForm(sent(), data=_shown(row))
    if request.method == "POST":
        try:
            conversions.update(rule_id, _values(form))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The conversion rule is saved."))
            return redirect(url_for(".show", rule_id=rule_id), 303)
    return _page(form, row)


def _values(form: RuleForm) -> dict[str, Any]:
    return {**form.data, "patterns": form.patterns.data or ""}


def _shown(row: Any) -> dict[str, Any]:
    found = conversions.shown(row)
    amount = "" if found["amount"] is None else f"{found['amount']:.2f}"
    return {
        **found,
        "monitor": str(row.monitor_id or ""),
        "patterns": "\n".join(row.patterns),
        "each_time": "y" if row.each_time else "",
        "amount": amount,
    }


def _page(form: RuleForm, row: Any) -> ResponseReturnValue:
    sites = [(str(entry.row.id), entry.row.name) for entry in monitors.everything()]
    if request.method == "GET" and row is None and len(sites) == 1:
        form.monitor.data = sites[0][0]
    hint = _("Choose a site") if sites else _("No site is tracked yet")
    blank = [] if form.monitor.data in dict(sites) else [SelectChoice("", hint)]
    form.monitor.choices = [*blank, *(SelectChoice(value, label) for value, label in sites)]
    shown = render_template("conversions/edit.html", form=form, row=row, sites=sites)
    return shown, 422 if form.errors else 200


@bp.post("/<int:rule_id>/undo/<int:conversion_id>")
def undo(rule_id: int, conversion_id: int) -> ResponseReturnValue:
    """Take a conversion of the rule back."""
    conversions.undo(conversion_id, rule_id)
    flash(_("The conversion is undone. Who waited to start a flow for it does not start."))
    return redirect(url_for(".show", rule_id=rule_id), 303)


@bp.route("/<int:rule_id>/delete", methods=["GET", "POST"])
def delete(rule_id: int) -> ResponseReturnValue:
    row = conversions.get(rule_id)
    status = 200
    if request.method == "POST":
        try:
            conversions.delete(rule_id)
        except Conflict:
            status = 409
        else:
            flash(_("The conversion rule is deleted."))
            return redirect(url_for(".index"), 303)
    values = {"uses": conversions.uses(rule_id), "counted": conversions.counted(rule_id)}
    return render_template("conversions/delete.html", row=row, **values), status
