"""Count and time requests for Prometheus, which reads `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_METHODS = {"GET", "POST", "HEAD", "OPTIONS"}  # others are counted together, because a client can invent any number


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "emocatcher_requests", "Requests answered", ("route", "method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "emocatcher_request_seconds",
            "Time from a request's head to the end of its answer",
            ("route",),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )
        self.uploaded = Counter("emocatcher_upload_bytes", "Bytes of bodies received", registry=self._registry)
        self.recordings = Counter(
            "emocatcher_recordings", "Recordings, by outcome", ("outcome",), registry=self._registry
        )
        self.windows = Counter("emocatcher_stream_windows", "Windows sent to streams", registry=self._registry)

    def watch(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read on each scrape."""
        Gauge(f"emocatcher_{name}", meaning, registry=self._registry).set_function(read)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class MetricsMiddleware:
    """Counts and times the requests of an app.

    Args:
        app: the wrapped app.
        metrics: the metrics to update.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def receive_and_count() -> Message:
            message = await receive()
            self._metrics.uploaded.inc(len(message.get("body", b"")))
            return message

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive_and_count, send_and_note_status)
        finally:
            # The route's template instead of the address, which would give an unlimited number of labels.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(route, method, str(status or 499)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)
