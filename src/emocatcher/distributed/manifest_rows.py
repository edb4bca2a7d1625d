"""Read a manifest, the table with a recording in each row, a few rows at a time, so that memory stays small."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from emocatcher.distributed.manifest_tables import Table, open_tables
from emocatcher.distributed.row_ranges import Rows
from emocatcher.foundation import uris
from emocatcher.foundation.errors import ManifestError, one_line, suggest
from emocatcher.foundation.parquet import import_pyarrow

_SHOWN = 3  # ids in a message


class Seen(NamedTuple):
    """What reading all ids of a manifest gave."""

    n_rows: int
    ids: str  # hash of all ids, in their order
    ids_before: str  # hash of the ids of the first rows, of which results exist


class Manifest:
    """The rows of one or several tables, one after another.

    Args:
        names: the tables: paths or URIs of Parquet, CSV, TSV or JSONL, or of folders of Parquet.
        column: the column with the recordings.
        id_column: the column with the rows' ids; None to tell rows apart by their number alone.
        limit: use only the first rows; None for all.

    Raises:
        ManifestError: if a table cannot be read, has not the columns, or has other columns than the first one.
        MissingExtraError: if pyarrow is not installed.
    """

    def __init__(self, names: Sequence[str], column: str, id_column: str | None, limit: int | None) -> None:
        import_pyarrow()
        self.column, self.id_column, self._limit = column, id_column, limit
        self._tables = [table for name in names for table in open_tables(name)]
        self.columns = list(self._tables[0].columns)
        for table in self._tables:
            for wanted in filter(None, (column, id_column)):
                if wanted not in table.columns:
                    raise ManifestError(f"{table.name}: {suggest(wanted, table.columns, 'column')}")
            if set(table.columns) != set(self.columns):
                other = sorted(set(table.columns) ^ set(self.columns))[0]
                raise ManifestError(
                    f"{table.name} and {self._tables[0].name} differ in the column '{other}'. Give tables with the "
                    "same columns"
                )

    def see(self, n_before: int = 0) -> Seen:
        """Read all ids, or all recordings where there are no ids: count them, and find those that occur twice.

        Args:
            n_before: how many rows have results already.

        Raises:
            ManifestError: if an id is missing or occurs twice, or the manifest has no rows.
        """
        digest, before, n, kept = hashlib.sha256(), "", 0, []
        for first, cells in self._cells():
            if self.id_column is not None:
                self._refuse_missing(first, cells)
                kept.append(np.fromiter(map(hash, cells), np.int64, len(cells)))
            for part in (cells[: max(0, n_before - n)], cells[max(0, n_before - n) :]):
                if part:
                    digest.update(("\0".join(map(str, part)) + "\0").encode(errors="surrogateescape"))
                n += len(part)
                if n == n_before and not before:
                    before = digest.hexdigest()
        if not n:
            raise ManifestError(f"{self._tables[0].name} has no rows. Give one row for each recording")
        self._refuse_doubled(kept)
        return Seen(n, digest.hexdigest(), before)

    def parts(self, wanted: Iterable[Rows]) -> Iterator[tuple[Rows, Any]]:
        """Yield an Arrow table for each range of rows; other rows are skipped.

        Relative names of recordings become full ones: they start at the folder of their table.

        Args:
            wanted: in order, without overlap, each within the manifest.

        Raises:
            ManifestError: if the rows cannot be read any more.
        """
        pa, _ = import_pyarrow()
        ranges = iter(wanted)
        waiting = deque(itertools.islice(ranges, 1))
        collected: list[Any] = []
        for first, batch in self._batches(lambda rows: bool(waiting) and rows.end > waiting[0].first):
            while waiting and waiting[0].first < first + batch.num_rows:
                start = max(waiting[0].first, first)
                end = min(waiting[0].end, first + batch.num_rows)
                collected.append(batch.slice(start - first, end - start))
                if end < waiting[0].end:
                    break
                yield waiting.pop(), pa.Table.from_batches(collected)
                collected = []
                waiting.extend(itertools.islice(ranges, 1))
            if not waiting:
                return
        if waiting:
            raise ManifestError(f"{self._tables[-1].name} has fewer rows than before. It was changed during the run")

    def _batches(self, is_wanted: Callable[[Rows], bool]) -> Iterator[tuple[int, Any]]:
        first, schema = 0, None
        for table in self._tables:
            # Before its first row is read, a text does not know how many rows it has.
            for at, batch in table.batches(self.columns, first, is_wanted):
                whole = _resolved(batch, self.column, table)
                schema = schema or whole.schema
                yield first + at, _cast(whole, schema, table.name)
            first += table.n_rows

    def _cells(self) -> Iterator[tuple[int, list[Any]]]:
        name, n = self.id_column or self.column, 0
        for table in self._tables:
            for _, batch in table.batches([name], 0, lambda _: True):
                cells = batch.column(0).to_pylist()
                if self._limit is not None:
                    cells = cells[: self._limit - n]
                yield n, cells
                n += len(cells)
                if n == self._limit:
                    return

    def _refuse_missing(self, first: int, cells: list[Any]) -> None:
        for at, cell in enumerate(cells):
            if cell is None or cell == "":
                raise ManifestError(f"{self._row(first + at)} has no {self.id_column}. Give every row an id of its own")

    def _refuse_doubled(self, kept: list[Any]) -> None:
        if not kept:
            return
        hashes = np.concatenate(kept)
        kept.clear()
        hashes.sort()
        doubled = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        if not doubled:
            return
        counts: Counter[Any] = Counter()
        rows: dict[Any, list[int]] = {}
        for first, cells in self._cells():
            for at, cell in enumerate(cells):
                if hash(cell) in doubled:
                    counts[cell] += 1
                    rows.setdefault(cell, []).append(first + at + 1)
        twice = [cell for cell, count in counts.items() if count > 1]  # hashes may agree by chance
        if twice:
            named = "; ".join(
                f"'{one_line(uris.redacted(str(cell)))}' in the rows {', '.join(f'{n:,}' for n in rows[cell][:_SHOWN])}"
                for cell in twice[:_SHOWN]
            )
            raise ManifestError(
                f"{self._tables[0].name}: {len(twice):,} of the ids in {self.id_column} occur several times: {named}. "
                "Give every row an id of its own, or leave out --id to tell rows apart by their number"
            )

    def _row(self, number: int) -> str:
        return f"{self._tables[0].name}, row {number + 1:,}"


def _resolved(batch: Any, column: str, table: Table) -> Any:
    """Return the rows with full names of recordings."""
    pa, _ = import_pyarrow()
    number = batch.schema.get_field_index(column)
    kind = batch.schema.field(number).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return batch
    names = [name and table.beside(name) for name in batch.column(number).to_pylist()]
    return batch.set_column(number, batch.schema.field(number), pa.array(names, kind))


def _cast(batch: Any, schema: Any, name: str) -> Any:
    """Return the rows with the types of the first table."""
    if batch.schema.equals(schema):
        return batch
    pa, _ = import_pyarrow()
    try:
        return pa.Table.from_batches([batch]).cast(schema).combine_chunks().to_batches()[0]
    except (pa.ArrowException, ValueError) as error:
        raise ManifestError(f"{name} has other types of columns than the first table: {error}") from None
