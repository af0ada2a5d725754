"""The API's description of itself: complete, consistent, with examples that are true to their schemas."""

from __future__ import annotations

import re

import pytest

from flowserver.blueprints import api as package
from flowserver.blueprints.api import openapi

from .conftest import PREFIX, document, matches, operations


@pytest.fixture
def spec(app, workspace):
    """The document."""
    return document(app)


def refs(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for one in value.values():
            yield from refs(one)
    elif isinstance(value, list):
        for one in value:
            yield from refs(one)


def test_it_is_served_without_a_key(app, client, workspace):
    answer = client.get(f"{PREFIX}/openapi.json")
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert client.get(f"{PREFIX}/openapi.json", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_its_head_is_openapi_3_1(spec):
    assert spec["openapi"].startswith("3.1.")
    assert spec["info"]["title"] and spec["info"]["version"] and spec["info"]["description"]
    assert spec["components"]["securitySchemes"] == {"key": spec["components"]["securitySchemes"]["key"]}
    assert spec["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_reference_leads_somewhere(spec):
    for ref in set(refs(spec)):
        target = spec
        for part in ref.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_every_operation_is_described(spec):
    ids, tags = [], {tag["name"] for tag in spec["tags"]}
    for method, path, operation in operations(spec):
        where = f"{method} {path}"
        assert operation["summary"].endswith((".", "?")), where
        assert "curl" in operation["description"] and "Scope: `" in operation["description"], where
        assert operation["security"] == [{"key": []}], where
        assert set(operation["tags"]) <= tags, where
        assert {"401", "403", "429", "default"} <= set(operation["responses"]), where
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert good, where
        for status, answer in good.items():
            assert answer["description"]
            if status != "204":
                for content in answer["content"].values():
                    assert content["schema"] and content["example"], where
        for status, answer in operation["responses"].items():
            if status not in good and status != "304":
                assert answer["$ref"].startswith("#/components/responses/"), where
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["example"], where
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), where
        assert "x-if-match" not in operation
        ids.append(operation["operationId"])
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-z]+[A-Za-z]*", one) for one in ids)


def test_every_error_is_a_problem(spec):
    for name, answer in spec["components"]["responses"].items():
        content = answer["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
        assert content["example"]["type"].startswith("urn:flowserver:problem:")


LINKS = ("/contacts/{contact_id}/tags/{tag}", "/contacts/{contact_id}/lists/{list_id}")  # neither object changes


def test_every_single_object_has_an_etag_and_is_changed_by_it(spec):
    for method, path, operation in operations(spec):
        if path.endswith("}") and path.removeprefix(PREFIX) not in LINKS:
            if method == "GET":
                assert "ETag" in operation["responses"]["200"]["headers"], path
            elif method in ("PATCH", "PUT", "DELETE"):
                assert "412" in operation["responses"], f"{method} {path}"


def test_every_word_of_an_address_is_described(spec):
    for path, item in spec["paths"].items():
        named = {one["name"] for one in item.get("parameters", ())}
        assert named == set(re.findall(r"{(\w+)}", path)), path
        assert all(one["description"] and one["example"] for one in item.get("parameters", ()))


def test_every_parameter_is_known(spec):
    listing = {one["name"] for one in spec["paths"][f"{PREFIX}/contacts"]["get"]["parameters"]}
    assert listing - {"Flowserver-Client"} == {
        "limit",
        "cursor",
        "email",
        "phone",
        "external_id",
        "list",
        "tag",
        "status",
        "updated_since",
    }
    draft = {one["name"] for one in spec["paths"][f"{PREFIX}/flows/{{flow_id}}/draft"]["put"]["parameters"]}
    assert draft == {"draft_number", "Idempotency-Key", "If-Match", "Flowserver-Client"}
    for method, path, operation in operations(spec):
        headers = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"}
        assert ("Idempotency-Key" in headers) == (method != "GET"), path
        wanted = "If-None-Match" if method == "GET" else "If-Match"
        assert (wanted in headers) == ("412" in operation["responses"]), path


def test_every_example_is_true_to_its_schema(spec):
    for method, path, operation in operations(spec):
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                matches(spec, content["schema"], content["example"], f"{method} {path}")
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            matches(spec, content["schema"], content["example"], f"{method} {path}")


def test_it_describes_exactly_what_there_is(app, spec):
    there = {
        (method, re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX) and not rule.endpoint.startswith("api-pages")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert there == {(method, path) for method, path, _operation in operations(spec)}
    assert {resource.name for resource in package.resources()} == {tag["name"] for tag in spec["tags"]}


def test_the_lines_for_the_shell_are_quoted(spec):
    line = spec["paths"][f"{PREFIX}/flows"]["post"]["description"]
    assert """'"'"'there'"'"'""" in line and openapi.KEY


# --- the page --------------------------------------------------------------------------------------------


def test_the_documentation_page_needs_nothing_from_elsewhere(client, workspace):
    page = client.get(f"{PREFIX}/docs")
    text = page.get_data(as_text=True)
    assert page.status_code == 200 and "openapi.json" in text
    found = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(found) >= 4 and all(one.startswith("/") for one in found)
    for one in found:
        assert client.get(one).status_code == 200, one
    assert "<script>" not in text and "style=" not in text and "onload" not in text


def test_its_content_policy_is_as_strict_as_everywhere(client, workspace):
    policy = client.get(f"{PREFIX}/docs").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_other_files_of_the_package_are_not_served(client, workspace):
    for name in ("index.css", "../__init__.py", "swagger-ui.js", "oauth2-redirect.html"):
        assert client.get(f"{PREFIX}/docs/{name}").status_code == 404
