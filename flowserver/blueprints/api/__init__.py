"""The JSON API, ``/api/v1``: one file per resource, its schemas in ``schemas/``; what they share is in ``kit.py``.

A module here that defines ``resource`` (a :class:`flowserver.blueprints.api.kit.Resource`) is found and registered.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from flowserver import registry

PREFIX = "/api/v1"


def init_app(app: Flask) -> None:
    """Register every resource. They take no cookies, so there is nothing for CSRF to protect."""
    for resource in resources():
        app.extensions["csrf"].exempt(resource)
        app.register_blueprint(resource, url_prefix=PREFIX)


def resources() -> list[Any]:
    """The resources of all modules in this folder, in the order they are shown."""
    found = [module.resource for module in registry.modules(__name__) if hasattr(module, "resource")]
    return sorted(found, key=lambda resource: resource.place)
