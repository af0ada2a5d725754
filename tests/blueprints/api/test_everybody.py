"""Every operation of the API, tried by a stranger from another client, without a key, and with nonsense."""

from __future__ import annotations

import copy
import json
import re
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from werkzeug.routing import IntegerConverter

from flowserver import extensions as ext
from tests.conftest import make_user

from .conftest import PREFIX, Api, check, document, operations
from .world import FLOW, NOWHERE, address, elsewhere, example, furnish, places, put

NONSENSE = [None, True, -1, 2**63, 1.5, "", "x" * 20_000 + "\u202e💥\ufdd0", [[]], {}, {"type": {"type": []}}]


@pytest.fixture
def lume(app, api, workspace, clock, queue, bob):
    """One object of every kind in Caffè Lume, by the name its id has in addresses."""
    return furnish(api)


def rows(db, workspace_id):
    """Everything the database holds of a client, but for its keys and their use."""
    db.session.rollback()
    found = {}
    for table in ext.Base.metadata.sorted_tables:
        if "workspace_id" in table.c and table.name not in ("api_key", "idempotency"):
            query = sa.select(table).where(table.c.workspace_id == workspace_id)
            found[table.name] = sorted(repr(row) for row in db.session.execute(query))
    return found


def seen(caller):
    """What every address that names no object shows."""
    spec = operations(document(caller.app))
    return {
        path: caller.get(path.removeprefix(PREFIX)).json
        for method, path, _ in spec
        if method == "GET" and "{" not in path
    }


def said(answer, world, names):
    """What an answer says, without the ids and names of the request; an error without its frame."""
    text = json.dumps({**answer.json, "status": None} if answer.is_json else answer.get_data(as_text=True))
    for name in names:
        text = re.sub(rf"(?<!\d){re.escape(str(getattr(world, name)))}(?!\d)", "?", text)
    return text


def test_a_stranger_finds_nothing_and_changes_nothing(app, api, stranger, clock, queue, bob, db, workspace):
    """For a stranger the objects of another client are just like objects that do not exist."""
    own = furnish(stranger)
    before = seen(stranger)
    lume = furnish(api)
    assert seen(stranger) == before
    theirs, nowhere, tried = rows(db, workspace.id), elsewhere(lume), 0
    for method, path, operation in operations(document(app)):
        names = re.findall(r"{(\w+)}", path)
        if all(getattr(own, name, None) == getattr(lume, name) for name in names):
            continue  # names no object, or by a word that the stranger uses, too
        where = f"{method} {path}"
        answers = [stranger.call(method, address(path, one), json=example(operation)) for one in (lume, nowhere)]
        assert answers[0].status_code == answers[1].status_code, where
        assert answers[0].status_code == 404 or (method != "GET" and answers[0].status_code in (403, 422)), where
        assert said(answers[0], lume, names) == said(answers[1], nowhere, names), where
        tried += 1
    assert tried > 30
    assert rows(db, workspace.id) == theirs


def test_a_stranger_cannot_ask_for_what_is_not_theirs(app, stranger, lume, db, workspace):
    """Filters by another client's objects answer like filters by objects that do not exist."""
    theirs, nowhere, tried = rows(db, workspace.id), elsewhere(lume), 0
    own = furnish(stranger)
    for method, path, operation in operations(document(app)):
        for one in operation.get("parameters", ()):
            name = one["name"] if hasattr(lume, one["name"]) else f"{one['name']}_id"
            if method != "GET" or one["in"] != "query" or not isinstance(getattr(lume, name, None), int):
                continue
            if any(key.endswith(name) and value == getattr(lume, name) for key, value in vars(own).items()):
                continue  # another kind of the same name: a campaign of coupons of their own has this number
            asked = [f"{address(path, own)}?{one['name']}={getattr(ids, name)}" for ids in (lume, nowhere)]
            answers = [stranger.get(path) for path in asked]
            assert answers[0].status_code == answers[1].status_code, asked
            assert said(answers[0], lume, [name]) == said(answers[1], nowhere, [name]), asked
            tried += 1
    assert tried > 5
    assert rows(db, workspace.id) == theirs


