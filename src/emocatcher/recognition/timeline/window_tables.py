"""Encode a timeline as JSON, and its windows, or the turns of speakers, as rows of CSV or Parquet."""

from __future__ import annotations

import heapq
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from emocatcher.foundation import csv_cells
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.recognition.timeline.recording import Timeline
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline, Turn
from emocatcher.recognition.timeline.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_BATCH = 8192


def to_json(timeline: Timeline) -> bytes:
    """Encode the whole timeline as JSON; `msgspec.json.decode(payload, type=Timeline)` reads it back."""
    encoder = msgspec.json.Encoder()
    payload = bytearray(encoder.encode(msgspec.structs.replace(timeline, windows=())))
    # Encode one window at a time: an hour's windows as objects would take many times the memory of the text.
    # Inside a text, a quote has a backslash, so this can only be the field.
    head, windows, rest = payload.partition(b'"windows":[')
    payload = head + windows
    for i, window in enumerate(timeline.windows):
        payload += b",\n" if i else b"\n"
        payload += encoder.encode(window)
    payload += b"\n" + rest + b"\n"
    return bytes(payload)


def to_json_list(timelines: Sequence[Timeline]) -> bytes:
    """Encode as a JSON array with the timeline of each channel or speaker."""
    return b"[\n" + b",\n".join(to_json(timeline).removesuffix(b"\n") for timeline in timelines) + b"\n]\n"


def columns(timeline: Timeline) -> list[str]:
    """Return the column names of CSV and Parquet.

    A row is a window, or a turn of a speaker; there is a channel only if it was recognised alone; emotion, probability
    and `probability_LABEL` are empty without speech, and `share_LABEL` for turns of up to 10 s.
    """
    of_speaker = isinstance(timeline, SpeakerTimeline)
    return [
        "path",
        *([] if timeline.channel is None else ["channel"]),
        *(["speaker"] if of_speaker else []),
        "start_s",
        "end_s",
        "time_s",
        "speech",
        "emotion",
        "probability",
        "abstain",
        *(["overlap_s"] if of_speaker else []),
        *(f"probability_{label}" for label in timeline.labels),
        *([f"share_{label}" for label in timeline.labels] if of_speaker else []),
        "voiced_start_s",
        "voiced_end_s",
        *(["warnings"] if of_speaker else []),
    ]


def to_csv(timelines: Sequence[Timeline]) -> bytes:
    """Encode as CSV: a header, and one row per window; times and probabilities to six decimal places.

    Of speakers, a row is a turn, and the rows are in order of time.
    """
    rows = ([_cell(value) for value in row] for row in _rows(timelines))
    return csv_cells.write_rows(itertools.chain([columns(timelines[0])], rows)).encode()


def to_parquet(timelines: Sequence[Timeline]) -> bytes:
    """Encode as Parquet: the same rows; the schema's metadata has the model, window, hop, threshold, warnings.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    pa, parquet = import_pyarrow()
    schema, rows = _schema(timelines), _rows(timelines)
    sink = io.BytesIO()
    with parquet.ParquetWriter(sink, schema) as writer:
        while batch := list(itertools.islice(rows, _ROWS_PER_BATCH)):
            values = ([row[i] for row in batch] for i in range(len(schema.names)))
            arrays = [pa.array(column, type=schema.field(i).type) for i, column in enumerate(values)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return sink.getvalue()


def _rows(timelines: Sequence[Timeline]) -> Iterator[list[Any]]:
    speakers = [one for one in timelines if isinstance(one, SpeakerTimeline)]
    turns = heapq.merge(*([(turn.start_s, i) for turn in one.turns] for i, one in enumerate(speakers)))
    next_turn = [iter(one.turns) for one in speakers]
    for _, i in turns:
        yield _turn_row(speakers[i], next(next_turn[i]))
    for timeline in timelines if not speakers else ():
        for window in timeline.windows:
            yield _row(timeline, window)


def _turn_row(timeline: SpeakerTimeline, turn: Turn) -> list[Any]:
    return [
        timeline.path,
        *([] if timeline.channel is None else [timeline.channel]),
        timeline.speaker,
        turn.start_s,
        turn.end_s,
        0.5 * (turn.start_s + turn.end_s),
        turn.emotion is not None,
        turn.emotion,
        turn.probability,
        turn.abstain,
        turn.overlap_s,
        *(turn.probabilities.get(label) for label in timeline.labels),
        *(turn.shares.get(label) for label in timeline.labels),
        turn.voiced_start_s,
        turn.voiced_end_s,
        ";".join(caution.code for caution in turn.warnings),
    ]


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
        "speaker": pa.string(),
        "speech": pa.bool_(),
        "emotion": pa.string(),
        "abstain": pa.bool_(),
        "warnings": pa.string(),
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
