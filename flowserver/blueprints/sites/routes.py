"""Sites of a client that are tracked: making them, the script to copy, what came from them lately."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.errors import Conflict, Invalid
from flowserver.services.people import usage
from flowserver.services.site import monitors

bp = Blueprint("sites", __name__, url_prefix="/c/<client>/sites")


class SiteForm(wtforms.Form):
    name = wtforms.StringField(_l("Name"), render_kw={"maxlength": 120, "autocomplete": "off"})
    domains = wtforms.TextAreaField(
        _l("Domains"), render_kw={"rows": 3, "inputmode": "url", "autocomplete": "off", "spellcheck": "false"}
    )
    ask_consent = wtforms.BooleanField(_l("Wait for the visitor's consent"), default=True)
    enabled = wtforms.BooleanField(_l("Track visits"), default=True)


def values(form: SiteForm) -> dict[str, Any]:
    """What was typed, as the service takes it."""
    return {**form.data, "domains": form.domains.data or ""}


@bp.get("")
def index() -> str:
    return render_template("sites/index.html", entries=monitors.everything())


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = SiteForm(sent())
    if request.method == "POST":
        try:
            row = monitors.create({**values(form), "enabled": True})
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The site is saved. Put the script into its pages."))
            return redirect(url_for(".show", monitor_id=row.id), 303)
    return page("sites/edit.html", form, row=None)


@bp.get("/<int:monitor_id>")
def show(monitor_id: int) -> str:
    entry = monitors.entry(monitor_id)
    base = current_app.extensions["config"].url
    address = base + url_for("collect.script", public_id=entry.row.public_id)
    return render_template(
        "sites/show.html",
        entry=entry,
        recent=monitors.recent(monitor_id),
        uses=usage.of("monitor", monitor_id),
        address=address,
        base=base,
    )


@bp.route("/<int:monitor_id>/edit", methods=["GET", "POST"])
def edit(monitor_id: int) -> ResponseReturnValue:
    row = monitors.get(monitor_id)
    form = SiteForm(sent(), data={**_shown(row), "domains": "\n".join(row.domains)})
    if request.method == "POST":
        try:
            monitors.update(monitor_id, values(form))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The site is saved."))
            return redirect(url_for(".show", monitor_id=monitor_id), 303)
    return page("sites/edit.html", form, row=row)


def _shown(row: Any) -> dict[str, Any]:
    return {"name": row.name, "ask_consent": row.ask_consent, "enabled": row.enabled}


@bp.route("/<int:monitor_id>/delete", methods=["GET", "POST"])
def delete(monitor_id: int) -> ResponseReturnValue:
    row = monitors.get(monitor_id)
    if request.method == "POST":
        try:
            monitors.delete(monitor_id)
        except Conflict:
            return render_template("sites/delete.html", row=row, uses=usage.of("monitor", monitor_id), errors=True), 409
        flash(_("The site is deleted."))
        return redirect(url_for(".index"), 303)
    return render_template("sites/delete.html", row=row, uses=usage.of("monitor", monitor_id))
