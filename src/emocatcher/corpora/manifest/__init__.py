"""Read the user's own recordings: from a table, or from a folder with one sub-folder per emotion."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import given_labels
from emocatcher.corpora.manifest import columns, dimension_columns, table_rows
from emocatcher.corpora.manifest.labelled_folder import read_folder
from emocatcher.corpora.manifest.table_rows import FORMATS, Row
from emocatcher.corpora.table import Corpus
from emocatcher.foundation.errors import ManifestError

__all__ = ["FORMATS", "read", "read_folder", "read_paths"]


def read(path: Path, *, to_check: bool = False) -> Corpus:
    """Read a table with one recording, or one segment of a recording, per row.

    The columns are `path` (relative paths start at the table's folder), `label` (or `emotion`) and optionally `votes`
    (see `votes.parse`; then the label may be empty or absent), `speaker`, `start_s`, `end_s` (seconds), `split` (train,
    valid or test), `id`, and the ratings `arousal[LOW:HIGH]`, `valence[LOW:HIGH]` and `dominance[LOW:HIGH]`, whose
    cells may be empty; others are ignored. A row with neither label nor votes is a recording without a label. Either
    all labelled rows have a speaker or none; the same holds for the split. The default `id` is the path, with
    "#start-end" appended if several rows share a file.

    Args:
        path: CSV or TSV (with a header; commas, semicolons or tabs, or what a first line `sep=` names; UTF-8 or
            UTF-16), JSONL or Parquet. Errors number the rows like an editor's lines; Parquet rows start at 1.
        to_check: accept rows whose recording does not exist, and a table without labels.

    Returns:
        the corpus, in the table's order, named like the file; the labels are the known emotions that occur, in
        their canonical order, followed by the others, sorted.

    Raises:
        ManifestError: if the table or a row cannot be used; the message names the file and the row.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    rows = list(table_rows.read(path, _is_read))
    if not rows:
        raise ManifestError(f"{path} has no rows. Give one row per recording, with the columns path and label.")
    names = list(dict.fromkeys(column for row in rows for column in row.cells))
    label = "emotion" if "emotion" in names and "label" not in names else "label"
    for needed in ("path", label):
        if needed not in names and not (needed == label and ("votes" in names or to_check)):
            raise ManifestError(
                f"{path} has no column '{needed}'. Its columns: {', '.join(names)}. "
                f"Needed: path, label; optional: {', '.join(columns.COLUMNS[3:])}"
            )
    shared = Counter(columns.text_of(row, "path") for row in rows)
    utterances = [columns.utterance(row, path.parent, label, shared) for row in rows]
    is_there = [folder_search.is_file(utterance.path) for utterance in utterances]
    missing = [row for row, found in zip(rows, is_there, strict=True) if not found]
    if missing and not to_check:
        more = f" {len(missing)} of {len(rows)} rows have none; list them with: emocatcher check {path} --all."
        named = columns.needed_path(missing[0])
        raise ManifestError(
            f"{missing[0].place}: no such recording: '{named}'.{more if len(missing) > 1 else ''} "
            f"Relative paths start at the table's folder, {path.parent.resolve()}.{folder_search.other_computer(named)}"
        )
    labelled = [(row, one) for row, one in zip(rows, utterances, strict=True) if one.emotion or one.votes]
    if not labelled and not to_check:
        quoted = shlex.quote(str(path))
        raise ManifestError(
            f"{path}: all labels are empty ({len(rows)} rows). Adapt a model to recordings without labels: emocatcher "
            f"adapt {quoted} --unlabelled --to MODEL; or label them: emocatcher label {quoted} --out labelled.csv"
        )
    for column in ("speaker", "split"):
        filled = [getattr(one, column) is not None for _, one in labelled]
        if any(filled) and not all(filled):
            place = labelled[filled.index(False)][0].place
            raise ManifestError(
                f"{place}: no {column}, but {sum(filled)} of {len(labelled)} rows have one. Give a {column} in all "
                "rows or in none."
            )
    first: dict[str, Row] = {}
    for row, utterance in zip(rows, utterances, strict=True):
        if utterance.id in first:
            raise ManifestError(
                f"{row.place}: the id '{utterance.id}' is already used in {first[utterance.id].place}. "
                "Remove one of the two rows, or give each its own id."
            )
        first[utterance.id] = row
    used = {"path", label, *columns.COLUMNS[3:], *columns.OF_LABELLING, *filter(dimension_columns.is_one, names)}
    unused = [column for column in names if column not in used]
    shown = ", ".join(unused[:8]) + (" …" if len(unused) > 8 else "")
    notes = [f"{len(unused)} column{'s are' if len(unused) > 1 else ' is'} not used: {shown}"] if unused else []
    utterances, dimensions, more_notes = dimension_columns.rate(path, rows, names, utterances)
    return given_labels.corpus(path.stem, utterances, [*notes, *more_notes], dimensions)


def read_paths(path: Path) -> list[str]:
    """Read only the column `path` of such a table (see `read_recordings`)."""
    return [name for name, _ in read_recordings(path)]


def read_recordings(path: Path, column: str = "path", id_column: str | None = None) -> list[tuple[str, str | None]]:
    """Read only the recordings of a table and their ids, for recordings without labels; they need not exist.

    Args:
        path: as for `read`.
        column: the one with the recordings; of CSV in any case of letters.
        id_column: the one with the ids; None for none.

    Raises:
        ManifestError: if the table cannot be used, a path is empty, or the table has segments (`start_s`, `end_s`).
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    found: list[tuple[str, str | None]] = []
    if path.suffix.lower() in (".csv", ".tsv"):
        column, id_column = column.lower(), id_column and id_column.lower()
    for row in table_rows.read(path, (column, id_column, "start_s", "end_s").__contains__):
        for wanted, what in ((column, "names the recordings"), (id_column, "has their ids")):
            if wanted is not None and wanted not in row.cells:
                raise ManifestError(
                    f"{path} has no column '{wanted}', which {what}. Its columns: {', '.join(row.cells)}"
                )
        if columns.text_of(row, "start_s") or columns.text_of(row, "end_s"):
            raise ManifestError(
                f"{row.place}: start_s and end_s name a part of a recording, and only whole recordings are recognised "
                "here. Cut it into files, remove the columns, or use `emocatcher timeline`"
            )
        found.append((columns.needed_path(row, column), None if id_column is None else columns.text_of(row, id_column)))
    return found


def _is_read(column: str) -> bool:
    return column in columns.COLUMNS or dimension_columns.is_one(column)
