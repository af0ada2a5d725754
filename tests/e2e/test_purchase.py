"""A shop reports a purchase over the API, and the flow made in the browser thanks for it, the order number in the mail."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from .test_story import add, go_live, open_mail, set_up, write_mail

pytestmark = pytest.mark.browser


def test_a_reported_purchase_sends_the_mail_with_its_order_number(product, page):
    base, program = product
    set_up(page, program)
    key = make_key(page, base)
    make_flow(page, base)
    post(base, key, {"email": "marta@people.example", "consent": {"email": "given"}}, "contacts")
    event = {
        "type": "purchase",
        "contact": {"email": "marta@people.example"},
        "properties": {"order": "A-1042", "amount": 49.5, "items": [{"name": "Moka pot", "price": 49.5}]},
    }
    small = {**event, "properties": {"order": "A-1041", "amount": 5}}
    assert [post(base, key, one)["accepted"] for one in (small, event)] == [1, 1]
    assert post(base, key, event)["repeated"] == 1
    frame = open_mail(page, base, "marta@people.example", "Thank you for A-1042")
    frame.get_by_text("Moka pot").first.wait_for()
    page.goto(f"{base}/dev/mailbox/?q=marta@people.example")
    assert page.get_by_role("link", name=re.compile("Thank you for")).count() == 1


def make_key(page, base: str) -> str:
    page.goto(f"{base}/c/caffe-lume/settings/keys")
    page.locator("main [name=name]").fill("Shop")
    for scope in ("read", "write"):
        page.locator(f"main form input[value={scope}]").first.check()
    page.get_by_role("button", name="Make key").click()
    page.wait_for_load_state()
    return re.search(r"fsk_\w+_[\w-]{20,}", page.locator("main").inner_html())[0]


def make_flow(page, base: str) -> None:
    page.goto(f"{base}/c/caffe-lume/flows/new")
    page.get_by_role("link", name="Purchase", exact=True).click()
    page.locator("[name=name]").fill("After the purchase")
    page.locator("[name=at_least]").fill("a lot")
    page.get_by_role("button", name="Create flow and add steps").click()
    page.get_by_text("Enter an amount, like 50 or 49.90").first.wait_for()
    page.locator("[name=at_least]").fill("20,50")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "Thank you for {{ event.order }}", "{% for item in event.items %}{{ item.name }}{% endfor %}")
    go_live(page)


def post(base: str, key: str, sent: dict, to: str = "events") -> dict:
    request = urllib.request.Request(
        f"{base}/api/v1/{to}",
        json.dumps(sent).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)
