"""The whole product in its own processes, and a browser in front of it."""

from __future__ import annotations

import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.runtime.conftest import Program, free_port
from tests.runtime.conftest import run as run

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


@pytest.fixture
def product(run, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Program]:
    """``flowserver up`` on an empty database; its address and its process."""
    port = free_port()
    env = {}
    if database == "postgresql":
        env["DATABASE_URL"] = new_database(str(request.getfixturevalue("postgres_server")))
    program = run("up", "--port", str(port), **env)
    return f"http://127.0.0.1:{port}", program


def new_database(server: str) -> str:
    """An empty database on the tests' PostgreSQL server."""
    name = f"e2e_{os.getpid()}_{free_port()}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Headless Chromium; without it these tests are left out, but never in CI."""
    if not BROWSER:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-background-networking", "--disable-sync"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, tmp_path: Path) -> Iterator:
    """A fresh browser window, 1280 wide; a mistake in the page's scripts fails the test.

    What it showed last is left as ``last.png`` in the test's folder.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(20_000)
    window = context.new_page()
    mistakes: list[str] = []
    window.on("pageerror", lambda error: mistakes.append(str(error)))
    yield window
    window.screenshot(path=str(tmp_path / "last.png"), full_page=True)
    context.close()
    assert mistakes == []


@pytest.fixture
def foreign_site(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """A web site of somebody else: ``foreign_site("page.html", html)`` puts a page up and returns its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def put(name: str, html: str) -> str:
        (folder / name).write_text(html, encoding="utf-8")
        return f"http://127.0.0.1:{server.server_address[1]}/{name}"

    yield put
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
