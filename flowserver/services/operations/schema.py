"""The database's shape: bring it to this version, ask whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from flask import current_app

from flowserver.extensions import db, read_only

_LOCK = 0x666C6F77  # any fixed number: PostgreSQL's advisory lock for migrations


def upgrade() -> None:
    """Run all migrations that are missing. Two processes at once do no harm: the second finds nothing to do."""
    import flask_migrate

    read_only(False)
    with _alone():
        flask_migrate.upgrade()


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from migrating meanwhile. SQLite's write transaction does that by itself."""
    if db.engine.dialect.name != "postgresql":
        yield
        return
    with db.engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})


def current() -> str | None:
    """The revision the database is at; ``None``: it has none of our tables. Raises SQLAlchemy's errors."""
    from alembic.migration import MigrationContext

    read_only(True)
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision this version of the product wants."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(current_app.extensions["migrate"].directory)).get_current_head()
