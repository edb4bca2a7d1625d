"""Add the page to the packages if `make page` has built it; otherwise they contain only the API.

The page's graph repeats the weights of an included model. A wheel has only the graph's other bytes, and where the
repeated ones are (`emocatcher.server.web_page` puts them together), so that no weights are installed twice.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_UNCOMPRESSED = "index.html"  # the server modifies it before sending it
_GRAPH, _DESCRIPTION = "model/waveform.onnx", "model/model.json"
_STEP = 1024  # bytes; fewer equal ones in a row may be missed


class PageHook(BuildHookInterface):
    """Adds `dist/page` to a wheel as a compressed part of the package, and to a source archive unchanged."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        self._compressed = TemporaryDirectory()
        page, package = Path(self.root, "dist", "page"), Path(self.root, "src", "emocatcher")
        # An editable install finds the page in the checkout, including later builds.
        if version == "editable" or not (page / _UNCOMPRESSED).is_file():
            return
        if self.target_name != "wheel":
            build_data["force_include"][str(page)] = "dist/page"
            return
        for path in (path for path in page.rglob("*") if path.is_file()):
            place = path.relative_to(page).as_posix()
            if place != _UNCOMPRESSED:
                content = path.read_bytes()
                if place == _GRAPH and (source := find_source(page, package)) is not None:
                    content, place = describe_pieces(content, source, package), f"{place}.pieces"
                compressed = Path(self._compressed.name, f"{place.replace('/', '-')}.gz")
                # Without a timestamp, so that the same page gives the same bytes.
                compressed.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
                path, place = compressed, f"{place}.gz"
            build_data["force_include"][str(path)] = f"emocatcher/server/page/{place}"

    def finalize(self, *_: Any) -> None:
        """Called by hatchling after the package is written."""
        self._compressed.cleanup()


def find_source(page: Path, package: Path) -> Path | None:
    """Find the graph of the included model that the page was built with; None if it was built with another model."""
    if not (page / _DESCRIPTION).is_file():
        return None
    weights = json.loads((page / _DESCRIPTION).read_bytes())["weights_sha256"]
    for config in sorted((package / "models" / "shipped").glob("*/config.json")):
        if json.loads(config.read_bytes())["sha256"]["model.safetensors"] == weights:
            return config.with_name("model.onnx")
    return None


def describe_pieces(content: bytes, source: Path, package: Path) -> bytes:
    """Describe a file by its own bytes and those that it shares with another file of the package, as JSON."""
    pieces = [
        piece if isinstance(piece, tuple) else base64.b64encode(piece).decode()
        for piece in _divide(content, source.read_bytes())
    ]
    described = {
        "source": source.relative_to(package).as_posix(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "pieces": pieces,
    }
    return json.dumps(described).encode()


def _divide(content: bytes, source: bytes) -> list[bytes | tuple[int, int]]:
    """Divide a file into pieces: bytes, or the place and the length of equal bytes in the source."""
    pieces: list[bytes | tuple[int, int]] = []
    first = at = 0  # bytes before `first` are in a piece, those from there to `at` are not in the source
    while at < len(content):
        place = source.find(content[at : at + _STEP])
        if place < 0:
            at += _STEP
            continue
        length = _n_equal(memoryview(content)[at:], memoryview(source)[place:])
        if at > first:
            pieces.append(content[first:at])
        pieces.append((place, length))
        first = at = at + length
    if at > first:
        pieces.append(content[first:])
    return pieces


def _n_equal(some: memoryview, others: memoryview) -> int:
    """Count the equal bytes at the start of two files."""
    low, high = 0, min(len(some), len(others))
    while low < high:
        middle = (low + high + 1) // 2
        if some[low:middle] == others[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
