"""What a worker does with the rows of a `timeline` job: three tables, and a file for each recording if asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from emocatcher import audio
from emocatcher.distributed import added_columns, batches, cells
from emocatcher.distributed.one_recording import Limits, OneRecording
from emocatcher.distributed.row_work import FILES, Tables
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.models import finding, model_folder
from emocatcher.recognition import failures, settling
from emocatcher.recognition.batch.rows import Outputs
from emocatcher.recognition.parallel import IsolatedProcess
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.settling import Settled
from emocatcher.recognition.timeline import Timeline, formats
from emocatcher.recognition.timeline.segments import Segment
from emocatcher.recognition.timeline.summary import summarise
from emocatcher.recognition.timeline.windows import Windows

RECORDINGS, SEGMENTS, WINDOWS = "recordings", "segments", "windows"
_LIMITS = Limits(seconds=3600.0, memory_bytes=2 << 30, longest_s=float("inf"))  # recordings may be hours long
_WINDOW_COLUMNS = ("start_s", "end_s", "time_s", "speech", "abstain", "voiced_start_s", "voiced_end_s")


class Found(NamedTuple):
    """What a timeline gives for the tables."""

    prediction: Prediction
    segments: tuple[Segment, ...]
    windows: dict[str, Any]  # by column, arrays of shape (n_windows,)
    file: bytes | None  # the whole timeline in the format that was asked for


class TimelineRows:
    """Recognises the timelines of rows; the model is loaded once in each worker process.

    Args:
        arguments: of `Timelines`.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def __call__(self, table: Any) -> Tables:
        """Return the tables: a row for each recording, each segment and each window."""
        return _made(os.getpid(), **self._arguments)(table)


class Timelines:
    """Recognises timelines in a process that is limited, and may be lost with one recording.

    Args:
        model: as for `emocatcher.load`.
        column: of the recordings.
        id_column: of the ids; None for none.
        settled: what the model settled on.
        emotions: the labels that answers are restricted to; None for all.
        channels: as for `Recognizer.timeline`.
        abstain_below: as for `Recognizer.timeline`.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        kind: format of a file for each recording (see `timeline.formats`); None for none.
    """

    def __init__(
        self, model: str | None, *, column: str, id_column: str | None, settled: Settled | None,
        emotions: tuple[str, ...] | None, channels: str, abstain_below: float | None, window_s: float, hop_s: float,
        kind: str | None,
    ) -> None:  # fmt: skip
        self._column, self._id_column, self._kind = column, id_column, kind
        opened = model_folder.read(finding.find_folder(model).absolute())
        labels = opened.config.labels if emotions is None else settling.chosen(emotions, opened.config)
        self._outputs = Outputs.of(msgspec.structs.replace(opened.config, labels=labels))
        self._model = added_columns.about(opened)
        summary = _Summary(
            opened.path, emotions=emotions, settled=settled, channels=channels, abstain_below=abstain_below,
            limits=_LIMITS,
        )  # fmt: skip
        one = OneTimeline(summary, window_s, hop_s, kind)
        self._process: IsolatedProcess[Any, Found | Failure] = IsolatedProcess(
            one,
            limit_s=_LIMITS.seconds,
            on_death=failures.died,
            on_timeout=functools.partial(failures.took_too_long, limit_s=_LIMITS.seconds),
        )

    def __call__(self, table: Any) -> Tables:
        """Return the tables of some rows."""
        recordings = table.column(self._column).to_pylist()
        sources = [cells.source_of(cell) for cell in recordings]
        outcomes = iter(self._process.map([one for one in sources if not isinstance(one, Failure)]))
        found = [one if isinstance(one, Failure) else next(outcomes) for one in sources]
        names = [cells.name_of(cell) for cell in recordings]
        answers = [
            msgspec.structs.replace(one if isinstance(one, Failure) else one.prediction, path=name)
            for one, name in zip(found, names, strict=True)
        ]
        rows = [added_columns.row(answer, self._outputs, self._model) for answer in answers]
        added = {
            name: kind for name, kind in added_columns.columns(self._outputs).items() if name not in table.column_names
        }
        shown = [self._shown(cell) for cell in recordings]
        if shown != recordings:
            table = batches.opened(table).replaced(self._column, self._shown)
        main = batches.opened(table).added(added, {name: [row[name] for row in rows] for name in added})
        keys = [("path", names)]
        if self._id_column is not None:
            keys.insert(0, (self._id_column, table.column(self._id_column).to_pylist()))
        tables = {RECORDINGS: main, SEGMENTS: self._segments(found, keys), WINDOWS: self._windows(found, keys)}
        if self._kind is not None:
            pa, _ = import_pyarrow()
            files = [None if isinstance(one, Failure) else one.file for one in found]
            tables[FILES] = pa.table({"content": pa.array(files, pa.binary())})
        return tables

    def _shown(self, cell: Any) -> Any:
        """Return what the result has of a cell with a recording."""
        cell = cells.without_sound(cell)
        return cell if self._column == self._id_column else cells.without_secrets(cell)

    def _segments(self, found: Sequence[Found | Failure], keys: list[tuple[str, list[Any]]]) -> Any:
        pa, _ = import_pyarrow()
        parts = [() if isinstance(one, Failure) else one.segments for one in found]
        segments = [segment for part in parts for segment in part]
        kinds = {"start_s": pa.float64(), "end_s": pa.float64(), "emotion": pa.string(), "probability": pa.float64()}
        columns = _repeated(keys, [len(part) for part in parts])
        for name, kind in {**kinds, "abstain": pa.bool_()}.items():
            columns[name] = pa.array([getattr(segment, name) for segment in segments], kind)
        return pa.table(columns)

    def _windows(self, found: Sequence[Found | Failure], keys: list[tuple[str, list[Any]]]) -> Any:
        pa, _ = import_pyarrow()
        parts = [one.windows for one in found if not isinstance(one, Failure)]
        columns = _repeated(keys, [0 if isinstance(one, Failure) else len(one.windows["start_s"]) for one in found])
        numbers = {name: _joined(parts, name) for name in _WINDOW_COLUMNS}
        best, probabilities = _joined(parts, "best"), _joined(parts, "probabilities")
        probabilities = probabilities.reshape(-1, len(self._outputs.labels))
        spoken = numbers["speech"].astype(bool)
        labels = pa.array([*self._outputs.labels])
        highest = probabilities.max(axis=1, initial=0.0, where=~np.isnan(probabilities))
        for name in ("start_s", "end_s", "time_s"):
            columns[name] = pa.array(numbers[name])
        columns["speech"] = pa.array(spoken)
        columns["emotion"] = labels.take(pa.array(best.astype(np.int64), mask=~spoken))
        columns["probability"] = pa.array(highest, mask=~spoken)
        columns["abstain"] = pa.array(numbers["abstain"].astype(bool))
        for number, label in enumerate(self._outputs.labels):
            columns[f"probability_{label}"] = pa.array(probabilities[:, number], mask=~spoken)
        for name in ("voiced_start_s", "voiced_end_s"):
            columns[name] = pa.array(numbers[name])
        return pa.table(columns)


