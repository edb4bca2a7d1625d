"""The built page: where it is, and its files.

In a wheel its files are gzip files (`hatch_build.py`), a third of their size. They go to browsers as they are, and are
uncompressed, a piece at a time, for clients that do not accept gzip. In a source checkout they are not compressed.
"""

from __future__ import annotations

import gzip
import mimetypes
import os
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

GRAPH, DESCRIPTION = "model/waveform.onnx", "model/model.json"
_INDEX = "index.html"
_GZIP = ".gz"
_PIECE = 1 << 16  # bytes that are uncompressed at a time
# Tells the page that an API answers here. On a host of plain files it would ask in vain, and the browser log an error.
_MARK = '<meta name="emocatcher-server" content="v1" />'
_FOR_EVER = "public, max-age=31536000, immutable"  # what has its hash in its name
_OTHER = "application/octet-stream"
_TYPES = {".wasm": "application/wasm", ".mjs": "text/javascript", ".onnx": _OTHER}
_MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>EmoCatcher</title>
<h1>EmoCatcher</h1><p>The API is here: see <a href="docs">its documentation</a>. The page is not built. In a source
checkout, with Node.js present, build it with <code>make page</code>, and start the server again.</p></html>
"""


@lru_cache(maxsize=1)
def find() -> Path | None:
    """The built page's folder: the package's own, or in a source checkout `dist/page`; None where there is none."""
    here = Path(__file__).parent
    checkout = here.parents[2]
    places = [here / "page"]
    if (checkout / "pyproject.toml").is_file():
        places.append(checkout / "dist" / "page")
    return next((place for place in places if (place / _INDEX).is_file()), None)


def read(folder: Path, name: str) -> bytes:
    """A file of the built page, compressed on disk or not.

    Raises:
        OSError: if it is not there, or cannot be read.
        ValueError: if it is damaged.
    """
    path = folder / name
    if path.is_file():
        return path.read_bytes()
    compressed = folder / f"{name}{_GZIP}"
    try:
        return gzip.decompress(compressed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{compressed} is damaged ({error}). Install emocatcher again") from error


class _Files(StaticFiles):
    """Files as they are, or from a gzip file that is there instead."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or else the gzip file of the same name."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
        return await super().get_response(f"{path}{_GZIP}", scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """One file; of a gzip file that stands for another, the other's content in the coding that is accepted."""
        if not str(full_path).endswith(_GZIP) or scope["path"].endswith(_GZIP):
            return super().file_response(full_path, stat_result, scope, status_code)
        asked = Headers(scope=scope)
        compressed = FileResponse(full_path, stat_result=stat_result)
        answer: Response = compressed
        if _takes_gzip(asked):
            compressed.headers["Content-Encoding"] = "gzip"
        else:
            # Another representation, so another ETag than the compressed one has.
            kept = {"ETag": f'"{compressed.headers["ETag"].strip(chr(34))}-identity"'}
            kept["Last-Modified"] = compressed.headers["Last-Modified"]
            answer = StreamingResponse(_pieces(full_path), headers=kept, media_type=compressed.media_type)
        answer.headers["Vary"] = "Accept-Encoding"
        return NotModifiedResponse(answer.headers) if self.is_not_modified(answer.headers, asked) else answer


def _pieces(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The content of a gzip file, never more than a piece of it in memory."""
    with gzip.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece


def _takes_gzip(headers: Headers) -> bool:
    """Whether gzip is accepted: by its own name, or else by `*`; a weight of nothing refuses."""
    accepted: dict[str, bool] = {}
    for one in ",".join(headers.getlist("accept-encoding")).lower().split(","):
        coding, _, weight = one.partition(";")
        accepted[coding.strip()] = re.fullmatch(r"\s*q=0(\.0*)?\s*", weight) is None
    return accepted.get("gzip", accepted.get("*", False))


class Page:
    """Answers what no route of the API does.

    Args:
        folder: the built page; None where there is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files = _Files(directory=folder, html=True) if folder is not None else None
        self._index = folder / _INDEX if folder is not None else None
        for suffix, kind in _TYPES.items():
            mimetypes.add_type(kind, suffix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; raises the HTTP error 404 where there is no such file."""
        if scope["path"] in ("/", f"/{_INDEX}") and scope["method"] in ("GET", "HEAD"):
            # Read anew, as all its files are: the page may be built again under a running server.
            index = self._index.read_text(encoding="utf-8") if self._index is not None else _MISSING
            marked = index.replace("<head>", f"<head>\n    {_MARK}", 1)
            answer: Response = HTMLResponse(marked, headers={"Cache-Control": "no-cache"})
        elif self._files is not None:
            answer = await self._files.get_response(self._files.get_path(scope), scope)
            self._set_age(answer, scope["path"])
        else:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await answer(scope, receive, send)

    def _set_age(self, answer: Response, path: str) -> None:
        answer.headers["Cache-Control"] = _FOR_EVER if path.startswith("/assets/") else "no-cache"
