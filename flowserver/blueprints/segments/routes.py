"""Segments of a client: who they describe, making and changing them with the questions of an if/else, deleting."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from flowserver.blueprints.fieldkit import add_errors, sent
from flowserver.blueprints.flows.forms import Fields
from flowserver.blueprints.flows.rule_form import RuleForm
from flowserver.errors import Conflict, Invalid
from flowserver.nodes import catalogue
from flowserver.services.flows import options
from flowserver.services.people import segments, usage
from flowserver.text import N_

bp = Blueprint("segments", __name__, url_prefix="/c/<client>/segments")

MOST = 100_000  # counted at most for a page,
SECONDS = 1.5  # and for at most so long


class SegmentForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, "autocomplete": "off"})


@bp.get("")
def index() -> str:
    names = options.namer()
    rows = [(row, segments.words(row.rule, names)) for row in segments.all()]
    return render_template("segments/index.html", rows=rows)


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    return _edit(None)


@bp.get("/<int:segment_id>")
def show(segment_id: int) -> str:
    row = segments.get(segment_id)
    found = segments.counted(row.rule, MOST, SECONDS)
    return render_template(
        "segments/show.html",
        row=row,
        words=segments.words(row.rule),
        found=found,
        contacts=segments.some(found.first),
        uses=usage.of("segment", row.id),
    )


@bp.get("/<int:segment_id>/contacts")
def members(segment_id: int) -> str:
    """The contacts of a segment, page by page."""
    row, after = segments.get(segment_id), request.args.get("after", "")
    last = int(after) if after.isdecimal() and len(after) < 19 else 0
    contacts, following = segments.listing(segment_id, last)
    return render_template("segments/contacts.html", row=row, contacts=contacts, following=following)


@bp.route("/<int:segment_id>/edit", methods=["GET", "POST"])
def edit(segment_id: int) -> ResponseReturnValue:
    return _edit(segments.get(segment_id))


def _edit(row: Any) -> ResponseReturnValue:
    form = SegmentForm(sent(), obj=row)
    rule = RuleForm(row.rule if row else None, sent(), {}, "", catalogue.of_contacts())
    rule.how.how.label.text = N_("In the segment when")
    if request.method == "GET" or (rule.only_shown and rule.act != "count"):
        return _page(row, form, rule)
    try:
        made = rule.rule()
    except Invalid:
        made = None
    if rule.act == "count":
        found = segments.counted(segments.checked(made), MOST, SECONDS) if made else None
        return _page(row, form, rule, found=found), 200 if made else 422
    try:
        saved = _save(row, form, made)
    except Invalid as error:
        add_errors(form, {key: texts for key, texts in error.messages.items() if key == "name" or made})
        return _page(row, form, rule), 422
    flash(_("The segment is saved."))
    return redirect(url_for(".show", segment_id=saved.id), 303)


def _save(row: Any, form: SegmentForm, rule: Any) -> Any:
    name = form.name.data or ""
    return segments.update(row.id, name, rule) if row else segments.create(name, rule)


def _page(row: Any, form: SegmentForm, rule: RuleForm, found: Any = None) -> str:
    fields = Fields([form.name, *rule.fields], form.form_errors)
    contacts = segments.some(found.first) if found else []
    return render_template(
        "segments/edit.html", row=row, form=form, rule=rule, fields=fields, found=found, contacts=contacts
    )


@bp.route("/<int:segment_id>/delete", methods=["GET", "POST"])
def delete(segment_id: int) -> ResponseReturnValue:
    row = segments.get(segment_id)
    status = 200
    if request.method == "POST":
        try:
            segments.delete(segment_id)
        except Conflict:
            status = 409
        else:
            flash(_("The segment is deleted."))
            return redirect(url_for(".index"), 303)
    uses = usage.of("segment", segment_id)
    return render_template("segments/delete.html", row=row, uses=uses), status
