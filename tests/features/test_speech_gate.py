"""Synthetic sounds are not speech, real clips are, and the numbers of the gate do not depend on the level."""

import threading

import msgspec
import numpy as np
import pytest

from emocatcher import audio
from emocatcher.features import extraction, speech_gate
from emocatcher.foundation.settings import Pitch, load_preset

CABG = load_preset("cabg")
RATE = CABG.front_end.sample_rate
TIME_S = np.arange(3 * RATE) / RATE


def noise(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, len(TIME_S))


SOUNDS = {
    "silence": np.zeros(len(TIME_S)),
    "nearly silence": 1e-7 * noise(),
    "one sample": np.zeros(1),
    "white noise": noise(),
    "brown noise": np.cumsum(noise()) / 300,
    "a tone": 0.3 * np.sin(2 * np.pi * 440 * TIME_S),
    "a low tone": 0.3 * np.sin(2 * np.pi * 60 * TIME_S),
    "a chirp": 0.3 * np.sin(2 * np.pi * (200 * TIME_S + 500 * TIME_S**2)),
    "clicks": np.where(np.arange(len(TIME_S)) % 5_000 < 3, 0.8, 0.0),
    "a motor": 0.3 * np.sign(np.sin(2 * np.pi * 90 * TIME_S)) + 0.1 * noise(),
    "rain": noise() * (1 + 0.3 * np.sin(2 * np.pi * 0.7 * TIME_S)),
    "a chord": sum(0.1 * np.sin(2 * np.pi * hz * TIME_S) for hz in (262, 330, 392)),
}


def voice():
    """Return harmonics that come and go three times a second: speech for the gate, with its own front end."""
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(0.9 * TIME_S)) / RATE
    harmonics = sum(np.sin(k * phase + k) * np.sin(0.3 * k * TIME_S) / k for k in range(1, 12))
    return (0.1 * harmonics * (np.sin(2 * np.pi * 3 * TIME_S) > -0.5) + 1e-3 * noise()).astype(np.float32)


VOICE = voice()


def has_speech(waveform):
    waveform = np.asarray(waveform, np.float32)
    log_mel = extraction.log_mel_spectrogram(waveform, CABG.front_end)
    return speech_gate.has_speech(waveform, RATE, log_mel, CABG.front_end)


@pytest.mark.parametrize("name", SOUNDS)
def test_synthetic_sounds_are_not_speech(name):
    assert not has_speech(SOUNDS[name])


@pytest.mark.corpus
def test_nearly_every_real_clip_is_speech_at_any_level(ravdess_dir):
    clips = sorted(ravdess_dir.rglob("*.flac"))[::24]
    waveforms = [audio.load(clip, RATE)[0] for clip in clips]
    assert sum(map(has_speech, waveforms)) >= len(clips) - 1
    assert sum(has_speech(0.3 * waveform) for waveform in waveforms) >= len(clips) - 2
    telephone = [audio.resample(audio.resample(waveform, RATE, 8_000), 8_000, RATE) for waveform in waveforms[::4]]
    assert sum(map(has_speech, telephone)) >= len(telephone) - 1


