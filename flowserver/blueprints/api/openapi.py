"""How the API describes itself: what all operations share in the OpenAPI document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import flask_smorest
import marshmallow as ma
import orjson
from flask import Flask
from flask_smorest.utils import prepare_response
from marshmallow import fields

from flowserver import __version__
from flowserver.blueprints.api import problems

KEY = "key"  # name of the security scheme
IF_MATCHES = "x-if-match"  # a note to ourselves that is taken out of the finished document
PART = "x-part"  # likewise: the part of the API an operation belongs to
UPLOADS, ALSO_AS = "x-uploads", "x-also-as"  # likewise: what it takes or answers instead of JSON, with an example
METHODS = {"get", "post", "put", "patch", "delete"}
PATHS = {  # what stands in addresses: description, example
    "contact_id": ("Id of a contact.", 7),
    "list_id": ("Id of a list.", 1),
    "segment_id": ("Id of a segment.", 2),
    "score_rule_id": ("Id of a score rule.", 4),
    "tag": ("Name of a tag.", "customer"),
    "tag_id": ("Id of a tag.", 1),
    "field_id": ("Id of a custom field.", 1),
    "import_id": ("Id of an import.", 1),
    "user_id": ("Id of a person.", 2),
    "form_id": ("Id of a form.", 1),
    "flow_id": ("Id of a flow.", 1),
    "start_id": ("Id of a start of contacts.", 1),
    "number": ("Number of a version, from 1.", 1),
    "enrollment_id": ("Id of an enrollment.", 31),
    "monitor_id": ("Id of a site.", 1),
    "conversion_rule_id": ("Id of a conversion rule.", 1),
    "conversion_id": ("Id of a conversion.", 3),
    "campaign_id": ("Id of a campaign.", 1),
    "coupon_campaign_id": ("Id of a coupon campaign.", 1),
    "code": ("Code of a coupon.", "SPRING-7KQ2XH4P"),
    "redemption_id": ("Id of a use of a coupon.", 3),
    "message_id": ("Id of a message.", 501),
    "programme_id": ("Id of a loyalty programme.", 1),
    "reward_id": ("Id of a reward.", 1),
    "card_number": ("Number of a loyalty card.", "2123456789010"),
    "grant_id": ("Id of a reward that a card was given.", 3),
    "purchase_id": ("Id of a purchase.", 12),
    "record_id": ("Id of a recorded event, as the list shows it.", 812),
    "cart_id": ("Id of a cart.", 4),
}
ABOUT = """\
Everything the console can do with contacts, lists, forms and flows, for programs.

* **Key**: `Authorization: Bearer <key>`. A key belongs to one client and carries scopes: `read` and `write` for
  everything, or parts such as `contacts:read` and `coupons:write`. A key of the agency acts for the client that the
  header `Flowserver-Client` names by its slug.
* **JSON** in UTF-8, both ways. Moments are ISO 8601 in UTC, like `2026-05-04T09:00:00Z`. Unknown keys are refused.
* **Errors** are `application/problem+json` with a stable `type`; `errors` says what is wrong by path.
* **Lists** come in pages: `limit` and `cursor` in, `data` and `next` out. They begin with the oldest.
* **Idempotency-Key** on any write makes a repetition harmless: for 24 hours the same key and body get the same answer.
* **ETag** on single objects: send it back as `If-None-Match` to save the transfer, as `If-Match` to change only what
  you have seen.
