"""A client with one object of every kind there is, made from the examples of the OpenAPI document itself.

So a new resource is tried by strangers and with nonsense without being named anywhere: it is enough that the example of
its POST works, after those of the resources before it.
"""

from __future__ import annotations

import copy
import re
from types import SimpleNamespace
from typing import Any

from flowserver.services.engine import engine

from .conftest import PREFIX, Api, document, operations

FLOW = {
    "name": "Lume's flow",
    "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 0}},
    "steps": [
        {"key": "hello", "type": "send_sms", "text": "Hello", "class": "service"},
        {"key": "pause", "type": "wait", "for": {"days": 3}},
    ],
}
NEVER = {"/users"}  # POSTs that would send a real mail, or are not for keys of a client
UNDOING = (
    "/stop",
    "/end",
    "/undo",
    "/undo-publish",
    "/void",
    "/cancel",
    "/archive",
    "/pause",
    "/move-on",
    "/close",
    "/reverse",
    "/reversals",
    "/replacement",
    "/collection",
)
NOWHERE = 9_000_000_000_000


def furnish(api: Api) -> SimpleNamespace:
    """Fill the client of a key; ids and the like by the names they have in addresses."""
    api.post("/lists", {"name": "Newsletter"})
    api.post("/fields", {"label": "City", "type": "text"})
    flow = api.post("/flows", FLOW).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    addresses = {"email": "ada@example.com", "phone": "+393331234567"}
    ada = api.post("/contacts", {**addresses, "lists": ["Newsletter"], "tags": ["customer"]}).json
    engine.advance()
    for event in (
        {"type": "purchase", "properties": {"order": "A-1", "amount": 12}},
        {"type": "cart_updated", "properties": {"cart": "c-1"}},
    ):
        api.post("/events", {**event, "contact": {"id": ada["id"]}})
    known: dict[str, Any] = {"flow_id": flow["id"], "contact_id": ada["id"], "tag": "customer", "number": 1}
    for acts in (False, False, True):
        _post_examples(api, known, acts)
        _look_up(api, known)
    return SimpleNamespace(**known)


def _post_examples(api: Api, known: dict[str, Any], acts: bool) -> None:
    """Make one of everything whose address is known by now and that is not there yet.

    ``acts``: while something is still missing, it may come from doing something to an object, like redeeming a coupon.
    """
    spec = document(api.app)
    for method, path, operation in operations(spec):
        where, makes = _filled(path.removeprefix(PREFIX), known), "get" in spec["paths"][path]
        if method != "POST" or not where or where in NEVER or path.endswith(UNDOING):
            continue
        if makes and "{" not in path and api.get(where).json.get("data"):
            continue
        if makes or (acts and "{" in path and _missing(spec, known)):
            answer = api.post(where, example(operation))
            assert answer.status_code < 500, f"{method} {path}: {answer.json}"
            _look_up(api, known)


def _missing(spec: dict[str, Any], known: dict[str, Any]) -> set[str]:
    return {name for path in spec["paths"] for name in re.findall(r"{(\w+)}", path)} - set(known)


def _look_up(api: Api, known: dict[str, Any]) -> None:
    """Learn the ids of what is there, each from the list its address belongs to."""
    for path in document(api.app)["paths"]:
        for found in re.finditer(r"{(\w+)}", path):
            where, name = _filled(path[: found.start()].removeprefix(PREFIX).rstrip("/"), known), found[1]
            if name in known or not where or "get" not in document(api.app)["paths"].get(_rule(path, found), {}):
                continue
            for row in api.get(where).json["data"][:1]:
                known[name] = row.get(name, row.get(name.rpartition("_")[2], row.get("id")))


def _rule(path: str, found: re.Match[str]) -> str:
    return path[: found.start()].rstrip("/")


def _filled(path: str, known: dict[str, Any]) -> str:
    """An address with what is known put in; ``""`` while something is missing."""
    filled = re.sub(r"{(\w+)}", lambda one: str(known.get(one[1], one[0])), path)
    return "" if "{" in filled else filled


def address(path: str, world: SimpleNamespace) -> str:
    """The address of an operation for the objects of a world."""
    missing = [name for name in re.findall(r"{(\w+)}", path) if not hasattr(world, name)]
    assert not missing, (
        f"nothing to put for {missing} into {path}: the example of its POST does not work, or no GET lists it"
    )
    return _filled(path, vars(world)).removeprefix(PREFIX)


def elsewhere(world: SimpleNamespace) -> SimpleNamespace:
    """Ids and names of the same kinds that belong to nobody."""
    return SimpleNamespace(
        **{name: NOWHERE if isinstance(value, int) else "no-such-thing" for name, value in vars(world).items()}
    )


def example(operation: dict[str, Any]) -> Any:
    """A copy of the documented body of an operation."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return copy.deepcopy(content.get("example"))


def places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    """Every place inside a JSON value, as a tuple of keys."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy of ``value`` with ``new`` at a place."""
    if not at:
        return new
    found = copy.deepcopy(value)
    holder = found
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = new
    return found
