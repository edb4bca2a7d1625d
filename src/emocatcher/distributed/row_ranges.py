"""Ranges of a manifest's rows: which are done, which are left, and how they are cut into tasks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_NAME = re.compile(r"part-(\d{10,})-(\d{10,})\.parquet")


class Rows(NamedTuple):
    """Rows `first` to `end`, which is not among them; counted from 0."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


def shard_name(rows: Rows) -> str:
    """Return the name of the shard with the results of some rows: it has the first and the last row.

    Examples:
        >>> shard_name(Rows(0, 256))
        'part-0000000000-0000000255.parquet'
    """
    return f"part-{rows.first:010d}-{rows.end - 1:010d}.parquet"


def rows_of(name: str) -> Rows | None:
    """Return the rows of a shard by its name; None for any other file.

    Examples:
        >>> rows_of("part-0000000256-0000000511.parquet"), rows_of("_manifest.json")
        (Rows(first=256, end=512), None)
    """
    found = _NAME.fullmatch(name)
    return Rows(int(found[1]), int(found[2]) + 1) if found else None


def left(n_rows: int, done: Iterable[Rows]) -> list[Rows]:
    """Return the rows of 0 to `n_rows` that are not done, as few ranges.

    Examples:
        >>> left(10, [Rows(4, 6), Rows(0, 2)])
        [Rows(first=2, end=4), Rows(first=6, end=10)]
    """
    found, at = [], 0
    for rows in sorted(done):
        if rows.first > at:
            found.append(Rows(at, min(rows.first, n_rows)))
        at = max(at, rows.end)
    return [rows for rows in [*found, Rows(at, n_rows)] if rows.first < rows.end]


def overlap(done: Iterable[Rows]) -> tuple[Rows, Rows] | None:
    """Return two ranges that share a row, if there are such.

    Examples:
        >>> overlap([Rows(0, 4), Rows(4, 8)]), overlap([Rows(0, 4), Rows(3, 8)])
        (None, (Rows(first=0, end=4), Rows(first=3, end=8)))
    """
    ordered = sorted(done)
    return next(((a, b) for a, b in itertools.pairwise(ordered) if b.first < a.end), None)


def cut(ranges: Iterable[Rows], n: int) -> Iterator[Rows]:
    """Cut ranges into parts of at most `n` rows, each within a multiple of `n`.

    Examples:
        >>> list(cut([Rows(2, 5)], 4))
        [Rows(first=2, end=4), Rows(first=4, end=5)]
    """
    for rows in ranges:
        at = rows.first
        while at < rows.end:
            end = min(rows.end, (at // n + 1) * n)
            yield Rows(at, end)
            at = end
