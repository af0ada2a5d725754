"""The web process: the application behind waitress, or as a WSGI callable for gunicorn and others."""

from __future__ import annotations

import signal
import socket
import sys

from flask import Flask

THREADS = 8


def application() -> Flask:
    """The application with logs set up, for ``gunicorn 'flowserver.runtime.web:application()'``."""
    from flowserver import config as settings
    from flowserver import create_app
    from flowserver.runtime import logging

    config = settings.read()
    logging.set_up(config.log_level)
    return behind_proxies(create_app(config))


def behind_proxies(app: Flask) -> Flask:
    """Believe the address and scheme told by as many proxies as FLOWSERVER_TRUSTED_PROXIES says; by none otherwise."""
    from werkzeug.middleware.proxy_fix import ProxyFix

    count = app.extensions["config"].trusted_proxies
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def serve(app: Flask, listener: socket.socket) -> None:
    """Answer requests on ``listener`` until SIGTERM or SIGINT; requests in hand get five seconds to end."""
    import waitress

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    waitress.serve(
        app,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        channel_timeout=60,
        connection_limit=1000,
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"],
        clear_untrusted_proxy_headers=False,
        log_untrusted_proxy_headers=False,
    )


def _leave(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
