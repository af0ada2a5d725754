"""The JSON API, ``/api/v1``: one file per resource, its schemas in ``schemas/``; what they share is in ``kit.py``.

A module here that defines ``resource`` (a :class:`flowserver.blueprints.api.kit.Resource`) is found and registered.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask
from flask_smorest.utils import prepare_response

from flowserver import __version__, registry
from flowserver.blueprints.api import openapi, problems

PREFIX = "/api/v1"


class Api(flask_smorest.Api):
    """flask-smorest's collection of resources, with our errors instead of its own."""

    def _register_error_handlers(self) -> None:
        """Each resource has our handlers; the rest of the application must not get smorest's."""

    def _register_responses(self) -> None:
        """Describe our errors, each under the name flask-smorest looks for."""
        for status in problems.SLUGS:
            self._register_problem(HTTPStatus(status).name, openapi.problem_response(status))
        self._register_problem(self.DEFAULT_ERROR_RESPONSE_NAME, openapi.problem_response(500))

    def _register_problem(self, name: str, response: dict[str, Any]) -> None:
        prepare_response(response, self.spec, problems.TYPE)
        self.spec.components.response(name, response, lazy=True)


def init_app(app: Flask) -> None:
    """Register every resource and the description of them all."""
    app.config.update(
        API_TITLE="flowserver",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS=openapi.options(),
    )
    api = Api()
    api.init_app(app)
    for resource in resources():
        app.extensions["csrf"].exempt(resource)
        api.register_blueprint(resource, url_prefix=PREFIX)
    openapi.finish(api.spec)


def resources() -> list[Any]:
    """The resources of all modules in this folder, in the order they are shown."""
    found = [module.resource for module in registry.modules(__name__) if hasattr(module, "resource")]
    return sorted(found, key=lambda resource: resource.place)
