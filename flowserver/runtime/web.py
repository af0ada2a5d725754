"""The web process: the application behind waitress, or as a WSGI callable for gunicorn and others."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from typing import Any

from flask import Flask

from flowserver.config import WEB_THREADS

CONNECTIONS = 800  # at once; below the usual limit of 1,024 open files, with room for databases and logs


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
    server = waitress.create_server(
        app,
        sockets=[listener],
        threads=WEB_THREADS,
        ident=None,
        channel_timeout=60,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,  # select() ends the process where more than 1,024 files are open
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"],
        clear_untrusted_proxy_headers=False,
        log_untrusted_proxy_headers=False,
    )
    server.channel_class = _channel()
    gc.collect()
    gc.freeze()  # what is here stays: the collector need not go through it again and again
    server.run()


def _channel() -> Any:
    """Waitress's connection, which leaves an answer alone while its thread is sending it.

    Waitress's own loop asks for such a connection again and again, at full speed, and keeps the interpreter from the very
    thread it waits for. That thread wakes the loop when it is done, so nothing is left unsent.
    """
    from waitress.channel import HTTPChannel

    class Channel(HTTPChannel):  # type: ignore[misc]
        def writable(self) -> bool:
            return bool(super().writable()) and not self._sends_itself()

        def _sends_itself(self) -> bool:
            """Whether a thread is sending right now, and does not wait for the loop to make room for more."""
            if self.will_close or self.total_outbufs_len > self.adj.outbuf_high_watermark:
                return False
            if not self.outbuf_lock.acquire(blocking=False):
                return True
            self.outbuf_lock.release()
            return False

    return Channel


def _leave(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
