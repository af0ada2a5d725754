"""From the wizard's card to the mail: a contact, known by a link in a mail, looks at a page; then it converts."""

from __future__ import annotations

import time

import pytest

from .test_story import add, go_live, open_mail, set_up, steps, write_mail

pytestmark = pytest.mark.browser

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


def test_a_page_visited_after_a_click_sends_a_mail_and_counts_as_a_conversion(product, page, browser, foreign_site):
    base, program = product
    set_up(page, program)
    line = make_site(page, base)
    shop = put_up_shop(foreign_site, base, line)
    marta = browser.new_context(user_agent=AGENT).new_page()
    marta.goto(shop("espresso"))  # as a stranger: it verifies the site and starts nothing
    make_flow(page, base, shop("espresso"))
    make_rule(page, base, shop("thanks"))
    make_thanks(page, base)
    api = key(page, base)
    newsletter(api, shop("start"))
    add_contact(api, "marta@people.example")
    mail = open_mail(page, base, "marta@people.example", "News")
    link = mail.locator("a[href*='/l/']").first.get_attribute("href")
    time.sleep(1.5)  # nobody clicks within a second of getting a mail
    marta.goto(link)
    assert marta.url == shop("start")
    marta.goto(shop("espresso"))
    frame = open_mail(page, base, "marta@people.example", "You like espresso")
    assert f"You looked at {shop('espresso')}" in frame.locator("body").inner_text()
    marta.goto(shop("thanks"))
    wait_for_conversion(page, base)
    frame = open_mail(page, base, "marta@people.example", "Thanks for the order")
    assert "Worth 12.5" in frame.locator("body").inner_text()
    marta.context.close()


def make_site(page, base: str) -> str:
    """A tracked site at localhost; the line for its pages."""
    page.goto(f"{base}/c/caffe-lume/sites")
    page.get_by_role("link", name="New site").first.click()
    page.locator("[name=name]").fill("Shop")
    page.locator("[name=domains]").fill("localhost")
    page.locator("[name=ask_consent]").uncheck()
    page.get_by_role("button", name="Save").click()
    return page.locator("#snippet").input_value()


def put_up_shop(foreign_site, base: str, line: str):
    """Three pages on another origin; ``shop("espresso")`` is the address of one."""
    policy = f"default-src 'self'; script-src {base}; connect-src {base}; img-src data:"
    head = f'<link rel="icon" href="data:,"><meta http-equiv="Content-Security-Policy" content="{policy}">{line}'
    found = {
        name: foreign_site(f"{name}.html", f"<!doctype html><title>{name}</title>{head}<h1>{name}</h1>")
        for name in ("start", "espresso", "thanks")
    }
    return lambda name: found[name].replace("127.0.0.1", "localhost")


def make_flow(page, base: str, address: str) -> None:
    page.goto(f"{base}/c/caffe-lume/flows/new")
    page.get_by_role("link", name="Website visit").click()
    page.locator("[name=name]").fill("Back on the site")
    page.locator("[name=monitor]").select_option(label="Shop")
    page.locator("[name=scope][value=page]").check(force=True)
    page.locator("[name=url]").fill(address.replace("espresso", "e*"))
    page.locator("[name=address]").fill(address)
    page.get_by_role("button", name="Would this address match?").click()
    page.get_by_text("Yes, a visit to this address would start the flow").wait_for()
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "You like espresso", "You looked at {{ event.url }}")
    go_live(page)
    steps(page)


def make_rule(page, base: str, address: str) -> None:
    page.goto(f"{base}/c/caffe-lume/conversions/new")
    page.locator("[name=name]").fill("Order")
    page.locator("[name=monitor]").select_option(label="Shop")
    page.locator("[name=patterns]").fill(address)
    page.locator("[name=amount]").fill("12.50")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Nothing counted yet").wait_for()


def make_thanks(page, base: str) -> None:
    """A flow that starts with the conversion."""
    page.goto(f"{base}/c/caffe-lume/flows/new")
    page.get_by_role("link", name="Conversion", exact=True).click()
    page.locator("[name=name]").fill("Thanks")
    page.locator("[name=rule]").select_option(label="Order")
    page.locator("[name=wait-amount]").fill("0")
    page.get_by_role("button", name="Create flow and add steps").click()
    add(page, "send_email")
    write_mail(page, "Thanks for the order", "Worth {{ event.amount }}")
    go_live(page)


def key(page, base: str):
    """``api(path, body)``: a program with a key of the client."""
    page.goto(f"{base}/c/caffe-lume/settings/keys")
    page.locator("main form [name=name]").fill("Test")
    page.get_by_role("button", name="Make key").click()
    secret = page.locator("#secret").input_value()

    def api(path: str, body=None):
        headers = {"Authorization": f"Bearer {secret}"}
        answer = page.request.post(f"{base}/api/v1{path}", data=body or {}, headers=headers)
        assert answer.ok, answer.text()
        return answer.json()

    return api


def newsletter(api, address: str) -> None:
    """A live flow that sends everybody who is new a mail with a link to the shop."""
    body = [{"type": "button", "label": "Have a look", "url": address}]
    mail = {"key": "news", "type": "send_email", "subject": "News", "body": body}
    trigger = {"type": "list_joined", "scope": "any", "wait": {"minutes": 0}}
    flow = api("/flows", {"name": "News", "trigger": trigger, "steps": [mail]})
    api(f"/flows/{flow['id']}/publish")


def add_contact(api, email: str) -> None:
    api("/contacts", {"email": email, "consent": {"email": "given"}, "consent_source": "test"})


def wait_for_conversion(page, base: str) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        page.goto(f"{base}/c/caffe-lume/conversions")
        if "12.5" in page.locator("main").inner_text():
            return
        time.sleep(0.3)
    raise AssertionError(page.locator("main").inner_text())
