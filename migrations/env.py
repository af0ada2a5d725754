"""Alembic's entry: migrates the database the application is configured for."""

from alembic import context
from flask import current_app

import flowserver.models  # noqa: F401 - fills the metadata

database = current_app.extensions["migrate"].db


def run() -> None:
    """Run all pending migrations, each in its own transaction."""
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            transaction_per_migration=True,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
