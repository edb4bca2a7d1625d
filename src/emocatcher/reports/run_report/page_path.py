"""Check the path of a page and of its figures before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emocatcher.foundation.errors import MissingExtraError, OutputError

KINDS = (".svg", ".png")  # of every figure


def check(page_path: Path, stems: Sequence[Path] = (), *, overwrite: bool, extra: str = "train") -> None:
    """Refuse a page path that cannot be written or would overwrite files.

    Args:
        page_path: the page.
        stems: the paths of its figures, without suffix.
        overwrite: whether existing files are replaced.
        extra: the smallest one that has what the page needs.

    Raises:
        OutputError: if the path does not name an HTML page, or the page or a figure exists and `overwrite` is false.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    if page_path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"'{page_path}' does not name an HTML page. Give a name that ends in .html")
    for file in (page_path, *(stem.with_name(f"{stem.name}{kind}") for stem in stems for kind in KINDS)):
        if file.is_dir() or (file.exists() and not overwrite):
            raise OutputError(
                f"'{file}' exists already. Give --overwrite to replace it, another --out, or --json to get numbers only"
            )
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401, ICN001
    except ImportError:
        raise MissingExtraError("The page", extra) from None
