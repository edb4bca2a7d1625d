"""Encode a timeline as JSON, and its windows as rows of CSV or Parquet."""

from __future__ import annotations

import io
import itertools
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


def columns(timeline: Timeline) -> list[str]:
    """Return the column names of CSV and Parquet.

    A row is a window; emotion, probability and `probability_LABEL` are empty without speech.
    """
    return [
        "path",
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


def to_csv(timeline: Timeline) -> bytes:
    """Encode as CSV: a header, and one row per window; times and probabilities to six decimal places."""
    rows = ([_cell(value) for value in _row(timeline, window)] for window in timeline.windows)
    return csv_cells.write_rows(itertools.chain([columns(timeline)], rows)).encode()


def to_parquet(timeline: Timeline) -> bytes:
    """Encode as Parquet: one row per window; the schema's metadata has the model, window, hop, threshold, warnings.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    pa, parquet = import_pyarrow()
    schema = _schema(timeline)
    sink = io.BytesIO()
    with parquet.ParquetWriter(sink, schema) as writer:
        for start in range(0, max(len(timeline.windows), 1), _ROWS_PER_BATCH):
            rows = [_row(timeline, window) for window in timeline.windows[start : start + _ROWS_PER_BATCH]]
            arrays = [pa.array([row[i] for row in rows], type=schema.field(i).type) for i in range(len(schema.names))]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()


def _row(timeline: Timeline, window: Window) -> list[Any]:
    return [
        timeline.path,
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


def _schema(timeline: Timeline) -> pa.Schema:
    import pyarrow as pa

    types = {"path": pa.string(), "speech": pa.bool_(), "emotion": pa.string(), "abstain": pa.bool_()}
    facts = {
        "schema_version": timeline.schema_version,
        "path": timeline.path,
        "model": timeline.model,
        "model_version": timeline.model_version,
        "window_s": timeline.window_s,
        "hop_s": timeline.hop_s,
        "abstain_below": timeline.abstain_below,
        "duration_s": timeline.duration_s,
        "warnings": msgspec.json.encode(timeline.warnings).decode(),
    }
    metadata = {name: str(value) for name, value in facts.items()}
    fields = [pa.field(name, types.get(name, pa.float64())) for name in columns(timeline)]
    return pa.schema(fields, metadata=metadata)
