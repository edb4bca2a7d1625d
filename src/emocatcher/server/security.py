"""Who may ask, and what a browser may do with the answers."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emocatcher.server.problems import ProblemError, response

GUARDED = "/v1/"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# The page is all of one origin. onnxruntime-web compiles WebAssembly and may start workers from blobs; wavesurfer.js
# styles its own shadow tree; recordings are played from blobs, and the microphone's worklet is one.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' blob: 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    # Together they let WebAssembly use threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ENCODED = tuple((name.lower().encode(), value.encode()) for name, value in _HEADERS.items())


class Tokens:
    """The bearer tokens that are accepted; without any, everybody is.

    Args:
        tokens: each at least one character long.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(token.encode() for token in tokens if token)

    @property
    def required(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._tokens)

    def accepts(self, token: str | None) -> bool:
        """Whether this token opens; takes the same time however much of it is right."""
        given = (token or "").encode()
        # All are compared, for the time would tell which one came near.
        return not self._tokens or max([hmac.compare_digest(given, allowed) for allowed in self._tokens])

    def check(self, authorization: str | None) -> None:
        """Refuse a request whose header `Authorization` does not open.

        Raises:
            ProblemError: 401.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if self.required and not (scheme.lower() == "bearer" and self.accepts(token.strip())):
            detail = "This server needs a token. Send the header 'Authorization: Bearer TOKEN'"
            if authorization:
                detail = "The token is not one of this server's. Send the header 'Authorization: Bearer TOKEN'"
            raise ProblemError(401, detail, "Unauthorized", {"WWW-Authenticate": "Bearer"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
        (True, False)
    """
    return host in _LOOPBACK or host.startswith("127.")


def may_connect(origin: str | None, host: str | None, allowed: Sequence[str]) -> bool:
    """Whether a page of this origin may open the WebSocket, which no browser asks CORS about.

    Args:
        origin: the header; None where it is no browser that asks.
        host: the header.
        allowed: origins that CORS allows.

    Examples:
        >>> may_connect("http://localhost:8000", "localhost:8000", ())
        True
        >>> may_connect("https://elsewhere.example", "localhost:8000", ())
        False
    """
    return origin is None or origin in allowed or "*" in allowed or urlsplit(origin).netloc == host


class Guard:
    """Asks for a token before the routes under `/v1`; the WebSocket's comes in its first message.

    No dependency of FastAPI's, for those cost each request as much as all its headers.

    Args:
        app: that answers.
        tokens: which open.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"].startswith(GUARDED):
            try:
                self._tokens.check(Headers(scope=scope).get("authorization"))
            except ProblemError as error:
                await response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SecurityHeaders:
    """Adds to each answer what keeps a browser from being led astray.

    Args:
        app: that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_ENCODED]
            await send(message)

        await self._app(scope, receive, send_with_headers)
