"""The OpenAPI document, and a page that shows it: Swagger UI from the installed package, nothing from elsewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request, send_from_directory

from flowserver.blueprints.api import PREFIX, openapi, resources

bp = Blueprint("api-pages", __name__, url_prefix=PREFIX)


def _folder() -> Path:
    """Where flask-swagger-ui keeps its files, found without importing it."""
    found = importlib.util.find_spec("flask_swagger_ui")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("flask-swagger-ui is not installed")
    return Path(found.submodule_search_locations[0]) / "dist"


@bp.get("/openapi.json")
def document() -> Any:
    """The OpenAPI document."""
    app: Any = current_app
    response = Response(openapi.document(app._get_current_object(), resources()), mimetype="application/json")
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/docs")
def page() -> Any:
    """All operations, to read and to try."""
    return render_template("api/docs.html")


@bp.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def file(name: str) -> Any:
    """One of Swagger UI's files."""
    return send_from_directory(_folder(), name, max_age=3600)
