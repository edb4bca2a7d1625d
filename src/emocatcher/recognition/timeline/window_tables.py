"""Encode a timeline as JSON, and its windows as rows of CSV or Parquet."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from emocatcher.foundation import csv_cells
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_BATCH = 8192


def to_json(timeline: Timeline) -> bytes:
    """Encode the whole timeline as JSON; `msgspec.json.decode(payload, type=Timeline)` reads it back."""
    encoder = msgspec.json.Encoder()
    payload = bytearray(encoder.encode(msgspec.structs.replace(timeline, windows=())))
    # Encode one window at a time: an hour's windows as objects would take many times the memory of the text.
    empty = b'"windows":[]}'
    del payload[-len(empty) + len(b'"windows":[') :]
    for i, window in enumerate(timeline.windows):
        payload += b",\n" if i else b"\n"
        payload += encoder.encode(window)
    payload += b"\n]}\n"
    return bytes(payload)


def to_json_list(timelines: Sequence[Timeline]) -> bytes:
    """Encode as a JSON array with the timeline of each channel."""
    return b"[\n" + b",\n".join(to_json(timeline).removesuffix(b"\n") for timeline in timelines) + b"\n]\n"


def columns(timeline: Timeline) -> list[str]:
    """Return the column names of CSV and Parquet.

    A row is a window; there is a channel only if it was recognised alone; emotion, probability and `probability_LABEL`
    are empty without speech.
    """
    return [
        "path",
        *([] if timeline.channel is None else ["channel"]),
        "start_s",
        "end_s",
        "time_s",
        "speech",
        "emotion",
        "probability",
        "abstain",
        *(f"probability_{label}" for label in timeline.labels),
        "voiced_start_s",
        "voiced_end_s",
    ]


def to_csv(timelines: Sequence[Timeline]) -> bytes:
    """Encode as CSV: a header, and one row per window; times and probabilities to six decimal places."""
    rows = ([_cell(value) for value in _row(timeline, window)] for timeline in timelines for window in timeline.windows)
    return csv_cells.write_rows(itertools.chain([columns(timelines[0])], rows)).encode()


def to_parquet(timelines: Sequence[Timeline]) -> bytes:
    """Encode as Parquet: one row per window; the schema's metadata has the model, window, hop, threshold, warnings.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    pa, parquet = import_pyarrow()
    schema = _schema(timelines)
    sink = io.BytesIO()
    with parquet.ParquetWriter(sink, schema) as writer:
        for timeline in timelines:
            for start in range(0, max(len(timeline.windows), 1), _ROWS_PER_BATCH):
                rows = [_row(timeline, window) for window in timeline.windows[start : start + _ROWS_PER_BATCH]]
                values = ([row[i] for row in rows] for i in range(len(schema.names)))
                arrays = [pa.array(column, type=schema.field(i).type) for i, column in enumerate(values)]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()


def _row(timeline: Timeline, window: Window) -> list[Any]:
    return [
        timeline.path,
        *([] if timeline.channel is None else [timeline.channel]),
        window.start_s,
        window.end_s,
        window.time_s,
        window.speech,
        window.emotion,
        window.probability,
        window.abstain,
        *(window.probabilities.get(label) for label in timeline.labels),
        window.voiced_start_s,
        window.voiced_end_s,
    ]


def _cell(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value


def _schema(timelines: Sequence[Timeline]) -> pa.Schema:
    import pyarrow as pa

    timeline, cautions = timelines[0], [caution for each in timelines for caution in each.warnings]
    types = {
        "path": pa.string(),
        "channel": pa.int64(),
        "speech": pa.bool_(),
        "emotion": pa.string(),
        "abstain": pa.bool_(),
    }
    facts = {
        "schema_version": timeline.schema_version,
        "path": timeline.path,
        "model": timeline.model,
        "model_version": timeline.model_version,
        "window_s": timeline.window_s,
        "hop_s": timeline.hop_s,
        "abstain_below": timeline.abstain_below,
        "duration_s": timeline.duration_s,
        "warnings": msgspec.json.encode(list(dict.fromkeys(cautions))).decode(),
    }
    metadata = {name: str(value) for name, value in facts.items()}
    fields = [pa.field(name, types.get(name, pa.float64())) for name in columns(timeline)]
    return pa.schema(fields, metadata=metadata)
