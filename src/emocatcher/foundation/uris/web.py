"""Read `http://` and `https://` part by part, with the standard library."""

from __future__ import annotations

import contextlib
import errno
import http.client
import netrc
import re
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

import emocatcher
from emocatcher.foundation.errors import UriError
from emocatcher.foundation.uris.attempts import Budget, limits
from emocatcher.foundation.uris.names import redacted
from emocatcher.foundation.uris.parts import BLOCK, Part

_PIECE = 1 << 16  # bytes
_MOST_REDIRECTS = 5
_SAFE = "!$&'()*+,;=:@/?-._~"  # characters of a path and a query that stay as they are
_LATER = (408, 425, 429)  # statuses that may change


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, never to another scheme than http and https, and from https only to https."""

    max_redirections = _MOST_REDIRECTS
    max_repeats = 2

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # its content, of any length, would be read
        if urlsplit(newurl).scheme not in ({"https"} if req.type == "https" else {"http", "https"}):
            raise UriError(
                redacted(req.full_url), "redirects to another scheme, or to one without encryption. Give the final URI"
            )
        request = super().redirect_request(req, fp, code, msg, headers, escaped(newurl))
        if request is not None and request.host != req.host:
            request.headers.pop("Authorization", None)
        return request


def read_part(uri: str, start: int, n: int, most: int, budget: Budget) -> Part:
    """Read bytes `start` to `start + n`, or the whole file where the server knows no parts.

    Args:
        uri: what to read.
        start: position of the first byte.
        n: number of bytes, at most.
        most: the largest number of bytes of a whole file, which is kept in a temporary one.
        budget: grows while a whole file arrives.

    Raises:
        UriError: if the server cannot be reached, refuses, or sends something else.
    """
    name, (timeout_s, _) = redacted(uri), limits()
    whole = cast("BinaryIO", tempfile.SpooledTemporaryFile(BLOCK))  # noqa: SIM115 (the caller closes it)
    try:
        asked = _headers(uri) | {"Range": f"bytes={start}-{start + n - 1}"}
        request = urllib.request.Request(escaped(uri), headers=asked)  # noqa: S310 (its scheme was checked)
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout_s) as response:
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            pieces = _pieces(response, timeout_s, budget, name, n if response.status == 206 else most)
            if response.status == 206:
                size = _size(response.headers.get("Content-Range", ""), start, name)
                content = b"".join(pieces)
                if size is None and len(content) < n:
                    size = start + len(content)
                if size is not None and len(content) != min(n, size - start):
                    raise UriError(name, "stops before its end", "unreachable")
                whole.close()
                return Part(content, size, tag)
            whole.writelines(pieces)
            return Part(b"", whole.tell(), tag, whole)
    except BaseException as error:
        whole.close()
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416 and error.headers.get("Content-Range", "").strip() == "bytes */0":
                return Part(b"", 0)
            raise _of_status(name, error) from None
        if isinstance(error, OSError | http.client.HTTPException | ValueError):
            raise _of_error(name, error) from None
        raise


def escaped(uri: str) -> str:
    """Return the URI as it is sent: spaces and letters outside of ASCII are written as %20, the fragment is left out.

    Examples:
        >>> escaped("https://host/a b 100%.wav?q=ä#t"), escaped("https://host/a%20b.wav")
        ('https://host/a%20b%20100%25.wav?q=%C3%A4', 'https://host/a%20b.wav')
    """
    scheme, _, rest = uri.partition("://")
    place, path = re.findall(r"([^/?]*)(.*)", rest.partition("#")[0], re.DOTALL)[0]
    with contextlib.suppress(UnicodeError):
        place = place.encode("idna").decode()
    # Every other part is a character that is escaped already.
    parts = re.split(r"(%[0-9a-fA-F]{2})", path if path.startswith("/") else f"/{path}")
    parts[::2] = (quote(part, safe=_SAFE, errors="surrogateescape") for part in parts[::2])
    return f"{scheme.lower()}://{place}{''.join(parts)}"


def _headers(uri: str) -> dict[str, str]:
    headers = {"User-Agent": f"emocatcher/{emocatcher.__version__}", "Accept-Encoding": "identity"}
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        if found := netrc.netrc().authenticators(urlsplit(escaped(uri)).hostname or ""):
            headers["Authorization"] = "Basic " + b64encode(f"{found[0]}:{found[2]}".encode()).decode()
    return headers


def _size(content_range: str, start: int, name: str) -> int | None:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if found is None or int(found[1]) != start:
        raise UriError(name, "the server sends another part than asked for")
    return None if found[2] == "*" else int(found[2])


def _pieces(response: Any, timeout_s: float, budget: Budget, name: str, most: int) -> Iterator[bytes]:
    """Yield the content as it arrives; a server that sends a byte now and then is left like one that sends nothing."""
    n, started_at = 0, time.monotonic()
    while piece := response.read1(_PIECE):
        n += len(piece)
        budget.n_units = 1 + n // BLOCK
        if n > most:
            raise UriError(name, f"sends more than {most / 2**30:.3g} GiB. Copy the file to this computer first")
        if time.monotonic() > started_at + budget.n_units * timeout_s:
            raise UriError(name, "sends too slowly. Try again later", "unreachable")
        yield piece
    if response.length:  # bytes that were announced and did not come
        raise UriError(name, "stops before its end", "unreachable")


def _of_status(name: str, error: urllib.error.HTTPError) -> UriError:
    if error.code in (404, 410):
        return UriError(name, f"no such file ({error.code})", "missing")
    if error.code in (401, 403, 407):
        return UriError(
            name, f"access is denied ({error.code}). Check the permission, and whether the link has expired", "denied"
        )
    if 300 <= error.code < 400:
        return UriError(name, f"redirects more than {_MOST_REDIRECTS} times. Give the final URI")
    if error.code in _LATER or error.code >= 500:
        return UriError(name, f"the server answers with an error ({error.code}). Try again later", "unreachable")
    return UriError(name, f"the server refuses it ({error.code})")


def _of_error(name: str, error: Exception) -> UriError:
    """Return the error in our own words: those of a library may contain the whole URI."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        kind = "unreachable" if cause.errno == socket.EAI_AGAIN else "missing"
        return UriError(name, "the host is not known. Check its name, and the network", kind)
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return UriError(name, f"the temporary file cannot be written: {cause.strerror}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UriError(name, "the server's certificate is not valid")
    if isinstance(cause, TimeoutError):
        return UriError(name, "sends nothing. Try again later", "unreachable")
    if isinstance(cause, ConnectionRefusedError):
        return UriError(name, "the connection is refused. Check the host and the port", "unreachable")
    if isinstance(cause, OSError | http.client.HTTPException) and not isinstance(cause, http.client.InvalidURL):
        return UriError(name, "the connection breaks off. Try again later", "unreachable")
    return UriError(name, "is not a valid URI")
