"""What a flow has done: the report."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("flow_report", __name__, url_prefix="/c/<client>/flows/<int:flow_id>/report")


@bp.get("")
def report(flow_id: int) -> str:
    return ""
