"""Recognise the turns of speakers: the result is a timeline for each speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from emocatcher import audio
from emocatcher.audio.channels import Channels, index_of
from emocatcher.audio.sources import held, path_of
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import cautions
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.speakers import turn_files, turns
from emocatcher.recognition.speakers.turn_recognition import Answer, NewTurn, answer_all, check_early
from emocatcher.recognition.speakers.turns import SpeakerTurn, Turns
from emocatcher.recognition.timeline import Network, Windows, segments
from emocatcher.recognition.timeline.recording import printable
from emocatcher.recognition.timeline.speaker_timeline import SpeakerTimeline, Turn, overlaps, overlaps_s

_ROUNDING_S = 2e-6  # a shorter gap would have no length in files, whose times are in microseconds


def recognise(
    network: Network,
    source: audio.Source,
    speakers: Turns,
    window_s: float = 3.0,
    hop_s: float = 0.5,
    *,
    channels: Channels = "mix",
    abstain_below: float = 0.0,
    on_block: Callable[[audio.Waveform], object] | None = None,
    on_note: Callable[[str], object] = lambda _: None,
) -> tuple[SpeakerTimeline, ...]:
    """Recognise each turn of each speaker on its own.

    A turn of up to 10 s gives the same as `predict` of this part of the recording, a longer one is recognised window by
    window, as there. Memory does not grow with the recording, but for the result.

    Args:
        network: the model.
        source: a path, a URI, an encoded file's bytes, or (samples, sample_rate).
        speakers: a file of turns (see `turn_files.read`); or turns as (start_s, end_s, speaker), or as mappings with
            these names.
        window_s: length of a window in turns of more than 10 s, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        channels: as for `Recognizer.predict`.
        abstain_below: turns, windows and segments with a lower probability are marked `abstain`.
        on_block: called with each block of the waveform, at the model's rate.
        on_note: called with a sentence about each kind of change that the turns needed (see `turns.tidy`).

    Returns:
        a timeline for each speaker, in the order in which they first speak.

    Raises:
        AudioError: if the recording cannot be used, or has no such channel.
        SettingError: if the turns cannot be used, or one ends more than a second after the recording; if `channels`,
            the window or the hop is not allowed.
    """
    if channels == "each":
        raise SettingError("Turns of speakers and 'each' both divide a recording. Give mix, left, right, or a number")
    channel, path = index_of(channels), path_of(source)
    if isinstance(speakers, str | Path):
        found = turn_files.read(speakers, path, on_note)
    else:
        found = turns.tidy(turns.given_by_caller(speakers), "speakers", path, on_note)
    new = NewTurn(network, window_s, hop_s, abstain_below)
    with held(source) as again:
        if path:
            check_early(again, found, channel)
        answers, facts, duration_s = answer_all(new, again, found, channel, on_block)
    cut = [_cut(turn, duration_s) for turn in found]
    if n_beyond := sum(turn is None for turn in cut):
        on_note(f"{n_beyond} of {len(cut)} turns left out, because the recording ends before")
    kept = [(turn, answer) for turn, answer in zip(cut, answers, strict=True) if turn is not None and answer]
    in_common = overlaps([turn for turn, _ in kept])
    by_speaker: dict[str, list[tuple[SpeakerTurn, Answer]]] = defaultdict(list)
    for turn, answer in kept:
        by_speaker[turn.speaker].append((turn, answer))

    def timeline(speaker: str, of_speaker: list[tuple[SpeakerTurn, Answer]]) -> SpeakerTimeline:
        places = [turn for turn, _ in of_speaker]
        shared_s = overlaps_s(places, in_common)
        answered = tuple(
            _turn(turn, answer.prediction, overlap_s)
            for (turn, answer), overlap_s in zip(of_speaker, shared_s, strict=True)
        )
        windows, firsts = _cover([*_placed(of_speaker)], network.config.labels, duration_s)
        merged = segments.merge(windows, duration_s, abstain_below, firsts)
        seconds = dict.fromkeys(network.config.labels, 0.0)
        for segment in merged:
            if segment.emotion is not None:
                seconds[segment.emotion] += segment.end_s - segment.start_s
        total_s = sum(seconds.values())
        return SpeakerTimeline(
            path=printable(path),
            channel=None if channel is None else channel + 1,
            model=network.config.name,
            model_version=network.config.version,
            labels=network.config.labels,
            window_s=float(window_s),
            hop_s=float(hop_s),
            abstain_below=float(abstain_below),
            duration_s=duration_s,
            settled_on=network.n_settled_on,
            warnings=cautions.of_turns(facts, duration_s, [turn.warnings for turn in answered]),
            segments=merged,
            windows=windows,
            speaker=speaker,
            n_turns=len(answered),
            speaking_s=round(sum(turn.end_s - turn.start_s for turn in places), 6),
            overlap_s=round(sum(shared_s), 6),
            shares={label: second / total_s for label, second in seconds.items()} if total_s else {},
            turns=answered,
        )

    return tuple(timeline(speaker, of_speaker) for speaker, of_speaker in by_speaker.items())


def _cut(turn: SpeakerTurn, duration_s: float) -> SpeakerTurn | None:
    """Return what of a turn is within the recording; an end within the rounding of times is that of the recording."""
    end_s = turn.end_s if turn.end_s < duration_s - _ROUNDING_S else duration_s
    return turn._replace(end_s=end_s) if turn.start_s < end_s else None


def _turn(turn: SpeakerTurn, found: Prediction, overlap_s: float) -> Turn:
    voiced = found.voiced
    return Turn(
        start_s=turn.start_s,
        end_s=turn.end_s,
        overlap_s=overlap_s,
        emotion=found.emotion,
        probability=found.probability,
        abstain=found.abstain,
        probabilities=found.probabilities,
        shares=found.shares,
        voiced_start_s=None if voiced is None else turn.start_s + voiced[0],
        voiced_end_s=None if voiced is None else turn.start_s + voiced[1],
        warnings=found.warnings,
    )


def _placed(of_speaker: Sequence[tuple[SpeakerTurn, Answer]]) -> Iterator[Windows]:
    """Yield the windows of each turn, at their times in the recording; the last one ends with the turn."""
    for turn, answer in of_speaker:
        windows = answer.windows
        ends_s = windows.end_s + turn.start_s
        ends_s[-1] = turn.end_s
        first_s, last_s = (
            np.minimum(one + turn.start_s, turn.end_s) for one in (windows.voiced_start_s, windows.voiced_end_s)
        )
        rest = (windows.speech, windows.probabilities, windows.abstain)
        yield Windows(windows.labels, windows.start_s + turn.start_s, ends_s, first_s, last_s, *rest)


def _cover(parts: Sequence[Windows], labels: tuple[str, ...], duration_s: float) -> tuple[Windows, list[int]]:
    """Join the windows of turns, with a window without speech in each gap; return also where each part begins."""
    covered: list[Windows] = []
    end_s = 0.0
    for part in parts:
        if part.start_s[0] > end_s:
            covered.append(_gap(labels, end_s, float(part.start_s[0])))
        covered.append(part)
        end_s = float(part.end_s[-1])
    if end_s < duration_s:
        covered.append(_gap(labels, end_s, duration_s))
    firsts = np.cumsum([0, *(len(part) for part in covered[:-1])]).tolist()
    return Windows.join(labels, covered), firsts


def _gap(labels: tuple[str, ...], start_s: float, end_s: float) -> Windows:
    start, end = np.array([start_s]), np.array([end_s])
    missing = np.full((1, len(labels)), np.nan)
    return Windows(labels, start, end, start, end, np.array([False]), missing, np.array([True]))
