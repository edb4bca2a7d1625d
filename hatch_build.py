"""Puts the built page into the packages, where `make page` has built it; without it they hold the API alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Adds `dist/page` to a wheel as a part of the package, and to a source archive where it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        page = Path(self.root, "dist", "page")
        # An editable install finds the page beside pyproject.toml, however often it is built again.
        if version != "editable" and (page / "index.html").is_file():
            target = "emocatcher/server/page" if self.target_name == "wheel" else "dist/page"
            build_data["force_include"][str(page)] = target
