"""Write and read tables of embeddings: Parquet, NumPy's `.npz`, and CSV with a column for each value."""

from __future__ import annotations

import io
import itertools
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from emocatcher.foundation import atomic_files, csv_cells
from emocatcher.foundation.errors import OutputError, SettingError, one_line, suggest
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.recognition.embedding_tables.journal import Row

Rows = Iterable[tuple[Row, NDArray[np.float32] | None]]
FORMATS = ("parquet", "npz", "csv")
_GROUP = 1000  # rows in memory: 9 MB of the default model
_NAMES = Row.__struct_fields__
_VECTORS = "embeddings"


def format_of(kind: str | None, out: Path) -> str:
    """Return the format of a table by its option or its suffix; Parquet needs pyarrow, which is looked for.

    Raises:
        SettingError: if it is none of `FORMATS`.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """
    found = kind or out.suffix.removeprefix(".").lower()
    if found not in FORMATS:
        if kind is None:
            raise SettingError(f"'{one_line(out)}' names no format. End it in .parquet, .npz or .csv, or give --format")
        raise SettingError(suggest(found, FORMATS, "format"))
    if found == "parquet":
        import_pyarrow()
    return found


def write(path: Path, kind: str, rows: Callable[[], Rows], n_values: int) -> None:
    """Write a table whole, or leave the file as it was.

    Args:
        path: the file.
        kind: one of `FORMATS`.
        rows: called for each pass over the rows.
        n_values: of a vector.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_files.replacing(path) as file:
        {"parquet": _write_parquet, "npz": _write_npz, "csv": _write_csv}[kind](file, rows, n_values)


def read(path: Path, kind: str) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
    """Yield the rows of a finished table.

    Raises:
        OutputError: if it is not such a table.
    """
    try:
        yield from {"parquet": _read_parquet, "npz": _read_npz, "csv": _read_csv}[kind](path)
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, msgspec.ValidationError) as error:
        what = one_line(str(error).partition("\n")[0])
        raise OutputError(f"{path} is not a table of embeddings ({what}). Give --overwrite, or another file") from None


def _write_parquet(file: BinaryIO, rows: Callable[[], Rows], n_values: int) -> None:
    pa, parquet = import_pyarrow()
    kinds = {"channel": pa.int64(), "duration_s": pa.float64()}
    fields = [(name, kinds.get(name, pa.string())) for name in _NAMES]
    schema = pa.schema([*fields, ("embedding", pa.list_(pa.float32(), n_values))])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        remaining = iter(rows())
        while group := list(itertools.islice(remaining, _GROUP)):
            columns: list[Any] = [
                pa.array([getattr(row, name) for row, _ in group], schema.field(name).type) for name in _NAMES
            ]
            values = np.concatenate([np.zeros(n_values, np.float32) if one is None else one for _, one in group])
            missing = pa.array([one is None for _, one in group])
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(values), n_values, mask=missing))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _read_parquet(path: Path) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
    _, parquet = import_pyarrow()
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_GROUP):
            for cells in batch.to_pylist():
                vector = cells.pop("embedding")
                yield msgspec.convert(cells, Row), None if vector is None else np.array(vector, np.float32)


def _write_npz(file: BinaryIO, rows: Callable[[], Rows], n_values: int) -> None:
    """Write arrays of one row each, without pickle; a missing vector is NaN, a missing text "", no channel 0."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open(f"{_VECTORS}.npy", "w", force_zip64=True) as member:
            head = {"descr": "<f4", "fortran_order": False, "shape": (sum(1 for _ in rows()), n_values)}
            npy.write_array_header_1_0(member, head)
            for _, vector in rows():
                values = np.full(n_values, np.nan, "<f4") if vector is None else vector.astype("<f4")
                member.write(values.tobytes())
        for name in _NAMES:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, _column(name, rows()), allow_pickle=False)


def _column(name: str, rows: Rows) -> NDArray[Any]:
    values = [getattr(row, name) for row, _ in rows]
    if name == "channel":
        return np.array([value or 0 for value in values], np.int64)
    if name == "duration_s":
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return np.array([value or "" for value in values], np.str_)


def _read_npz(path: Path) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
    with np.load(path, allow_pickle=False) as arrays:
        columns, vectors = {name: arrays[name].tolist() for name in _NAMES}, arrays[_VECTORS]
        for n, vector in enumerate(vectors):
            cells = {name: column[n] for name, column in columns.items()}
            failed = bool(cells["error"])
            for name in ("error", "message", "channel"):
                cells[name] = cells[name] or None
            cells["duration_s"] = None if failed else cells["duration_s"]
            yield msgspec.convert(cells, Row), None if failed else np.asarray(vector, np.float32)


def _write_csv(file: BinaryIO, rows: Callable[[], Rows], n_values: int) -> None:
    header = [*_NAMES, *(f"e{n}" for n in range(n_values))]
    file.write(csv_cells.write_rows([header]).encode())
    for row, vector in rows():
        cells = ["" if (value := getattr(row, name)) is None else value for name in _NAMES]
        values = [""] * n_values if vector is None else list(vector)  # each as the shortest text of its number
        file.write(csv_cells.write_rows([[*cells, *values]]).encode("utf-8", "surrogateescape"))


def _read_csv(path: Path) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
    with io.TextIOWrapper(path.open("rb"), encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv_cells.read_rows(file)
        header = next(lines, [])
        if tuple(header[: len(_NAMES)]) != _NAMES:
            raise ValueError(f"its first line is {','.join(header)[:60]!r}")
        for line in lines:
            cells: dict[str, Any] = {name: value or None for name, value in zip(_NAMES, line, strict=False)}
            cells |= {"path": line[0], "channel": cells["channel"] and int(cells["channel"])}
            cells["duration_s"] = cells["duration_s"] and float(cells["duration_s"])
            values = line[len(_NAMES) :]
            yield msgspec.convert(cells, Row), None if cells["error"] else np.array(values, np.float32)
