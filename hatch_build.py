"""Add the page to the packages if `make page` has built it; otherwise they contain only the API."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_UNCOMPRESSED = "index.html"  # the server modifies it before sending it


class PageHook(BuildHookInterface):
    """Adds `dist/page` to a wheel as a compressed part of the package, and to a source archive unchanged."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        self._compressed = TemporaryDirectory()
        page = Path(self.root, "dist", "page")
        # An editable install finds the page in the checkout, including later builds.
        if version == "editable" or not (page / _UNCOMPRESSED).is_file():
            return
        if self.target_name != "wheel":
            build_data["force_include"][str(page)] = "dist/page"
            return
        for path in (path for path in page.rglob("*") if path.is_file()):
            place = path.relative_to(page).as_posix()
            if place != _UNCOMPRESSED:
                compressed = Path(self._compressed.name, f"{place.replace('/', '-')}.gz")
                # Without a timestamp, so that the same page gives the same bytes.
                compressed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
                path, place = compressed, f"{place}.gz"
            build_data["force_include"][str(path)] = f"emocatcher/server/page/{place}"

    def finalize(self, *_: Any) -> None:
        """Called by hatchling after the package is written."""
        self._compressed.cleanup()
