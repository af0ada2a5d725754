"""What every resource of the API is made of: a key at the door, checked input, one answer, said in OpenAPI.

A view gets checked values and returns what to answer: a dict, an :class:`Answer`, or ``None`` for 204. Its docstring
is the operation's summary and description::

    @resource.reads(f"/lists/{ID % 'list_id'}", shows=ListSchema, example=EXAMPLE, tagged=True)
    def get_list(list_id):
        \"\"\"Get a list.\"\"\"
        return show(browse.one_list(list_id))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
import orjson
from flask import Flask, Response, abort, g, request
from flask_babel import gettext as _
from flask_limiter.util import get_remote_address
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import PreconditionFailed, Unauthorized

from flowserver.blueprints import console
from flowserver.blueprints.api import body, openapi, problems
from flowserver.blueprints.limits import count_try, limiter
from flowserver.errors import Invalid
from flowserver.services.accounts import api_access
from flowserver.services.operations import idempotency
from flowserver.text import N_

ID = "<int(min=1, max=9223372036854775807):%s>"
PER_KEY = "3000 per minute"
CLIENT = "Flowserver-Client"  # names the client an agency key acts for
WRONG_KEYS = "60 per minute"  # from one address
LIVE = {"inside", "contacts", "numbers"}  # counts that move by themselves: no change anybody made
DUMP = orjson.OPT_UTC_Z
JSON = "application/json"
AS_TEXT = "-yaml"  # ends the ETag of a definition as text
View = Callable[..., Any]


@dataclass(frozen=True)
class Answer:
    """Data to answer with another status than 200, or with headers."""

    data: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def init_app(app: Flask) -> None:
    """Answer unknown addresses of the API as the API answers."""
    app.before_request(problems.unrouted)
    app.after_request(_only_when_limited)


def _only_when_limited(response: Response) -> Response:
    """The limiter names a time to wait in every answer; ours does so only where one must wait."""
    if request.path.startswith("/api/") and response.status_code not in (429, 503):
        response.headers.pop("Retry-After", None)
        if "again_in" in g:
            response.headers["Retry-After"] = str(g.again_in)
    return response


class Resource(flask_smorest.Blueprint):
    """The operations on one kind of object.

    ``place`` orders the resources in the documentation. ``part``: which scopes open it beside the plain verbs, see
    :mod:`flowserver.domain.scopes`.
    """

    ARGUMENTS_PARSER = body.Parser()

    def __init__(self, name: str, place: int, about: str, part: str = ""):
        super().__init__(name, f"{__name__}.{name}", description=about)
        self.place, self.part = place, part
        problems.handle(self)
        limiter.shared_limit(PER_KEY, scope="api", key_func=_who)(self)

    def reads(self, rule: str, **spec: Any) -> Callable[[View], View]:
        """A GET operation; see :meth:`_operation`."""
        return self._operation("GET", rule, "read", **spec)

    def writes(self, method: str, rule: str, **spec: Any) -> Callable[[View], View]:
        """An operation that changes something; see :meth:`_operation`."""
        return self._operation(method, rule, "write", **spec)

    def _operation(
        self,
        method: str,
        rule: str,
        scope: str,
        *,
        shows: Any = None,
        example: Any = None,
        query: Any = None,
        takes: Any = None,
        body_example: Any = None,
        body_required: bool = True,
        status: int = 200,
        also: Mapping[int, str] | None = None,
        tagged: bool = False,
        if_match: bool = False,
        conflicts: bool = False,
        gone: bool = False,
        anywhere: bool = False,
        uploads: tuple[str, str] = ("", ""),
        also_as: tuple[str, str] = ("", ""),
        media: str = JSON,
        shortcut: Callable[[View], View] | None = None,
    ) -> Callable[[View], View]:
        """Register a view.

        ``shows`` and ``example``: the schema and an example of the answer with ``status``; ``also``: other good
        answers of the same shape, ``{status: description}``. ``query``, ``takes``: schemas of address and body, of which
        ``body_example`` is one; the view gets them as ``query`` and ``body``. ``tagged``: answers with an ETag. ``if_match``: the view calls
        :func:`unchanged`. ``conflicts``: may answer 409 of its own, ``gone``: 410. ``anywhere``: keys of the agency need not name a
        client. ``uploads``: another content type the body may have, with an example: CSV (:func:`body.upload`) or YAML.
        ``also_as``: another content type the view can answer with, with an example. ``media``: the answer's content
        type where it is not JSON; the view answers with a response. ``shortcut`` wraps everything: a quicker way for
        what is usual, which leaves all else to the way it wraps.
        """

        def register(view: View) -> View:
            found = once(view, tagged) if scope == "write" else _answering(view, tagged)
            if takes is not None:
                found = self.arguments(takes, arg_name="body", example=body_example, required=body_required)(found)
            if query is not None:
                found = self.arguments(query, location="query", arg_name="query")(found)
            found = behind_door(found, self.part, scope, anywhere, uploads[0])
            headers = openapi.ETAG if tagged else None
            for code, words in {status: None, **(also or {})}.items():
                shown = {"schema": shows, "example": example} if code != 204 else {}
                shown |= {"content_type": media} if media != JSON and code != 204 else {}
                found = self.alt_response(code, description=words, headers=headers, success=True, **shown)(found)
            problems_of = _problems(
                rule, scope, takes is not None, query is not None, if_match or (tagged and scope == "read"), conflicts
            )
            for code in problems_of + ([410] if gone else []):
                found = self.alt_response(code, response=HTTPStatus(code).name)(found)
            notes = {
                openapi.IF_MATCHES: if_match,
                openapi.PART: self.part,
                openapi.UPLOADS: uploads,
                openapi.ALSO_AS: also_as,
            }
            found = self.doc(operationId=_camel(view.__name__), **notes)(found)
            self.route(rule, methods=[method])(shortcut(found) if shortcut is not None else found)
            return view

        return register


def _problems(rule: str, scope: str, body: bool, query: bool, if_match: bool, conflicts: bool) -> list[int]:
    found = {401, 403, 429}
    found |= {404} if "<" in rule else set()
    found |= {422} if query or scope == "write" else set()
    found |= {400, 413, 415} if body else set()
    found |= {409} if scope == "write" or conflicts else set()
    found |= {412} if if_match else set()
    return sorted(found)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


# --- the door --------------------------------------------------------------------------------------------


def behind_door(view: View, part: str, verb: str, anywhere: bool = False, uploads: str = "") -> View:
    """Let in only keys that work and may do ``verb`` (read, write) to this part of the API."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        g.locale = request.accept_languages.best_match(list(console.LOCALES), "en")  # no cookie is asked for it
        request.max_content_length = body.most_bytes(uploads)
        enter(part, verb, anywhere)
        return view(*args, **kwargs)

    return guarded


