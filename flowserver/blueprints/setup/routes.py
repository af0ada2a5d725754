"""First run: the agency, its first client and its first user, guarded by the token that ``flowserver up`` prints."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from flowserver.blueprints.auth.routes import enter
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.blueprints.limits import limiter
from flowserver.blueprints.places import countries, time_zones
from flowserver.blueprints.setup.forms import FirstRunForm
from flowserver.errors import Invalid
from flowserver.services.accounts import accounts, setup

bp = Blueprint("setup", __name__)


def _form() -> FirstRunForm:
    form = FirstRunForm(sent())
    form.time_zone.choices, form.country.choices = time_zones(), countries()
    return form


@bp.get("/setup")
@limiter.limit("30 per minute")
def first() -> ResponseReturnValue:
    if setup.is_set_up():
        return redirect("/", 303)
    token = request.args.get("token", "")
    if not setup.is_token(token):
        return render_template("setup/locked.html", tried=bool(token)), 403 if token else 200
    return page("setup/first.html", _form(), token=token)


@bp.post("/setup")
@limiter.limit("10 per minute")
def save() -> ResponseReturnValue:
    if refused := _refused():
        return refused
    form = _form()
    answers: dict[str, Any] = {name: value or "" for name, value in form.data.items()}
    try:
        made = setup.first_run(**answers, locale=str(get_locale()))
    except Invalid as error:
        add_errors(form, error.messages)
        return page("setup/first.html", form, token=request.form["token"])
    user = accounts.get_user(made["user"])
    assert user is not None
    enter(user)
    return redirect(url_for("setup.next_steps", client=accounts.workspaces(user)[0].slug), 303)


@bp.post("/setup/demo")
@limiter.limit("10 per minute")
def demo() -> ResponseReturnValue:
    if refused := _refused():
        return refused
    made = setup.start_demo()
    enter(accounts.get_user(made["user"]))
    flash(
        _(
            "You are logged in as %(email)s. The password is %(password)s: change it in your profile. "
            "The demo data come in within two minutes; reload the page to see more of them.",
            email=made["email"],
            password=made["password"],
        ),
        "warn",
    )
    return redirect("/", 303)


def _refused() -> ResponseReturnValue | None:
    if setup.is_set_up():
        return redirect("/", 303)
    if not setup.is_token(request.form.get("token", "")):
        return render_template("setup/locked.html", tried=True), 403
    return None


@bp.get("/c/<client>/start")
def next_steps() -> str:
    return render_template("setup/next.html", progress=setup.progress(g.workspace))
