"""flowserver: the marketing-automation server an agency runs for all its clients."""

from __future__ import annotations

from pathlib import Path

import orjson
from flask import Flask, request

from flowserver.incoming import CleanRequest

__version__ = "0.2.0"


def create_app(config=None, pages: bool = True) -> Flask:
    """Build the application: settings, extensions, blueprints, error pages – nothing else.

    ``config`` is a :class:`flowserver.config.Config`; without one the environment is read. Without ``pages`` no
    blueprint is loaded: for programs that answer no request.
    """
    from flowserver import clock, extensions, jobqueue, registry
    from flowserver import config as settings

    config = config or settings.read()
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = Flask(__name__)
    app.request_class = CleanRequest
    app.config.from_mapping(flask_settings(config))
    app.extensions["config"] = config
    clock.move(config.clock_ahead)
    app.url_map.converters["int"] = _id_converter()

    extensions.db.init_app(app)
    extensions.migrate.init_app(app, extensions.db, directory=str(migrations_folder()))
    extensions.login.init_app(app)
    extensions.csrf.init_app(app)
    with app.app_context():
        extensions.prepare_engine(extensions.db.engine)
    jobqueue.init_app(app, config.extra.get("queue") or _redis_queue(config))

    @app.before_request
    def _begin() -> None:
        extensions.read_only(request.method in ("GET", "HEAD", "OPTIONS"))
        extensions.enter_workspace(None)

    for module in registry.modules("flowserver.blueprints") if pages else ():
        if hasattr(module, "init_app"):
            module.init_app(app)
        if hasattr(module, "bp"):
            app.register_blueprint(module.bp)
    return app


def _id_converter() -> type:
    """``<int:…>`` of addresses: what no database can hold as an id is no address of ours."""
    from werkzeug.routing import IntegerConverter

    class Id(IntegerConverter):
        regex = "[0-9]{1,18}"

    return Id


def flask_settings(config) -> dict:
    """Our settings in the words of Flask and its extensions."""
    from flowserver import config as settings

    lite = config.database_url.startswith("sqlite")
    # No prepared statements on PostgreSQL: a plan that is kept knows neither the values, so it can use no partial index,
    # nor how much a table has grown meanwhile.
    postgres = {"connect_timeout": 10, "prepare_threshold": None}
    return {
        "SECRET_KEY": config.secret_key,
        "SECRET_KEY_FALLBACKS": list(config.old_secret_keys),
        "SQLALCHEMY_DATABASE_URI": config.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_pre_ping": not lite,
            "pool_size": settings.WEB_THREADS,  # a thread of the web server never waits for another one's connection
            "json_serializer": lambda value: orjson.dumps(value).decode(),
            "json_deserializer": orjson.loads,
            "hide_parameters": not config.testing,  # an error in the log must not quote addresses
            "connect_args": {} if lite else postgres,
        },
        "SESSION_COOKIE_SECURE": config.secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_NAME": "flowserver",
        "WTF_CSRF_TIME_LIMIT": None,
        "MAX_CONTENT_LENGTH": config.max_upload + 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 2 * 1024 * 1024,
        "TESTING": config.testing,
        "BOOTSTRAP_SERVE_LOCAL": True,
        "MAIL_SERVER": config.mail_server or "127.0.0.1",
        "MAIL_PORT": config.mail_port if config.mail_server else config.mailbox_port,
        "MAIL_USERNAME": config.mail_username or None,
        "MAIL_PASSWORD": config.mail_password or None,
        "MAIL_USE_TLS": config.mail_use_tls,
        "MAIL_USE_SSL": config.mail_use_ssl,
        "MAIL_DEFAULT_SENDER": config.mail_default_sender or None,
        "MAIL_SUPPRESS_SEND": False,
    }


def migrations_folder() -> Path:
    """Where Alembic's folder is: beside the package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).parent
    inside = here / "migrations"
    return inside if inside.exists() else here.parent / "migrations"


def _redis_queue(config):
    import redis

    from flowserver.jobqueue import RedisQueue

    once = redis.retry.Retry(redis.backoff.NoBackoff(), 1)  # a request does not wait for Redis; the clock rings later
    return RedisQueue(redis.Redis.from_url(config.redis_address, socket_connect_timeout=2, retry=once))
