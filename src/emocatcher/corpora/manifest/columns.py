"""Turn the cells of one row of a table into an utterance."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import votes
from emocatcher.corpora.manifest.table_rows import Row
from emocatcher.corpora.table import Utterance, Votes
from emocatcher.foundation.errors import ManifestError, suggest

SPLITS = ("train", "valid", "test")
OF_LABELLING = (
    "note",
    "listener",
    "guess",
    "probability",
    "labelled_at",
)  # what `emocatcher label` adds; not read here
COLUMNS = ("path", "label", "emotion", "votes", "speaker", "start_s", "end_s", "split", "id")


def utterance(row: Row, folder: Path, label: str, shared: Counter[str | None]) -> Utterance:
    """Return the recording, or the segment, of one row.

    Args:
        row: one row of the table.
        folder: where relative paths start.
        label: the column with the label, which may be empty.
        shared: how many rows have each path; several mean segments, whose default ids differ by their times.

    Raises:
        ManifestError: if a cell cannot be used; the message names the row.
    """
    path = needed_path(row)
    start_s, end_s = segment(row)
    split = text_of(row, "split")
    if split is not None and split not in SPLITS:
        raise ManifestError(f"{row.place}: {suggest(split, SPLITS, 'split')}")
    return Utterance(
        id=text_of(row, "id") or (segment_id(path, start_s, end_s) if shared[path] > 1 else path),
        path=folder_search.find_named(folder, path),
        emotion=text_of(row, label) or "",
        votes=votes_of(row),
        speaker=text_of(row, "speaker"),
        start_s=start_s,
        end_s=end_s,
        split=split,
    )


def needed_path(row: Row, column: str = "path") -> str:
    """Return the cell with the recording, which must not be empty.

    Raises:
        ManifestError: if it is empty.
    """
    path = text_of(row, column)
    if path is None:
        raise ManifestError(f"{row.place}: the {column} is empty. Give the recording's path, from the table's folder.")
    return path


def text_of(row: Row, column: str) -> str | None:
    """Return a cell as text; None if it is empty or missing, or the NaN that pandas writes for both.

    Raises:
        ManifestError: if it is a list or the like.
    """
    value = row.cells.get(column)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, (str, int, float)):
        raise ManifestError(f"{row.place}: {column} is {value!r}. Give text or a number.")
    return str(value).strip() or None


def segment(row: Row) -> tuple[float | None, float | None]:
    """Return the cells `start_s` and `end_s`.

    Raises:
        ManifestError: if one is no time, or the start is not before the end.
    """
    start_s, end_s = _seconds(row, "start_s"), _seconds(row, "end_s")
    if end_s is not None and (start_s or 0.0) >= end_s:
        raise ManifestError(
            f"{row.place}: start_s {start_s or 0.0:g} is not before end_s {end_s:g}. Give start_s < end_s, in seconds."
        )
    return start_s, end_s


def segment_id(path: str, start_s: float | None, end_s: float | None) -> str:
    """Return the default id of a segment.

    Examples:
        >>> segment_id("a.wav", None, 1.5), segment_id("a.wav", 1.5, None)
        ('a.wav#0-1.5', 'a.wav#1.5-end')
    """
    return f"{path}#{start_s or 0.0:g}-{'end' if end_s is None else format(end_s, 'g')}"


def votes_of(row: Row) -> Votes | None:
    """Return the votes in the cell `votes`; None if it is empty.

    Raises:
        ManifestError: if they cannot be used.
    """
    cell = row.cells.get("votes")
    try:
        if isinstance(cell, dict):
            return votes.parse(cell) if cell else None
        text = text_of(row, "votes")
        return None if text is None else votes.parse(text)
    except ValueError as error:
        raise ManifestError(f"{row.place}: {error}") from None


def number_of(row: Row, column: str) -> float | None:
    """Return a cell as a number: None if it is empty, NaN if it is no finite number."""
    text = text_of(row, column)
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    return value if value is None or math.isfinite(value) else math.nan


def _seconds(row: Row, column: str) -> float | None:
    value = number_of(row, column)
    if value is not None and not value >= 0:
        raise ManifestError(
            f"{row.place}: {column} is '{text_of(row, column)}'. Give seconds as a number of 0 or more, with a decimal "
            "point."
        )
    return value
