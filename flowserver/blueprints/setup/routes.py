"""First run."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("setup", __name__)


@bp.get("/setup")
def first() -> str:
    return render_template("setup/first.html")
