"""Run a batch: write one row per input, and resume where it stopped."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import OutputError, one_line
from emocatcher.recognition.batch import finished_tables, table_writing
from emocatcher.recognition.batch.rows import Outcome
from emocatcher.recognition.parquet import import_pyarrow
from emocatcher.recognition.prediction import SCHEMA_VERSION, Failure
from emocatcher.recognition.recognizer import Recognizer


class Done(msgspec.Struct):
    """The progress of a batch."""

    n: int = 0  # rows, including those of earlier runs
    n_failed: int = 0  # failures of this run
    n_before: int = 0  # rows of earlier runs


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options that a resumed batch must have; stored next to the table while it is unfinished."""

    kind: str
    model: str
    onnx_sha256: str
    abstain_below: float | None
    ordered: bool
    schema_version: int = SCHEMA_VERSION
    n_finished: int = 0  # rows of the finished table to which this batch adds


def run(
    recognizer: Recognizer,
    inputs: Iterable[str],
    *,
    kind: str,
    out: Path | None,
    stream: BinaryIO,
    workers: int = 1,
    ordered: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    abstain_below: float | None = None,
    on_row: Callable[[Done, Outcome], None] = lambda *_: None,
) -> Done:
    """Recognise every input, and write its row as soon as it is done.

    Args:
        recognizer: the model.
        inputs: paths; consumed lazily.
        kind: format of the table, one of `tables.FORMATS`.
        out: the file; None writes to the stream.
        stream: where rows are written if `out` is None.
        workers: number of worker processes.
        ordered: whether rows come in the order of the inputs.
        resume: resume the table in `out`, if it was started; the result equals that of an uninterrupted run. If the
            table is finished, rows are added for inputs that have none, after the existing rows, whatever the order
            of the inputs. In that case all inputs are read first, and nothing is written if the table has a recording
            that is no longer among them.
        overwrite: replace the content of `out`.
        abstain_below: as for `Recognizer.predict`.
        on_row: called after each row.

    Raises:
        OutputError: if the file exists and neither `resume` nor `overwrite` is set, belongs to another batch, has
            recordings that are not among the inputs, or cannot be written.
    """
    if kind == "parquet":
        import_pyarrow()  # before anything is written that a later run would have to resume
    done = Done()
    options = _Options(
        kind=kind,
        model=recognizer.config.name,
        onnx_sha256=recognizer.config.sha256.get("model.onnx", ""),
        abstain_below=abstain_below,
        ordered=ordered,
    )
    path, to_device = out, contextlib.ExitStack()
    if out is not None and out.exists() and not out.is_file() and not out.is_dir():
        path = None  # a device or a pipe: nothing to replace or to resume
    try:
        if path is not None and resume and path.is_file() and not _note_path(path).exists():
            inputs = list(inputs)
            before = finished_tables.paths(path, kind, recognizer.config, abstain_below)
            if not list(_remaining(inputs, Counter(before), path, ordered=False)):
                return Done(n=len(before), n_before=len(before))
            resumed = msgspec.structs.replace(options, n_finished=len(before))
            atomic_files.write_bytes(_note_path(path), msgspec.json.encode(resumed))
        if path is not None:
            of_finished, since = _prepare(path, options, resume=resume, overwrite=overwrite)
            new = _remaining(inputs, of_finished, path, ordered=False)
            inputs = _remaining(new, since, path, ordered=ordered)
            done.n = done.n_before = of_finished.total() + since.total()
        if path is None and out is not None:
            stream = to_device.enter_context(out.open("wb", buffering=0))
        table = table_writing.open_table(path, kind, recognizer.config.labels, stream)
        is_whole = False
        try:
            outcomes = recognizer.predict_many(inputs, workers=workers, ordered=ordered, abstain_below=abstain_below)
            for outcome in outcomes:
                table.append(outcome)
                done.n += 1
                done.n_failed += isinstance(outcome, Failure)
                on_row(done, outcome)
            is_whole = True
        finally:
            table.close(finished=is_whole)
        if path is not None:
            _note_path(path).unlink()
    except OSError as error:
        if out is None:
            raise
        raise OutputError(
            f"{out} cannot be written: {error.strerror}. {done.n} rows are done: fix the problem, then rerun with "
            "--resume"
        ) from error
    finally:
        to_device.close()
    return done


def _prepare(out: Path, options: _Options, *, resume: bool, overwrite: bool) -> tuple[Counter[str], Counter[str]]:
    """Prepare a new table, or count each path's rows in an existing one: in its finished part, and after it."""
    note_path = _note_path(out)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give a file to --out")
    if overwrite and not resume:
        table_writing.remove(out)
        note_path.unlink(missing_ok=True)
    elif resume and note_path.exists():
        n_finished = _check_options(out, note_path, options)
        paths = table_writing.paths(out, options.kind)
        return Counter(itertools.islice(paths, n_finished)), Counter(paths)
    elif out.exists() or note_path.exists():
        state = "is unfinished: give --resume to continue, or" if note_path.exists() else "exists: give"
        raise OutputError(f"{out} {state} --overwrite to replace it")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_bytes(note_path, msgspec.json.encode(options))
    return Counter(), Counter()


def _check_options(out: Path, note_path: Path, options: _Options) -> int:
    """Refuse to resume with other options; return the number of rows of the finished part."""
    try:
        before = msgspec.json.decode(note_path.read_bytes(), type=_Options)
    except msgspec.DecodeError as error:
        raise OutputError(f"{note_path} cannot be read ({error}). Give --overwrite to start again") from None
    for name in (name for name in _Options.__struct_fields__ if name != "n_finished"):
        was, is_now = getattr(before, name), getattr(options, name)
        if was != is_now:
            raise OutputError(
                f"{out} was started with {name} = {was}, and this is {is_now}. Give the same, or --overwrite"
            )
    return before.n_finished


def _remaining(inputs: Iterable[str], before: Counter[str], out: Path, *, ordered: bool) -> Iterator[str]:
    """Yield the inputs that have no row yet."""
    missing, n_missing = before.copy(), before.total()
    for path in inputs:
        if missing[one_line(path)] > 0:
            missing[one_line(path)] -= 1
            n_missing -= 1
        elif ordered and n_missing:
            raise OutputError(f"{out} has other inputs, or another order of inputs. Give the same, or --overwrite")
        else:
            yield path
    if n_missing:
        unknown = next(itertools.compress(missing, missing.values()))
        raise OutputError(f"{out} has {unknown}, which is not among the inputs now. Give the same, or --overwrite")


def _note_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.begun")
