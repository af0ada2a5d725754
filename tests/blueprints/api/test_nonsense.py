"""Every form of the console and every public address takes nonsense without breaking."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from werkzeug.routing import IntegerConverter

from flowserver.nodes import catalogue
from tests.conftest import make_user

from .test_everybody import ids_of
from .world import furnish

NONSENSE = ("a\0b", "9223372036854775808", "x" * 3000, "{% if", "1.5", "-1")


class Forms(HTMLParser):
    """The forms of a page: ``(action, {name: value as a browser would send it}, names of all fields)``."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str], set[str]]] = []
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "get").lower() == "post":
            self.found.append((given.get("action", ""), {}, set()))
        name = given.get("name", "")
        if not self.found or (not name and tag != "option"):
            return
        _action, values, names = self.found[-1]
        if tag in ("input", "textarea", "select", "button") and name != "csrf_token":
            names.add(name)
        if tag == "input" and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            values[name] = given.get("value", "")
        if tag == "select":
            self._select = name
        if tag == "option" and self._select and ("selected" in given or self._select not in values):
            values[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def pages(app: Any, db: Any, workspace: Any) -> list[str]:
    """An address of every page of a client."""
    found = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/c/<client>/") or "GET" not in rule.methods:
            continue
        kinds = rule._converters
        numbers = {
            name: ids_of(db, workspace.id, name)[0]
            for name, kind in kinds.items()
            if isinstance(kind, IntegerConverter)
        }
        words: dict[str, list[str]] = {
            name: sorted(kind.items) for name, kind in kinds.items() if hasattr(kind, "items")
        }
        several = next((name for name in words if name != "client"), "")
        for word in words.get(several, [""]):
            rest = {name: "email" for name in rule.arguments if name not in numbers} | {
                several: word,
                "client": workspace.slug,
            }
            rest = {name: value for name, value in {**rest, **numbers}.items() if name in rule.arguments}
            found.append(app.url_map.bind("").build(rule.endpoint, rest))
    return found


def test_no_form_of_the_console_breaks_over_nonsense(app, api, workspace, clock, queue, login, db):
    furnish(api)
    browser, forms = login(make_user("admin", "anna@agency.example")), {}
    for kind in sorted(catalogue.triggers()):
        for action, values, names in Forms(browser.get(f"/c/{workspace.slug}/flows/new/{kind}").text).found:
            forms[action or f"/c/{workspace.slug}/flows/new/{kind}", frozenset(names)] = (values, names)
    for address in pages(app, db, workspace):
        answer = browser.get(address)
        assert answer.status_code < 500, address
        if answer.mimetype == "text/html":
            for action, values, names in Forms(answer.text).found:
                forms[action or address, frozenset(names)] = (values, names)
    assert len(forms) > 60
    mine = [(action, *form) for (action, _), form in forms.items() if action.startswith("/c/")]
    for action, values, names in sorted(mine, key=lambda one: -len(one[2])):  # what takes away comes last
        tries = [dict.fromkeys(names, nonsense) for nonsense in NONSENSE]
        tries += [{**values, name: nonsense} for name in names for nonsense in ("nope", "9" * 20)]
        for data in tries:
            status = browser.post(action, data=data).status_code
            assert status < 500, (action, data)


@pytest.mark.parametrize("strange", ["%00", "a%00b", "%FF", "x" * 3000, "..%2f", "9" * 40, "%E2%80%AE"])
def test_no_public_address_breaks_over_nonsense(app, client, strange):
    app.config["WTF_CSRF_ENABLED"] = False
    tried = 0
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/c/", "/api/", "/static")) or not rule.arguments:
            continue
        path = rule.rule
        for name in rule.arguments:
            path = "/".join(strange if f"{name}>" in part else part for part in path.split("/"))
        for method in rule.methods - {"OPTIONS"}:
            answer = client.open(path, method=method, data={"email": "a\0b", "x": "\0"})
            assert answer.status_code < 500, (method, path)
            tried += 1
    assert tried > 20
    for address in ("/login", "/reset"):
        assert client.post(address, data={"email": "a\0b@x.example", "password": "\0"}).status_code < 500
