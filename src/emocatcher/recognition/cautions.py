"""Find reasons in a recording to trust its prediction less."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import mel, speech_gate
from emocatcher.features.extraction import Features
from emocatcher.foundation.settings import FrontEnd
from emocatcher.recognition.prediction import CODES, Caution

_NAMED = 4  # damaged parts, or channels
_SHORTEST_S = 0.4  # voiced span
_QUIET_DB = -60.0  # rms, relative to full scale
_BAND_HZ = 4_300.0  # a telephone's sample rate of 8 kHz leaves nothing above 4,000 Hz
# Loudest cell above that edge, relative to the loudest of all: at least -39 dB in RAVDESS, and at most -70 dB after
# resampling it to 8 kHz.
_BAND_DB = -60.0


def find(
    recording: audio.Recording,
    log_mel: NDArray[np.float32],
    clip: Features,
    front_end: FrontEnd,
    longest_voiced_s: float | None,
) -> tuple[Caution, ...]:
    """Find all reasons to trust a prediction less.

    Args:
        recording: as read, at the front end's sample rate.
        log_mel: shape (n_mels, n_frames), dB, of the whole clip.
        clip: features of its voiced span.
        front_end: computed both.
        longest_voiced_s: of the model's training recordings; None if it is not known.

    Returns:
        the cautions, most serious first.
    """
    found: list[Caution] = []
    has_speech = speech_gate.has_speech(recording.waveform, recording.sample_rate, log_mel, front_end, clip.clicked)
    if not has_speech:
        found.append(_no_speech(recording.n_tracks))
    elif not clip.span.found:
        found.append(Caution("no-voiced-span", "no voiced span was found: the whole recording was used"))
    found += of_reading(recording, clip.duration_s)
    if not has_speech:
        return tuple(found)  # the others are about the voice
    voiced_s = clip.voiced_end_s - clip.voiced_start_s
    if voiced_s < _SHORTEST_S:
        found.append(Caution("too-short", f"only {voiced_s:.2f} s of voice: at least {_SHORTEST_S:g} s are needed"))
    if longest_voiced_s is not None and voiced_s > longest_voiced_s:
        longest = f"the model was trained on at most {longest_voiced_s:.2f} s"
        found.append(Caution("too-long", f"{voiced_s:.2f} s of voice, but {longest}: use the timeline"))
    found += _of_the_voice(recording, _above_the_band(clip.log_mel, front_end), _power(recording, clip))
    return tuple(found)


def of_reading(recording: audio.Recording | audio.Facts, duration_s: float) -> tuple[Caution, ...]:
    """Find what was missing or had to be changed when a recording was read, for a prediction or a timeline."""
    found = list(of_the_file(recording.truncated, recording.lost, recording.n_unread, duration_s))
    if recording.divisor > 1.0:
        divided = f"the samples were divided by {recording.divisor:,.0f}"
        found.append(Caution("rescaled", f"rescaled: {divided}, because their values are beyond full scale"))
    if recording.channels_cancel:
        found.append(Caution("channels-cancel", _left_out(recording.channels_cancel)))
    if recording.voices:
        found.append(Caution("channels-differ", _differ(recording.voices)))
    return tuple(found)


def _left_out(channels: tuple[audio.LeftOut, ...]) -> str:
    """Describe channels that were left out because the average would cancel the voice; they are counted from 1.

    Examples:
        >>> _left_out((audio.LeftOut(30.0, 42.0, 1),))
        'a voice in opposite phase, or late, in several channels; left out: channel 2 from 30.0 to 42.0 s'
    """
    where = ", ".join(f"channel {i + 1} from {start_s:.1f} to {end_s:.1f} s" for start_s, end_s, i in channels[:_NAMED])
    more = f" and {len(channels) - _NAMED} more" if len(channels) > _NAMED else ""
    return f"a voice in opposite phase, or late, in several channels; left out: {where}{more}"


def _differ(channels: tuple[int, ...]) -> str:
    """Describe channels that have sound where the others have none; they are counted from 1.

    Examples:
        >>> _differ((0, 1))
        'channels 1 and 2 have sound of their own, as of several persons: recognise each channel on its own'
    """
    *firsts, last = (str(channel + 1) for channel in channels[:_NAMED])
    more = f" and {len(channels) - _NAMED} more" if len(channels) > _NAMED else ""
    own = f"channels {', '.join(firsts)} and {last}{more} have sound of their own"
    return f"{own}, as of several persons: recognise each channel on its own"


def of_the_file(
    truncated: bool, lost: tuple[tuple[float, float], ...], n_unread: int, duration_s: float
) -> tuple[Caution, ...]:
    """Find what is missing of a recording, and where.

    Args:
        truncated: whether its end is missing.
        lost: damaged parts as (start_s, end_s), in order.
        n_unread: bytes behind the end that the header declares, or behind a change of the format.
        duration_s: of what was decoded, with the damaged parts.

    Examples:
        >>> [str(caution) for caution in of_the_file(True, ((2.0, 2.25),), 0, 9.0)]
        ['the file breaks off: only the first 9.00 s were used', 'damaged: 0.25 s could not be decoded, at 2.00 s']
        >>> print(*of_the_file(False, (), 5_000, 9.0))
        the last 5,000 bytes were not read, behind the declared end, or in another format: are files joined?
    """
    found = []
    if truncated:
        found.append(Caution("truncated", f"the file breaks off: only the first {duration_s:.2f} s were used"))
    if lost:
        total_s = sum(end_s - start_s for start_s, end_s in lost)
        where = ", ".join(f"{start_s:.2f}" for start_s, _ in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more places" if len(lost) > _NAMED else ""
        found.append(Caution("damaged", f"damaged: {total_s:.2f} s could not be decoded, at {where} s{more}"))
    if n_unread:
        where = "behind the declared end, or in another format"
        message = f"the last {n_unread:,} bytes were not read, {where}: are files joined?"
        found.append(Caution("unread", message))
    return tuple(found)


def of_turns(facts: audio.Facts, duration_s: float, warnings: Sequence[Sequence[Caution]]) -> tuple[Caution, ...]:
    """Find the reasons to trust the turns of a speaker less: of the recording, and how many turns have one.

    Args:
        facts: of the recording, all of which was read.
        duration_s: of the recording.
        warnings: of each turn.
    """
    found = [*of_reading(facts, duration_s), *_clipped(facts)]
    counts = Counter(code for of_turn in warnings for code in {caution.code for caution in of_turn})
    found += [Caution(code, f"{code} in {counts[code]} of {len(warnings)} turns") for code in CODES if counts[code]]
    return tuple(found)


class SpeechOverTime:
    """Collects what the cautions of a timeline need from its windows with speech.

    Args:
        front_end: computed the windows.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        self._n_windows = self._n_samples = 0
        self._energy = 0.0
        self._loudest_db = self._loudest_above_db = -math.inf

    def add(self, channels: NDArray[np.float32], voice: audio.Waveform) -> None:
        """Add a window's voiced span: shape (n_channels, n_frames), and (n_samples,)."""
        log_mel = channels[: self._front_end.n_mels]
        self._n_windows += 1
        self._n_samples += len(voice)
        self._energy += float(np.square(voice).sum())
        self._loudest_db = max(self._loudest_db, float(log_mel.max()))
        above = log_mel[_first_above(self._front_end) :]
        self._loudest_above_db = max(self._loudest_above_db, float(above.max()) if len(above) else math.inf)

    def cautions(self, facts: audio.Facts, duration_s: float) -> tuple[Caution, ...]:
        """Find all reasons to trust the timeline less.

        Args:
            facts: of the recording, all of which was read.
            duration_s: of the recording.

        Returns:
            the cautions, most serious first.
        """
        found = [*([] if self._n_windows else [_no_speech(facts.n_tracks)]), *of_reading(facts, duration_s)]
        if self._n_windows:
            above_db = min(self._loudest_above_db - self._loudest_db, 0.0)
            found += _of_the_voice(facts, above_db, self._energy / max(self._n_samples, 1))
        return tuple(found)


