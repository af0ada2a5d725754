"""Log-in, log-out, and what people may change about themselves."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from flask_login import current_user, login_user, logout_user
from werkzeug.wrappers import Response

from flowserver.services import accounts

bp = Blueprint("auth", __name__)


def init_app(app: Flask) -> None:
    """Tell Flask-Login how to find a user."""
    app.login_manager.user_loader(accounts.by_session)  # type: ignore[attr-defined]


@bp.route("/login", methods=["GET", "POST"])
def login() -> str:
    return render_template("auth/login.html")


@bp.post("/logout")
def logout() -> Response:
    logout_user()
    return redirect(url_for("auth.login"), 303)


@bp.get("/profile")
def profile() -> str:
    return render_template("auth/profile.html")


@bp.post("/profile/theme")
def theme() -> Response:
    return redirect(request.referrer or "/", 303)
