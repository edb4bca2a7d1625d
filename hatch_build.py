"""Puts the built page into the packages, where `make page` has built it; without it they hold the API alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_LARGE = 100_000  # bytes


class PageHook(BuildHookInterface):
    """Adds `dist/page` to a wheel as a part of the package, and to a source archive where it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        self._packed = TemporaryDirectory()
        page = Path(self.root, "dist", "page")
        # An editable install finds the page beside pyproject.toml, however often it is built again.
        if version == "editable" or not (page / "index.html").is_file():
            return
        if self.target_name != "wheel":
            build_data["force_include"][str(page)] = "dist/page"
            return
        package = Path(self.root, "src", "emocatcher")
        packing = _load(package / "server" / "packing.py")
        for path in (path for path in page.rglob("*") if path.is_file()):
            place = path.relative_to(page).as_posix()
            if path.stat().st_size >= _LARGE:
                base = packing.base_of(place, page, package / "models")
                packed = Path(self._packed.name, place.replace("/", "-"))
                packed.write_bytes(packing.pack(path.read_bytes(), base))
                path, place = packed, place + packing.SUFFIX
            build_data["force_include"][str(path)] = f"emocatcher/server/page/{place}"

    def finalize(self, *_: Any) -> None:
        """Called by hatchling when the package is written."""
        self._packed.cleanup()


def _load(path: Path) -> Any:
    """A module of the package; the package itself cannot be imported here, where nothing that it needs is there."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
