"""Whatever the OpenAPI document allows, and what it forbids: no failure of ours, and only answers that it describes.

schemathesis makes the requests from the document; each goes to an object that is there. What it makes is the same every
time, so that a failure can be repeated.
"""

from __future__ import annotations

import contextvars
import copy
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.checks import FailureGroup

from flowserver import extensions as ext

from ...conftest import databases
from .conftest import PREFIX, document
from .world import furnish

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 8  # requests of each kind to an operation
PORTIONS = 4  # so that several processes share the work
ENDING = re.compile(r"/(stop|end|undo|void|cancel|archive|publish|import)$")


def order(operation):
    """What ends an object comes after what asks for it or changes it."""
    return (operation.method.upper() == "DELETE", bool(ENDING.search(operation.path)), operation.path.count("{"))


@pytest.fixture
def wsgi(app, key):
    """The application as a server calls it: every request in a context of its own, always with a good key."""

    def call(environ, start_response):
        ext.db.session.rollback()
        environ["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return contextvars.Context().run(app, environ, start_response)

    return call


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_only_described_answers(app, wsgi, api, clock, queue, bob, portion, database):
    if database != databases()[-1]:  # PostgreSQL takes less than SQLite
        pytest.skip("one database is enough")
    world = vars(furnish(api))
    schema = described(document(app))
    schema.app = wsgi
    found = sorted((result.ok() for result in schema.get_all_operations()), key=order)
    for operation in found[portion::PORTIONS]:
        ids = {name: world[name] for name in re.findall(r"{(\w+)}", operation.path)}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            attempt(operation, mode, ids)


def described(spec):
    """The document without its "anything else may go wrong": with that no answer would be one it does not name."""
    spec = copy.deepcopy(spec)
    for item in spec["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.get("responses", {}).pop("default", None)
    return schemathesis.openapi.from_dict(spec)


def attempt(operation, mode, ids):
    """Some requests of one kind to one operation."""
    made = operation.as_strategy(mode, path_parameters=ids)

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=made)
    def run(case):
        case.path_parameters = ids
        case.headers.pop("Flowserver-Client", None)  # a made-up one ends at the door, tested there
        case.validate_response(case.call(), checks=CHECKS)

    run()


def test_what_is_not_described_would_be_found(app, wsgi, api):
    for change in (
        lambda answers: answers["200"]["content"]["application/json"].update(schema={"type": "array"}),
        lambda answers: answers.update({"202": answers.pop("200")}),
    ):
        spec = copy.deepcopy(document(app))
        change(spec["paths"][f"{PREFIX}/tags"]["get"]["responses"])
        schema = described(spec)
        schema.app = wsgi
        with pytest.raises(FailureGroup):
            attempt(schema[f"{PREFIX}/tags"]["GET"], GenerationMode.POSITIVE, {})
