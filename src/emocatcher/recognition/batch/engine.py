"""One batch: every input to one row, and on with it where it was cut."""

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
from emocatcher.recognition.batch import finished_tables, growing_tables
from emocatcher.recognition.batch.rows import Outcome
from emocatcher.recognition.prediction import SCHEMA_VERSION, Failure
from emocatcher.recognition.recognizer import Recognizer


class Done(msgspec.Struct):
    """How far a batch is."""

    n: int = 0  # rows, with those of the sittings before
    n_failed: int = 0  # of this sitting
    n_before: int = 0


class _Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch must be taken up with; beside its table while it is unfinished."""

    kind: str
    model: str
    onnx_sha256: str
    abstain_below: float | None
    ordered: bool
    schema_version: int = SCHEMA_VERSION
    n_finished: int = 0  # rows of a finished table to which this batch adds


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
    """Recognise every input, and write a row for each as it is done.

    Args:
        recognizer: the model.
        inputs: paths; taken as they are needed.
        kind: of the table, one of `tables.FORMATS`.
        out: the file; None writes to the stream.
        stream: for rows that go to no file.
        workers: processes.
        ordered: whether rows come in the order of the inputs.
        resume: go on with the table in `out`, if it was begun; it ends as one that never was cut. To one that is
            finished, rows are added for inputs that have none, after the rows that are there, whatever the order of
            the inputs was. Then all inputs are taken first: where one of the table is no longer among them, nothing
            is written.
        overwrite: replace what is in `out`.
        abstain_below: as for `Recognizer.predict`.
        on_row: called after each row.

    Raises:
        OutputError: if the file exists and neither was asked for, belongs to another batch, holds recordings that
            are not among the inputs, or cannot be written.
    """
    done = Done()
    begun = _Begun(
        kind=kind,
        model=recognizer.config.name,
        onnx_sha256=recognizer.config.sha256.get("model.onnx", ""),
        abstain_below=abstain_below,
        ordered=ordered,
    )
    path, to_device = out, contextlib.ExitStack()
    if out is not None and out.exists() and not out.is_file() and not out.is_dir():
        path = None  # a device or a pipe: nothing to replace or to take up
    try:
        if path is not None and resume and path.is_file() and not _note_of(path).exists():
            inputs = list(inputs)
            before = finished_tables.paths(path, kind, recognizer.config, abstain_below)
            if not list(_left(inputs, Counter(before), path, ordered=False)):
                return Done(n=len(before), n_before=len(before))
            grown = msgspec.structs.replace(begun, n_finished=len(before))
            atomic_files.write_bytes(_note_of(path), msgspec.json.encode(grown))
        if path is not None:
            of_finished, since = _begin(path, begun, resume=resume, overwrite=overwrite)
            new = _left(inputs, of_finished, path, ordered=False)
            inputs = _left(new, since, path, ordered=ordered)
            done.n = done.n_before = of_finished.total() + since.total()
        if path is None and out is not None:
            stream = to_device.enter_context(out.open("wb", buffering=0))
        table = growing_tables.open_table(path, kind, recognizer.config.labels, stream)
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
            _note_of(path).unlink()
    except OSError as error:
        if out is None:
            raise
        raise OutputError(
            f"{out} cannot be written: {error.strerror}. {done.n} rows are done: mend the cause, and give --resume"
        ) from error
    finally:
        to_device.close()
    return done


def _begin(out: Path, begun: _Begun, *, resume: bool, overwrite: bool) -> tuple[Counter[str], Counter[str]]:
    """Make way for the table, or read what it holds: how often each path stands in what was finished, and after it."""
    note = _note_of(out)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give a file to --out")
    if overwrite and not resume:
        growing_tables.remove(out)
        note.unlink(missing_ok=True)
    elif resume and note.exists():
        n_finished = _check_same(out, note, begun)
        paths = growing_tables.paths(out, begun.kind)
        return Counter(itertools.islice(paths, n_finished)), Counter(paths)
    elif out.exists() or note.exists():
        state = "was begun and not finished: give --resume to go on, or" if note.exists() else "exists: give"
        raise OutputError(f"{out} {state} --overwrite to replace it")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_bytes(note, msgspec.json.encode(begun))
    return Counter(), Counter()


def _check_same(out: Path, note: Path, begun: _Begun) -> int:
    """Refuse to go on with other settings; returns how many rows were finished before it was begun."""
    try:
        before = msgspec.json.decode(note.read_bytes(), type=_Begun)
    except msgspec.DecodeError as error:
        raise OutputError(f"{note} cannot be read ({error}). Give --overwrite to begin again") from None
    for name in (name for name in _Begun.__struct_fields__ if name != "n_finished"):
        was, is_now = getattr(before, name), getattr(begun, name)
        if was != is_now:
            raise OutputError(
                f"{out} was begun with {name} = {was}, and this is {is_now}. Give the same, or --overwrite"
            )
    return before.n_finished


def _left(inputs: Iterable[str], before: Counter[str], out: Path, *, ordered: bool) -> Iterator[str]:
    """The inputs that have no row yet."""
    missing, n_missing = before.copy(), before.total()
    for path in inputs:
        if missing[one_line(path)] > 0:
            missing[one_line(path)] -= 1
            n_missing -= 1
        elif ordered and n_missing:
            raise OutputError(f"{out} holds other inputs, or in another order. Give the same, or --overwrite")
        else:
            yield path
    if n_missing:
        strange = next(itertools.compress(missing, missing.values()))
        raise OutputError(f"{out} holds {strange}, which is not among the inputs now. Give the same, or --overwrite")


def _note_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.begun")