def test_a_stranger_cannot_put_in_what_is_not_theirs(app, stranger, lume, db, workspace):
    """Whatever a body may name is put in as an object of another client, by id."""
    theirs, own, tried = rows(db, workspace.id), furnish(stranger), 0
    for method, path, operation in operations(document(app)):
        body = FLOW if "/flows" in path and "steps" in (example(operation) or {}) else example(operation)
        for at in places(body):
            words = [part for part in at if isinstance(part, str)]
            name = next(
                (f"{word}_id" for word in reversed(words) if hasattr(lume, f"{word}_id")), words[-1] if words else ""
            )
            name = f"{name[:-4]}_id" if hasattr(lume, f"{name.removesuffix('s')}_id") and name.endswith("s") else name
            if not isinstance(getattr(lume, name, None), int):
                continue
            answer = stranger.call(method, address(path, own), json=put(body, at, getattr(lume, name)))
            where = f"{method} {path} {at}"
            assert answer.status_code < 500, where
            assert answer.status_code >= 400 or "refused" in answer.get_data(as_text=True), where
            tried += 1
    assert tried > 5
    assert rows(db, workspace.id) == theirs


def test_a_stranger_cannot_refer_to_what_is_not_theirs(stranger, lume, db, workspace):
    before = rows(db, workspace.id)
    mine = stranger.post("/contacts", {"email": "eve@example.com"}).json
    flow = {"name": "Mine", "trigger": {"type": "list_joined", "list": lume.list_id}, "steps": []}
    for answer, path in (
        (stranger.post("/contacts", {"email": "x@example.com", "lists": [lume.list_id]}), "lists[0]"),
        (stranger.post("/contacts", {"email": "x@example.com", "lists": ["Newsletter"]}), "lists[0]"),
        (stranger.post("/contacts", {"email": "x@example.com", "fields": {"city": "Roma"}}), "fields.city"),
        (stranger.post(f"/contacts/{mine['id']}/lists", {"list": lume.list_id}), "list"),
        (stranger.post("/forms", {"name": "Mine", "list": lume.list_id}), "list"),
        (stranger.post("/flows", flow), "trigger.list"),
        (stranger.get(f"/contacts?list={lume.list_id}"), "list"),
    ):
        assert answer.status_code == 422 and list(answer.json["errors"]) == [path], answer.json
    for query in (
        f"enrollments?flow={lume.flow_id}",
        f"messages?contact={lume.contact_id}",
        f"enrollments?contact={lume.contact_id}",
    ):
        assert stranger.get(f"/{query}").json["data"] == []
    rest = stranger.post("/contacts/bulk", {"contacts": [{"email": "y@example.com", "lists": [lume.list_id]}]}).json
    assert rest["refused"] == 1
    assert rows(db, workspace.id) == before


@pytest.mark.parametrize("who", ["nobody", "guesser"])
def test_without_a_key_every_operation_is_closed(app, lume, who, db, workspace):
    before = rows(db, workspace.id)
    caller = Api(app, None if who == "nobody" else "fsk_0123456789_nothing")
    for method, path, operation in operations(document(app)):
        answer = caller.call(method, address(path, lume), json=example(operation))
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert rows(db, workspace.id) == before


PORTIONS = 4  # so that several processes share the work


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_nonsense_is_answered_in_words(app, api, lume, portion):
    """Every value of every body replaced by values of every other kind, or left out: never a failure of ours."""
    taking = [one for one in operations(document(app)) if "requestBody" in one[2]]
    for method, path, operation in taking[portion::PORTIONS]:
        steps = operation["operationId"] in ("makeFlow", "replaceDraft")  # they have a test of their own
        sent = FLOW if steps else example(operation)
        for at in [*places(sent), *((name,) for name in described(app, operation) if name not in sent)]:
            bodies = [put(sent, at, value) for value in NONSENSE] + ([without(sent, at)] if at else [])
            for body in bodies:
                answer = api.call(method, address(path, lume), data=json.dumps(body), content_type="application/json")
                where = f"{operation['operationId']} {at}: {json.dumps(body)[:300]}"
                assert answer.status_code < 500, where
                assert answer.status_code != 422 or answer.json["errors"], where


