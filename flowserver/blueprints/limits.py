"""Limits on requests, counted in Redis and in this process alone when Redis is away.

``@limiter.limit("10 per minute")`` on a view is all it takes; :func:`count_try` counts what only some requests are.
"""

from __future__ import annotations

import time
from typing import Any

import limits
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import TooManyRequests

limiter = Limiter(get_remote_address, in_memory_fallback_enabled=True, headers_enabled=True)


def init_app(app: Flask) -> None:
    """Bind the limits. Tests count in memory, and only when they ask for limits."""
    config = app.extensions["config"]
    uri, options = _storage(config)
    app.config.update(
        RATELIMIT_ENABLED=config.rate_limits, RATELIMIT_STORAGE_URI=uri, RATELIMIT_STORAGE_OPTIONS=options
    )
    limiter.enabled = config.rate_limits
    limiter.init_app(app)


def _storage(config: Any) -> tuple[str, dict[str, Any]]:
    if config.testing:
        return "memory://", {}
    url = config.redis_address
    if url.startswith("unix://"):
        url = "redis+" + url
    return url, {"socket_connect_timeout": 1, "socket_timeout": 1}


def count_try(limit: str, kind: str, who: str = "") -> None:
    """Count one more try of this ``kind`` by ``who``, the request's address unless given; raises 429 above ``limit``
    ("60 per minute").

    ``with limiter.limit(…)`` would do the same, but from its first use on the limiter no longer asks the limits of the
    blueprint before a request to that address.
    """
    if not limiter.enabled:
        return
    item, who = limits.parse(limit), who or get_remote_address()
    if not limiter.limiter.hit(item, kind, who):
        again = limiter.limiter.get_window_stats(item, kind, who).reset_time
        raise TooManyRequests(retry_after=max(1, round(again - time.time())))
