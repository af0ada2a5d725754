"""Is the process alive (/healthz), can it work (/readyz), how much is there to do (/metrics)."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> tuple[str, int, dict[str, str]]:
    """The process is alive; says nothing about database or Redis."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}
