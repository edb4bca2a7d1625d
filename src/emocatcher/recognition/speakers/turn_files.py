"""Read a file of turns: RTTM, CSV or JSON, recognised by its content, because .txt and no suffix are common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emocatcher.foundation.errors import SettingError, one_line
from emocatcher.foundation.text_tables import encoding_of
from emocatcher.recognition.speakers import rttm, turn_records
from emocatcher.recognition.speakers.turns import SpeakerTurn, tidy

LARGEST = 32 << 20  # bytes; with all words of a transcript, an hour takes 2 MiB


def read(
    path: str | Path, recording: str = "", on_note: Callable[[str], object] = lambda _: None
) -> tuple[SpeakerTurn, ...]:
    """Read the turns of a recording.

    Args:
        path: RTTM; CSV or JSON with start, end and speaker, as pyannote, NeMo, WhisperX and Whisper (its segments,
            with a speaker added) write them.
        recording: path of the recording, which chooses among the turns of several; "" if it has none.
        on_note: called with a sentence about each kind of change (see `turns.tidy`).

    Raises:
        SettingError: if it cannot be read, is none of these, or a turn cannot be used.
    """
    name = one_line(path)
    text = _text(Path(path), name)
    begin = text.lstrip()
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith(";")), "")
    if not begin:
        raise SettingError(f"{name} is empty. Give the file that a diariser wrote")
    if begin[0] in "{[":
        given = turn_records.from_json(text, name)
    elif rttm.is_rttm(first) or not first:
        given = rttm.turns(lines, name)
    else:
        given = turn_records.from_csv(text, name)
    return tidy(given, name, recording, on_note)


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingError(f"{name} cannot be read: {reason}. Give a file of turns: RTTM, CSV or JSON") from None
    if len(content) > LARGEST:
        raise SettingError(f"{name} has more than {LARGEST >> 20} MiB. Leave out what is not start, end or speaker")
    try:
        return content.decode(encoding_of(content[:4]))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingError(
            f"{name}, line {line}: not UTF-8 text. Give a file of turns: RTTM, CSV or JSON, in UTF-8"
        ) from None
