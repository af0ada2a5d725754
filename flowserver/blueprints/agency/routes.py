"""The agency: all clients at a glance."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("agency", __name__)


@bp.get("/")
def index() -> str:
    return render_template("agency/index.html")


@bp.get("/c/<client>/")
def client_home() -> str:
    return render_template("agency/index.html")