* **Limits**: 3,000 requests a minute for a key; over it `429` with `Retry-After`. A body has at most 5 MB.
"""
DESCRIPTIONS = {
    400: "The body is no JSON.",
    401: "No key, or one that does not work.",
    403: "The key lacks the scope.",
    404: "There is no such object in the key's client.",
    409: "It does not fit the present state, is in use, or the request with this Idempotency-Key still runs.",
    410: "It was good before, and is no longer.",
    412: "It has changed since it was read.",
    413: "The body is larger than 5 MB.",
    415: "The body is not sent as JSON.",
    422: "What was sent breaks a rule; `errors` says which by path.",
    405: "The address does not take this method.",
    429: "Too many requests.",
    500: "Something broke on our side; `reference` names it in our log.",
    503: "Something we need is away. Try again later.",
}


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A header that a request may carry; ``schema`` narrows what stands in it."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Your own id of this request, 1 to 255 visible ASCII characters. Sent again with the same body it gets the same"
    " answer (with `Idempotent-Replayed: true`), with another one 422, while the first still runs 409.",
    minLength=1,
    maxLength=255,
    pattern="^[!-~]+$",
)
CLIENT = _header("Flowserver-Client", "For keys of the agency: the slug of the client to act for.")
IF_MATCH = _header("If-Match", "The ETag it had when you read it: change it only if it is still the same, else 412.")
IF_NONE_MATCH = _header(
    "If-None-Match", "The ETag of the content you have: answered with 304 and nothing else while it is the same."
)
ETAG = {
    "ETag": {"description": "Stands for exactly this content.", "schema": {"type": "string"}},
}


class Problem(ma.Schema):
    """An error, as RFC 9457 describes it."""

    type = fields.String(required=True, metadata={"description": "Stable: compare with this, not with the texts."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(metadata={"description": "What happened, in words."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What is wrong, by path: `email`, `lists[0]`, `steps[1].then[0].subject`."},
    )
    uses = fields.List(
        fields.Dict(), metadata={"description": "What needs the object: kind (flow or form), id and name."}
    )
    reference = fields.String(metadata={"description": "Names this failure in our log."})


class Api(flask_smorest.Api):
    """flask-smorest's writer of OpenAPI documents, with our errors instead of its own."""

    def _register_error_handlers(self) -> None:
        """Each resource has our handlers; the rest of the application must not get smorest's."""

    def _register_responses(self) -> None:
        """Describe our errors, each under the name flask-smorest looks for."""
        for status in problems.SLUGS:
            self._register_problem(HTTPStatus(status).name, _problem(status))
        self._register_problem(self.DEFAULT_ERROR_RESPONSE_NAME, _problem(500))

    def _register_problem(self, name: str, response: dict[str, Any]) -> None:
        prepare_response(response, self.spec, problems.TYPE)
        self.spec.components.response(name, response, lazy=True)


def _problem(status: int) -> dict[str, Any]:
    """One error answer, described."""
    return {
        "description": DESCRIPTIONS[status],
        "schema": Problem,
        "example": {
            "type": f"urn:flowserver:problem:{problems.SLUGS[status]}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": DESCRIPTIONS[status],
        },
    }


def document(app: Flask, resources: Iterable[Any]) -> bytes:
    """The OpenAPI 3.1 document of these resources as JSON, written once for an app, when somebody first asks."""
    if "flowserver-openapi" not in app.extensions:
        app.config.update(API_TITLE="flowserver", API_VERSION=__version__, OPENAPI_VERSION="3.1.0")
        api = Api(app, spec_kwargs=_head())
        for resource in resources:
            api.spec.tag({"name": resource.name, "description": resource.description})
            resource.register_views_in_doc(api, app, api.spec, name=resource.name, parameters=None)
        app.extensions["flowserver-openapi"] = orjson.dumps(_finished(api.spec.to_dict()))
    return bytes(app.extensions["flowserver-openapi"])


def _head() -> dict[str, Any]:
    return {
        "info": {"description": ABOUT},
        "components": {
            "securitySchemes": {
                KEY: {"type": "http", "scheme": "bearer", "description": "A key from Settings → API keys."}
            }
        },
    }


def _finished(spec: dict[str, Any]) -> dict[str, Any]:
    """The document with what every operation has: a key, its scope, a line for the shell."""
    for path, item in spec["paths"].items():
        for parameter in item.get("parameters", ()):
            parameter["description"], parameter["example"] = PATHS[parameter["name"]]
        for method in METHODS & set(item):
            operation = item[method]
            scope, part = "read" if method == "get" else "write", operation.pop(PART)
            media, example = operation.pop(UPLOADS)
            if media:
                operation["requestBody"]["content"][media] = _as_text(example)
            media, example = operation.pop(ALSO_AS)
            if media:
                operation["responses"]["200"]["content"][media] = _as_text(example)
            headers = [CLIENT, *([IDEMPOTENCY_KEY] if scope == "write" else [])]
            headers += [IF_MATCH] if operation.pop(IF_MATCHES) else []
            if method == "get" and "ETag" in operation["responses"]["200"].get("headers", {}):
                headers.append(IF_NONE_MATCH)
                operation["responses"]["304"] = {"description": "It is still the same.", "headers": ETAG}
            line = _curl(method, path, item, operation)
            scopes = f"`{scope}`" + (f" or `{part}:{scope}`" if part else "")
            about = f"{operation.get('description', '')}\n\nScope: {scopes}.\n\n```sh\n{line}\n```"
            operation.update(
                description=about.strip(),
                security=[{KEY: []}],
                parameters=[*operation.get("parameters", ()), *headers],
            )
    return spec


def _as_text(example: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "example": example}


def _curl(method: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    address = path
    for parameter in item.get("parameters", ()):
        address = address.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    lines = ['curl -H "Authorization: Bearer $KEY"']
    if method != "get":
        lines.append(f"-X {method.upper()}")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        sent = shlex.quote(json.dumps(content["example"], ensure_ascii=False))
        lines += ['-H "Content-Type: application/json"', f"-d {sent}"]
    return " \\\n  ".join([*lines, f'"$FLOWSERVER{address}"'])
