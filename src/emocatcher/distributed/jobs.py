"""Recognise all recordings of a manifest on Ray, into a folder of shards; a job can be resumed after any death."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import emocatcher
from emocatcher.distributed import added_columns, cluster, ray_tasks, row_ranges
from emocatcher.distributed.manifest_rows import Manifest, Seen
from emocatcher.distributed.result_folder import NOTE, Facts, ResultFolder
from emocatcher.distributed.row_work import Tables
from emocatcher.distributed.shard_writing import SHARD, ShardWriter
from emocatcher.foundation.errors import ManifestError, OutputError, RunError

_MOST_AT_ONCE = 32  # rows of a task, by default
_TASKS_PER_CPU = 4  # at least, by default, so that all CPUs end at about the same time


class Note(msgspec.Struct, kw_only=True):
    """`_manifest.json`: what the results in a folder are, and how far they are."""

    state: str  # "started", "interrupted", "incomplete" or "finished"
    command: str  # "predict" or "timeline"
    manifest: list[str]  # paths or URIs, without anything secret
    column: str
    id_column: str | None
    model: str
    model_version: str
    model_hash: str
    settings: dict[str, Any]
    n_rows: int
    ids: str  # hash of the ids of all rows, or of their recordings
    n_done: int = 0
    n_failed: int = 0  # of these, those that have an error instead of an answer
    errors: dict[str, int] = {}  # by `error_kind`
    seconds: float = 0.0  # of all runs that ended
    n_runs: int = 1
    started: str = ""  # time of the last run, UTC
    emocatcher: str = emocatcher.__version__
    ray: str = ""


class Progress(msgspec.Struct):
    """How far a job is."""

    n_rows: int
    n_done: int = 0
    n_failed: int = 0
    n_before: int = 0  # rows of earlier runs
    seconds: float = 0.0  # since the first task was sent


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with the rows."""

    command: str
    function: Callable[[Any], Tables]  # called in the workers
    main: str = ""  # the sub-folder of the shards that stand for all
    suffix: str = ""  # of a file for each recording
    adds: list[str] = []  # columns that the table must not have
    needs: list[Path] = []  # that every machine must have at the same place
    model: str
    model_version: str
    model_hash: str
    settings: dict[str, Any] = {}  # a resumed job must have the same


def prepare(folder: ResultFolder, *, resume: bool, overwrite: bool) -> None:
    """Check that a job may write into a folder, before anything is listed or read.

    Args:
        folder: of the results.
        resume: whether to add to what it has.
        overwrite: whether to remove what it has.

    Raises:
        OutputError: if it has results and neither is set, or they cannot be removed.
    """
    before, has_shards = _before(folder), bool(folder.done())
    if before is None and not has_shards:
        return
    if overwrite:
        folder.clear()
    elif not resume:
        what = "results" if before is None or before.state == "finished" else "results of an unfinished job"
        raise OutputError(f"{folder.name} has {what}. Give --resume to add what is missing, or another folder to --out")
    elif before is None:
        raise OutputError(f"{folder.name} has shards, but no {NOTE} that says of what. Give another folder to --out")


def _before(folder: ResultFolder) -> Note | None:
    content = folder.read(NOTE)
    try:
        return None if content is None else msgspec.json.decode(content, type=Note)
    except msgspec.MsgspecError as error:
        raise OutputError(f"{folder.name}/{NOTE} cannot be read ({error}). Give another folder to --out") from None