def described(app, operation):
    """The keys a body may have, in the example or not."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return document(app)["components"]["schemas"].get(name, schema).get("properties", {})


def without(value, at):
    """A copy of ``value`` that lacks a key or an entry."""
    found = copy.deepcopy(value)
    holder = found
    for key in at[:-1]:
        holder = holder[key]
    if isinstance(holder, list) or at[-1] in holder:
        del holder[at[-1]]
    return found


EVERY_STEP = [
    {"key": "c", "type": "if_else", "if": {"any": [{"type": "has_tag", "tag": "x"}, {"not": {"type": "in_list", "list": "Newsletter"}}]}, "then": [], "else": []},
    {"key": "f", "type": "if_else", "if": {"type": "field_compares", "field": "city", "op": "is", "value": "Roma"}, "then": []},
    {"key": "m", "type": "send_email", "subject": "S", "preheader": "p", "class": "service", "on_failure": "end", "body": [{"type": "image", "url": "https://a.example/x.png", "alt": "x"}, {"type": "text", "text": "{{ contact.first_name | default: 'you' }}"}]},
    {"key": "o", "type": "wait_for_event", "event": "email_clicked", "of": "m", "at_most": {"hours": 2}, "then": [{"key": "s", "type": "send_sms", "text": "T", "sender": "Lume"}]},
    {"key": "w", "type": "wait", "until": {"weekday": "monday", "time": "09:00"}},
    {"key": "a", "type": "set_field", "field": "city", "value": "Roma"},
    {"key": "p", "type": "change_score", "points": 5, "reason": "r"},
    {"key": "l", "type": "leave_list", "list": "Newsletter"},
    {"key": "n", "type": "notify_team", "to": ["a@agency.example"], "subject": "S", "text": "T"},
    {"key": "e", "type": "end", "label": "x", "outcome": "neutral"},
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(EVERY_STEP)), ids=[f"{one['type']}-{one['key']}" for one in EVERY_STEP])
def test_nonsense_in_a_step_is_answered_in_words_up_to_going_live(api, newsletter, place):
    """What a draft takes can be read, checked and published, or is refused in words; it never breaks a page."""
    sound = 0
    api.post("/fields", {"label": "City", "type": "text"})
    for number, (at, value) in enumerate((at, value) for at in places(EVERY_STEP[place]) for value in NONSENSE):
        before = [EVERY_STEP[2]] if place == 3 else []
        definition = {**FLOW, "name": f"Flow {number}", "steps": [*before, put(EVERY_STEP[place], at, value)]}
        where = f"{at} = {str(value)[:50]!r}"
        made = api.post("/flows", data=json.dumps(definition), content_type="application/json")
        assert made.status_code in (201, 422), where
        if made.status_code == 201:
            path = f"/flows/{made.json['id']}"
            assert api.get(path).status_code == api.get(f"{path}?references=ids").status_code == 200, where
            ready = api.get(f"{path}/check")
            assert ready.status_code == 200, where
            published = api.post(f"{path}/publish")
            assert published.status_code == (200 if ready.json["ready"] else 422), where
            sound += published.status_code == 200
    assert sound < number / 2


def test_nonsense_in_addresses_is_answered_in_words(app, api, lume):
    words = [
        "",
        "0",
        "-1",
        "x" * 3000,
        "%00",
        "%ff%fe",
        "1e5",
        "null",
        "true",
        "[]",
        "💥",
        "9" * 30,
        "' OR 1=1 --",
        "%C5%BC",
    ]
    for method, path, operation in operations(document(app)):
        names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        for name in names:
            for word in words:
                answer = api.call(method, f"{address(path, lume)}?{name}={word}", json=example(operation))
                assert answer.status_code < 500, f"{method} {path}?{name}={word[:40]}"
        if "{" in path:
            for word in words[1:]:
                whole = path.removeprefix(PREFIX)
                for name in vars(lume):
                    whole = whole.replace(f"{{{name}}}", word)
                answer = api.client.open(
                    PREFIX + whole,
                    method=method,
                    json=example(operation),
                    headers={"Authorization": f"Bearer {api.key}"},
                )
                assert answer.status_code < 500, f"{method} {whole[:80]}"
                assert answer.status_code != 404 or answer.mimetype == "application/problem+json"


def test_a_check_of_answers_that_never_fails_would_be_worthless(app, workspace):
    """The checks above are only as good as this one: it must find a wrong answer."""
    spec = document(app)
    good = SimpleNamespace(
        status_code=200,
        headers={},
        mimetype="application/json",
        json={"data": [], "next": None},
        get_data=lambda as_text: "",
    )
    check(spec, "GET", "/tags", good)
    for wrong in (
        {"status_code": 418},
        {"json": {"data": []}},
        {"json": {"data": [{"id": "1"}], "next": None}},
        {"json": {"data": [], "next": 5}},
        {"mimetype": "text/html"},
        {"headers": {"Set-Cookie": "x"}},
    ):
        with pytest.raises(AssertionError):
            check(spec, "GET", "/tags", SimpleNamespace(**{**vars(good), **wrong}))


# --- the console -----------------------------------------------------------------------------------------


def ids_of(db, workspace_id, name):
    """Ids of all rows of a client that an address may mean by ``name``: ``campaign_id`` is one of two kinds."""
    stem = {"run_id": "enrollment", "edit_id": "flow_edit", "key_id": "api_key"}.get(name, name.removesuffix("_id"))
    tables = [
        one
        for one in ext.Base.metadata.sorted_tables
        if stem in one.name and {"id", "workspace_id"} <= set(one.c.keys())
    ]
    found = [
        db.session.scalar(sa.select(sa.func.min(one.c.id)).where(one.c.workspace_id == workspace_id)) for one in tables
    ]
    return [one for one in found if one] or [1]


def test_no_page_of_ones_own_client_shows_or_changes_what_another_has(app, lume, other, login, db, workspace):
    """Every address of the console below one's own client, with the ids of another client's objects: not found."""
    browser, theirs, tried = login(make_user("staff", "kim@kino.example", other)), rows(db, workspace.id), 0
    for rule in app.url_map.iter_rules():
        numbers = [name for name, kind in rule._converters.items() if isinstance(kind, IntegerConverter)]
        if not rule.rule.startswith("/c/<client>/") or not numbers:
            continue
        words = {name: "email" for name in rule.arguments if name not in numbers} | {"client": other.slug}
        words |= {
            name: sorted(kind.items)[0]
            for name, kind in rule._converters.items()
            if hasattr(kind, "items") and name != "client"
        }
        for id in ids_of(db, workspace.id, numbers[0]):
            values = {
                **words,
                **{name: id if name == numbers[0] else ids_of(db, workspace.id, name)[0] for name in numbers},
            }
            nowhere = {**values, **dict.fromkeys(numbers, NOWHERE)}
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                build = app.url_map.bind("").build
                answers = [
                    browser.open(build(rule.endpoint, one), method=method, data={"name": "Mine"}).status_code
                    for one in (values, nowhere)
                ]
                where = f"{method} {rule} {values}: {answers}"
                assert answers[0] == answers[1], where
                assert answers[0] == 404 or (method == "POST" and answers[0] == 422), where
                tried += 1
    assert tried > 60
    assert rows(db, workspace.id) == theirs
