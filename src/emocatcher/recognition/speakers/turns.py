"""Turns of speakers: check what a file or a caller gives, and bring it into order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from emocatcher.foundation.errors import SettingError, one_line

MOST_TURNS, MOST_SPEAKERS = 100_000, 500
UNKNOWN = "unknown"  # the speaker of turns without one
_SHORTEST_S = 0.0005  # Whisper writes some segments without any length
_LATEST_S = 1e9  # a later time is no time
_NAMED = 5  # recordings, in messages


class SpeakerTurn(NamedTuple):
    """A part of a recording in which a speaker speaks, as a diariser found it."""

    start_s: float
    end_s: float
    speaker: str


Turns: TypeAlias = "str | Path | Iterable[tuple[float, float, str] | Mapping[str, Any]]"


class GivenTurn(NamedTuple):
    """A turn as it was given; nothing of it is checked."""

    place: str  # where it was given, for messages
    start_s: object
    end_s: object = None  # None: the duration is given
    duration_s: object = None
    speaker: object = None
    recording: str | None = None  # the name of the recording, if it is given


def tidy(
    given: Sequence[GivenTurn], name: str, recording: str, on_note: Callable[[str], object] = lambda _: None
) -> tuple[SpeakerTurn, ...]:
    """Check turns; return those of a recording in order of time, without overlaps of a speaker with themself.

    Times are rounded to a microsecond. Turns of less than half a millisecond are left out, turns of one speaker that
    overlap are joined, and turns without a speaker are of "unknown".

    Args:
        given: the turns.
        name: of the file or the argument that they are from, for messages.
        recording: path of the recording; "" if it has none.
        on_note: called with a sentence about each kind of change.

    Raises:
        SettingError: if a turn has no times, or such as cannot be; if there are none, or too many; if no turn has a
            speaker; if the turns are of several recordings, and none or an unknown one is this.

    Examples:
        >>> tidy([GivenTurn("turn 1", 2, 3.5, None, "B"), GivenTurn("turn 2", 0, None, "1.5", "A")], "turns", "")
        (SpeakerTurn(start_s=0.0, end_s=1.5, speaker='A'), SpeakerTurn(start_s=2.0, end_s=3.5, speaker='B'))
    """
    if not given:
        raise SettingError(f"{name} has no turns. Give turns with start, end and speaker")
    check_number(len(given), name)
    given = _of_recording(given, name, recording, on_note)
    found = [_checked(turn) for turn in given]
    n_without = sum(turn.speaker == "" for turn in found)
    if n_without == len(found):
        raise SettingError(
            f"{name} has no speakers, only times, as Whisper alone writes them. Give the turns of a diariser, such as "
            "pyannote, NeMo, or WhisperX with --diarize"
        )
    if n_without:
        on_note(f"{n_without} of {len(found)} turns without a speaker: they are of '{UNKNOWN}'")
        found = [turn if turn.speaker else turn._replace(speaker=UNKNOWN) for turn in found]
    long = [turn for turn in found if turn.end_s - turn.start_s >= _SHORTEST_S]
    if not long:
        raise SettingError(f"{name} has only turns without any length. Give start and end in seconds")
    if len(long) < len(found):
        on_note(f"{len(found) - len(long)} of {len(found)} turns left out, because they have no length")
    joined = _joined(long)
    if len(joined) < len(long):
        on_note(
            f"{len(long) - len(joined)} of {len(long)} turns joined with another of their speaker that they overlap"
        )
    if (n_speakers := len({turn.speaker for turn in joined})) > MOST_SPEAKERS:
        raise SettingError(f"{name} has {n_speakers} speakers; {MOST_SPEAKERS} are allowed. Is it the right column?")
    return joined


def check_number(n_turns: int, name: str) -> None:
    """Check that there are not too many turns.

    Raises:
        SettingError: if there are.
    """
    if n_turns > MOST_TURNS:
        raise SettingError(f"{name} has more than {MOST_TURNS:,} turns. Cut the recording and its turns into parts")


def given_by_caller(values: Iterable[Any]) -> list[GivenTurn]:
    """Convert the values of a caller: (start_s, end_s, speaker), or mappings as in JSON.

    Raises:
        SettingError: if a value is neither.
    """
    from emocatcher.recognition.speakers import turn_records

    found = []
    for number, value in enumerate(values, 1):
        place = f"turn {number}"
        if isinstance(value, Mapping):
            found.append(turn_records.from_record(value, place))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 3:
            found.append(GivenTurn(place, value[0], value[1], None, value[2]))
        else:
            raise SettingError(f"{place} is {value!r:.60}. Give (start_s, end_s, speaker)")
        if number > MOST_TURNS:
            break
    return found


def _of_recording(
    given: Sequence[GivenTurn], name: str, recording: str, on_note: Callable[[str], object]
) -> Sequence[GivenTurn]:
    """Return the turns of one recording, if the turns name several."""
    named = dict.fromkeys(turn.recording for turn in given if turn.recording)
    if not named:
        return given
    is_this = {Path(recording).name, Path(recording).stem} if recording else set()
    ours = {one for one in named if is_this & {one, Path(one).name, Path(one).stem}}
    if not ours and len(named) == 1:
        if recording:
            on_note(f"{name} names the recording '{one_line(next(iter(named)))}', and this is '{Path(recording).name}'")
        return given
    if not ours:
        some = ", ".join(f"'{one_line(one)}'" for one in list(named)[:_NAMED])
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        this = f"none is '{Path(recording).stem}'" if recording else "the recording has no name"
        raise SettingError(f"{name} has the turns of {len(named)} recordings: {some}{more}; {this}. Give its own turns")
    return [turn for turn in given if turn.recording in ours]


def _checked(turn: GivenTurn) -> SpeakerTurn:
    start_s = _seconds(turn.start_s, turn.place, "start")
    if turn.end_s is None:
        duration_s = _seconds(turn.duration_s, turn.place, "end" if turn.duration_s is None else "duration")
        end_s = start_s + duration_s
    else:
        end_s = _seconds(turn.end_s, turn.place, "end")
    if end_s < start_s:
        raise SettingError(f"{turn.place}: the end, {end_s:g} s, is before the start, {start_s:g} s. Correct the turn")
    return SpeakerTurn(round(start_s, 6), round(end_s, 6), _speaker(turn))


def _seconds(value: object, place: str, what: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, str | Real) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        problem = "has no value" if value is None or value == "" else f"is no number: {_short(value)}"
        raise SettingError(f"{place}: the {what} {problem}. Give seconds, with a decimal point")
    if not 0 <= number <= _LATEST_S:
        problem = "negative" if number < 0 else "too large"
        raise SettingError(
            f"{place}: the {what} is {problem}: {_short(value)}. Give seconds from the recording's start"
        )
    return number


def _speaker(turn: GivenTurn) -> str:
    """Return the name on one line; "" if there is none, also for the NaN that pandas writes."""
    value = turn.speaker
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise SettingError(f"{turn.place}: the speaker is {_short(value)}. Give a name")
    return one_line(" ".join(str(value).split()))


def _joined(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    newest: dict[str, int] = {}  # by speaker
    found: list[SpeakerTurn] = []
    for turn in sorted(turns):
        place = newest.get(turn.speaker)
        if place is not None and turn.start_s < found[place].end_s:
            found[place] = found[place]._replace(end_s=max(found[place].end_s, turn.end_s))
        else:
            newest[turn.speaker] = len(found)
            found.append(turn)
    return tuple(found)


def _short(value: object) -> str:
    text = one_line(repr(value))
    return text if len(text) <= 40 else text[:39] + "…"
