"""Collect the results of tasks, and write them as shards of about a thousand rows, or of what a few minutes gave."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emocatcher.distributed.result_folder import Facts
from emocatcher.distributed.row_ranges import Rows
from emocatcher.distributed.row_work import Tables
from emocatcher.foundation.parquet import import_pyarrow

SHARD = 1024  # rows
_MOST_BYTES = 256 << 20  # of results that are not written yet
_WAIT_S, _MOST_WAIT_S = 60.0, 600.0  # how long a result waits for its neighbours
_WAIT_TASKS = 4  # the same in tasks, within these


class ShardWriter:
    """Collects tables by their rows and writes those that are due; what is not written is lost with this process.

    Shards never reach beyond a multiple of `SHARD` rows, so that a resumed job makes few small ones.

    Args:
        write: writes the tables of some rows.
    """

    def __init__(self, write: Callable[[Rows, Tables], Facts]) -> None:
        self._write = write
        self._waiting: dict[int, list[tuple[Rows, Tables, float]]] = {}  # by shard, with the time of arrival
        self._n_bytes = 0
        self._started = time.monotonic()
        self._n_tasks = 0

    def add(self, rows: Rows, tables: Tables) -> list[Facts]:
        """Add the results of a task, which are within one multiple of `SHARD`; return what was written of its shard."""
        number = rows.first // SHARD
        group = self._waiting.setdefault(number, [])
        group.append((rows, tables, time.monotonic()))
        self._n_tasks += 1
        self._n_bytes += sum(table.nbytes for table in tables.values())
        if sum(len(one[0]) for one in group) == SHARD:
            return self._flush(number)
        return self.flush() if self._n_bytes > _MOST_BYTES else []

    def flush_old(self, n_at_once: int) -> list[Facts]:
        """Write the shards in which a result has waited for long.

        Args:
            n_at_once: how many tasks run at a time.
        """
        now = time.monotonic()
        task_s = (now - self._started) / max(1, self._n_tasks) * n_at_once
        wait_s = min(max(_WAIT_S, _WAIT_TASKS * task_s), _MOST_WAIT_S)
        # Early results wait for less, so that a process that soon dies leaves some; the first shows that it works.
        oldest = now - min(wait_s, (now - self._started) / 2) if self._n_tasks > 1 else now
        due = [number for number, group in self._waiting.items() if min(at for *_, at in group) <= oldest]
        return [facts for number in due for facts in self._flush(number)]

    def flush(self) -> list[Facts]:
        """Write everything."""
        return [facts for number in sorted(self._waiting) for facts in self._flush(number)]

    def _flush(self, number: int) -> list[Facts]:
        """Write the results of one shard: one file for each run of neighbouring rows."""
        group = sorted(self._waiting.pop(number), key=lambda one: one[0])
        runs: list[list[tuple[Rows, Tables]]] = []
        for rows, tables, _ in group:
            if runs and runs[-1][-1][0].end == rows.first:
                runs[-1].append((rows, tables))
            else:
                runs.append([(rows, tables)])
        found = []
        for run in runs:
            found.append(self._write(Rows(run[0][0].first, run[-1][0].end), _joined([tables for _, tables in run])))
            self._n_bytes -= sum(table.nbytes for _, tables in run for table in tables.values())
        return found


def _joined(parts: list[Tables]) -> dict[str, Any]:
    pa, _ = import_pyarrow()
    return {place: pa.concat_tables([part[place] for part in parts]) for place in parts[0]}
