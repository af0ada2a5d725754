"""Our script on somebody else's site, in a real browser: what it tells, what it keeps, and when it stays silent."""

from __future__ import annotations

import dataclasses
import threading
import time
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

from flowserver.extensions import db
from flowserver.models import Contact, Event, PageView, Visitor
from flowserver.services.flows import flows
from flowserver.services.people import contacts, forms, lists
from flowserver.services.site import monitors, recognition

pytestmark = pytest.mark.browser

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


@pytest.fixture
def served(app):
    """The app of the test behind a real socket, which is also the address it believes to have."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    base = f"http://127.0.0.1:{server.server_port}"
    app.extensions["config"] = dataclasses.replace(app.extensions["config"], url=base)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield base
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(workspace):
    return monitors.create({"name": "Shop", "domains": "localhost"})


@pytest.fixture
def marta(workspace):
    return contacts.upsert({"email": "marta@people.example"}, source="api")[0]


@pytest.fixture
def visitor(browser):
    """``visitor()`` → a page of a person's browser; a mistake in its scripts fails the test."""
    contexts, mistakes = [], []

    def _open(before="", **options):
        context = browser.new_context(user_agent=AGENT, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
        if before:
            page.add_init_script(before)
        return page

    yield _open
    for context in contexts:
        context.close()
    assert mistakes == []


@pytest.fixture
def shop(foreign_site, served, site):
    """``shop("menu.html")`` puts a page with our script and a strict content policy up and returns its address."""

    def _put(name, body="", script=True):
        policy = f"default-src 'self'; script-src {served} 'self'; connect-src {served}; form-action {served}"
        head = f'<script src="{served}/t/{site.public_id}.js" defer></script>' if script else ""
        html = (
            f'<!doctype html><link rel="icon" href="data:,"><meta http-equiv="Content-Security-Policy" content="{policy}; img-src data:">'
            f"<title>{name}</title>{head}<h1>{name}</h1>{body}"
        )
        return foreign_site(name, html).replace("127.0.0.1", "localhost")

    return _put


def eventually(found, wanted):
    """Wait until ``found()`` is ``wanted``: messages travel behind the page."""
    until = time.monotonic() + 10
    while found() != wanted and time.monotonic() < until:
        db.session.rollback()
        time.sleep(0.05)
    assert found() == wanted
    db.session.rollback()


def go(page, url):
    """Open a page, without holding the database meanwhile."""
    db.session.commit()
    page.goto(url)


def seen():
    db.session.rollback()
    urls = db.session.scalars(sa.select(PageView.url).order_by(PageView.id)).all()
    return [url.partition("/")[2].partition("/")[2].partition("/")[2] for url in urls]


def told(type_):
    db.session.rollback()
    return db.session.scalars(sa.select(Event.data).where(Event.type == type_).order_by(Event.id)).all()


def test_pages_of_plain_and_of_single_page_sites_are_seen_under_a_strict_policy(shop, visitor):
    page = visitor()
    first, second = shop("a.html"), shop("b.html")
    go(page, first)
    eventually(seen, ["a.html"])  # each one: two messages at once may overtake each other
    go(page, second)
    eventually(seen, ["a.html", "b.html"])
    page.evaluate("history.pushState({}, '', '/app/one?x=1')")
    page.evaluate("history.replaceState({}, '', '/app/one?x=1#part')")
    eventually(seen, ["a.html", "b.html", "app/one?x=1"])
    page.evaluate("history.pushState({}, '', '/app/two')")
    eventually(seen, ["a.html", "b.html", "app/one?x=1", "app/two"])
    page.go_back()
    eventually(seen, ["a.html", "b.html", "app/one?x=1", "app/two", "app/one?x=1"])
    assert len(db.session.scalars(sa.select(Visitor.id)).all()) == 1
    assert page.evaluate("Object.keys(window).filter(k => /flow|fs_/i.test(k))") == ["flowserver"]


def test_a_link_of_a_mail_names_the_visitor_once_and_leaves_no_trace_in_the_address(shop, visitor, marta):
    token = recognition.token_for(marta.id)[0]
    page = visitor()
    go(page, shop("a.html") + f"?x=1&fs_id={quote(token)}&y=2#part")
    assert page.url.endswith("a.html?x=1&y=2#part")
    eventually(lambda: [data["path"] for data in told("page_visited")], ["/a.html"])
    page.evaluate("flowserver.track('roast_chosen', {roast: 'dark'})")
    eventually(lambda: [data["roast"] for data in told("roast_chosen")], ["dark"])


def test_the_sites_own_log_in_names_the_visitor(shop, visitor, marta):
    page = visitor()
    go(page, shop("a.html"))
    eventually(seen, ["a.html"])
    token = recognition.token_for(marta.id)[0]
    db.session.commit()
    page.evaluate("token => flowserver.identify(token)", token)
    eventually(lambda: db.session.scalars(sa.select(Visitor.contact_id)).all(), [marta.id])
    assert told("page_visited") == []
    go(page, shop("b.html"))
    eventually(lambda: [data["path"] for data in told("page_visited")], ["/b.html"])


def test_nothing_is_kept_or_sent_before_the_visitor_agrees(shop, visitor, site, marta):
    monitors.update(site.id, {"ask_consent": True})
    page = visitor()
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    go(page, shop("a.html") + f"?fs_id={quote(recognition.token_for(marta.id)[0])}")
    page.evaluate("flowserver.track('x'); flowserver.identify('y'); history.pushState({}, '', '/app')")
    page.wait_for_timeout(200)
    assert (sent, page.evaluate("localStorage.length"), page.context.cookies()) == ([], 0, [])
    page.evaluate("flowserver.consent(true)")
    eventually(seen, ["app"])
    go(page, shop("b.html"))
    eventually(seen, ["app", "b.html"])
    page.evaluate("flowserver.consent(false)")
    go(page, shop("c.html"))
    page.evaluate("flowserver.track('x')")
    assert page.evaluate("localStorage.length") == 0
    go(page, shop("a.html"))
    assert seen() == ["app", "b.html"]


def test_who_says_no_is_remembered_where_nobody_asks(shop, visitor):
    page = visitor()
    go(page, shop("a.html"))
    eventually(seen, ["a.html"])
    page.evaluate("flowserver.consent(false)")
    go(page, shop("b.html"))
    assert page.evaluate("[localStorage.length, localStorage.fs_consent]") == [1, "0"]
    assert seen() == ["a.html"]


@pytest.mark.parametrize("signal", ["doNotTrack: {value: '1'}", "globalPrivacyControl: {value: true}"])
def test_do_not_track_and_global_privacy_control_are_respected(shop, visitor, signal):
    page = visitor(f"Object.defineProperties(navigator, {{{signal}}})")
    go(page, shop("a.html") + "?fs_id=1")
    page.evaluate("flowserver.track('x'); flowserver.identify('y'); flowserver.consent(true)")
    page.wait_for_timeout(200)
    assert page.evaluate("localStorage.length") == 0 and seen() == [] and page.url.endswith("a.html")


def test_a_page_stays_whole_where_nothing_works(shop, visitor):
    """Storage refused, no beacons, no history, no chance: the page's own scripts go on, and nothing is thrown."""
    broken = """
    Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }});
    navigator.sendBeacon = undefined;
    history.replaceState = function () { throw new Error('no') };
    """
    page = visitor(broken)
    go(page, shop("a.html"))
    assert page.evaluate("flowserver.track(undefined, window)") is None
    eventually(seen, ["a.html"])  # by fetch
    page = visitor("crypto.getRandomValues = undefined; window.fetch = undefined; navigator.sendBeacon = undefined")
    go(page, shop("b.html"))
    assert page.evaluate("[flowserver.track('x'), flowserver.consent(true)]") == [None, None]
    assert seen() == ["a.html"]


def test_a_stay_is_told_when_a_flow_asks_for_it(shop, visitor, site, marta):
    site.verified_at = site.created_at
    db.session.commit()
    trigger = {"type": "site_visit", "monitor": site.id, "stay": 1, "wait": {"minutes": 0}}
    flows.publish(flows.create({"name": "Stayed", "trigger": trigger, "steps": []}).id)
    page = visitor()
    go(page, shop("a.html") + f"?fs_id={quote(recognition.token_for(marta.id)[0])}")
    eventually(lambda: [data["stay"] for data in told("page_stayed")], [1])


def test_a_signup_form_on_the_site_names_the_visitor(shop, visitor, site, served):
    news = lists.create("News")
    form = forms.create({"name": "Footer", "list_id": news.id, "double_opt_in": "", "email_consent_text": "Yes."})
    field = '<input name="email"><input name="consent-email" value="y"><button>Go</button>'
    page = visitor()
    go(page, shop("a.html", f'<form method="post" action="{served}/f/{form.public_id}">{field}</form>'))
    eventually(seen, ["a.html"])
    page.fill("[name=email]", "luca@people.example")
    page.click("button")
    page.wait_for_url("**/f/**")
    luca = sa.select(Contact.id).where(Contact.email == "luca@people.example")
    assert db.session.scalars(sa.select(Visitor.contact_id)).all() == [db.session.scalar(luca)]
    go(page, shop("b.html"))
    eventually(lambda: [data["path"] for data in told("page_visited")], ["/b.html"])