def enter(part: str, verb: str, anywhere: bool = False) -> None:
    """Open the client of the request's key. Raises 401 for a key that does not work, 403 for one without the scope."""
    secret = secret_sent()
    named = request.headers.get(CLIENT, "").strip().lower()
    call = api_access.Call(request.method, request.path, named, writes=verb != "read", anywhere=anywhere)
    caller = api_access.enter(secret, call) if secret else None
    if caller is None:
        count_try(WRONG_KEYS, "wrong-api-key")  # from here on guessing is answered with 429
        mistake = {"error": "invalid_token"} if secret else {}
        raise Unauthorized(www_authenticate=WWWAuthenticate("bearer", {"realm": "flowserver", **mistake}))
    if not caller.may(part, verb):
        scope = f"{part}:{verb}" if part else verb
        response = problems.problem(403, _("This key lacks the scope “%(scope)s”.", scope=scope))
        response.headers["WWW-Authenticate"] = f'Bearer realm="flowserver", error="insufficient_scope", scope="{scope}"'
        abort(response)
    g.caller = caller


def secret_sent() -> str:
    """The secret the request shows; "" for none."""
    given = request.authorization
    return given.token or "" if given and given.type == "bearer" else ""


def _who() -> str:
    secret = secret_sent()
    return _hash(secret) if secret else get_remote_address()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


# --- answers ---------------------------------------------------------------------------------------------


def _answering(view: View, tagged: bool) -> View:
    @wraps(view)
    def answering(*args: Any, **kwargs: Any) -> Response:
        return respond(view(*args, **kwargs), tagged)

    return answering


