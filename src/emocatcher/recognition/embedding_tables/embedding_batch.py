"""Run a batch of embeddings: one row for each recording, and resume where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec

from emocatcher.audio.channels import Channels, check
from emocatcher.foundation import uris
from emocatcher.foundation.errors import OutputError, one_line
from emocatcher.recognition import failures
from emocatcher.recognition.embedding import Embedding, embed_all
from emocatcher.recognition.embedding_tables import file_formats
from emocatcher.recognition.embedding_tables.journal import Header, Journal, Row
from emocatcher.recognition.prediction import Failure
from emocatcher.recognition.recognizer import Recognizer


class Done(msgspec.Struct):
    """The progress of a batch."""

    n: int = 0  # recordings, including those of earlier runs
    n_failed: int = 0  # failures among them


def embed_batch(
    recognizer: Recognizer,
    inputs: Sequence[str],
    out: Path,
    *,
    kind: str,
    channels: Channels = "mix",
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    on_row: Callable[[Done], object] = lambda _: None,
) -> Done:
    """Embed every input, in order; the rows of an interrupted batch are kept in a journal beside the table.

    Args:
        recognizer: the model.
        inputs: paths and URIs.
        out: the table.
        kind: its format, one of `file_formats.FORMATS`.
        channels: as for `Recognizer.predict_many`; with "each", a recording has a row for each channel.
        workers: number of worker processes.
        resume: resume the table, or add the recordings that a finished one does not have.
        overwrite: replace the table.
        on_row: called after each recording.

    Raises:
        OutputError: if the table exists and neither `resume` nor `overwrite` is set, was made by another model or with
            other channels, has recordings that are not among the inputs, or cannot be written.
        ModelError: if the model has no embedding.
        SettingError: if `channels` or `workers` is not allowed.
    """
    check(channels)
    if uris.is_uri(str(out)):
        raise OutputError(
            f"{uris.redacted(str(out))} is a URI, and tables of embeddings are files. Give a path to --out"
        )
    n_values = recognizer.pooled.n_values  # a model without embeddings is refused before anything is written
    config = recognizer.config
    header = Header(model=config.name, onnx_sha256=config.sha256.get("model.onnx", ""), channels=str(channels))
    journal, done = Journal(out), Done()
    try:
        is_begun = journal.path.exists() and not overwrite
        is_finished = out.exists() and not is_begun and not overwrite
        if (is_begun or is_finished) and not resume:
            state = "is unfinished: give --resume to continue, or" if is_begun else "exists: give"
            raise OutputError(f"{out} {state} --overwrite to replace it")
        written: list[Row] = []
        if is_begun:
            journal.check(header)
            written = journal.cut()
        elif is_finished:
            written = list(_finished_rows(out, kind, header))
        paths = list(dict.fromkeys(row.path for row in written))
        named = dict.fromkeys(map(one_line, inputs))
        if gone := [path for path in paths if path not in named]:
            raise OutputError(
                f"{out} has {len(gone)} recordings that are not among the inputs, such as {gone[0]}. Name them too, or "
                "write another table"
            )
        done.n, done.n_failed = len(paths), len({row.path for row in written if row.error})
        finished = set(paths)
        left = [one for one in inputs if one_line(one) not in finished]
        if is_finished and not left:
            return done
        if not is_begun:
            journal.begin(header)
        if is_finished:
            for pair in file_formats.read(out, kind):
                journal.append([pair])
        try:
            for outcomes in _embed(recognizer, left, channels, workers):
                journal.append([_row(one, header, config.version) for one in outcomes])
                done.n += 1
                done.n_failed += isinstance(outcomes[0], Failure)
                on_row(done)
        except BaseException:
            if done.n > len(paths):  # the rows so far can be read
                file_formats.write(out, kind, journal.rows, n_values)
            raise
        file_formats.write(out, kind, journal.rows, n_values)
        journal.remove()
    except OSError as error:
        kept = f" {done.n} recordings are kept: rerun with --resume" if done.n else " Run it again"
        raise OutputError(f"{out} cannot be written: {error.strerror}. Fix the problem.{kept}") from error
    return done


def _finished_rows(out: Path, kind: str, header: Header) -> Iterator[Row]:
    """Yield the rows of a finished table, if they were made as those of this batch."""
    for row, _ in file_formats.read(out, kind):
        if row.model != header.model:
            raise OutputError(
                f"{out} has embeddings of {row.model}, and this is {header.model}. Give the same, or --overwrite"
            )
        if (row.channel is not None) != (header.channels != "mix") and row.error is None:
            raise OutputError(f"{out} was made with other --channels. Give the same, or --overwrite")
        yield row


def _embed(
    recognizer: Recognizer, inputs: Sequence[str], channels: Channels, workers: int
) -> Iterator[tuple[Embedding | Failure, ...]]:
    # `failures` passes outcomes on as they are, of either kind.
    function = cast("failures.Predict", partial(embed_all, recognizer, channels))
    return cast("Iterator[Any]", failures.outcomes(function, inputs, workers, ordered=True))


def _row(one: Embedding | Failure, header: Header, version: str) -> tuple[Row, Any]:
    row = Row(path=one_line(one.path), model=header.model, model_version=version)
    if isinstance(one, Failure):
        return msgspec.structs.replace(row, error=one.error, message=one_line(one.message)), None
    return msgspec.structs.replace(row, channel=one.channel, duration_s=one.duration_s), one.vector
