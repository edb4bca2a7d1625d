"""Find the built page, and serve its files.

In a wheel its files are gzip files (`hatch_build.py`), a third of their size. Browsers receive them unchanged; for
clients that do not accept gzip they are decompressed block by block. In a source checkout they are not compressed.

The graph of an included model is not a file there: its weights are in the model's folder already. A file of pieces has
its other bytes, and the places of the weights.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

GRAPH, DESCRIPTION = "model/waveform.onnx", "model/model.json"
_INDEX = "index.html"
_GZIP, _PIECES = ".gz", ".pieces.gz"
_BLOCK = 1 << 16  # bytes that are sent at a time
_PACKAGE = Path(__file__).parents[1]
# Marks for the page that an API exists. On a static file host a request would fail, and the browser would log an error.
_MARK = '<meta name="emocatcher-server" content="v1" />'
_IMMUTABLE = "public, max-age=31536000, immutable"  # for files with a hash in their names
_OTHER = "application/octet-stream"
_TYPES = {".wasm": "application/wasm", ".mjs": "text/javascript", ".onnx": _OTHER}
_MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>EmoCatcher</title>
<h1>EmoCatcher</h1><p>The API is running: see <a href="docs">its documentation</a>. The page is not built. In a source
checkout with Node.js, build it with <code>make page</code> and start the server again.</p></html>
"""


class _Pieces(msgspec.Struct, frozen=True):
    """How `hatch_build.py` describes a file that shares bytes with another file of the package."""

    source: str  # the other file, from the package's folder
    sha256: str  # of the whole
    pieces: list[bytes | tuple[int, int]]  # bytes, or the place and the length of bytes of the source


@lru_cache(maxsize=1)
def find() -> Path | None:
    """Return the built page's folder, in the package or in a source checkout's `dist/page`; None if there is none."""
    here = Path(__file__).parent
    checkout = here.parents[2]
    places = [here / "page"]
    if (checkout / "pyproject.toml").is_file():
        places.append(checkout / "dist" / "page")
    return next((place for place in places if (place / _INDEX).is_file()), None)


def read(folder: Path, name: str) -> bytes:
    """Read a file of the built page, whether it is compressed on disk, in pieces, or neither.

    Raises:
        OSError: if it does not exist, or cannot be read.
        ValueError: if it is damaged.
    """
    path = folder / name
    if path.is_file():
        return path.read_bytes()
    if (pieces := folder / f"{name}{_PIECES}").is_file():
        return _put_together(pieces, pieces.stat().st_mtime_ns)[0]
    compressed = folder / f"{name}{_GZIP}"
    try:
        return gzip.decompress(compressed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{compressed} is damaged ({error}). Install emocatcher again") from error


@lru_cache(maxsize=1)  # the server also keeps these bytes for the API; they are not read twice
def _put_together(path: Path, modified_ns: int) -> tuple[bytes, str]:  # noqa: ARG001 (an update is read again)
    """Put a file together from its pieces; return it and its hash. The errors are those of `read`."""
    try:
        described = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_Pieces)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Install emocatcher again") from error
    source = memoryview((_PACKAGE / described.source).read_bytes())
    whole = b"".join(
        piece if isinstance(piece, bytes) else source[piece[0] : piece[0] + piece[1]] for piece in described.pieces
    )
    if hashlib.sha256(whole).hexdigest() != described.sha256:
        raise ValueError(f"{path} does not fit {_PACKAGE / described.source}. Install emocatcher again")
    return whole, described.sha256


class _Files(StaticFiles):
    """Static files that may be stored as gzip files, or in pieces."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or else what is stored in its place."""
        for suffix in ("", _PIECES):
            try:
                return await super().get_response(f"{path}{suffix}", scope)
            except HTTPException as error:
                if error.status_code != HTTPStatus.NOT_FOUND:
                    raise
        return await super().get_response(f"{path}{_GZIP}", scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return one file; a gzip file stored in place of another is sent in a coding that the client accepts."""
        stored, requested = Path(full_path), Headers(scope=scope)
        suffix = stored.name[len(Path(scope["path"]).name) :]  # empty for a file that is requested by its own name
        if suffix not in (_GZIP, _PIECES):
            return super().file_response(full_path, stat_result, scope, status_code)
        compressed = FileResponse(full_path, stat_result=stat_result)
        answer: Response = compressed
        if suffix == _PIECES:
            whole, sha256 = _put_together(stored, stat_result.st_mtime_ns)
            headers = {"ETag": f'"{sha256}"', "Content-Length": str(len(whole))}
            headers["Last-Modified"] = compressed.headers["Last-Modified"]
            answer = StreamingResponse(_in_blocks(whole), headers=headers, media_type=_OTHER)
        elif _accepts_gzip(requested):
            compressed.headers["Content-Encoding"] = "gzip"
        else:
            # This is another representation of the file, so its ETag differs from the compressed one's.
            headers = {"ETag": f'"{compressed.headers["ETag"].strip(chr(34))}-identity"'}
            headers["Last-Modified"] = compressed.headers["Last-Modified"]
            answer = StreamingResponse(_decompress(full_path), headers=headers, media_type=compressed.media_type)
        if suffix == _GZIP:
            answer.headers["Vary"] = "Accept-Encoding"
        return NotModifiedResponse(answer.headers) if self.is_not_modified(answer.headers, requested) else answer


def _decompress(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the content of a gzip file with at most one block in memory."""
    with gzip.open(path) as file:
        while block := file.read(_BLOCK):
            yield block


def _in_blocks(content: bytes) -> Iterator[bytes]:
    """Yield bytes that all clients share; the connection of a slow one holds at most one block of them."""
    for first in range(0, len(content), _BLOCK):
        yield content[first : first + _BLOCK]


def _accepts_gzip(headers: Headers) -> bool:
    """Whether gzip is accepted, by its name or else by `*`; a weight of zero refuses it."""
    accepted: dict[str, bool] = {}
    for one in ",".join(headers.getlist("accept-encoding")).lower().split(","):
        coding, _, weight = one.partition(";")
        accepted[coding.strip()] = re.fullmatch(r"\s*q=0(\.0*)?\s*", weight) is None
    return accepted.get("gzip", accepted.get("*", False))


class Page:
    """ASGI app that serves the page for all paths without a route of the API.

    Args:
        folder: the built page's folder; None if there is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files = _Files(directory=folder, html=True) if folder is not None else None
        self._index = folder / _INDEX if folder is not None else None
        for suffix, kind in _TYPES.items():
            mimetypes.add_type(kind, suffix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raise the HTTP error 404 if there is no such file."""
        if scope["path"] in ("/", f"/{_INDEX}") and scope["method"] in ("GET", "HEAD"):
            # Read for each request, like all files, because the page may be rebuilt while the server runs.
            index = self._index.read_text(encoding="utf-8") if self._index is not None else _MISSING
            marked = index.replace("<head>", f"<head>\n    {_MARK}", 1)
            answer: Response = HTMLResponse(marked, headers={"Cache-Control": "no-cache"})
        elif self._files is not None:
            answer = await self._files.get_response(self._files.get_path(scope), scope)
            self._set_cache_control(answer, scope["path"])
        else:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await answer(scope, receive, send)

    def _set_cache_control(self, answer: Response, path: str) -> None:
        answer.headers["Cache-Control"] = _IMMUTABLE if path.startswith("/assets/") else "no-cache"
