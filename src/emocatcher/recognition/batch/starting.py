"""Decide how a batch starts: with a new table, with an unfinished one, or with new rows for a finished one.

First everything is read and checked (`inspect`), then the files are changed (`Start.begin`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from emocatcher.foundation import atomic_files, uris
from emocatcher.foundation.errors import OutputError, one_line
from emocatcher.models.model_folder import ModelConfig
from emocatcher.recognition.batch import finished_tables, retrying, rows, table_writing, unfinished_tables
from emocatcher.recognition.batch.rows import Outputs, Written
from emocatcher.recognition.prediction import SCHEMA_VERSION


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options that a resumed batch must have; stored next to the table while it is unfinished."""

    kind: str
    model: str
    onnx_sha256: str
    abstain_below: float | None
    ordered: bool
    channels: str = "mix"
    settled_on: int = 0  # recordings
    settled: tuple[float, ...] = ()  # what is subtracted from the answers
    schema_version: int = SCHEMA_VERSION
    n_finished: int = 0  # recordings of the finished table to which this batch adds; they may have any order


class Start:
    """What a table has before a batch, and what to change on disk at its start and at its end."""

    def __init__(
        self,
        out: Path,
        options: Options,
        outputs: Outputs,
        written: Sequence[Written],
        *,
        is_finished: bool = False,
        retry_failed: bool = False,
        overwrite: bool = False,
    ) -> None:
        self._out, self._options, self._outputs = out, options, outputs
        self._written, self._overwrite = written, overwrite
        self._retries = retry_failed and any(row.failed for row in written)
        self._was_finished = is_finished
        self._begun = False
        kept = [row for row in written if not (self._retries and row.failed)]
        self._kept = kept
        self.n, self.n_failed = len(kept), sum(row.failed for row in kept)
        self.is_complete = False  # the table is finished, and no input is without a row

    def remaining(self, inputs: Iterable[str]) -> Iterable[str]:
        """Return the inputs that have no row yet; all are read first if the table is finished or failures are retried.

        Raises:
            OutputError: now or when the inputs are consumed, if the table has a recording that is not among them, or
                an ordered table has another order.
        """
        n_finished = self._options.n_finished
        if self._was_finished or self._retries:
            inputs = list(inputs)
            missing = list(self._without(inputs, self._written, ordered=False))  # every row must have its input
            if self._retries:
                missing = list(self._without(inputs, self._kept, ordered=False))
            self.is_complete = self._was_finished and not missing
            return missing
        since = self._without(inputs, self._kept[:n_finished], ordered=False)
        return self._without(since, self._kept[n_finished:], ordered=self._options.ordered)

    def begin(self) -> None:
        """Change the files: remove what is overwritten or retried, and note the options.

        Raises:
            OSError: if a file cannot be changed.
        """
        if self._overwrite:
            table_writing.remove(self._out)
            note_path(self._out).unlink(missing_ok=True)
        if self._was_finished or self._retries or not note_path(self._out).exists():
            # With failures removed, the remaining rows have no fixed order; a kill in between does no harm.
            n_finished = len(self._written) if self._was_finished or self._retries else 0
            options = msgspec.structs.replace(self._options, n_finished=n_finished)
            atomic_files.write_bytes(note_path(self._out), msgspec.json.encode(options))
        self._begun = True
        if self._retries:
            retrying.remove_failures(self._out, self._options.kind, self._outputs)

    def end(self, *, is_whole: bool, n_new: int) -> None:
        """Remove the note of a whole table, and every trace of a batch that began and wrote no row.

        Raises:
            OSError: if a file cannot be removed.
        """
        if not self._begun:
            return
        adds_nothing = n_new == 0 and not self._retries
        if not is_whole and adds_nothing and not self._written:
            table_writing.remove(self._out)
        if not is_whole and adds_nothing and self._was_finished:
            unfinished_tables.journal_of(self._out).unlink(missing_ok=True)
        if is_whole or (adds_nothing and (self._was_finished or not self._written)):
            note_path(self._out).unlink()

    def _without(self, inputs: Iterable[str], written: Sequence[Written], *, ordered: bool) -> Iterator[str]:
        """Yield the inputs that are not among the rows."""
        missing, n_missing = Counter(row.path for row in written), len(written)
        for path in inputs:
            if missing[name := one_line(uris.redacted(path))] > 0:
                missing[name] -= 1
                n_missing -= 1
            elif ordered and n_missing:
                raise OutputError(
                    f"{self._out} has other inputs, or another order of inputs. Give the same, or --overwrite"
                )
            else:
                yield path
        if n_missing:
            unknown = next(itertools.compress(missing, missing.values()))
            raise OutputError(
                f"{self._out} has {unknown}, which is not among the inputs now. Give the same, or --overwrite"
            )


def inspect(
    out: Path, options: Options, config: ModelConfig, outputs: Outputs, *, resume: bool, retry_failed: bool,
    overwrite: bool,
) -> Start:  # fmt: skip
    """Check whether a batch may write this table, and read the rows that the table has. Nothing is changed.

    Raises:
        OutputError: if it is a folder or another batch's table, or exists and neither `resume` nor `overwrite` is set.
    """
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give a file to --out")
    is_begun = note_path(out).exists()
    if overwrite and not resume:
        return Start(out, options, outputs, (), overwrite=True)
    if resume and is_begun:
        options = _checked(out, options)
        written = rows.recordings(unfinished_tables.read(out, options.kind, outputs), options.channels)
        return Start(out, options, outputs, written, retry_failed=retry_failed)
    if resume and out.exists():
        found = finished_tables.read(
            out, options.kind, config, outputs, options.abstain_below, options.settled_on, options.channels
        )
        written = rows.recordings(found, options.channels)
        return Start(out, options, outputs, written, is_finished=True, retry_failed=retry_failed)
    if out.exists() or is_begun:
        state = "is unfinished: give --resume to continue, or" if is_begun else "exists: give"
        raise OutputError(f"{out} {state} --overwrite to replace it")
    return Start(out, options, outputs, ())


def note_path(out: Path) -> Path:
    """Return the path of the file that marks a table as unfinished."""
    return out.with_name(f".{out.name}.begun")


def _checked(out: Path, options: Options) -> Options:
    """Return the options of the unfinished table; refuse to resume it with others."""
    try:
        before = msgspec.json.decode(note_path(out).read_bytes(), type=Options)
    except msgspec.DecodeError as error:
        raise OutputError(f"{note_path(out)} cannot be read ({error}). Give --overwrite to start again") from None
    for name in (name for name in Options.__struct_fields__ if name != "n_finished"):
        was, is_now = getattr(before, name), getattr(options, name)
        if was != is_now:
            raise OutputError(
                f"{out} was started with {name} = {was}, and this is {is_now}. Give the same, or --overwrite"
            )
    return before
