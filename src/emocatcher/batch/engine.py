"""One batch: every input to one row, and on with it where it was cut."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from emocatcher import storage
from emocatcher.batch import tables
from emocatcher.batch.rows import Outcome
from emocatcher.errors import OutputError, one_line
from emocatcher.inference import Recognizer
from emocatcher.prediction import SCHEMA_VERSION, Failure


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
        resume: go on with the table in `out`, if it was begun; it ends as one that never was cut. Of one that is
            finished already, nothing is left to do.
        overwrite: replace what is in `out`.
        abstain_below: as for `Recognizer.predict`.
        on_row: called after each row.

    Raises:
        OutputError: if the file exists and neither was asked for, belongs to another batch, or cannot be written.
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
            return _finished(path, kind, inputs, ordered=ordered)
        if path is not None:
            before = _begin(path, begun, resume=resume, overwrite=overwrite)
            inputs = _left(inputs, before, path, ordered=ordered)
            done.n = done.n_before = before.total()
        if path is None and out is not None:
            stream = to_device.enter_context(out.open("wb", buffering=0))
        table = tables.open_table(path, kind, recognizer.config.labels, stream)
        finished = False
        try:
            outcomes = recognizer.predict_many(inputs, workers=workers, ordered=ordered, abstain_below=abstain_below)
            for outcome in outcomes:
                table.append(outcome)
                done.n += 1
                done.n_failed += isinstance(outcome, Failure)
                on_row(done, outcome)
            finished = True
        finally:
            table.close(finished=finished)
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


def _begin(out: Path, begun: _Begun, *, resume: bool, overwrite: bool) -> Counter[str]:
    """Make way for the table, or read what it holds: how often each path stands in it."""
    note = _note_of(out)
    if out.is_dir():
        raise OutputError(f"{out} is a folder. Give a file to --out")
    if overwrite and not resume:
        tables.remove(out)
        note.unlink(missing_ok=True)
    elif resume and note.exists():
        _check_same(out, note, begun)
        return Counter(tables.paths(out, begun.kind))
    elif out.exists() or note.exists():
        state = "was begun and not finished: give --resume to go on, or" if note.exists() else "exists: give"
        raise OutputError(f"{out} {state} --overwrite to replace it")
    out.parent.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(note, msgspec.json.encode(begun))
    return Counter()


def _finished(out: Path, kind: str, inputs: Iterable[str], *, ordered: bool) -> Done:
    """Nothing to do, for a script may say --resume every time; unless there is an input without a row."""
    before = Counter(tables.finished_paths(out, kind))
    n_rows = before.total()
    for path in _left(inputs, before, out, ordered=ordered):
        raise OutputError(f"{out} is finished, and holds nothing of {path}. Give --overwrite, or another name to --out")
    return Done(n=n_rows, n_before=n_rows)


def _check_same(out: Path, note: Path, begun: _Begun) -> None:
    try:
        before = msgspec.json.decode(note.read_bytes(), type=_Begun)
    except msgspec.DecodeError as error:
        raise OutputError(f"{note} cannot be read ({error}). Give --overwrite to begin again") from None
    for name in _Begun.__struct_fields__:
        was, is_now = getattr(before, name), getattr(begun, name)
        if was != is_now:
            raise OutputError(
                f"{out} was begun with {name} = {was}, and this is {is_now}. Give the same, or --overwrite"
            )


def _left(inputs: Iterable[str], before: Counter[str], out: Path, *, ordered: bool) -> Iterator[str]:
    """The inputs that have no row yet."""
    missing = before.copy()
    for path in inputs:
        if missing[one_line(path)] > 0:
            missing[one_line(path)] -= 1
        elif ordered and missing.total() > 0:
            raise OutputError(f"{out} holds other inputs, or in another order. Give the same, or --overwrite")
        else:
            yield path
    if missing.total() > 0:
        strange = next(itertools.compress(missing, missing.values()))
        raise OutputError(f"{out} holds {strange}, which is not among the inputs now. Give the same, or --overwrite")


def _note_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.begun")
