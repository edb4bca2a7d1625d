"""Read the user's own recordings: from a table, or from a folder with one sub-folder per emotion."""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from emocatcher.audio import folder_search
from emocatcher.corpora import parquet_table
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import ManifestError, suggest
from emocatcher.foundation.labels import EMOTIONS

FORMATS = (".csv", ".jsonl", ".parquet")
SPLITS = ("train", "valid", "test")
_COLUMNS = ("path", "label", "emotion", "speaker", "start_s", "end_s", "split", "id")


class _Row(NamedTuple):
    place: str  # the file and the row, for error messages
    cells: dict[str, Any]


def read(path: Path, *, missing_ok: bool = False) -> Corpus:
    """Read a table with one recording, or one segment of a recording, per row.

    The columns are `path` (relative paths start at the table's folder), `label` (or `emotion`) and optionally
    `speaker`, `start_s`, `end_s` (seconds), `split` (train, valid or test) and `id`; others are ignored. Either all
    rows have a speaker or none; the same holds for the split. The default `id` is the path, with "#start-end" appended
    if several rows share a file.

    Args:
        path: CSV (with a header; commas, semicolons or tabs), JSONL or Parquet. Errors number the rows like an
            editor's lines; Parquet rows start at 1.
        missing_ok: accept rows whose recording does not exist.

    Returns:
        the corpus, in the table's order, named like the file; the labels are the known emotions that occur, in
        their canonical order, followed by the others, sorted.

    Raises:
        ManifestError: if the table or a row cannot be used; the message names the file and the row.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    rows = list(_rows(path))
    if not rows:
        raise ManifestError(f"{path} has no rows. Give one row per recording, with the columns path and label.")
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    label = "emotion" if "emotion" in columns and "label" not in columns else "label"
    for needed in ("path", label):
        if needed not in columns:
            raise ManifestError(
                f"{path} has no column '{needed}'. Its columns: {', '.join(columns)}. "
                f"Needed: path, label; optional: {', '.join(_COLUMNS[3:])}"
            )
    shared = Counter(_text(row, "path") for row in rows)
    utterances = [_utterance(row, path.parent, label, shared) for row in rows]
    missing = [row for row, utterance in zip(rows, utterances, strict=True) if not utterance.path.is_file()]
    if missing and not missing_ok:
        more = f" {len(missing)} of {len(rows)} rows have none; list them with: emocatcher check {path} --all."
        raise ManifestError(
            f"{missing[0].place}: no such recording: '{_text(missing[0], 'path')}'.{more if len(missing) > 1 else ''} "
            f"Relative paths start at the table's folder, {path.parent}"
        )
    for column in ("speaker", "split"):
        filled = [getattr(utterance, column) is not None for utterance in utterances]
        if any(filled) and not all(filled):
            place = rows[filled.index(False)].place
            raise ManifestError(
                f"{place}: no {column}, but {sum(filled)} of {len(rows)} rows have one. Give a {column} in all rows or "
                "in none."
            )
    first: dict[str, _Row] = {}
    for row, utterance in zip(rows, utterances, strict=True):
        if utterance.id in first:
            raise ManifestError(
                f"{row.place}: the id '{utterance.id}' is already used in {first[utterance.id].place}. "
                "Remove one of the two rows, or give each its own id."
            )
        first[utterance.id] = row
    unused = [column for column in columns if column not in {"path", label, *_COLUMNS[3:]}]
    names = ", ".join(unused[:8]) + (" …" if len(unused) > 8 else "")
    notes = [f"{len(unused)} column{'s are' if len(unused) > 1 else ' is'} not used: {names}"] if unused else []
    return _corpus(path.stem, utterances, notes)


def read_paths(path: Path) -> list[str]:
    """Read only the column `path` of such a table, for recordings without labels; they need not exist.

    Raises:
        ManifestError: if the table cannot be used, a path is empty, or the table has segments (`start_s`, `end_s`).
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """
    paths = []
    for row in _rows(path):
        if "path" not in row.cells:
            raise ManifestError(
                f"{path} has no column 'path', which names the recordings. Its columns: {', '.join(row.cells)}"
            )
        if _text(row, "start_s") or _text(row, "end_s"):
            raise ManifestError(
                f"{row.place}: start_s and end_s name a part of a recording, and only whole recordings are recognised "
                "here. Cut it into files, remove the columns, or use `emocatcher timeline`"
            )
        paths.append(_needed_path(row))
    return paths


def read_folder(root: Path) -> Corpus:
    """Read a folder with one sub-folder per emotion, each with recordings at any depth.

    Returns:
        the corpus, sorted by path, named like the folder, without speakers. Its notes count the files that are left
        out, and name sub-folders without recordings.

    Raises:
        ManifestError: if there are no such recordings, or some lie outside the sub-folders.
    """
    found = folder_search.search(root)
    paths = [(path, path.relative_to(root)) for path in sorted(map(Path, found.recordings))]
    loose = [str(path) for path, relative in paths if len(relative.parts) == 1]
    if loose:
        more = f" and {len(loose) - 1} more are" if len(loose) > 1 else " is"
        raise ManifestError(
            f"{loose[0]}{more} not in an emotion's folder. Put each recording into a sub-folder named after its "
            "emotion, or give a table with the columns path and label."
        )
    if not paths:
        raise ManifestError(
            f"{root} contains no recordings. Give one sub-folder per emotion, with files such as .wav, .mp3 or .m4a."
        )
    utterances = [Utterance(id=relative.as_posix(), path=path, emotion=relative.parts[0]) for path, relative in paths]
    return _corpus(root.resolve().name, utterances, [*folder_search.notes(found), *_notes_on_folders(root, utterances)])


def _notes_on_folders(root: Path, utterances: Sequence[Utterance]) -> Iterator[str]:
    used = {utterance.emotion for utterance in utterances}
    empty = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if empty := [name for name in empty if name not in used]:
        yield f"{len(empty)} sub-folder{'s have' if len(empty) > 1 else ' has'} no recordings: {', '.join(empty[:5])}"
    if deeper := [utterance for utterance in utterances if utterance.id.count("/") > 1]:
        what = "recording lies in a folder" if len(deeper) == 1 else "recordings lie in folders"
        yield (
            f"{len(deeper)} {what} inside the sub-folders. The first folder is the label: {deeper[0].id} is "
            f"'{deeper[0].emotion}'"
        )


def _corpus(name: str, utterances: Sequence[Utterance], notes: Sequence[str]) -> Corpus:
    present = {utterance.emotion for utterance in utterances}
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(present):
        spellings[label.casefold().strip()].append(label)
    alike = [
        f"labels that differ only in case are kept apart: {', '.join(s)}" for s in spellings.values() if len(s) > 1
    ]
    labels = (*(e for e in EMOTIONS if e in present), *sorted(present.difference(EMOTIONS)))
    return Corpus(name=name, utterances=tuple(utterances), labels=labels, notes=(*notes, *alike))


def _rows(path: Path) -> Iterator[_Row]:
    if not path.is_file():
        raise ManifestError(f"{path}: no such file. Give a table as {', '.join(FORMATS)}")
    match path.suffix.lower():
        case ".csv":
            return _csv_rows(path)
        case ".jsonl":
            return _jsonl_rows(path)
        case ".parquet":
            return _parquet_rows(path)
    raise ManifestError(f"{path} is not a table that can be read. Allowed: {', '.join(FORMATS)}")


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as Excel's "Unicode text"
        raise ManifestError(f"{path} is UTF-16 text. Save the table again with the encoding UTF-8.")
    try:
        return content.decode("utf-8-sig")  # Excel writes UTF-8 with a byte order mark
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise ManifestError(f"{path}, row {row}: not UTF-8. Save the table again with the encoding UTF-8.") from None


def _csv_rows(path: Path) -> Iterator[_Row]:
    text = _read_text(path)
    header_line = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header_line.count), strict=True)
    try:
        header = [column.strip().lower() for column in next(lines, [])]
        if twice := [column for column, n in Counter(filter(None, header)).items() if n > 1]:
            raise ManifestError(f"{path} has the column '{twice[0]}' twice. Rename or remove one of them.")
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            place = f"{path}, row {lines.line_num}"
            if len(cells) > len(header):
                raise ManifestError(
                    f"{place}: {len(cells)} cells for {len(header)} columns ({', '.join(header)}). "
                    "Put cells that contain the separator in double quotes."
                )
            # Some programs omit empty cells at the end of a row.
            whole = [*map(csv_cells.unmarked, cells), *[""] * (len(header) - len(cells))]
            yield _Row(place, dict(zip(header, whole, strict=True)))
    except csv.Error as error:
        raise ManifestError(f"{path}, row {lines.line_num}: not CSV: {error}. Correct the row.") from None


def _jsonl_rows(path: Path) -> Iterator[_Row]:
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, row {number}"
            try:
                yield _Row(place, msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.DecodeError, RecursionError) as error:
                raise ManifestError(f"{place}: not a JSON object: {error}. Give one object per line.") from None


def _parquet_rows(path: Path) -> Iterator[_Row]:
    for number, cells in enumerate(parquet_table.rows(path, _COLUMNS), start=1):
        yield _Row(f"{path}, row {number}", cells)


def _utterance(row: _Row, folder: Path, label: str, shared: Counter[str | None]) -> Utterance:
    path = _needed_path(row)
    emotion = _text(row, label)
    if emotion is None:
        raise ManifestError(f"{row.place}: the {label} is empty. Give the {label} of every recording.")
    start_s, end_s = _seconds(row, "start_s"), _seconds(row, "end_s")
    if end_s is not None and (start_s or 0.0) >= end_s:
        raise ManifestError(
            f"{row.place}: start_s {start_s or 0.0:g} is not before end_s {end_s:g}. Give start_s < end_s, in seconds."
        )
    split = _text(row, "split")
    if split is not None and split not in SPLITS:
        raise ManifestError(f"{row.place}: {suggest(split, SPLITS, 'split')}")
    segment = f"#{start_s or 0.0:g}-{'end' if end_s is None else format(end_s, 'g')}" if shared[path] > 1 else ""
    return Utterance(
        id=_text(row, "id") or f"{path}{segment}",
        path=folder / folder_search.expand_home(path),
        emotion=emotion,
        speaker=_text(row, "speaker"),
        start_s=start_s,
        end_s=end_s,
        split=split,
    )


def _needed_path(row: _Row) -> str:
    path = _text(row, "path")
    if path is None:
        raise ManifestError(f"{row.place}: the path is empty. Give the recording's path, from the table's folder.")
    return path


def _text(row: _Row, column: str) -> str | None:
    """Return a cell as text; None if it is empty or missing, or the NaN that pandas writes for both."""
    value = row.cells.get(column)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, (str, int, float)):
        raise ManifestError(f"{row.place}: {column} is {value!r}. Give text or a number.")
    return str(value).strip() or None


def _seconds(row: _Row, column: str) -> float | None:
    text = _text(row, column)
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise ManifestError(
            f"{row.place}: {column} is '{text}'. Give seconds as a number of 0 or more, with a decimal point."
        )
    return value