class _Summary(OneRecording):
    """Recognises the timeline of a recording, and sums it up."""

    window_s, hop_s = 3.0, 0.5
    timeline: Timeline | None = None

    def _predict(self, source: audio.Source) -> tuple[Prediction, ...]:
        self.timeline = self._recognizer.timeline(
            source, self.window_s, self.hop_s, longest_s=self._limits.longest_s, threads=1, **self._options
        )
        return (summarise(self.timeline),)


class OneTimeline:
    """A function that recognises the timeline of a recording with a model that each process loads once.

    Args:
        summary: recognises it.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        kind: format of the file (see `timeline.formats`); None for none.
    """

    def __init__(self, summary: _Summary, window_s: float, hop_s: float, kind: str | None) -> None:
        summary.window_s, summary.hop_s = window_s, hop_s
        self._summary, self._kind = summary, kind

    def prepare(self) -> None:
        """Load the model, check the options, and limit the memory.

        Raises:
            ModelError: if the model cannot be run.
            SettingError: if an option is not allowed.
        """
        self._summary.prepare()

    def __call__(self, source: audio.Source) -> Found | Failure:
        """Recognise a recording; whatever its decoding raises becomes a failure."""
        outcome, timeline = self._summary(source), self._summary.timeline
        self._summary.timeline = None
        if isinstance(outcome, Failure):
            return outcome
        if timeline is None:
            raise RuntimeError("a recording was summed up without its timeline")
        windows = Windows.of(timeline.labels, timeline.windows)
        columns = {name: getattr(windows, name) for name in (*_WINDOW_COLUMNS, "probabilities")}
        encoded = None if self._kind is None else formats.encode(timeline, self._kind)
        return Found(outcome, timeline.segments, {**columns, "best": windows.best()}, encoded)


@functools.lru_cache(maxsize=2)
def _made(_: int, **arguments: Any) -> Timelines:
    return Timelines(**arguments)


def _repeated(keys: list[tuple[str, list[Any]]], times: list[int]) -> dict[str, Any]:
    """Return the columns that say of which recording a row is, with each value as often as it has rows."""
    pa, _ = import_pyarrow()
    at = pa.array(np.repeat(np.arange(len(times)), times))
    return {name: pa.array(values).take(at) for name, values in keys}


def _joined(parts: list[dict[str, Any]], name: str) -> Any:
    return np.concatenate([part[name].ravel() for part in parts]) if parts else np.empty(0)
