"""Reads what a request carries: JSON in the body, checked words in the address."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO, Any, NoReturn

import marshmallow as ma
import orjson
from flask import Request, current_app, g, request
from flask_babel import gettext as _
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from flowserver.domain import flowtext
from flowserver.errors import Invalid
from flowserver.text import N_, Text

MOST_BYTES = 5 * 1024 * 1024
CSV, YAML = "text/csv", "application/yaml"
TEXT = {"type": "string"}  # the schema of answers that are no JSON
DEEPEST = 64  # objects and lists inside one another


class MalformedJson(BadRequest):
    """The body is no JSON; ``words`` say where it breaks."""

    slug = "malformed-json"

    def __init__(self, words: str):
        super().__init__()
        self.words = words


class Parser(FlaskParser):
    """webargs with our JSON reader and our errors."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """The JSON object in the body; an empty body is an empty object."""
        return json_object()

    def handle_error(self, error: ma.ValidationError, req: Request, schema: ma.Schema, **kwargs: Any) -> NoReturn:
        """Answer 422 with the paths as the caller wrote them."""
        messages = error.normalized_messages()
        raise Invalid({key: inner for part in messages.values() for key, inner in _parts(part)})


def _parts(part: Any) -> Any:
    return part.items() if isinstance(part, dict) else [("_", part)]


def most_bytes(other: str) -> int:
    """How large a body may be; an uploaded file as large as files may be in the console.

    ``other``: what this operation takes beside JSON.
    """
    g.uploads, g.texts = other == CSV and request.mimetype == CSV, other == YAML
    return int(current_app.extensions["config"].max_upload) if g.uploads else MOST_BYTES


def upload() -> IO[bytes] | None:
    """The file a body is, where that is allowed and it is one; kept on disk when it is large. Raises 413."""
    if not g.get("uploads"):
        return None
    if "upload" not in g:
        g.upload = tempfile.SpooledTemporaryFile(1024 * 1024)  # noqa: SIM115 - it goes with the request
        g.upload_hash = hashlib.sha256()
        while block := request.stream.read(1024 * 1024):
            g.upload.write(block)
            g.upload_hash.update(block)
    g.upload.seek(0)
    found: IO[bytes] = g.upload
    return found


def digest() -> str:
    """The SHA-256 of the body, whatever it is."""
    if upload() is not None:
        return str(g.upload_hash.hexdigest())
    return hashlib.sha256(request.get_data(cache=True)).hexdigest()


def json_object() -> dict[str, Any]:
    """The body. Raises 400 for what is no JSON, 413, 415, and :class:`Invalid` for JSON that is no object."""
    if upload() is not None:
        return {}
    raw = request.get_data(cache=True)
    if raw and request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    if raw and g.get("texts") and request.mimetype == YAML:
        try:
            return flowtext.load(raw.decode())
        except UnicodeDecodeError:
            raise Invalid(N_("Write the text in UTF-8")) from None
    if not raw:
        return {}
    if not request.is_json or request.mimetype_params.get("charset", "utf-8").lower() not in (
        "utf-8",
        "utf8",
        "us-ascii",
    ):
        raise UnsupportedMediaType
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(_("The body is not JSON: %(why)s.", why=str(error))) from None
    if not isinstance(found, dict):
        raise Invalid(N_("Send a JSON object"))
    _check_shape(raw, found)
    return found


_NO_BRACKET = bytes(set(range(256)) - set(b"{}[]"))


def _is_flat(raw: bytes) -> bool:
    """Whether nothing is nested too deep, found by taking away what is closed, level by level; no says nothing."""
    if raw.count(b"{") + raw.count(b"[") <= DEEPEST:
        return True
    left = raw.translate(None, _NO_BRACKET)
    for _level in range(DEEPEST):
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if not left:
            return True
    return False


def _check_shape(raw: bytes, found: Any) -> None:
    """Refuse what no database takes, and what is nested beyond reason. Looks closely only where there is a sign of it."""
    if b"\\u0000" not in raw and _is_flat(raw):
        return
    waiting: list[tuple[str, int, Any]] = [("", 1, found)]
    while waiting:
        path, depth, value = waiting.pop()
        if depth > DEEPEST:
            raise Invalid(Text("Nest objects and lists at most %(most)s deep", most=DEEPEST))
        if isinstance(value, str) and "\0" in value:
            raise Invalid({path: [N_("Leave out the character NUL")]})
        if isinstance(value, dict):
            if any("\0" in key for key in value):
                raise Invalid({path or "_": [N_("Leave out the character NUL")]})
            waiting += [(f"{path}.{key}" if path else key, depth + 1, one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", depth + 1, one) for place, one in enumerate(value)]
