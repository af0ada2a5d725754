"""Lists of a client: their sizes, making, renaming, and deleting with a clear choice."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice

from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.errors import Conflict, Invalid
from flowserver.services.people import lists, usage

bp = Blueprint("lists", __name__, url_prefix="/c/<client>/lists")


class ListForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, "autocomplete": "off"})
    description = wtforms.StringField(_l("Description"), render_kw={"maxlength": 300, "autocomplete": "off"})
    public = wtforms.BooleanField(_l("Show this list on the preference page"))


class DeleteForm(wtforms.Form):
    contacts = wtforms.RadioField(
        _l("What happens to the contacts on this list"),
        choices=[
            SelectChoice("keep", _l("Keep the contacts")),
            SelectChoice("delete", _l("Delete the contacts, too")),
        ],
        validate_choice=False,
    )


@bp.get("")
def index() -> str:
    return render_template("lists/index.html", entries=lists.everything())


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = ListForm(sent())
    if request.method == "POST":
        try:
            row = lists.create(form.name.data or "", form.description.data or "", bool(form.public.data))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The list is saved."))
            return redirect(url_for(".show", list_id=row.id), 303)
    return page("lists/edit.html", form, row=None)


@bp.get("/<int:list_id>")
def show(list_id: int) -> str:
    return render_template("lists/show.html", entry=lists.entry(list_id), uses=usage.of("list", list_id))


@bp.route("/<int:list_id>/edit", methods=["GET", "POST"])
def edit(list_id: int) -> ResponseReturnValue:
    row = lists.get(list_id)
    form = ListForm(sent(), obj=row)
    if request.method == "POST":
        try:
            lists.update(list_id, form.name.data or "", form.description.data or "", bool(form.public.data))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The list is saved."))
            return redirect(url_for(".show", list_id=list_id), 303)
    return page("lists/edit.html", form, row=row)


@bp.route("/<int:list_id>/delete", methods=["GET", "POST"])
def delete(list_id: int) -> ResponseReturnValue:
    form = DeleteForm(sent())
    if request.method == "POST":
        try:
            gone = lists.delete(list_id, form.contacts.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        except Conflict:
            return _delete_page(list_id, form), 409
        else:
            flash(_("The list is deleted.") if gone else _("The list is large. It is being deleted in the background."))
            return redirect(url_for(".index"), 303)
    return _delete_page(list_id, form), 422 if form.errors else 200


def _delete_page(list_id: int, form: Any) -> str:
    entry, uses = lists.entry(list_id), usage.of("list", list_id)
    return render_template("lists/delete.html", form=form, entry=entry, uses=uses)
