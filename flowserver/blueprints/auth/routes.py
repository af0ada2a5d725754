"""The door: log-in, log-out, forgotten passwords, invitations, and what people may change about themselves."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user
from wtforms import SelectChoice

from flowserver.blueprints.auth.forms import (
    ForgottenForm,
    JoinForm,
    LoginForm,
    NewPasswordForm,
    PasswordForm,
    ProfileForm,
)
from flowserver.blueprints.console import LOCALES
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.blueprints.limits import limiter
from flowserver.blueprints.scope import me
from flowserver.errors import Invalid
from flowserver.services.accounts import accounts, team

bp = Blueprint("auth", __name__)


def init_app(app: Flask) -> None:
    """Tell Flask-Login how to find a user, and how long a log-in lives."""
    app.login_manager.user_loader(accounts.by_session)  # type: ignore[attr-defined]
    app.permanent_session_lifetime = timedelta(days=14)


def _address_tried() -> str:
    """Tries are counted for an address too, wherever they come from; the address itself is not kept."""
    return "login:" + sha256(request.form.get("email", "").strip().lower().encode()).hexdigest()[:24]


def _refused(response) -> bool:  # type: ignore[no-untyped-def]
    return response.status_code == 422


def enter(user, stay: bool = False) -> None:  # type: ignore[no-untyped-def]
    """Log a person in with a fresh session."""
    session.clear()
    session.permanent = stay
    login_user(user)


@bp.get("/login")
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect("/", 303)
    return page("auth/login.html", LoginForm(), next=_local(request.args.get("next", "")))


@bp.post("/login")
@limiter.limit("20 per minute", deduct_when=_refused)
@limiter.limit("30 per hour", key_func=_address_tried, deduct_when=_refused)
def log_in() -> ResponseReturnValue:
    form = LoginForm(sent())
    wanted = _local(request.form.get("next", ""))
    try:
        enter(accounts.log_in(form.email.data or "", form.password.data or ""), stay=form.stay.data)
    except Invalid as error:
        add_errors(form, error.messages)
        return page("auth/login.html", form, next=wanted)
    return redirect(wanted or "/", 303)


def _local(address: str) -> str:
    """``address`` if it is a path of ours; nothing otherwise, so that the door leads nowhere else."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours and "\\" not in address else ""


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    logout_user()
    session.clear()
    return redirect(url_for("auth.login"), 303)


# --- forgotten passwords -------------------------------------------------------------------------------


@bp.route("/reset", methods=["GET", "POST"])
@limiter.limit("5 per minute; 30 per hour", methods=["POST"])
def forgotten() -> ResponseReturnValue:
    form = ForgottenForm(sent())
    if request.method == "GET":
        return page("auth/forgotten.html", form)
    if "@" not in (form.email.data or ""):
        add_errors(form, {"email": [_("Enter an e-mail address like name@example.com")]})
        return page("auth/forgotten.html", form)
    accounts.ask_reset(form.email.data)
    return render_template("auth/sent.html", email=form.email.data)


@bp.route("/reset/<token>", methods=["GET", "POST"])
@limiter.limit("20 per minute")
def reset(token: str) -> ResponseReturnValue:
    user = accounts.reset_user(token)
    form = NewPasswordForm(sent())
    if request.method == "POST":
        try:
            enter(accounts.reset(token, form.password.data or ""))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("Your new password is set. All other log-ins ended."))
            return redirect("/", 303)
    return page("auth/reset.html", form, email=user.email)


@bp.route("/invitation/<token>", methods=["GET", "POST"])
@limiter.limit("20 per minute")
def invitation(token: str) -> ResponseReturnValue:
    found = team.open_invitation(token)
    form = JoinForm(sent())
    if request.method == "POST":
        try:
            enter(team.accept(token, name=form.name.data or "", password=form.password.data or ""))
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            return redirect("/", 303)
    return page("auth/invitation.html", form, email=found.email, agency=accounts.agency())


# --- one's own account ---------------------------------------------------------------------------------


def _profile_form(posted: Any = None) -> ProfileForm:
    form = ProfileForm(posted, obj=current_user)
    form.locale.choices = [SelectChoice(code, name) for code, name in LOCALES.items()]
    return form


@bp.get("/profile")
def profile() -> ResponseReturnValue:
    return page("auth/profile.html", _profile_form(), passwords=PasswordForm())


@bp.post("/profile")
def save_profile() -> ResponseReturnValue:
    form = _profile_form(sent())
    try:
        accounts.change_profile(
            me(), name=form.name.data or "", locale=form.locale.data or "", theme=form.theme.data or ""
        )
    except Invalid as error:
        add_errors(form, error.messages)
        return page("auth/profile.html", form, passwords=PasswordForm())
    flash(_("Your profile is saved."))
    return redirect(url_for("auth.profile"), 303)


@bp.post("/profile/password")
@limiter.limit("10 per minute")
def save_password() -> ResponseReturnValue:
    form, user = PasswordForm(sent()), me()
    try:
        accounts.change_password(user, form.old.data or "", form.new.data or "")
    except Invalid as error:
        add_errors(form, error.messages)
        return render_template("auth/profile.html", form=_profile_form(), passwords=form, errors=form.errors), 422
    login_user(user)
    flash(_("Your password is changed. All other log-ins ended."))
    return redirect(url_for("auth.profile"), 303)


@bp.post("/profile/theme")
def theme() -> ResponseReturnValue:
    try:
        accounts.change_theme(me(), request.form.get("theme", ""))
    except Invalid:
        abort(422)
    return redirect(url_for("auth.profile"), 303)
