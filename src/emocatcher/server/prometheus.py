"""Count and time requests for Prometheus, which reads `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emocatcher.server.access_log import Entry

_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_WEBSOCKET = "WEBSOCKET"
_NORMAL, _ABNORMAL = 1000, 1006  # close codes (RFC 6455, 7.4.1)
_LEFT = 499  # the status of a request whose client disconnected before the answer
# Others are counted together, because a client can invent any number.
_METHODS = {"GET", "POST", "DELETE", "HEAD", "OPTIONS"}


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
    """Counts and times the requests of an app, and writes the access log.

    Args:
        app: the wrapped app.
        metrics: the metrics to update.
        log: called with an entry for each request and each stream.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Callable[[Entry], None]) -> None:
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or stream."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began, status, n_received, n_sent = time.perf_counter(), 0, 0, 0

        async def receive_and_count() -> Message:
            nonlocal status, n_received
            message = await receive()
            n_received += _size(message)
            if message["type"] == "websocket.disconnect":
                status = status or message.get("code", _ABNORMAL)
            elif scope["type"] == "http":
                self._metrics.uploaded.inc(_size(message))
            return message

        async def send_and_note_status(message: Message) -> None:
            nonlocal status, n_sent
            if message["type"].endswith("response.start"):
                status = message["status"]
            elif message["type"] == "websocket.close":
                status = status or message.get("code", _NORMAL)
            n_sent += _size(message)
            await send(message)

        try:
            await self._app(scope, receive_and_count, send_and_note_status)
        finally:
            # The route's template instead of the address, which would give an unlimited number of labels, and names.
            route = getattr(scope.get("route"), "path", "other")
            method = _WEBSOCKET if scope["type"] == "websocket" else scope["method"]
            duration_s = time.perf_counter() - began
            if scope["type"] == "http":
                known = method if method in _METHODS else "other"
                self._metrics.requests.labels(route, known, str(status or _LEFT)).inc()
                self._metrics.seconds.labels(route).observe(duration_s)
            client = (scope.get("client") or ("",))[0]
            self._log(Entry(client, method, route, status or _LEFT, duration_s, n_received, n_sent))


def _size(message: Message) -> int:
    return len(message.get("body") or message.get("bytes") or message.get("text") or "")
