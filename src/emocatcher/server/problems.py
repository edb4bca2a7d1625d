"""Answer errors as problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emocatcher.server.worker_pool import BusyError
from emocatcher.server.worker_process import RefusedError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    "AudioError": "The recording cannot be used",
    "Busy": "The server is busy",
    "DecodeError": "The recording cannot be decoded",
    "EmptyAudioError": "The recording is empty",
    "MemoryError": "Not enough memory",
    "NonFiniteError": "The recording contains samples that are not finite",
    "SettingError": "A parameter has a value that is not allowed",
    "StorageFull": "The server cannot store uploads",
    "TimeLimitExceeded": "The recording took too long",
    "TooLongError": "The recording is too long",
    "UnknownProfile": "The profile does not exist",
    "WorkerDied": "The worker process ended unexpectedly",
}
_STATUS = {
    "Busy": 429,
    "MissingExtraError": 404,
    "ServerStopping": 503,
    "TooLongError": 413,
    "UnknownProfile": 404,
    "WorkerDied": 500,
}
_UNUSABLE = 422
_encoder = msgspec.json.Encoder()


class ProblemError(Exception):
    """A request that is answered by problem details.

    Args:
        status: the HTTP status.
        detail: what was wrong, what is allowed, what to do next.
        error: the exception's class or another kind, for programs.
        headers: additional headers of the answer.
    """

    def __init__(self, status: int, detail: str, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.error = status, detail, error
        self.headers = headers


def from_refusal(refusal: RefusedError) -> ProblemError:
    """Convert a refusal of a worker or of the pool into a problem."""
    status = _STATUS.get(refusal.error, _UNUSABLE)
    headers = {"Retry-After": f"{math.ceil(refusal.retry_after_s)}"} if isinstance(refusal, BusyError) else None
    return ProblemError(status, _sentence(refusal.detail), refusal.error, headers)


def body(status: int, detail: str, error: str) -> bytes:
    """Encode a problem as JSON."""
    problem = {
        "type": f"urn:emocatcher:problem:{error}",
        "title": _TITLES.get(error, HTTPStatus(status).phrase),
        "status": status,
        "detail": detail,
        "error": error,
    }
    return _encoder.encode(problem)


def response(problem: ProblemError) -> Response:
    """Return a problem as an HTTP response."""
    content = body(problem.status, problem.detail, problem.error)
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer a `ProblemError` or a `RefusedError`."""
    if isinstance(error, RefusedError):
        error = from_refusal(error)
    assert isinstance(error, ProblemError)  # noqa: S101 (registered for these two)
    return response(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer requests that the router refuses: 404, 405."""
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"{request.scope['path']} does not exist. GET /docs lists all routes"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed at {request.scope['path']}. GET /docs lists the allowed methods"
    kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
    return response(ProblemError(error.status_code, detail, kind, dict(error.headers or {})))


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer requests with parameters that FastAPI refuses."""
    found: list[dict[str, Any]] = getattr(error, "errors", list)()
    reasons = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in found)
    return response(ProblemError(_UNUSABLE, f"Not allowed: {reasons}", "SettingError"))


async def on_fault(*_: object) -> Response:
    """Answer an unexpected exception; uvicorn logs it."""
    detail = "emocatcher has a fault, with details in the server's log. Please report it"
    return response(ProblemError(500, detail, "Fault"))


class StoppingMiddleware:
    """Answers requests that are unfinished when the server's time to stop is over, at which uvicorn cancels them.

    Args:
        app: the wrapped app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or stream."""
        started = False

        async def send_and_note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_start)
        except asyncio.CancelledError:
            if started or scope["type"] != "http":
                raise
            detail = "The server is being stopped. Send the request again to another server, or later"
            await response(ProblemError(503, detail, "ServerStopping"))(scope, receive, send)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
