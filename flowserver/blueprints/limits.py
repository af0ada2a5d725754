"""Limits on requests, counted in Redis and in this process alone when Redis is away.

``@limiter.limit("10 per minute")`` on a view is all it takes.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

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
