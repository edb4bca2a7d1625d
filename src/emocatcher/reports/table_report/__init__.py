"""Show a table of predictions as one self-contained page: shares, course, groups, the most and least sure, errors."""

from __future__ import annotations

from pathlib import Path

from emocatcher.reports.table_report.counts import Tally
from emocatcher.reports.table_report.in_words import headline
from emocatcher.reports.table_report.tally import count

__all__ = ["Tally", "check", "count", "headline", "write"]


def check(table: Path, page_path: Path | None, *, overwrite: bool) -> None:
    """Refuse a file that is no table, and a page path that cannot be written, before the rows are read.

    Args:
        table: as for `count`.
        page_path: as for `write`; None if no page is to be written.
        overwrite: as for `write`.

    Raises:
        ManifestError: if the file cannot be a table.
        OutputError: if the path does not name an HTML page, or exists and `overwrite` is false.
        MissingExtraError: if matplotlib or Jinja2 is not installed, or pyarrow for Parquet.
    """
    from emocatcher.reports.run_report import page_path as checks
    from emocatcher.reports.table_report.stored_rows import StoredRows

    StoredRows(table)
    if page_path is not None:
        checks.check(page_path, overwrite=overwrite, extra="plot")


def write(tally: Tally, page_path: Path, *, overwrite: bool = False) -> Path:
    """Write the page, with its figures in it. The same table gives the same bytes every time.

    Args:
        tally: from `count`.
        page_path: the page.
        overwrite: whether to replace an existing file.

    Raises:
        OutputError: if the file exists and `overwrite` is false, or it cannot be written.
        MissingExtraError: if matplotlib or Jinja2 is not installed.
    """
    from emocatcher.foundation import atomic_files
    from emocatcher.foundation.errors import OutputError
    from emocatcher.reports.run_report import page_path as checks

    checks.check(page_path, overwrite=overwrite, extra="plot")
    from emocatcher.reports.table_report import table_page

    try:
        atomic_files.write_text(page_path, table_page.render(tally))
    except OSError as error:
        raise OutputError(f"Cannot write the page '{page_path}': {error.strerror or error}") from None
    return page_path
