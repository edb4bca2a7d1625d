"""Decode a server's replies: its answers, the messages of its stream, and its refusals."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from emocatcher.foundation.errors import ServerError
from emocatcher.recognition.timeline import Window

_Kind = TypeVar("_Kind")


class _Problem(msgspec.Struct):
    detail: str
    error: str


def decode(content: str | bytes, kind: type[_Kind]) -> _Kind:
    """Decode JSON of a server.

    Raises:
        ServerError: if it is not of this kind, such as the page of a proxy.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ServerError(
            f"The server's answer is not valid: {error}. Check that the address is an emocatcher server's, and use the "
            "same version of emocatcher on both sides"
        ) from None


def decode_message(text: str | bytes, *allowed: str) -> Window | None:
    """Decode a message of the stream: a window, or None for "ready" and "done".

    Raises:
        ServerError: if it is an error, or of a type that is not allowed now.
    """
    kind = decode(text, dict[str, Any]).get("type")
    if kind == "error":
        problem = decode(text, _Problem)
        raise ServerError(problem.detail, error=problem.error)
    if kind not in allowed:
        raise ServerError(
            f"The server sent a message of type '{kind}' instead of {' or '.join(allowed)}. "
            "Use the same version of emocatcher on both sides"
        )
    return decode(text, Window) if kind == "window" else None


def refusal(status: int, payload: bytes, retry_after: str | None) -> ServerError:
    """Return the error for an answer with another status than success.

    Args:
        status: of HTTP.
        payload: the body, problem details (RFC 9457) unless it is of a proxy.
        retry_after: the header `Retry-After`.
    """
    wait_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
    try:
        problem = msgspec.json.decode(payload, type=_Problem)
    except (msgspec.DecodeError, UnicodeError):
        detail = f"The server returned {status} without details. Check that the address is an emocatcher server's"
        return ServerError(detail, status=status, retry_after_s=wait_s)
    return ServerError(problem.detail, status=status, error=problem.error, retry_after_s=wait_s)