@pytest.mark.corpus
def test_speech_in_noise_is_detected(ravdess_dir):
    clips = sorted(ravdess_dir.rglob("*.flac"))[::48]
    waveforms = [audio.load(clip, RATE)[0] for clip in clips]
    dice = np.random.default_rng(0)
    noisy = []
    for waveform in waveforms:
        loudest = np.sqrt(max(np.mean(frame**2) for frame in np.array_split(waveform, len(waveform) // 512)))
        noisy.append((waveform + 0.03 * loudest * dice.normal(size=len(waveform))).astype(np.float32))
    assert sum(map(has_speech, noisy)) >= len(clips) - 3
    log_mels = [extraction.log_mel_spectrogram(waveform, CABG.front_end) for waveform in noisy]
    by_gate = [
        speech_gate.has_speech_at_once(waveform, RATE, log_mel, CABG.front_end)
        for waveform, log_mel in zip(noisy, log_mels, strict=True)
    ]
    assert sum(by_gate) >= len(clips) - 3


@pytest.mark.corpus
@pytest.mark.parametrize("louder", ["howl", "buzz"])
def test_speech_beside_a_louder_sound_is_found(ravdess_dir, louder):
    """The loudest second is no speech, as a sob may be, and the words are elsewhere, 20 dB softer."""
    time_s = np.arange(RATE) / RATE
    sound = {
        "howl": np.sin(2 * np.pi * (700 * time_s - 200 * time_s**2)),
        "buzz": np.sign(np.sin(2 * np.pi * 90 * time_s)),
    }[louder] * np.hanning(RATE)
    clips = sorted(ravdess_dir.rglob("*.flac"))[::120]
    waveforms = [audio.load(clip, RATE)[0] for clip in clips]
    assert all(has_speech(np.append(0.1 * waveform / np.abs(waveform).max(), sound)) for waveform in waveforms)
    assert not has_speech(np.append(0.001 * noise(), sound))


def test_the_numbers_do_not_depend_on_the_level():
    log_mel = np.random.default_rng(0).normal(-40, 12, (64, 50)).astype(np.float32)
    numbers = speech_gate.traits(log_mel, speech_gate.loudness_db(log_mel))
    quieter = speech_gate.traits(log_mel - 20, speech_gate.loudness_db(log_mel - 20))
    np.testing.assert_allclose(quieter, numbers, atol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 2, 7, 64, 65, 500])
def test_there_is_one_trait_per_weight_for_any_length(n_frames):
    log_mel = np.random.default_rng(0).normal(-40, 12, (64, n_frames)).astype(np.float32)
    numbers = speech_gate.traits(log_mel, speech_gate.loudness_db(log_mel))
    assert numbers.shape == speech_gate._WEIGHTS.shape
    assert numbers.dtype == np.float32
    assert np.isfinite(numbers).all()
    assert np.isfinite(speech_gate.traits(np.full_like(log_mel, -30.0), np.zeros(n_frames, np.float32))).all()


def test_the_ripple_is_measured_by_its_autocorrelation():
    low = np.random.default_rng(2).normal(-40, 12, (speech_gate._N_HARMONIC, 50)).astype(np.float32)
    padded = np.pad(low.astype(float), ((3, 3), (0, 0)), mode="edge")
    ripple = low - np.mean([padded[i : i + len(low)] for i in range(7)], axis=0)
    energy = (ripple**2).sum(axis=0) + 1
    regular = np.stack([(ripple[lag:] * ripple[:-lag]).sum(axis=0) for lag in speech_gate._HARMONIC_LAGS]) / energy
    best, depth = regular.max(axis=0), np.sqrt(energy / len(low))
    expected = [best.mean(), best.std(), depth.mean(), depth.std(), regular.argmax(axis=0).std()]
    np.testing.assert_allclose(speech_gate._harmonics(low), expected, rtol=1e-3)


@pytest.mark.corpus
@pytest.mark.parametrize("rate", [RATE, 16_000, 48_000])
def test_the_gates_own_cheaper_spectrogram_changes_its_log_odds_little(ravdess_dir, rate):
    moved = []
    for clip in sorted(ravdess_dir.rglob("*.flac"))[::24]:
        fitted = extraction.log_mel_spectrogram(audio.load(clip, RATE)[0], CABG.front_end)
        cheaper = extraction.log_mel_spectrogram(audio.load(clip, rate)[0], speech_gate.front_end(rate))
        moved.append(speech_gate.log_odds(cheaper, speech_gate.loudness_db(cheaper)))
        moved[-1] -= speech_gate.log_odds(fitted, speech_gate.loudness_db(fitted))
    assert np.mean(np.abs(moved)) < 0.1
    assert abs(np.mean(moved)) < 0.03


def test_the_spectral_shape_is_the_discrete_cosine_transform():
    from scipy.fft import dct

    log_mel = np.random.default_rng(1).normal(-40, 1, (64, 9)).astype(np.float32)  # every frame is loud
    numbers = speech_gate.traits(log_mel, speech_gate.loudness_db(log_mel))
    cepstra = dct(log_mel, type=2, axis=0, norm="ortho")[1 : speech_gate.N_CEPSTRA]
    np.testing.assert_allclose(numbers[-len(cepstra) :], cepstra.mean(axis=1), atol=1e-3)


def test_one_frame_and_another_front_end_get_a_verdict():
    assert has_speech(np.full(10, 0.1)) in (True, False)
    other = load_preset("emocatcher-2").front_end
    assert not speech_gate.has_speech(np.zeros(RATE, np.float32), RATE, np.full((96, 30), -30.0, np.float32), other)


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_the_models_front_end_does_not_change_the_verdict(name):
    waveform, other = SOUNDS[name].astype(np.float32), load_preset("emocatcher-2").front_end
    theirs = extraction.log_mel_spectrogram(waveform, other)
    assert speech_gate.has_speech(waveform, RATE, theirs, other) == has_speech(waveform)
    own = extraction.log_mel_spectrogram(waveform, CABG.front_end)
    fitted = speech_gate.has_speech_at_once(waveform, RATE, own, CABG.front_end)
    assert speech_gate.has_speech_at_once(waveform, RATE, theirs, other) == fitted


@pytest.mark.parametrize("f_max", [3000.0, 9000.0, 11_025.0])
def test_bands_of_another_width_do_not_shift_the_verdict(f_max):
    other = msgspec.structs.replace(CABG.front_end, f_max=f_max)
    own, theirs = (extraction.log_mel_spectrogram(VOICE, front_end) for front_end in (CABG.front_end, other))
    assert speech_gate.log_odds(own, speech_gate.loudness_db(own)) > 0
    assert speech_gate.log_odds(theirs, speech_gate.loudness_db(theirs)) < 0, "this sound does not show the shift"
    assert speech_gate.has_speech_at_once(VOICE, RATE, own, CABG.front_end)
    assert speech_gate.has_speech_at_once(VOICE, RATE, theirs, other)


def test_the_gate_was_fitted_to_the_presets_front_end_and_its_own():
    with_pitch = msgspec.structs.replace(CABG.front_end, pitch=Pitch())
    assert all(map(speech_gate.was_fitted_to, (CABG.front_end, speech_gate.front_end(), with_pitch)))
    for changes in ({"f_max": 9000.0}, {"hop_length": 1024}, {"sample_rate": 16_000}, {"n_fft": 8192}):
        assert not speech_gate.was_fitted_to(msgspec.structs.replace(CABG.front_end, **changes))


@pytest.mark.parametrize("rate", [12_000, 16_000, 24_000, 48_000])
def test_at_another_rate_the_gate_reads_frames_of_the_same_length(rate):
    own, other = speech_gate.front_end(), speech_gate.front_end(rate)
    assert other.sample_rate == rate
    assert other.n_fft >= other.win_length
    assert other.win_length / rate == pytest.approx(own.win_length / RATE, rel=1e-3)
    assert other.frame_period_s == pytest.approx(own.frame_period_s, rel=1e-3)
    assert speech_gate.front_end(8_000) == own  # without the highest bands, no sound could be judged
    for sound in SOUNDS.values():
        resampled = audio.resample(sound, RATE, rate)
        model = msgspec.structs.replace(CABG.front_end, sample_rate=rate, f_max=5000.0)
        theirs = extraction.log_mel_spectrogram(resampled, model)
        verdict = speech_gate.has_speech_at_once(resampled, rate, theirs, model)
        expected = extraction.log_mel_spectrogram(sound, own)
        assert verdict == speech_gate.has_speech_at_once(sound, RATE, expected, own)


def test_threads_do_not_share_buffers():
    answers = []

    def judge():
        answers.append([has_speech(SOUNDS[name]) for name in ("a chirp", "brown noise", "a chord")])

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[False] * 3] * 4
