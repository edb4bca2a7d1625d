"""Read turns from CSV and JSON, under the names that pyannote, NeMo, WhisperX and Whisper give to their fields."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from emocatcher.foundation import text_tables
from emocatcher.foundation.errors import ManifestError, SettingError, one_line
from emocatcher.recognition.speakers.turns import MOST_TURNS, GivenTurn, check_number

# The first that occurs is taken. WhisperX writes `label` beside `speaker`, for the track.
_STARTS = ("start", "start_s", "start_time", "start_point")
_ENDS = ("end", "end_s", "end_time", "end_point")
_DURATIONS = ("duration", "duration_s")
_SPEAKERS = ("speaker", "speaker_label", "speaker_id", "label")
_RECORDINGS = ("session_id", "recording", "file", "uri")
# Where the turns are inside an object: of pyannote, Whisper and WhisperX, NeMo.
_LISTS = ("diarization", "segments", "sentences", "turns")
_AROUND = ("output", "result", "results")  # of a job of pyannoteAI, and of services like it


def from_record(record: Mapping[str, Any], place: str) -> GivenTurn:
    """Take a turn from a row or an object, whose fields may have any of the known names.

    Examples:
        >>> from_record({"start_time": 0.5, "end_time": 2, "speaker": "A", "sentence": "Yes."}, "turn 1")[1:5]
        (0.5, 2, None, 'A')
    """
    recording = _first(record, _RECORDINGS)
    return GivenTurn(
        place,
        _first(record, _STARTS),
        _first(record, _ENDS),
        _first(record, _DURATIONS),
        _first(record, _SPEAKERS),
        str(recording) if recording is not None else None,
    )


def from_csv(text: str, name: str) -> list[GivenTurn]:
    """Read a table with a header; commas, semicolons or tabs.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        SettingError: if it is no CSV, or has no column for the start, the end or the speaker.
    """
    try:
        rows = text_tables.CsvRows(io.StringIO(text, newline=""), name, str.lower)
        if len(rows.columns) < 2 or not {*_STARTS, *_ENDS, *_DURATIONS, *_SPEAKERS} & {*rows.columns}:
            raise SettingError(
                f"{name} is neither RTTM, nor CSV with the columns start, end and speaker, nor JSON: it begins with "
                f"'{one_line(text.lstrip().partition(chr(10))[0].strip()):.40}'. Give the file that a diariser wrote"
            )
        for names, what in ((_STARTS, "start"), ((*_ENDS, *_DURATIONS), "end"), (_SPEAKERS, "speaker")):
            if not {*names} & {*rows.columns}:
                shown = ", ".join(one_line(column) for column in rows.columns[:12])
                raise SettingError(f"{name} has no column '{what}'. Its columns: {shown}. Needed: start, end, speaker")
        found = []
        for number, cells in rows:
            filled = {column: cell.strip() for column, cell in cells.items() if cell.strip()}
            found.append(from_record(filled, f"{name}, line {number}"))
            if len(found) > MOST_TURNS:
                break
    except ManifestError as error:
        raise SettingError(str(error)) from None
    return found


def from_json(text: str, name: str) -> list[GivenTurn]:
    """Read a list of objects, an object that contains one, or one object a line (JSONL).

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        SettingError: if it is no JSON, or has no list of turns.

    Examples:
        >>> from_json('{"segments": [{"start": 0, "end": 2.5, "speaker": "A"}]}', "a.json")[0][:3]
        ('a.json, turn 1', 0, 2.5)
    """
    # Not msgspec: the scores of WhisperX's words may be NaN, which only Python's reader accepts.
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        value = _of_lines(text)
        if value is None:
            raise SettingError(f"{name} is not JSON: {error}. Write it again") from None
    records = _find(value, name)
    check_number(len(records), name)
    found = []
    for number, record in enumerate(records, 1):
        place = f"{name}, turn {number}"
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise SettingError(f"{place} is a JSON {kind}, not an object. Give objects with start, end and speaker")
        found.append(from_record(record, place))
    return found


def _of_lines(text: str) -> list[Any] | None:
    """Decode one value a line; None if a line is none, or there is only one."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return [json.loads(line) for line in lines] if len(lines) > 1 else None
    except (ValueError, RecursionError):
        return None


def _find(value: Any, name: str) -> list[Any]:
    """Return the list of turns in a JSON document."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for key in _LISTS:
            if isinstance(value.get(key), list):
                return list(value[key])
        for key in _AROUND:
            if isinstance(value.get(key), dict):
                return _find(value[key], name)
        if _first(value, _STARTS) is not None:  # JSONL of one line
            return [value]
    keys = f" Its keys: {', '.join(one_line(key) for key in list(value)[:8])}." if isinstance(value, dict) else ""
    raise SettingError(f"{name} has no list of turns.{keys} Give a list, or an object with one as 'segments'")


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)
