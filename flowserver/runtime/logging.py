"""Logs: one line per event, ``key=value``, with ids and counts; never addresses, texts or keys."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_NAME = re.compile(r"pass|secret|token|authori[sz]ation|cookie|api_?key|signature", re.I)
_HIDDEN = (
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), "***"),  # user:password in a URL
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"(?<![\w.])\+\d[\d ().-]{6,18}\d"), "<number>"),
)
_QUIET = {
    "rq": "WARNING",
    "waitress": "WARNING",
    "waitress.queue": "ERROR",
    "mail.log": "ERROR",
    "urllib3": "WARNING",
    "alembic": "WARNING",
    "barcode": "WARNING",
}


def hide(text: str) -> str:
    """``text`` without e-mail addresses, phone numbers, and credentials."""
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text


def _filter(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_NAME.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = hide(value)
    return event


def set_up(level: str = "INFO") -> None:
    """Send all logs, ours and the libraries', to standard error in one shape. A broken pipe is ignored."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _filter,
                structlog.processors.KeyValueRenderer(
                    key_order=["at", "level", "event"], drop_missing=True, repr_native_str=False
                ),
            ],
        )
    )
    logging.raiseExceptions = False  # a closed terminal must not end up in the middle of a batch
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
