"""Guards of the project itself."""

from __future__ import annotations

import flask_migrate
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from flowserver import config as settings
from flowserver import create_app
from flowserver.extensions import Base, db


def test_models_match_migrations(database, tmp_path, request):
    url = f"sqlite:///{tmp_path / 'm.db'}"
    if database == "postgresql":
        server = request.getfixturevalue("postgres_server")
        with sa.create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text("DROP DATABASE IF EXISTS migrated"))
            connection.execute(sa.text("CREATE DATABASE migrated"))
        url = sa.make_url(server).set(database="migrated").render_as_string(hide_password=False)
    config = settings.read({"DATABASE_URL": url, "SECRET_KEY": "k" * 40}, data=tmp_path / "data", testing=True)
    app = create_app(config, pages=False)
    with app.app_context():
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
        db.engine.dispose()