def _above_the_band(log_mel: NDArray[np.float32], front_end: FrontEnd) -> float:
    """Return the loudest cell above the telephone band, dB relative to the loudest of all; 0 if no band is above it."""
    first = _first_above(front_end)
    return 0.0 if first == len(log_mel) else float(log_mel[first:].max() - log_mel.max())


def _no_speech(n_tracks: int) -> Caution:
    more = f". Of {n_tracks} sound tracks, only the default one was read" if n_tracks > 1 else ""
    return Caution("no-speech", f"no speech was found, so there is no emotion{more}")


def _of_the_voice(facts: audio.Facts | audio.Recording, above_db: float, power: float) -> list[Caution]:
    """Find the cautions for clipping, a narrow band and a low level; `power` is the mean square of the samples."""
    found = _clipped(facts)
    if above_db < _BAND_DB or facts.native_rate <= 2 * _BAND_HZ:
        level = f"nothing within {-above_db:.0f} dB of the loudest lies above {_BAND_HZ / 1000:.1f} kHz"
        found.append(Caution("narrow-band", f"narrow band: {level}, as over a telephone"))
    if (rms_db := 10.0 * math.log10(max(power, 1e-20))) < _QUIET_DB:
        found.append(Caution("very-quiet", f"very quiet: {-rms_db:.0f} dB rms below full scale"))
    return found


def _clipped(facts: audio.Facts | audio.Recording) -> list[Caution]:
    message = f"clipped: samples stay at the peak, {facts.peak:.3f} of full scale"
    return [Caution("clipped", message)] if facts.clipped else []


@lru_cache(maxsize=8)
def _first_above(front_end: FrontEnd) -> int:
    """Return the index of the first mel band above the telephone band."""
    return int(np.searchsorted(mel.centres_hz(front_end), _BAND_HZ))


def _power(recording: audio.Recording, clip: Features) -> float:
    first = int(clip.voiced_start_s * recording.sample_rate)
    voice = recording.waveform[first : max(int(clip.voiced_end_s * recording.sample_rate), first + 1)]
    return float(np.square(voice).sum()) / max(len(voice), 1)
