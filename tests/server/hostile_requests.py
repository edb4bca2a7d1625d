"""Raw requests of hostile clients, as a table: a name, the bytes, and the statuses that are a right answer.

Status 0 is a connection that the server closes without an answer. `benchmarks/hostile_server.py` sends them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple


class Attack(NamedTuple):
    """One request."""

    name: str
    payload: bytes
    right: frozenset[int]


_HOST = b"Host: localhost\r\n"
_OK, _BAD, _CLOSED = 200, 400, 0
WEBSOCKET = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
_BOUNDARY = b"multipart/form-data; boundary=line"


def _get(path: bytes = b"/healthz", headers: bytes = b"", version: bytes = b"HTTP/1.1", host: bytes = _HOST) -> bytes:
    return b"GET " + path + b" " + version + b"\r\n" + host + headers + b"\r\n"


def _post(body: bytes, kind: bytes = b"audio/wav", more: bytes = b"", *, length: bytes | None = None) -> bytes:
    size = b"%d" % len(body) if length is None else length
    head = b"POST /v1/predict HTTP/1.1\r\n" + _HOST + b"Connection: close\r\nContent-Type: " + kind + b"\r\n" + more
    return head + b"Content-Length: " + size + b"\r\n\r\n" + body


def _chunked(body: bytes, more: bytes = b"") -> bytes:
    head = b"POST /v1/predict HTTP/1.1\r\n" + _HOST + b"Connection: close\r\nContent-Type: audio/wav\r\n" + more
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body


def _part(disposition: bytes, body: bytes = b"x", end: bytes = b"\r\n--line--\r\n") -> bytes:
    return b"--line\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + body + end


def _attacks() -> Iterator[tuple[str, bytes, set[int]]]:
    yield "nothing but line ends", b"\r\n" * 1000, {_CLOSED}
    yield "bytes of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {_BAD}
    yield "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {_BAD}
    yield "HTTP/0.9", b"GET /\r\n\r\n", {_BAD}
    yield "HTTP/9.9", _get(version=b"HTTP/9.9"), {_BAD}
    yield "HTTP/1.0 without a host", _get(version=b"HTTP/1.0", host=b""), {_OK}
    yield "no host", _get(host=b""), {_BAD}
    yield "two hosts", _get(headers=_HOST), {_BAD}
    yield "an empty host", _get(host=b"Host:\r\n"), {_BAD}
    for host in (
        b"[",
        b"]",
        b"[::",
        b"a b",
        b"a/b",
        b"a@localhost",
        b"localhost:x",
        b"localhost:999999",
        b"\xff",
        b"%00",
    ):
        yield f"host {host!r}", _get(host=b"Host: " + host + b"\r\n"), {_BAD}
    for host in (b"evil.example", b"localhost.evil.example", b"169.254.169.254", b"127.0.0.1.nip.io", b"2130706433"):
        yield f"host {host!r}", _get(host=b"Host: " + host + b"\r\n"), {421}
    for host in (b"LOCALHOST", b"localhost.", b"127.9.9.9:1", b"[::1]", b"localhost:"):
        yield f"host {host!r}", _get(host=b"Host: " + host + b"\r\n"), {_OK}
    yield "an absolute address", _get(b"http://evil.example/healthz"), {_OK}
    yield "an address that is none", _get(b"http://[/"), {_BAD}
    yield "an authority only", b"CONNECT localhost:1 HTTP/1.1\r\n" + _HOST + b"\r\n", {_BAD, 404, 405}
    yield "an asterisk", b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n", {_BAD, 404}
    for path in (b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/..%5c..%5c", b"//etc/passwd", b"/%00", b"/%ff"):
        yield f"path {path!r}", _get(path), {404}
    yield "a path of bytes", _get(b"/\xff\xfe"), {_BAD}
    yield "a long path", _get(b"/" + b"a" * 60_000), {404}
    yield "an overlong path", _get(b"/" + b"a" * 70_000), {431}
    yield "a long query", _get(b"/v1/model?" + b"a=1&" * 10_000), {_OK}
    yield "an unknown method", b"HACK / HTTP/1.1\r\n" + _HOST + b"\r\n", {_BAD}
    yield "another method", b"PROPFIND / HTTP/1.1\r\n" + _HOST + b"\r\n", {404, 405}
    yield "an overlong header", _get(headers=b"X: " + b"a" * 70_000 + b"\r\n"), {431}
    yield "an overlong name", _get(headers=b"X" * 70_000 + b": 1\r\n"), {431}
    yield "many headers", _get(headers=b"x: 1\r\n" * 5000), {431}
    yield "a header without a name", _get(headers=b": 1\r\n"), {_BAD}
    yield "a header without a colon", _get(headers=b"X\r\n"), {_BAD}
    yield "a folded header", _get(headers=b"X: 1\r\n 2\r\n"), {_OK, _BAD}
    yield "a space before the colon", _get(headers=b"X : 1\r\n"), {_BAD}
    yield "a zero byte in a header", _get(headers=b"X: \0\r\n"), {_BAD}
    yield "a bare line feed", b"GET /healthz HTTP/1.1\n" + b"Host: localhost\n\n", {_OK, _BAD}
    yield "5000 requests at once", _get() * 5000, {_OK, _BAD}
    for length in (b"-1", b"+1", b"1e3", b"0x10", b"", b"9" * 30, b"9" * 5000, b"1 1", b"1,1", b"\xb2"):
        yield f"length {length[:40]!r}", _post(b"x", length=length), {_BAD, 413, 422}
    yield "two lengths", _post(b"xx", more=b"Content-Length: 1\r\n"), {_BAD}
    yield "a length and chunks", _post(b"0\r\n\r\n", more=b"Transfer-Encoding: chunked\r\n"), {_BAD}
    yield "more than the limit", _post(b"x", length=b"%d" % (1 << 40)), {413}
    for coding in (b"gzip", b"chunked, gzip", b"identity", b"chunked, chunked", b"xchunked", b" \x0bchunked"):
        head = b"POST /v1/predict HTTP/1.1\r\n" + _HOST + b"Content-Type: audio/wav\r\nTransfer-Encoding: " + coding
        yield f"coding {coding!r}", head + b"\r\n\r\n1\r\nx\r\n0\r\n\r\n", {_BAD, 422, 408}
    for size in (b"-1", b"0x1", b"zz", b"ffffffffffffffffff", b" 1", b""):
        yield f"chunk of size {size!r}", _chunked(size + b"\r\nx\r\n0\r\n\r\n"), {_BAD, 422}
    yield "a chunk that is too long", _chunked(b"1\r\nxyz\r\n0\r\n\r\n"), {_BAD}
    yield "an endless chunk extension", _chunked(b"1;" + b"a" * 200_000), {431, _BAD}
    yield "many trailers", _chunked(b"1\r\nx\r\n0\r\n" + b"x: 1\r\n" * 5000 + b"\r\n"), {431, _BAD}
    yield "a trailer that is a length", _chunked(b"1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n"), {422, _BAD}
    for kind in (b"", b"text/plain", b"audio", b";", b"multipart/form-data", b"\xff/\xfe", b"a" * 9000, b"image/png"):
        yield f"kind {kind[:40]!r}", _post(b"x", kind), {_BAD, 415}
    for boundary in (b"", b'"', b"a" * 5000, b"\xff", b"--", b'"a\\"b"', b"*=utf-8''x"):
        kind = b"multipart/form-data; boundary=" + boundary
        yield f"boundary {boundary[:40]!r}", _post(b"--x\r\n\r\nx\r\n--x--\r\n", kind), {_BAD, 422}
    yield "a form without an end", _post(_part(b'form-data; name="file"', end=b""), _BOUNDARY), {_BAD}
    yield "a form without parts", _post(b"--line--\r\n", _BOUNDARY), {_BAD, 422}
    yield "a form of another field", _post(_part(b'form-data; name="x"'), _BOUNDARY), {422}
    yield "a name that is a path", _post(_part(b'form-data; name="file"; filename="../../x"'), _BOUNDARY), {422}
    yield "a name of bytes", _post(_part(b'form-data; name="file"; filename="\xff\xfe"'), _BOUNDARY), {422}
    yield "a coded name", _post(_part(b"form-data; name=file; filename*=utf-9'x'%ff"), _BOUNDARY), {422}
    yield "an overlong part header", _post(_part(b"form-data; name=" + b"a" * 70_000), _BOUNDARY), {_BAD, 422}
    yield "2000 parts", _post(_part(b"form-data; name=file", end=b"\r\n") * 2000, _BOUNDARY), {413}
    for body in (b"", b"[", b"null", b"{}", b"[" * 50_000, b'{"a":' * 50_000, b'"\\ud800"', b"\xff", b"1e999"):
        yield f"JSON {body[:20]!r}", _post(body, b"application/json"), {_BAD, 422}
    yield "JSON with bad base64", _post(b'{"audio_base64": "%%%"}', b"application/json"), {422}
    yield "JSON with both", _post(b'{"audio_base64": "", "recordings": []}', b"application/json"), {422}
    for value in (b"100-continue", b"200-ok", b"\xff", b"100-continue, 100-continue"):
        yield f"expect {value!r}", _post(b"x", more=b"Expect: " + value + b"\r\n"), {100, 417, 422}
    yield "upgrade to HTTP/2", _get(headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), {_OK}
    yield "upgrade with a body", _post(b"x", more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), {422, _BAD}
    yield "a WebSocket elsewhere", WEBSOCKET.replace(b"/v1/stream", b"/healthz") + b"\r\n", {403, 404}
    yield (
        "a WebSocket without a key",
        _get(b"/v1/stream", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        {_BAD, 426},
    )
    yield "a WebSocket by POST", b"POST" + WEBSOCKET[3:] + b"\r\n", {_BAD, 405}
    yield "a WebSocket of version 0", WEBSOCKET.replace(b": 13", b": 0") + b"\r\n", {_BAD, 426}
    yield "a WebSocket with many headers", WEBSOCKET + b"x: 1\r\n" * 300 + b"\r\n", {_BAD}
    yield "a WebSocket for another host", WEBSOCKET.replace(b"localhost", b"evil.example") + b"\r\n", {421}
    for origin in (
        b"http://[",
        b"http://evil.example",
        b"null",
        b"\xff",
        b"http://localhost@evil.example",
        b"//",
        b":",
    ):
        yield f"a WebSocket from {origin!r}", WEBSOCKET + b"Origin: " + origin + b"\r\n\r\n", {403}
    for code, length in product((1, 2, 3, 8, 15), (b"\x00", b"\x80\0\0\0\0", b"\xff" + b"\xff" * 8)):
        frame = bytes([0x80 | code]) + length
        yield f"frame {code} {length!r}", WEBSOCKET + b"\r\n" + frame, {101}


_VALUES = (
    b"", b" ", b"*", b"\xff\xfe", b"\t", b"http://[", b"[", b"0", b"-1", b"9" * 400, b"a" * 9000, b'"', b"W/", b"=",
    b";;;",
    b"bytes=", b"bytes=0-", b"bytes=-0", b"bytes=5-1",
    b"bytes=0-0," * 500, b"bytes=9" + b"9" * 400 + b"-", b"%s%n{}",
    b"Bearer \xff", b"Bearer  ", b"Sat, 99 Nov 2099 99:99:99 GMT",
    b"Mon, 01 Jan 0001 00:00:00 -9999", b"1=2; 3", b"\xe9",
)  # fmt: skip
_HEADERS = (
    b"Host", b"Origin", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Range", b"If-None-Match",
    b"If-Range",
    b"If-Modified-Since", b"Authorization", b"Expect", b"Upgrade", b"Accept-Encoding", b"Accept", b"Cookie",
    b"Connection",
    b"Access-Control-Request-Method", b"Access-Control-Request-Headers", b"X-Forwarded-For", b"Sec-WebSocket-Key",
)  # fmt: skip

ATTACKS = tuple(Attack(name, payload, frozenset(right)) for name, payload, right in _attacks())
# Each header with each value at a file, a document, a route with a body, and a WebSocket: no answer may be a fault.
FUZZED = tuple(
    start + (b"" if name == b"Host" else _HOST) + name + b": " + value + b"\r\nConnection: close\r\n\r\n" + body
    for name, value in product(_HEADERS, _VALUES)
    for start, body in (
        (b"GET / HTTP/1.1\r\n", b""),
        (b"GET /docs HTTP/1.1\r\n", b""),
        (b"OPTIONS /v1/model HTTP/1.1\r\n", b""),
        (b"POST /v1/predict HTTP/1.1\r\n", b"hello"),
        (WEBSOCKET.replace(_HOST, b""), b""),
    )
)
