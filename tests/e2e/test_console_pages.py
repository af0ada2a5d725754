"""Every console page in a real browser: reachable, readable by everybody, nothing sticks out, nothing inline."""

import re
import threading

import pytest
from werkzeug.serving import make_server

pytestmark = pytest.mark.browser

WIDTHS = (1280, 380, 320)


@pytest.fixture
def served(app):
    """The app of the test behind a real socket: its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def alices(browser, served, alice):
    """Make pages on which Alice is logged in: ``alices(width, scheme, scripts)``."""
    contexts = []

    def _page(width=1280, scheme="light", scripts=True):
        context = browser.new_context(
            base_url=served, viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.goto("/login")
        page.fill("[name=email]", "alice@agency.example")
        page.fill("[name=password]", "correct horse battery")
        page.click("button[type=submit]")
        page.wait_for_url(re.compile("/$"))
        return page

    yield _page
    for context in contexts:
        context.close()


def addresses(app):
    """Console pages that need nothing but a client."""
    left_out = ("/static/", "/bootstrap/", "/api/", "/dev/", "/login", "/reset", "/setup")
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<client>", "caffe-lume")
        if (
            "GET" in rule.methods
            and "<" not in path
            and not path.startswith((*left_out, "/healthz", "/readyz", "/metrics"))
        ):
            yield path


def is_page(page, path):
    """Go there; whether it is a page (and no download or redirect to one seen already)."""
    if "export" in path or path.endswith(".csv"):
        return False
    answer = page.goto(path)
    return answer.status == 200 and "text/html" in answer.headers["content-type"]


def test_pages_are_clean_for_everybody(app, alices):
    from axe_playwright_python.sync_playwright import Axe

    found, seen = [], 0
    for scheme in ("light", "dark"):
        page = alices(scheme=scheme)
        page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
        for path in sorted(addresses(app)):
            if is_page(page, path):
                seen += 1
                for one in Axe().run(page).response["violations"]:
                    found.append((path, scheme, one["id"], [node["html"][:200] for node in one["nodes"]][:3]))
    assert found == []
    assert seen > 40


def test_nothing_sticks_out_on_narrow_screens(app, alices):
    found = []
    for width in WIDTHS:
        page = alices(width)
        for path in sorted(addresses(app)):
            if is_page(page, path) and page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append((path, width))
    assert found == []


def test_menus_open_and_close(alices):
    page = alices(380)
    page.click("summary:has-text('Menu')")
    assert page.is_visible(".topbar nav")
    page.keyboard.press("Escape")
    assert not page.is_visible(".topbar nav")
    page.click("summary:has-text('Menu')")
    page.click(".topbar strong")
    assert not page.is_visible(".topbar nav")


def test_the_theme_button_changes_the_page_and_is_remembered(alices):
    page = alices()
    with page.expect_response(re.compile("/profile/theme")):
        page.click(".side [data-theme-form] button")
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.reload()
    assert page.get_attribute("html", "data-bs-theme") == "dark"


def test_the_error_summary_takes_the_focus_and_leads_to_the_field(alices):
    page = alices()
    page.goto("/c/caffe-lume/settings")
    page.fill("[name=name]", "")
    page.click("button:has-text('Save settings')")
    page.wait_for_function("document.title.startsWith('Error: ')")
    page.wait_for_function("document.activeElement.matches('[data-err-sum]')")
    page.click(".err-sum a")
    page.wait_for_function("document.activeElement.id === 'name'")


def test_without_scripts_a_client_is_added_and_opened(alices):
    page = alices(380, scripts=False)
    page.click("summary:has-text('Menu')")
    page.click(".topbar a:has-text('All clients') >> nth=0")
    page.click("a:has-text('Add a client')")
    page.fill("[name=name]", "Nordhaus Optics")
    page.select_option("[name=time_zone]", "Europe/Berlin")
    page.click("button:has-text('Add client')")
    assert "First steps with Nordhaus Optics" in page.content()
    assert not page.is_visible("[data-theme-form] >> nth=0")
