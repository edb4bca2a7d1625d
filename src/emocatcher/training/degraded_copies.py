"""Degrade the waveform of a training clip before it is encoded: rooms, noise, telephones, codecs and cuts.

The voices of the noise are synthetic (`corpora.synthesiser`). Clips are encoded once for all folds, so a voice of the
corpus in the background of a training clip would be one that some fold tests on; a synthetic voice is never tested on,
and a copy depends on its own clip alone, not on which other recordings the corpus has.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio import degradation
from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise
from emocatcher.corpora.table import Utterance
from emocatcher.features import extraction
from emocatcher.foundation.errors import AudioError
from emocatcher.foundation.settings import Degradation, Settings

_N_VOICES = 40  # to draw from
_SYLLABLES = tuple(consonant + vowel for consonant in "ktsdgb" for vowel in "iao@")
_N_SYLLABLES = 16  # of a voice, some 3 s
_CODECS = ("opus-16k", "mp3-32k")  # AMR's encoder is not in every build of PyAV
_ROOM_M = ((3.0, 2.5, 2.3), (9.0, 6.0, 3.5))  # smallest and largest
_DISTANCE_M = (0.3, 2.0)


def draw_channels(utterance: Utterance, settings: Settings, random: np.random.Generator) -> NDArray[np.float32] | None:
    """Read a clip again, degrade it as drawn, and extract its features.

    Args:
        utterance: the clip.
        settings: the recipe, with degradations.
        random: the generator.

    Returns:
        shape (n_channels, n_frames), as from `extraction.extract`; None if no degradation was drawn.

    Raises:
        AudioError: if the recording cannot be decoded any more.
    """
    chosen = settings.degradation
    if not isinstance(chosen, Degradation):
        return None
    in_room, is_noisy, is_cut, sent = random.random(4).tolist()
    rate, n_sent = settings.front_end.sample_rate, chosen.telephone + chosen.coded
    if in_room >= chosen.rooms and is_noisy >= chosen.noisy and is_cut >= chosen.cut and sent >= n_sent:
        return None
    try:
        recording = audio.read(
            utterance.path, rate, start_s=utterance.start_s, end_s=utterance.end_s, channel=utterance.channel
        )
    except AudioError as error:
        raise type(error)(utterance.path, error.reason) from error
    waveform = recording.waveform
    clean = extraction.extract(waveform, settings.front_end, settings.vad)
    voiced = slice(int(clean.voiced_start_s * rate), max(int(clean.voiced_end_s * rate), 1))
    # In the order of the way from the mouth to the recording.
    if in_room < chosen.rooms:
        waveform = degradation.reverberate(waveform, rate, _room(chosen, random), random)
    if is_noisy < chosen.noisy:
        noise = _noise(len(waveform), rate, random)
        waveform = degradation.add_noise(waveform, noise, float(random.uniform(*chosen.snr_db)), voiced)
    if sent < chosen.telephone:
        waveform = degradation.telephone(waveform, rate)
    elif sent < n_sent:
        waveform = degradation.code(waveform, rate, str(random.choice(_CODECS)))
    if is_cut < chosen.cut:
        waveform = degradation.cut(waveform, round(float(random.uniform(*chosen.cut_s)) * rate), voiced, random)
    return extraction.extract(waveform, settings.front_end, settings.vad).channels


def _room(settings: Degradation, random: np.random.Generator) -> degradation.Room:
    size_m = tuple(random.uniform(*_ROOM_M).tolist())
    rt60_s, distance_m = (float(random.uniform(*bounds)) for bounds in (settings.rt60_s, _DISTANCE_M))
    return degradation.draw_room(random, size_m, rt60_s, distance_m)


def _noise(n_samples: int, rate: int, random: np.random.Generator) -> audio.Waveform:
    """Make pink noise alone, or with one to eight voices."""
    n_voices = int(random.integers(degradation.N_VOICES + 1))
    if n_voices == 0:
        return degradation.pink_noise(n_samples, rate, random)
    drawn = random.permutation(_N_VOICES)[:n_voices].tolist()
    return degradation.cafe([voices(rate)[number] for number in drawn], n_samples, rate, random)


@lru_cache(maxsize=1)
def voices(sample_rate: int) -> tuple[audio.Waveform, ...]:
    """Synthesise the voices of the noise, the same in every process.

    Args:
        sample_rate: Hz.

    Returns:
        each of shape (n_samples,), float32.
    """
    random = np.random.default_rng(0)
    return tuple(_voice(random, sample_rate) for _ in range(_N_VOICES))


def _voice(random: np.random.Generator, sample_rate: int) -> audio.Waveform:
    is_low = random.random() < 0.5
    voice = Voice(
        pitch_hz=(112.0 if is_low else 200.0) * 2.0 ** random.normal(0.0, 0.15),
        formant_scale=(1.0 if is_low else 1.16) * random.uniform(0.94, 1.06),
        tilt_db=random.normal(0.0, 1.0),
        breath_db=random.normal(0.0, 2.0),
        tempo=random.uniform(0.85, 1.15),
        level_db=0.0,
    )
    delivery = Delivery(
        pitch_st=random.uniform(-1.0, 4.0),
        range_st=random.uniform(1.5, 4.5),
        final_st=random.uniform(-3.0, 3.0),
        tempo=1.0,
        level_db=-20.0,
        tilt_db=random.uniform(-1.5, 1.5),
        breath_db=-28.0,
        jitter_st=0.2,
        tremor_st=0.0,
        formant_shift=0.0,
    )
    syllables = [_SYLLABLES[number] for number in random.integers(len(_SYLLABLES), size=_N_SYLLABLES).tolist()]
    waveform = synthesise(syllables, voice, delivery, random).astype(np.float32)
    return audio.resample(waveform, SAMPLE_RATE, sample_rate)