class Job:
    """A manifest, what to do with its rows, and the folder of the results.

    Args:
        manifest: the rows.
        names: of the manifest's tables, as they may be shown.
        work: what to do.
        folder: where the results go; if it has some (see `prepare`), what is missing is added, also for rows that
            have come at the manifest's end.

    Raises:
        ManifestError: if an id occurs twice, or the manifest has a column of the name of one that is added.
        OutputError: if the folder has results of another job.
    """

    def __init__(self, manifest: Manifest, names: Sequence[str], work: Work, folder: ResultFolder) -> None:
        self._manifest, self._work, self._folder = manifest, work, folder
        if clash := sorted({*manifest.columns} & {*work.adds} - {added_columns.PATH}):
            raise ManifestError(
                f"The manifest has columns of the result: {', '.join(clash)}. Rename them, or leave them out: "
                "--id names the column that joins the tables again"
            )
        before, done = _before(folder), folder.done()
        seen = manifest.see(0 if before is None else before.n_rows)
        self.note = Note(
            state="started", command=work.command, manifest=list(names), column=manifest.column,
            id_column=manifest.id_column, model=work.model, model_version=work.model_version,
            model_hash=work.model_hash, settings=work.settings, n_rows=seen.n_rows, ids=seen.ids,
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        if before is not None:
            self._check(before, seen)
            self.note.seconds, self.note.n_runs = before.seconds, before.n_runs + 1
        if shared := row_ranges.overlap(done):
            a, b = map(row_ranges.shard_name, shared)
            raise OutputError(
                f"{folder.name}: {a} and {b} have rows in common. Remove one of them, then rerun with --resume"
            )
        self._errors: Counter[str] = Counter()
        self._left = row_ranges.left(seen.n_rows, done)
        self.is_complete = not self._left
        if self.is_complete and before is not None and before.state == "finished" and before.n_rows == seen.n_rows:
            self.note = before
            return
        for facts in folder.facts(done):
            self._count(facts)

    def run(
        self,
        address: str,
        num_cpus: int | None = None,
        batch: int | None = None,
        on_progress: Callable[[Progress], object] = lambda _: None,
    ) -> Note:
        """Recognise the rows that are left, and return what the folder has then.

        Args:
            address: as for `cluster.connected`.
            num_cpus: how many CPUs to use; None for all.
            batch: rows of a task; None to choose by their number.
            on_progress: called at least once a second.

        Raises:
            ClusterError: if the cluster cannot be used.
            OutputError: if a result cannot be written.
            RunError: if the workers died again and again.
        """
        if self.is_complete:
            if self.note.state != "finished":  # the last run died after its last shard
                self._write_note("finished")
            return self.note
        with cluster.connected(address, num_cpus=num_cpus):
            import ray

            cluster.check_paths(self._work.needs, "the model")
            self.note.ray = ray.__version__
            self._write_note("started")
            started, state = time.monotonic(), "interrupted"
            before_s = self.note.seconds
            try:
                n_lost = self._recognise(num_cpus if address else None, batch, on_progress)
                state = "incomplete" if n_lost else "finished"
            finally:
                self.note.seconds = round(before_s + time.monotonic() - started, 1)
                try:
                    self._write_note(state)
                except OutputError:
                    if state == "finished":
                        raise
        if n_lost:
            raise RunError(
                f"{n_lost:,} of {self.note.n_rows:,} rows have no result, because every worker that had them died. "
                "Look for what kills workers, such as too little memory, then rerun with --resume"
            )
        return self.note

    def _recognise(self, num_cpus: int | None, batch: int | None, on_progress: Callable[[Progress], object]) -> int:
        """Recognise what is left; return how many rows have no result even so."""
        import ray

        n_left = sum(map(len, self._left))
        cpus = num_cpus or max(1, int(ray.cluster_resources().get("CPU", 1)))
        n_at_once = batch or min(_MOST_AT_ONCE, max(1, n_left // (cpus * _TASKS_PER_CPU)))
        parts = self._manifest.parts(row_ranges.cut(row_ranges.cut(self._left, SHARD), n_at_once))
        writer = ShardWriter(lambda rows, tables: self._folder.write(rows, tables, self._manifest.id_column))
        n_before = self.note.n_done
        progress = Progress(self.note.n_rows, n_before, self.note.n_failed, n_before)
        started, n_lost = time.monotonic(), 0
        on_progress(progress)
        try:
            for result in ray_tasks.results(self._work.function, parts, num_cpus):
                if result is not None and result.tables is None:
                    n_lost += len(result.rows)
                elif result is not None and result.tables is not None:
                    main = result.tables[self._work.main]
                    self._check_model(main)
                    progress.n_done += len(result.rows)
                    progress.n_failed += main.num_rows - main.column("error_kind").null_count
                    self._written(writer.add(result.rows, result.tables))
                self._written(writer.flush_old(cpus))
                progress.seconds = time.monotonic() - started
                on_progress(progress)
        finally:
            self._written(writer.flush())
        return n_lost

    def _check_model(self, table: Any) -> None:
        found = table.column("model_hash")[0].as_py()
        if found != self._work.model_hash:
            raise RunError(
                f"A worker has another model of the name {self._work.model}: its hash begins with {found[:8]}, not "
                f"{self._work.model_hash[:8]}. Copy the same model to every machine"
            )

    def _written(self, found: Sequence[Facts]) -> None:
        for facts in found:
            self._count(facts)

    def _count(self, facts: Facts) -> None:
        self._errors.update(facts.errors)
        self.note.n_done += facts.rows
        self.note.n_failed += facts.failed
        self.note.errors = dict(sorted(self._errors.items()))

    def _write_note(self, state: str) -> None:
        self.note.state = state
        self._folder.put(NOTE, msgspec.json.format(msgspec.json.encode(self.note), indent=2) + b"\n")

    def _check(self, before: Note, seen: Seen) -> None:
        """Refuse results of another job."""
        name = self._folder.name
        for what in ("command", "column", "id_column", "model", "model_hash", "settings"):
            was, is_now = getattr(before, what), getattr(self.note, what)
            if was != is_now:
                raise OutputError(
                    f"{name} was started with {what} = {was}, and this is {is_now}. Give the same, or another --out"
                )
        if seen.n_rows < before.n_rows:
            raise OutputError(
                f"{name} was started with {before.n_rows:,} rows, and the manifest has {seen.n_rows:,} now. Give the "
                "same manifest, and no lower --limit"
            )
        if seen.ids_before != before.ids:
            raise OutputError(
                f"{name} was started with other rows, or another order of rows. Give the same manifest, to whose end "
                "rows may be added, or another --out"
            )
