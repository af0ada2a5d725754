"""A client that speaks to the API and checks every answer against the OpenAPI document."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from flowserver import extensions as ext
from flowserver.models import Workspace
from flowserver.services.accounts import api_keys

PREFIX = "/api/v1"


def each(names: Any, rows: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Like ``pytest.mark.parametrize``, but in one test: an application for every bad value would cost minutes."""
    wanted = [names] if isinstance(names, str) else list(names)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            for row in rows:
                values = dict(zip(wanted, [row] if isinstance(names, str) else row, strict=True))
                try:
                    test(**fixtures, **values)
                except Exception as error:
                    error.add_note(f"with {str(values)[:500]}")
                    raise

        signature = inspect.signature(test)
        kept = [one for name, one in signature.parameters.items() if name not in wanted]
        run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return run

    return decorate


class Api:
    """Sends requests with a key. Whatever comes back must be described in the OpenAPI document."""

    def __init__(self, app: Any, key: str | None):
        self.app, self.key, self.client = app, key, app.test_client()

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.call("POST", path, json=json, **kwargs)

    def put(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.call("PUT", path, json=json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.call("PATCH", path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Any:
        return self.call("DELETE", path, **kwargs)

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any) -> Any:
        auth = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if kwargs.get("json") is None:
            kwargs.pop("json", None)
        answer = self.client.open(PREFIX + path, method=method, headers={**auth, **(headers or {})}, **kwargs)
        check(document(self.app), method, path.partition("?")[0], answer)
        return answer


def document(app: Any) -> dict[str, Any]:
    """The OpenAPI document, made once for each app."""
    if "test-openapi" not in app.extensions:
        app.extensions["test-openapi"] = app.test_client().get(f"{PREFIX}/openapi.json").json
    return app.extensions["test-openapi"]


def operations(spec: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """``(method, path, operation)`` of all operations."""
    return [
        (method.upper(), path, operation)
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


def check(spec: dict[str, Any], method: str, path: str, answer: Any) -> None:
    """The answer has a described status, content type and shape; errors are problems; no cookie is set."""
    assert "Set-Cookie" not in answer.headers
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
        problem = answer.json
        assert problem["status"] == answer.status_code and problem["title"] and problem["detail"]
        assert problem["type"].startswith("urn:flowserver:problem:")
        matches(spec, {"$ref": "#/components/schemas/Problem"}, problem, "problem")
    found = [
        operation
        for verb, template, operation in operations(spec)
        if verb == ("GET" if method == "HEAD" else method)
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), PREFIX + path)
    ]
    if not found:
        assert answer.status_code in (404, 405)
        return
    responses = found[-1]["responses"]
    if answer.status_code >= 500:
        assert "default" in responses
        return
    assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} is not described"
    if answer.status_code in (204, 304):
        assert not answer.data
    elif answer.status_code < 400 and method != "HEAD":
        content = responses[str(answer.status_code)]["content"]
        assert answer.mimetype in content
        value = answer.json if answer.mimetype == "application/json" else answer.get_data(as_text=True)
        matches(spec, content[answer.mimetype]["schema"], value, path)


def matches(spec: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> None:
    """A small reading of JSON Schema: what our documents use."""
    if "$ref" in schema:
        target: Any = spec
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        matches(spec, target, value, where)
        return
    if "anyOf" in schema or "oneOf" in schema:
        errors = []
        for option in schema.get("anyOf") or schema["oneOf"]:
            try:
                matches(spec, option, value, where)
                return
            except AssertionError as error:
                errors.append(str(error))
        raise AssertionError(errors)
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds:
        assert kind_of(value) & set(kinds), f"{where}: {value!r} is no {kinds}"
    if "enum" in schema and value is not None:
        assert value in schema["enum"], f"{where}: {value!r}"
    if isinstance(value, dict) and "properties" in schema:
        missing = set(schema.get("required", ())) - set(value)
        unknown = set(value) - set(schema["properties"])
        assert not missing, f"{where} lacks {missing}"
        assert not unknown, f"{where} has {unknown}, which is not described"
        for key, one in value.items():
            matches(spec, schema["properties"][key], one, f"{where}.{key}")
    if isinstance(value, list) and "items" in schema:
        for one in value:
            matches(spec, schema["items"], one, f"{where}[]")
    if isinstance(value, str) and schema.get("format") == "date-time":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), f"{where}: {value}"


def kind_of(value: Any) -> set[str]:
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    return {{float: "number", str: "string", list: "array", dict: "object"}[type(value)]}


@pytest.fixture
def key(workspace, db) -> str:
    """A key of Caffè Lume that may read and write."""
    return api_keys.make(workspace.id, "tests")[1]


@pytest.fixture
def api(app, key) -> Api:
    """The API with a key of Caffè Lume."""
    return Api(app, key)


@pytest.fixture
def other(workspace, db) -> Any:
    """Another client of the agency, Kino."""
    kino = Workspace(slug="kino", name="Kino", time_zone="Europe/Warsaw", country="PL")
    db.session.add(kino)
    db.session.commit()
    return kino


@pytest.fixture
def stranger(app, other) -> Api:
    """The API with a key of another client."""
    return Api(app, api_keys.make(other.id, "stranger")[1])


@pytest.fixture
def newsletter(workspace, db) -> Any:
    """A list of Caffè Lume."""
    from flowserver.services.people import lists

    with ext.workspace(workspace.id):
        return lists.create("Newsletter")
