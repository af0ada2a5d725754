"""The script of tracked sites and the door its messages come in by."""

import dataclasses
import json

import pytest
import sqlalchemy as sa

from flowserver import create_app
from flowserver.blueprints import collect
from flowserver.blueprints.limits import limiter
from flowserver.extensions import db
from flowserver.models import PageView
from flowserver.services.site import monitors

SHOP = "https://shop.example"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def site(workspace):
    return monitors.create({"name": "Shop", "domains": "shop.example"})


def view(n=0, **more):
    return json.dumps({"t": "view", "v": "a" * 32, "p": f"{n:032x}", "u": f"{SHOP}/", **more})


def seen():
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count(PageView.id)))


def test_the_script_is_small_and_says_what_the_site_needs(client, site):
    answer = client.get(f"/t/{site.public_id}.js")
    assert answer.status_code == 200 and answer.mimetype == "text/javascript"
    assert len(answer.data) < 3 * 1024 and len((collect.source()).encode()) < 3 * 1024
    more = (
        len("https://" + "x" * 100) - len("http://localhost") + len(",3600" * 20)
    )  # a long name, all the stays there can be
    assert len(answer.data) + more < 3 * 1024
    told = {
        "o": "http://localhost",
        "k": site.public_id,
        "c": 0,
        "s": [],
    }
    assert json.dumps(told, separators=(",", ":")) in answer.text
    assert "document.cookie" not in answer.text and "eval" not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_script_can_be_loaded_and_kept_by_any_page(client, site):
    answer = client.get(f"/t/{site.public_id}.js")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    again = client.get(f"/t/{site.public_id}.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and not again.data
    monitors.update(site.id, {"ask_consent": True})
    assert '"c":1' in client.get(f"/t/{site.public_id}.js", headers={"If-None-Match": answer.headers["ETag"]}).text


def test_an_unknown_key_gets_a_script_that_does_nothing(client, site):
    answer = client.get("/t/0000000000000000.js")
    assert answer.status_code == 200 and "sendBeacon" not in answer.text


def test_only_the_sites_own_pages_are_told_that_they_may_speak(client, site):
    path = f"/t/{site.public_id}"
    for origin, allowed in (
        (SHOP, SHOP),
        ("https://www.shop.example", "https://www.shop.example"),
        ("https://x.example", None),
    ):
        head = {"Origin": origin, "User-Agent": BROWSER}
        for answer in (client.post(path, data=view(), headers=head), client.options(path, headers=head)):
            assert answer.status_code == 204 and not answer.data
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in answer.headers["Vary"]
    asked = client.options(path, headers={"Origin": SHOP})
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert client.get(path).status_code == 405


def test_a_message_that_is_too_long_is_not_looked_at(client, site):
    head = {"Origin": SHOP, "User-Agent": BROWSER}
    assert client.post(f"/t/{site.public_id}", data=view(d="x" * 9000), headers=head).status_code == 204
    assert client.post(f"/t/{site.public_id}", data=b"", headers=head).status_code == 204
    assert seen() == 0


def test_a_flood_is_dropped_without_a_word(app, site, monkeypatch):
    monkeypatch.setattr(collect, "PER_ADDRESS", "3 per minute")
    limited = create_app(dataclasses.replace(app.extensions["config"], rate_limits=True))
    limited.test_client_class = type(app.test_client())
    visitor, head = limited.test_client(), {"Origin": SHOP, "User-Agent": BROWSER}
    try:
        answers = [visitor.post(f"/t/{site.public_id}", data=view(n), headers=head) for n in range(6)]
    finally:
        limiter.reset()
        limiter.enabled = False
    assert {answer.status_code for answer in answers} == {204} and seen() == 3
