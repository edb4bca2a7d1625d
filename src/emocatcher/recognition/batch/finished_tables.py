"""Read the recordings of a finished table, and check that a batch may add rows to it."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from emocatcher import audio
from emocatcher.audio.channels import Channels, index_of
from emocatcher.foundation.errors import AudioError, OutputError
from emocatcher.models.model_folder import ModelConfig
from emocatcher.recognition.batch import rows, table_reading
from emocatcher.recognition.batch.rows import Outputs, Written
from emocatcher.recognition.prediction import SCHEMA_VERSION

_NEEDED = [
    "path",
    "channel",
    "error",
    "model",
    "model_version",
    "probability",
    "abstain",
    "warnings",
    "settled_on",
    "schema_version",
]


def read(
    out: Path,
    kind: str,
    config: ModelConfig,
    outputs: Outputs,
    abstain_below: float | None,
    settled_on: int = 0,
    channels: Channels = "mix",
) -> list[Written]:
    """Return the path and channel of each row of a finished table, in order, and whether it failed.

    The table does not identify its model's file. Rows of the same batch are recognised by the model's name, version and
    emotions, and by which predictions are marked `abstain`.

    Args:
        out: the table.
        kind: one of `tables.FORMATS`.
        config: the model that would add rows.
        outputs: what it returns, and the ids.
        abstain_below: as for `Recognizer.predict`.
        settled_on: the number of recordings that it settled on.
        channels: as for `Recognizer.predict_many`.

    Raises:
        OutputError: if it is not such a table, or its rows come from another model, other channels or another
            `abstain_below`.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """
    threshold = config.abstain_below if abstain_below is None else abstain_below
    found = []
    try:
        for row in _rows(out, kind, outputs):
            channel = int(row["channel"]) if row["channel"] else None
            found.append(Written(row["path"], bool(row["error"]), channel))
            if int(row["schema_version"]) != SCHEMA_VERSION:
                raise _of_another_version(out, int(row["schema_version"]))
            if row["model"]:
                _check(row, out, config, threshold)
                if not _is_of(channel, channels):
                    raise _of_other_channels(out, channels)
                if int(row["settled_on"]) != settled_on:
                    raise OutputError(
                        f"{out} was settled on {row['settled_on']} recordings, and this on {settled_on}. Give the same "
                        "--settled, or --overwrite"
                    )
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise OutputError(f"{out} is not a table of emocatcher ({error}). Give --overwrite, or another file") from None
    if channels == "each":
        _check_each(found, out)
    return found


def _is_of(channel: int | None, channels: Channels) -> bool:
    """Whether a row's channel is one that a batch with these channels writes."""
    if channels == "each":
        return channel is not None
    index = index_of(channels)
    return channel == (None if index is None else index + 1)


def _check_each(found: list[Written], out: Path) -> None:
    """Refuse a table with one channel of each recording, although the recordings have several."""
    done = [row for row in found if not row.failed]
    n_firsts = sum(row.channel == 1 for row in done)
    if done and not n_firsts:
        raise _of_other_channels(out, "each")
    for row in done if n_firsts == len(done) else ():
        with contextlib.suppress(AudioError):
            if audio.count_channels(row.path) > 1:
                raise _of_other_channels(out, "each")


def _of_other_channels(out: Path, channels: Channels) -> OutputError:
    return OutputError(
        f"{out} was written with other channels than {channels}. Give the same --channels, or --overwrite"
    )


def _check(row: Mapping[str, Any], out: Path, config: ModelConfig, threshold: float) -> None:
    model, ours = f"{row['model']} {row['model_version']}", f"{config.name} {config.version}"
    if model != ours:
        raise OutputError(f"{out} was written by the model {model}, and this is {ours}. Give the same, or --overwrite")
    has_no_speech = "no-speech" in row["warnings"].split(";")
    if bool(row["abstain"]) != (has_no_speech or row["probability"] < threshold):
        raise OutputError(f"{out} was written with another abstain_below than {threshold:g}. Give it, or --overwrite")


def _rows(out: Path, kind: str, outputs: Outputs) -> Iterator[dict[str, Any]]:
    columns = list(rows.columns(outputs))
    if kind == "csv":
        lines = table_reading.csv_rows(table_reading.finished_lines(out))
        _check_columns(next(lines, columns), columns, out)
        for values in lines:
            row: dict[str, Any] = dict(zip(columns, values, strict=True))
            yield row | {"probability": float(row["probability"] or 0), "abstain": row["abstain"] == "true"}
    elif kind == "parquet":
        _check_columns(table_reading.parquet_columns(out), columns, out)
        yield from table_reading.parquet_rows(out, _NEEDED)
    else:
        lines_ = table_reading.finished_lines(out) if kind == "jsonl" else table_reading.array_lines(out)
        for outcome in map(rows.decode, lines_):
            if probabilities := getattr(outcome, "probabilities", None):
                theirs = Outputs(tuple(probabilities), tuple(getattr(outcome, "dimensions", {})))
                _check_columns(list(rows.columns(theirs)), columns, out)
            yield rows.row(outcome, outputs)


def _of_another_version(out: Path, version: int) -> OutputError:
    return OutputError(
        f"{out} has rows of schema version {version}, and this emocatcher writes version {SCHEMA_VERSION}. Give "
        "--overwrite, or another file"
    )


def _check_columns(found: list[str], columns: list[str], out: Path) -> None:
    if found != columns:
        if found == [name for name in columns if not name.startswith("share_")]:
            raise _of_another_version(out, 1)
        unknown = next((name for name in found if name not in columns), "another order of columns")
        raise OutputError(
            f"{out} has other columns than this batch writes ({unknown}). Give --overwrite, or another file"
        )