def respond(found: Any, tagged: bool = False) -> Response:
    """What a view returned, as JSON; with an ETag, and 304 for a caller who has it already."""
    if found is None:
        return Response(status=204)
    if isinstance(found, Response):
        return found
    answer = found if isinstance(found, Answer) else Answer(found)
    response = Response(orjson.dumps(answer.data, option=DUMP), answer.status, mimetype="application/json")
    response.headers.update(answer.headers)
    response.headers["Cache-Control"] = "private, no-cache"
    if tagged:
        response.set_etag(etag(answer.data))
        _only_if(response)
    return response


def _only_if(response: Response) -> None:
    """304 for a reader who has it already. Raises :class:`PreconditionFailed` for one who asks for another content."""
    if request.method in ("GET", "HEAD"):
        response.make_conditional(request)
        if response.status_code == 412:
            raise PreconditionFailed


def etag(data: Mapping[str, Any]) -> str:
    """The tag of some content, the same in whatever order its keys come: of what people change, and of what moves by itself."""
    live = {key: value for key, value in data.items() if key in LIVE}
    tag = _digest({key: value for key, value in data.items() if key not in LIVE})[:24]
    return f"{tag}.{_digest(live)[:8]}" if live else tag


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(data, option=DUMP | orjson.OPT_SORT_KEYS)).hexdigest()


def _changed_by_people(tag: str) -> str:
    """The part of a tag that only changes with what people change, however many contacts are counted meanwhile."""
    return tag.removesuffix(AS_TEXT).partition(".")[0]


def unchanged(kind: str, id: int, *loads: Callable[[], Any]) -> None:
    """Go on only if the object still has the ETag of ``If-Match``; until the transaction ends nobody else changes it.

    ``loads`` give its content in every shape it is shown in.
    """
    if "If-Match" not in request.headers:
        return
    api_access.hold(kind, id)
    known = {_changed_by_people(tag) for tag in request.if_match.as_set() if tag}
    if not request.if_match.star_tag and known.isdisjoint(_changed_by_people(etag(load())) for load in loads):
        raise PreconditionFailed


def as_text(data: Mapping[str, Any], text: str) -> Response:
    """``text`` as YAML for those who asked for it, with an ETag of its own that :func:`unchanged` knows, too."""
    response = Response(text, mimetype=body.YAML)
    response.headers["Cache-Control"], response.headers["Vary"] = "private, no-cache", "Accept"
    response.set_etag(_changed_by_people(etag(data)) + AS_TEXT)
    _only_if(response)
    return response


def wants_text() -> bool:
    """Whether the caller would rather have YAML than JSON."""
    return request.accept_mimetypes.best_match([JSON, body.YAML], JSON) == body.YAML


# --- once ------------------------------------------------------------------------------------------------


def once(view: View, tagged: bool) -> View:
    """Do what the request asks only once for its ``Idempotency-Key``."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Response:
        key = _key()
        if not key:
            return respond(view(*args, **kwargs), tagged)
        digest = body.digest()
        claimed = idempotency.claim(key, request.method, request.full_path.rstrip("?"), digest)
        if isinstance(claimed, idempotency.Stored):
            return _again(claimed)
        return _first(claimed, lambda: respond(view(*args, **kwargs), tagged))

    return guarded


def _key() -> str:
    if "Idempotency-Key" not in request.headers:
        return ""
    key = request.headers["Idempotency-Key"]
    if not 1 <= len(key) <= idempotency.LONGEST or not all("!" <= char <= "~" for char in key):
        raise Invalid({"Idempotency-Key": [N_("Use 1 to 255 visible ASCII characters without spaces")]})
    return key


def _first(claimed: idempotency.Claim, work: Callable[[], Response]) -> Response:
    kept = False
    try:
        idempotency.mark(claimed)
        response = work()
        headers = {name: response.headers[name] for name in ("Location", "ETag") if name in response.headers}
        idempotency.keep(claimed, response.status_code, response.get_data(as_text=True), headers)
        kept = True
    finally:
        if not kept:
            idempotency.release(claimed)
    return response


def _again(stored: idempotency.Stored) -> Response:
    response = Response(stored.body, stored.status, mimetype="application/json" if stored.body else None)
    response.headers.update(stored.headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response
