"""`RecogniseBatch`: recognise the recordings of one batch of rows after another, in any engine."""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from emocatcher.audio.channels import Channels
from emocatcher.distributed import added_columns, batches, cells, spark
from emocatcher.distributed.added_columns import PATH
from emocatcher.distributed.one_recording import Limits, OneRecording
from emocatcher.distributed.spark import SparkFunction
from emocatcher.foundation.errors import SettingError
from emocatcher.models import finding, model_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.recognition import failures, settling
from emocatcher.recognition.batch.rows import Outputs, Value
from emocatcher.recognition.parallel import IsolatedProcess
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.settling import Settled

AnyBatch = TypeVar("AnyBatch")


class RecogniseBatch:
    """Recognise a column of recordings: one row out for each row in, in order, with the table's other columns.

    The model is loaded once, in a process beside this one that does all decoding and recognition, one recording at a
    time and in one thread. A recording that crashes it, takes too long or needs too much memory costs its own row. The
    result has the recordings' column too, but without their bytes, and without the query of a URI, which may be secret.

    A row that fails has `error`, the exception's name, `error_kind` and `message`, and no answer. The kinds are "cell"
    (empty, or no recording), "audio" (cannot be decoded or used), "unreachable" (a URI), "limit" (of time or memory),
    "crash" (the process ended), and "unexpected".

    Args:
        model: as for `emocatcher.load`; every machine must be able to open it.
        column: the column with the recordings: paths, URIs, the bytes of files, or structs of `bytes` and `path`.
        id_column: the column with the rows' ids, which must be there, and stays as it is.
        settled: what the model settled on, or the file of it.
        emotions: the labels that answers are restricted to; None for all.
        channels: as for `Recognizer.predict`.
        abstain_below: as for `Recognizer.predict`.
        longest_s: longer recordings are refused, seconds.
        limit_s: limit of time for a recording, seconds.
        limit_bytes: limit of memory for a recording, beyond what the process has with the model (Linux).
        keep_audio: whether bytes and samples stay in the result.
        prefix: of the names of the added columns, for tables that have columns of the same names.

    Raises:
        ModelError: if there is no such model, or it cannot be run.
        SettingError: if an option is not allowed.

    In pandas it is called with a data frame, and in Dask as `table.map_partitions(recognise, meta=recognise(empty))`
    with an empty one. `docs/many-machines.md` shows both, Ray and Spark.

    Examples:
        >>> import numpy as np
        >>> with RecogniseBatch("cabg", column="clip") as recognise:
        ...     rows = recognise({"id": np.array([7]), "clip": np.array(["no such file.wav"])})
        >>> rows["id"].tolist(), rows["error"].tolist(), rows["message"].tolist()
        ([7], ['DecodeError'], ['no such file'])
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        column: str = "path",
        id_column: str | None = None,
        settled: Settled | str | Path | None = None,
        emotions: Sequence[str] | None = None,
        channels: Channels = "mix",
        abstain_below: float | None = None,
        longest_s: float = math.inf,
        limit_s: float = 300.0,
        limit_bytes: int = 2 << 30,
        keep_audio: bool = False,
        prefix: str = "",
    ) -> None:
        if channels == "each":
            raise SettingError('A table has one row for each recording. Give channels="mix", or one channel')
        if not limit_s > 0 or not limit_bytes > 0 or not longest_s > 0:
            raise SettingError("A limit is zero or less. Give positive numbers for limit_s, limit_bytes and longest_s")
        emotions = None if emotions is None else tuple(emotions)
        self._arguments = {
            "model": model, "column": column, "id_column": id_column, "settled": settled, "emotions": emotions,
            "channels": channels, "abstain_below": abstain_below, "longest_s": longest_s, "limit_s": limit_s,
            "limit_bytes": limit_bytes, "keep_audio": keep_audio, "prefix": prefix,
        }  # fmt: skip
        self._column, self._id_column, self._keep_audio, self._prefix = column, id_column, keep_audio, prefix
        opened, self._outputs = _opened(model, emotions)
        self._model = added_columns.about(opened)
        if isinstance(settled, str | Path):
            settled = settling.read(Path(settled), opened.config)
        self._lock = threading.Lock()
        limits = Limits(seconds=limit_s, memory_bytes=limit_bytes, longest_s=longest_s)
        one = OneRecording(
            opened.path, emotions=emotions, settled=settled, channels=channels, abstain_below=abstain_below,
            limits=limits,
        )  # fmt: skip
        self._process: IsolatedProcess[Any, Prediction | Failure] = IsolatedProcess(
            one,
            limit_s=limit_s,
            on_death=failures.died,
            on_timeout=functools.partial(failures.took_too_long, limit_s=limit_s),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that unpickles it several times, as for each task of Dask, loads the model once.
        return shared, (self._arguments,)

    def __enter__(self) -> RecogniseBatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process that recognises; the garbage collector and the end of the program do so too."""
        self._process.end()

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        """Recognise the recordings of a batch.

        Args:
            batch: a pandas data frame, an Arrow table or record batch, or a dict of NumPy arrays, also without rows.

        Returns:
            the same kind, with the same rows in the same order, and more columns (see `added_columns`). NumPy has no
            missing values: there, texts are "", numbers NaN, whole numbers 0, and `abstain` is True.

        Raises:
            SettingError: if the batch lacks a column, or has one of the same name as an added one.
            ModelError: if the model fails.
        """
        table = batches.opened(batch)
        added = {self._prefix + name: kind for name, kind in added_columns.columns(self._outputs).items()}
        added_columns.check(table.names, self._column, self._id_column, added)
        recordings = table.cells(self._column)
        rows = self._rows(recordings)
        for name in table.names:  # only `path`
            added.pop(name, None)
        values = {name: [row[name.removeprefix(self._prefix)] for row in rows] for name in added}
        if any(_is_changed(cell, self._shown(cell)) for cell in recordings):
            table = batches.opened(table.replaced(self._column, self._shown))
        found: AnyBatch = table.added(added, values)
        return found

    def _shown(self, cell: Any) -> Any:
        """Return what the result has of a cell with a recording."""
        cell = cell if self._keep_audio else cells.without_sound(cell)
        return cell if self._column == self._id_column else cells.without_secrets(cell)

    def _rows(self, recordings: Sequence[object]) -> list[dict[str, Value]]:
        sources = [cells.source_of(cell) for cell in recordings]
        with self._lock:
            outcomes = iter(self._process.map([one for one in sources if not isinstance(one, Failure)]))
        found = [one if isinstance(one, Failure) else next(outcomes) for one in sources]
        return [
            added_columns.row(msgspec.structs.replace(outcome, path=cells.name_of(cell)), self._outputs, self._model)
            for outcome, cell in zip(found, recordings, strict=True)
        ]

    @staticmethod
    def for_spark(model: str | Path | None = None, *, keep: Sequence[str] = (), **options: Any) -> SparkFunction:
        """Return the function for Spark's `mapInPandas` or `mapInArrow`.

        Each of Spark's Python processes loads the model once.

        Args:
            model: as for the class.
            keep: the table's columns that are in the result too, before the added ones.
            options: as for the class.
        """
        options = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
        return SparkFunction(shared, {"model": model, "column": PATH, **options}, keep)

    @staticmethod
    def spark_schema(
        model: str | Path | None = None, *, keep: Any = None, emotions: Sequence[str] | None = None, prefix: str = ""
    ) -> Any:
        """Return Spark's schema of what `for_spark` returns.

        Args:
            model: as for the class.
            keep: Spark's schema of the columns to keep, such as `df.select("call_id").schema`; None for none.
            emotions: as for the class.
            prefix: as for the class.

        Raises:
            ModelError: if there is no such model.
            SettingError: if an option is not allowed, or pyspark is not installed.
        """
        _, outputs = _opened(model, emotions)
        return spark.schema({prefix + name: kind for name, kind in added_columns.columns(outputs).items()}, keep)


def _is_changed(cell: object, shown: object) -> bool:
    return cell is not shown and not (isinstance(cell, str) and cell == shown)


def _opened(model: str | Path | None, emotions: Sequence[str] | None) -> tuple[Bundle, Outputs]:
    opened = model_folder.read(finding.find_folder(model).absolute())
    config = opened.config
    if emotions is not None:
        config = msgspec.structs.replace(config, labels=settling.chosen(emotions, config))
    return opened, Outputs.of(config)


def shared(arguments: dict[str, Any]) -> RecogniseBatch:
    """Return the `RecogniseBatch` with these arguments that this process has already made, or make it."""
    return _made(os.getpid(), **arguments)


@functools.lru_cache(maxsize=2)
def _made(_: int, **arguments: Any) -> RecogniseBatch:
    return RecogniseBatch(**arguments)
