"""Extensions, created unbound and bound in ``create_app``; the tenant filter; how SQLite is opened."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import event, orm
from sqlalchemy.sql import visitors


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware instant, always UTC: refuses naive values, gives aware ones back on SQLite too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(orm.DeclarativeBase):
    """Base of all tables. Constraint names are fixed, so that migrations can name them on every database."""

    __table__: ClassVar[sa.Table]  # type: ignore[assignment]

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate(render_as_batch=True, compare_type=True)
login = LoginManager()
csrf = CSRFProtect()


# --- tenancy: one place adds the filter to every ORM query -----------------------------------------

EVERYONE = -1
_workspace: ContextVar[int | None] = ContextVar("workspace", default=None)


class OfWorkspace:
    """Mixin of every table whose rows belong to one client account."""

    workspace_id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"))


class NoWorkspace(RuntimeError):
    """An ORM query touched client rows without saying whose: always a bug, never shown as data."""


@contextmanager
def workspace(workspace_id: int) -> Iterator[None]:
    """Within the block every ORM query sees the rows of this workspace only."""
    token = _workspace.set(workspace_id)
    try:
        yield
    finally:
        _workspace.reset(token)


@contextmanager
def every_workspace() -> Iterator[None]:
    """Within the block ORM queries see all clients: for agency pages and jobs, which must filter themselves."""
    with workspace(EVERYONE):
        yield


def current_workspace() -> int | None:
    """The workspace the filter is set to; ``EVERYONE`` or ``None`` when there is none."""
    return _workspace.get()


def enter_workspace(workspace_id: int | None) -> None:
    """Set the filter for the rest of a request (requests have a context of their own)."""
    _workspace.set(workspace_id)


@event.listens_for(orm.Session, "do_orm_execute")
def _filter_by_workspace(state: orm.ORMExecuteState) -> None:
    if state.is_column_load or state.is_relationship_load:
        return
    wanted = _workspace.get()
    if wanted == EVERYONE or not _touches_clients(state.statement):
        return
    if wanted is None:
        raise NoWorkspace(f"no workspace chosen for {state.statement}")
    state.statement = state.statement.options(
        orm.with_loader_criteria(OfWorkspace, lambda cls: cls.workspace_id == wanted, include_aliases=True)
    )


def _touches_clients(statement: Any) -> bool:
    """Whether client rows stand anywhere in a statement: in its columns, its FROM, a join or a subquery."""
    for element in visitors.iterate(statement):
        entity = element._annotations.get("parententity")
        if entity is not None and issubclass(entity.mapper.class_, OfWorkspace):
            return True
    return False


# --- SQLite ------------------------------------------------------------------------------------------

PATIENCE = 10.0  # seconds a writer waits for others

_reading: ContextVar[bool] = ContextVar("reading", default=False)


def read_only(value: bool) -> None:
    """Say that what follows only reads, so that on SQLite it need not wait for the writer."""
    _reading.set(value)


def is_read_only() -> bool:
    """Whether what follows was said to only read."""
    return _reading.get()


def prepare_engine(engine: sa.Engine) -> None:
    """SQLite: WAL, synchronous=FULL, and write transactions that take the lock at once (no upgrade, no deadlock)."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={round(PATIENCE * 1000)}",
            "cache_size=-8192",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if _reading.get():
            connection.exec_driver_sql("BEGIN")
        else:
            _begin_writing(connection)


def _begin_writing(connection: sa.Connection) -> None:
    """Take SQLite's write lock, asking often: its own waiting sleeps up to a tenth of a second between two looks, and
    would starve beside a worker that writes batch after batch. Raises ``OperationalError`` after ten seconds."""
    raw: Any = connection.connection.dbapi_connection
    ends = time.monotonic() + PATIENCE
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > ends:
                    raise
                time.sleep(0.001)
    finally:
        raw.execute(f"PRAGMA busy_timeout={round(PATIENCE * 1000)}")
