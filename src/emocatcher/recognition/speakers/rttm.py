"""Read RTTM, the "Rich Transcription Time Marked" lines of NIST's evaluations, as pyannote and NeMo write them."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.foundation.errors import SettingError, one_line
from emocatcher.recognition.speakers.turns import GivenTurn

# All types of NIST's "RT-09 Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
TYPES = {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB"}
TYPES |= {"A/P", "SPEAKER", "SPKR-INFO"}
_FEWEST, _MOST = 8, 10  # fields; some programs leave the last ones out


def is_rttm(line: str) -> bool:
    """Whether a line looks like RTTM.

    Examples:
        >>> is_rttm("SPEAKER call 1 0.0 1.5 <NA> <NA> A <NA> <NA>"), is_rttm("speaker,start,end")
        (True, False)
    """
    return (line.split(maxsplit=1) or [""])[0].upper() in TYPES


def turns(lines: Sequence[str], name: str) -> list[GivenTurn]:
    """Return the turns of the SPEAKER lines; the other types and comments (";;") are skipped.

    Args:
        lines: of the file.
        name: of the file, for messages.

    Raises:
        SettingError: if a line is not RTTM.

    Examples:
        >>> turn, = turns(["SPEAKER call 1 0.5 1.25 <NA> <NA> A <NA> <NA>"], "call.rttm")
        >>> turn.start_s, turn.duration_s, turn.speaker, turn.recording
        ('0.5', '1.25', 'A', 'call')
    """
    found = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or line.lstrip().startswith(";"):
            continue
        place = f"{name}, line {number}"
        if fields[0].upper() not in TYPES:
            raise SettingError(f"{place} is not RTTM: '{one_line(line.strip()):.40}'. Remove it, or correct it")
        if fields[0].upper() != "SPEAKER":
            continue
        if not _FEWEST <= len(fields) <= _MOST:
            raise SettingError(
                f"{place} has {len(fields)} fields; a SPEAKER line of RTTM has {_MOST}, divided by blanks: SPEAKER, "
                "recording, channel, start, duration, <NA>, <NA>, speaker, <NA>, <NA>. Names have no blanks"
            )
        speaker = None if fields[7] == "<NA>" else fields[7]
        found.append(GivenTurn(place, fields[3], None, fields[4], speaker, fields[1]))
    return found
