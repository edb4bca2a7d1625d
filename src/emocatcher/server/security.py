"""Check tokens and origins, and set the security headers for browsers."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emocatcher.foundation.errors import SettingError
from emocatcher.server.problems import ProblemError, response

GUARDED = "/v1/"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 (compared with, not bound to)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{0,5})?", re.IGNORECASE | re.ASCII)
# The whole page comes from one origin. onnxruntime-web compiles WebAssembly and may start workers from blobs;
# wavesurfer.js styles its own shadow tree; recordings are played from blobs, and the microphone's worklet is a blob.
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
    # Together these allow WebAssembly threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ENCODED = tuple((name.lower().encode(), value.encode()) for name, value in _HEADERS.items())


class Tokens:
    """The accepted bearer tokens; if there are none, every request is accepted.

    Args:
        tokens: each at least one character long.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(token.encode() for token in tokens if token)

    @property
    def required(self) -> bool:
        """Whether a token is required."""
        return bool(self._tokens)

    def accepts(self, token: str | None) -> bool:
        """Whether this token is accepted; the time does not depend on how many of its characters are correct."""
        given = (token or "").encode()
        # Every token is compared, so that the time does not reveal a match.
        return not self._tokens or max([hmac.compare_digest(given, allowed) for allowed in self._tokens])

    def check(self, authorization: str | None) -> None:
        """Refuse a request whose header `Authorization` has no accepted token.

        Raises:
            ProblemError: 401.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if self.required and not (scheme.lower() == "bearer" and self.accepts(token.strip())):
            detail = "This server needs a token. Send the header 'Authorization: Bearer TOKEN'"
            if authorization:
                detail = "The token is not accepted. Send the header 'Authorization: Bearer TOKEN' with a valid token"
            raise ProblemError(401, detail, "Unauthorized", {"WWW-Authenticate": "Bearer"})


def is_loopback(host: str) -> bool:
    """Whether an address can be reached only from this machine.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
        (True, False)
    """
    return host in _LOOPBACK or host.startswith("127.")


def may_connect(origin: str | None, host: str | None, allowed: Sequence[str]) -> bool:
    """Whether a page of this origin may open the WebSocket, to which browsers do not apply CORS.

    Args:
        origin: the header `Origin`; None if the client is not a browser.
        host: the header `Host`.
        allowed: origins that CORS allows.

    Examples:
        >>> may_connect("http://localhost:8000", "localhost:8000", ())
        True
        >>> may_connect("https://elsewhere.example", "localhost:8000", ())
        False
    """
    # Not parsed as a URL: a malformed one raises an exception.
    return origin is None or origin in allowed or "*" in allowed or origin.partition("://")[2] == host


class Hosts:
    """The names under which this server may be addressed.

    A page of an attacker can give its own name this machine's address (DNS rebinding), and would then read answers as
    if they came from its own site; but its requests still carry its name in the header `Host`.

    Args:
        bound: the address that the server listens on. If it listens on all, any address will do, but no other name.
        more: names of `--allow-host`; "*" allows all.

    Raises:
        SettingError: if one of the names cannot be a host.
    """

    def __init__(self, bound: str, more: Iterable[str] = ()) -> None:
        self._names = {"localhost", bound.lower()}
        self._any_name, self._any_address = False, bound in _ANY_ADDRESS
        for name in more:
            if name != "*" and not ((found := _HOST.fullmatch(name)) and found[2] is None):
                raise SettingError(
                    f"The host '{name}' is not a name. Give one without a port, such as voice.example.org"
                )
            self._any_name = self._any_name or name == "*"
            self._names.add(name.strip("[]").lower())

    def check(self, scope: Scope) -> None:
        """Refuse a request that is addressed to another host.

        Raises:
            ProblemError: 400 or 421.
        """
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not given and scope.get("http_version") == "1.0":  # no browser sends this
            return
        found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if found is None:
            raise ProblemError(400, "The request needs one header 'Host', with a name and a port", "BadRequest")
        name = found[1].strip("[]").rstrip(".").lower()
        if not (self._any_name or name in self._names or self._is_own_address(name, scope)):
            detail = f"This server is not '{name[:80]}'. Start it with --allow-host {name[:80]} if that is its name"
            raise ProblemError(421, detail, "UnknownHost")

    def _is_own_address(self, name: str, scope: Scope) -> bool:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address or address.is_loopback or name == (scope.get("server") or ("",))[0]


class Guard:
    """Middleware that checks the host, and requires a token under `/v1`; the WebSocket's is in its first message.

    A FastAPI dependency would cost each request as much time as all its headers.

    Args:
        app: the wrapped app.
        tokens: the accepted tokens.
        hosts: the server's names.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, hosts: Hosts) -> None:
        self._app, self._tokens, self._hosts = app, tokens, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] in ("http", "websocket"):
            try:
                self._hosts.check(scope)
                if scope["type"] == "http" and scope["path"].startswith(GUARDED):
                    self._tokens.check(Headers(scope=scope).get("authorization"))
            except ProblemError as error:
                await response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class SecurityHeaders:
    """Middleware that adds the security headers to each answer.

    Args:
        app: the wrapped app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_ENCODED]
            await send(message)

        await self._app(scope, receive, send_with_headers)
