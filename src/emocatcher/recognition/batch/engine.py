"""Run a batch: write one row per input, and resume where it stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from emocatcher.audio.channels import Channels
from emocatcher.foundation import uris
from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.recognition.batch import remote_tables, rows, starting, table_writing
from emocatcher.recognition.batch.rows import Ids, Outcome, Outputs
from emocatcher.recognition.batch.starting import Options, Start
from emocatcher.recognition.batch.table_writing import Table
from emocatcher.recognition.prediction import Failure
from emocatcher.recognition.recognizer import Recognizer


class Done(msgspec.Struct):
    """The progress of a batch."""

    n: int = 0  # recordings, including those of earlier runs
    n_failed: int = 0  # failures among them
    n_before: int = 0  # recordings of earlier runs


def run(
    recognizer: Recognizer,
    inputs: Iterable[str],
    *,
    kind: str,
    out: Path | str | None,
    stream: BinaryIO,
    workers: int = 1,
    ordered: bool = True,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    abstain_below: float | None = None,
    channels: Channels = "mix",
    ids: Ids | None = None,
    on_row: Callable[[Done, Outcome], None] = lambda *_: None,
) -> Done:
    """Recognise every input, and write its row as soon as it is done.

    Nothing on disk changes before the first row is ready, so that a wrong option changes nothing.

    Args:
        recognizer: the model.
        inputs: paths and URIs; consumed lazily.
        kind: format of the table, one of `tables.FORMATS`.
        out: the file, or its URI (see `remote_tables.staged`); None writes to the stream.
        stream: where rows are written if `out` is None.
        workers: number of worker processes.
        ordered: whether rows come in the order of the inputs.
        resume: resume the table in `out`, if it was started; the result equals that of an uninterrupted run. If the
            table is finished, rows are added for inputs that have none, after the existing rows, whatever the order
            of the inputs. In that case all inputs are read first, and nothing is written if the table has a recording
            that is no longer among them.
        retry_failed: with `resume`, recognise failed recordings again; their rows are removed, and the new ones come
            after the existing rows. All inputs are read first.
        overwrite: replace the content of `out`.
        abstain_below: as for `Recognizer.predict`.
        channels: as for `Recognizer.predict_many`; with "each", all rows of a recording are written in one go.
        ids: of the recordings, for a first column of CSV and Parquet.
        on_row: called with each row, after the recording's rows are written.

    Raises:
        OutputError: if the file exists and neither `resume` nor `overwrite` is set, belongs to another batch, has
            recordings that are not among the inputs, or cannot be written.
    """
    if isinstance(out, str):
        if uris.is_uri(out):
            with remote_tables.staged(out, resume=resume, overwrite=overwrite) as path:
                return run(
                    recognizer, inputs, kind=kind, out=path, stream=stream, workers=workers, ordered=ordered,
                    resume=resume, retry_failed=retry_failed, overwrite=overwrite, abstain_below=abstain_below,
                    channels=channels, ids=ids, on_row=on_row,
                )  # fmt: skip
        out = Path(out)
    options = Options(
        kind=kind,
        model=recognizer.config.name,
        onnx_sha256=recognizer.config.sha256.get("model.onnx", ""),
        abstain_below=abstain_below,
        ordered=ordered,
        channels=str(channels),
        settled_on=recognizer.n_settled_on,
        settled=recognizer.settled.shift if recognizer.settled else (),
    )
    outputs = Outputs.of(recognizer.config)
    if ids is not None and ids.column in rows.columns(outputs):
        raise SettingError(f"The table has a column '{ids.column}' already. Rename the column with the ids")
    outputs = outputs._replace(ids=ids)
    is_device = out is not None and out.exists() and not out.is_file() and not out.is_dir()
    start, done = None, Done()
    if out is not None and not is_device:  # a device or a pipe has nothing to replace or to resume
        start = starting.inspect(
            out, options, recognizer.config, outputs, resume=resume, retry_failed=retry_failed, overwrite=overwrite
        )
        inputs = start.remaining(inputs)
        done = Done(start.n, start.n_failed, start.n)
    output = _Output(out, kind, outputs, stream, start, done)
    found = recognizer.predict_by_source(
        inputs, channels=channels, workers=workers, ordered=ordered, abstain_below=abstain_below
    )
    with output:
        for outcomes in found:
            output.append(outcomes)
            done.n += 1
            done.n_failed += any(isinstance(outcome, Failure) for outcome in outcomes)
            for outcome in outcomes:
                on_row(done, outcome)
        output.is_whole = True
    return done


class _Output:
    """The table of a batch, which is opened with its first row."""

    def __init__(
        self, out: Path | None, kind: str, outputs: Outputs, stream: BinaryIO, start: Start | None, done: Done
    ) -> None:
        self._out, self._kind, self._outputs, self._stream = out, kind, outputs, stream
        self._start, self._done = start, done
        self._table: Table | None = None
        self._device = contextlib.ExitStack()
        self.is_whole = False  # all rows are written

    def __enter__(self) -> None:
        pass

    def append(self, outcomes: Sequence[Outcome]) -> None:
        with self._named_errors():
            self._opened().append(*outcomes)

    def __exit__(self, kind: object, *_: object) -> None:
        with self._device, self._named_errors() if kind is None else contextlib.suppress(OSError):
            if self.is_whole and not (self._start and self._start.is_complete):
                self._opened()  # also a batch without inputs writes a table
            if self._table is not None:
                self._table.close(finished=self.is_whole)
            if self._start is not None:
                self._start.end(is_whole=self.is_whole, n_new=self._done.n - self._done.n_before)

    def _opened(self) -> Table:
        if self._table is None:
            if self._start is not None:
                self._start.begin()
            elif self._out is not None:
                self._stream = self._device.enter_context(self._out.open("wb", buffering=0))
            path = self._out if self._start else None
            self._table = table_writing.open_table(path, self._kind, self._outputs, self._stream)
        return self._table

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._out is None:
                raise
            todo = "Fix the problem, then run it again"
            if self._start is not None and self._done.n:
                todo = f"{self._done.n} recordings are done: fix the problem, then rerun with --resume"
            raise OutputError(f"{self._out} cannot be written: {error.strerror}. {todo}") from error
