"""Reasons to trust an answer less, found in the recording itself."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import mel, speech_gate
from emocatcher.features.extraction import Features
from emocatcher.features.training_conditions import Judge
from emocatcher.foundation.settings import FrontEnd
from emocatcher.recognition.prediction import Caution

_SHORTEST_S = 0.4  # of voice
_QUIET_DB = -60.0  # rms, below full scale
_BAND_HZ = 4_300.0  # a telephone's 8 kHz leave nothing above 4,000
# The loudest cell above that edge, below the loudest of all: in RAVDESS -39 dB at the least, and -70 at the most after
# its way through 8 kHz.
_BAND_DB = -60.0


def find(
    recording: audio.Recording,
    log_mel: NDArray[np.float32],
    clip: Features,
    front_end: FrontEnd,
    judge: Judge | None,
) -> tuple[Caution, ...]:
    """Look for all that should make a listener of this answer careful.

    Args:
        recording: as it was read, at the front end's sample rate.
        log_mel: shape (n_mels, n_frames), dB, of the whole clip.
        clip: its voiced span.
        front_end: that made them.
        judge: of the model's training conditions; None where they are not known.

    Returns:
        the cautions, gravest first.
    """
    found: list[Caution] = []
    if not speech_gate.has_speech(recording.waveform, recording.sample_rate, log_mel, front_end):
        found.append(Caution("no-speech", "no speech was found: the answer is about another sound"))
    elif not clip.span.found:
        found.append(Caution("no-voiced-span", "no voiced span stands out: the whole recording was used"))
    if recording.truncated:
        found.append(Caution("truncated", f"the file breaks off: only the first {clip.duration_s:.2f} s were used"))
    voiced_s = clip.voiced_end_s - clip.voiced_start_s
    if voiced_s < _SHORTEST_S:
        found.append(
            Caution("too-short", f"only {voiced_s:.2f} s of voice: {_SHORTEST_S:g} s are the least to judge by")
        )
    if judge is not None and voiced_s > judge.longest_voiced_s:
        longest = f"the model was trained on at most {judge.longest_voiced_s:.2f} s"
        found.append(Caution("too-long", f"{voiced_s:.2f} s of voice, and {longest}: use the timeline"))
    if recording.clipped:
        found.append(
            Caution("clipped", f"clipped: samples stand still at the peak, {recording.peak:.3f} of full scale")
        )
    if (high_db := _above_the_band(clip.log_mel, front_end)) < _BAND_DB or recording.native_rate <= 2 * _BAND_HZ:
        level = f"nothing within {-high_db:.0f} dB of the loudest lies above {_BAND_HZ / 1000:.1f} kHz"
        found.append(Caution("narrow-band", f"narrow band: {level}, as over a telephone"))
    if (rms_db := _rms_db(recording, clip)) < _QUIET_DB:
        found.append(Caution("very-quiet", f"very quiet: {-rms_db:.0f} dB rms below full scale"))
    if judge is not None and judge.outside(clip.log_mel):
        message = "unlike the recordings the model was trained on: their scores do not hold here"
        found.append(Caution("outside-training-conditions", message))
    return tuple(found)


def _above_the_band(log_mel: NDArray[np.float32], front_end: FrontEnd) -> float:
    """The loudest cell above the telephone band, dB below the loudest of all; 0 where the front end hears none."""
    first = _first_above(front_end)
    return 0.0 if first == len(log_mel) else float(log_mel[first:].max() - log_mel.max())


@lru_cache(maxsize=8)
def _first_above(front_end: FrontEnd) -> int:
    """The first mel band above the telephone band."""
    return int(np.searchsorted(mel.centres_hz(front_end), _BAND_HZ))


def _rms_db(recording: audio.Recording, clip: Features) -> float:
    first = int(clip.voiced_start_s * recording.sample_rate)
    voice = recording.waveform[first : max(int(clip.voiced_end_s * recording.sample_rate), first + 1)]
    return float(10.0 * np.log10(max(float(np.dot(voice, voice)) / max(len(voice), 1), 1e-20)))
