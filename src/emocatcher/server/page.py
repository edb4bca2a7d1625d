"""The built page: where it is, and its files.

In the package its large files are packed (see `packing`); to the browser they go as gzip, a third of their size.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from emocatcher.server import packing

GRAPH, DESCRIPTION = "model/waveform.onnx", "model/model.json"
_INDEX = "index.html"
_MODELS = Path(__file__).parents[1] / "models"
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
    """A file of the built page, packed or not.

    Raises:
        OSError: if it is not there, or cannot be read.
        ValueError: if it is damaged.
    """
    path = folder / name
    return path.read_bytes() if path.is_file() else _unpacked(folder, name)


def _unpacked(folder: Path, name: str) -> bytes:
    packed = (folder / f"{name}{packing.SUFFIX}").read_bytes()
    return packing.unpack(packed, packing.base_of(name, folder, _MODELS))


@lru_cache(maxsize=4)
def _zipped(folder: Path, name: str, _: str) -> bytes:
    """The same as gzip, of the file that has this ETag; half a second for the largest."""
    return gzip.compress(_unpacked(folder, name), compresslevel=6, mtime=0)


class _Files(StaticFiles):
    """As they are, or packed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; one that is packed, as gzip to those who take that."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
        answer = await super().get_response(f"{path}{packing.SUFFIX}", scope)
        if isinstance(answer, FileResponse):  # and not the word that the browser has it already
            folder, is_zipped = Path(str(self.directory)), _takes_gzip(Headers(scope=scope))
            kept = {name: answer.headers[name] for name in ("ETag", "Last-Modified")}
            work = (_zipped, folder, path, kept["ETag"]) if is_zipped else (_unpacked, folder, path)
            content: bytes = await run_in_threadpool(*work)
            answer = Response(content, headers=kept, media_type=mimetypes.guess_type(path)[0] or _OTHER)
            if is_zipped:
                answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        return answer


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
