"""Errors as problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from emocatcher.server.worker_pool import BusyError
from emocatcher.server.worker_process import RefusedError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    "AudioError": "The recording cannot be used",
    "Busy": "Too much to do at once",
    "DecodeError": "Not a recording that can be decoded",
    "EmptyAudioError": "The recording is empty",
    "MemoryError": "Not enough memory",
    "NonFiniteError": "The recording holds samples that are no numbers",
    "SettingError": "A parameter has a value that is not allowed",
    "TimeLimitExceeded": "The recording took too long",
    "TooLongError": "The recording is too long",
    "WorkerDied": "The recording brought its process down",
}
_STATUS = {"Busy": 429, "TooLongError": 413, "WorkerDied": 500, "ServerStopping": 503, "MissingExtraError": 404}
_UNUSABLE = 422
_encoder = msgspec.json.Encoder()


class ProblemError(Exception):
    """A request that has no answer but a problem.

    Args:
        status: HTTP's.
        detail: what was wrong, what is allowed, what to do next.
        error: the exception's class, or a word of its kind, for programs.
        headers: more of them.
    """

    def __init__(self, status: int, detail: str, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.error = status, detail, error
        self.headers = headers


def of_refusal(refusal: RefusedError) -> ProblemError:
    """The problem that a worker's or the pool's refusal is."""
    status = _STATUS.get(refusal.error, _UNUSABLE)
    headers = {"Retry-After": f"{math.ceil(refusal.retry_after_s)}"} if isinstance(refusal, BusyError) else None
    return ProblemError(status, _sentence(refusal.detail), refusal.error, headers)


def body(status: int, detail: str, error: str) -> bytes:
    """A problem as JSON."""
    problem = {
        "type": f"urn:emocatcher:problem:{error}",
        "title": _TITLES.get(error, HTTPStatus(status).phrase),
        "status": status,
        "detail": detail,
        "error": error,
    }
    return _encoder.encode(problem)


def response(problem: ProblemError) -> Response:
    """A problem as an answer."""
    content = body(problem.status, problem.detail, problem.error)
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer a `ProblemError`, or a refusal."""
    if isinstance(error, RefusedError):
        error = of_refusal(error)
    assert isinstance(error, ProblemError)  # noqa: S101 (registered for these two)
    return response(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: 404, 405."""
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.url.path}. GET /docs lists what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed at {request.url.path}. GET /docs lists what is"
    word = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
    return response(ProblemError(error.status_code, detail, word, dict(error.headers or {})))


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer parameters that FastAPI refuses."""
    found: list[dict[str, Any]] = getattr(error, "errors", list)()
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in found)
    return response(ProblemError(_UNUSABLE, f"Not allowed: {said}", "SettingError"))


async def on_fault(*_: object) -> Response:
    """Answer a fault of this program; uvicorn logs it."""
    return response(ProblemError(500, "A fault of emocatcher; the server's log has it. Please report it", "Fault"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
