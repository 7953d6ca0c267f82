"""What the server counts about itself, for Prometheus, and its access log."""

import logging
import time
from typing import Annotated, Any

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_access = logging.getLogger("pincite.access")


class Metrics:
    """The meters of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "pincite_http_requests",
            "Requests answered, by route template and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "pincite_http_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.search_seconds = Histogram(
            "pincite_search_seconds",
            "Seconds a search took, its embedding included.",
            buckets=_BUCKETS,
            registry=self.registry,
        )


class Observed:
    """Counts, times and logs every request.

    The log has the path without its query, because a viewer link carries its token there; bodies are never logged.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = _template(scope)
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(method, route).observe(seconds)
            _access.info("%s %s %d %.0f ms", method, _printable(scope["path"]), status, seconds * 1000)


def _template(scope: Scope) -> str:
    """Return the route's template, so that ids do not become labels; addresses nobody serves share one."""
    route: Any = scope.get("route")
    return getattr(route, "path", None) or "unmatched"


def _printable(path: str) -> str:
    return path[:300].encode("unicode_escape").decode("ascii")


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


ServedMetrics = Annotated[Metrics, Depends(_metrics)]
