"""Puts the built page into the packages, where `make page` has built it; without it they hold the API alone."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_AS_IT_IS = "index.html"  # the server changes it before it sends it


class PageHook(BuildHookInterface):
    """Adds `dist/page` to a wheel as a part of the package, compressed, and to a source archive where it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        self._compressed = TemporaryDirectory()
        page = Path(self.root, "dist", "page")
        # An editable install finds the page beside pyproject.toml, however often it is built again.
        if version == "editable" or not (page / _AS_IT_IS).is_file():
            return
        if self.target_name != "wheel":
            build_data["force_include"][str(page)] = "dist/page"
            return
        for path in (path for path in page.rglob("*") if path.is_file()):
            place = path.relative_to(page).as_posix()
            if place != _AS_IT_IS:
                compressed = Path(self._compressed.name, f"{place.replace('/', '-')}.gz")
                # Without a time, so that the same page gives the same bytes.
                compressed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
                path, place = compressed, f"{place}.gz"
            build_data["force_include"][str(path)] = f"emocatcher/server/page/{place}"

    def finalize(self, *_: Any) -> None:
        """Called by hatchling when the package is written."""
        self._compressed.cleanup()
