"""Signup forms of a client: making them, the snippet to copy, a preview."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flowserver.blueprints.fieldkit import add_errors, sent
from flowserver.blueprints.forms.code import code
from flowserver.blueprints.forms.forms import FormForm, asked
from flowserver.errors import Conflict, Invalid
from flowserver.services.people import forms, lists, usage

bp = Blueprint("forms", __name__, url_prefix="/c/<client>/forms")


@bp.get("")
def index() -> str:
    return render_template("forms/index.html", forms_=forms.overview(), lists=lists.choices())


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = FormForm(sent(), list_id=request.args.get("list", ""))
    if request.method == "POST":
        try:
            row = forms.create(_values(form))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The form is saved. Copy it into a page."))
            return redirect(url_for(".snippet", form_id=row.id), 303)
    return _page(form, None)


@bp.route("/<int:form_id>", methods=["GET", "POST"])
def edit(form_id: int) -> ResponseReturnValue:
    row = forms.get(form_id)
    form = FormForm(sent(), obj=row)
    if request.method == "POST":
        try:
            forms.update(form_id, _values(form))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The form is saved."))
            return redirect(url_for(".edit", form_id=form_id), 303)
    return _page(form, row)


def _values(form: FormForm) -> dict[str, Any]:
    return {**form.data, "fields": asked(request.form, forms.available())}


def _page(form: FormForm, row: Any) -> ResponseReturnValue:
    available = forms.available()
    chosen = asked(request.form, available) if request.method == "POST" else (row.fields if row else _USUAL)
    form.prepare(lists.choices(), g.workspace.locale)
    shown = render_template(
        "forms/edit.html",
        form=form,
        row=row,
        available=available,
        chosen={one["key"]: one for one in chosen},
        typed=request.form,
    )
    return shown, 422 if form.errors else 200


_USUAL = [{"key": "first_name", "label": "", "required": False}]


@bp.get("/<int:form_id>/snippet")
def snippet(form_id: int) -> str:
    row = forms.get(form_id)
    found = code(row, g.workspace.locale)
    return render_template("forms/snippet.html", row=row, address=found.address, plain=found.plain, framed=found.framed)


@bp.route("/<int:form_id>/delete", methods=["GET", "POST"])
def delete(form_id: int) -> ResponseReturnValue:
    row = forms.get(form_id)
    if request.method == "POST":
        try:
            forms.delete(form_id)
        except Conflict:
            return render_template("forms/delete.html", row=row, uses=usage.of("form", form_id), errors=True), 409
        flash(_("The form is deleted."))
        return redirect(url_for(".index"), 303)
    return render_template("forms/delete.html", row=row, uses=usage.of("form", form_id))
