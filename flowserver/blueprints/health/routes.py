"""Is the process alive (/healthz), can it work (/readyz), how much is there to do (/metrics); a line per request in the log."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Iterator

import structlog
from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from flask_babel import gettext as _
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from flowserver.errors import Forbidden
from flowserver.services.operations import health

bp = Blueprint("health", __name__)
log = structlog.get_logger()

_QUIET = {"static", "bootstrap.static", "health.healthz", "health.readyz", "health.metrics"}


def init_app(app: Flask) -> None:
    """Give every request an id, count it, and write down the ones worth a line."""
    app.extensions["flowserver-meters"] = Meters()
    app.before_request(_begin)
    app.after_request(_end)


@bp.get("/healthz")
def healthz() -> Response:
    """The process is alive; says nothing about database or Redis."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Which part is how; 503 when pages cannot work."""
    found = health.readiness()
    return jsonify(status=found.status, **found.parts), 503 if found.status == "not ready" else 200


@bp.get("/metrics")
def metrics() -> Response:
    """Numbers for Prometheus, for this machine or with the token of FLOWSERVER_METRICS_TOKEN."""
    if not _may_scrape():
        raise Forbidden(_("Send the token of FLOWSERVER_METRICS_TOKEN as “Authorization: Bearer …”"))
    return Response(current_app.extensions["flowserver-meters"].text(), content_type=CONTENT_TYPE_LATEST)


def _may_scrape() -> bool:
    token = current_app.extensions["config"].metrics_token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return True
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers  # a proxy on this machine
    return request.remote_addr in ("127.0.0.1", "::1") and not forwarded


# --- every request ---------------------------------------------------------------------------------------


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-Id", "") if current_app.extensions["config"].trusted_proxies else ""
    g.request_id = given if re.fullmatch(r"[\w-]{8,64}", given) else secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=g.request_id)


def _end(response: Response) -> Response:
    took = time.perf_counter() - g.get("began", time.perf_counter())
    response.headers.setdefault("X-Request-Id", g.get("request_id", ""))
    current_app.extensions["flowserver-meters"].count(request.method, response.status_code, took)
    if request.endpoint not in _QUIET:
        calm = request.method in ("GET", "HEAD") and response.status_code < 400
        (log.debug if calm else log.info)(
            "request",
            method=request.method,
            page=request.endpoint or "none",
            status=response.status_code,
            ms=round(took * 1000),
        )
    return response


class Meters(Collector):
    """The numbers of one process: requests are counted as they come, the rest is asked for when somebody looks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "flowserver_http_requests",
            "Requests answered by this process",
            ["method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram("flowserver_http_request_seconds", "How long they took", registry=self.registry)
        self.registry.register(self)

    def count(self, method: str, status: int, seconds: float) -> None:
        """Count one answered request; unknown methods share one name, so that nobody can fill the memory."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
        self.requests.labels(known, str(status)).inc()
        self.seconds.observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus' format."""
        return generate_latest(self.registry)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: what we collect needs the database, which is not asked at start."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The state of the whole installation."""
        found = health.numbers()
        yield GaugeMetricFamily("flowserver_database_up", "Whether the database answers", value=found is not None)
        if found is None:
            return
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"flowserver_{name}", text[1], value=found[text[0]])
        for name, key, label, help_text in _LABELLED:
            family = GaugeMetricFamily(f"flowserver_{name}", help_text, labels=[label])
            for value, number in found[key].items():
                family.add_metric([value], number)
            yield family


_GAUGES = {
    "enrollments_due": ("enrollments_due", "Contacts whose next step is due (counted up to 100,000)"),
    "due_backlog_age_seconds": ("due_age", "How late the longest waiting step is"),
    "messages_planned": ("messages_planned", "Messages waiting to be sent (counted up to 100,000)"),
    "messages_oldest_planned_age_seconds": ("planned_age", "How late the longest waiting message is"),
    "messages_unknown": ("messages_unknown", "Messages of the last seven days whose fate nobody knows"),
    "workers_alive": ("workers", "Workers heard in the last 30 seconds"),
    "clocks_alive": ("clocks", "Clocks heard in the last 10 seconds"),
}
_LABELLED = (
    ("messages_last_hour", "messages_last_hour", "state", "Messages planned in the last hour by state"),
    ("queued_jobs", "queued", "queue", "Rings that lie in Redis"),
)
