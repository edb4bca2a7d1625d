"""Degraded recordings: what they keep (length, time, level), what they lose, and the same result for the same seed."""

import numpy as np
import pytest

from emocatcher.audio import degradation
from emocatcher.audio.degradation import rooms
from emocatcher.foundation.errors import SettingError

RATE = 16_000


def speech(n_samples: int = 2 * RATE, seed: int = 0) -> np.ndarray:
    """Noise with the spectrum and the syllables of speech, roughly, between pauses of a quarter of a second."""
    random = np.random.default_rng(seed)
    envelope = np.clip(np.sin(np.arange(n_samples) / RATE * 2 * np.pi * 4), 0.05, None)
    envelope[: RATE // 4] = envelope[-RATE // 4 :] = 0.0
    return (0.1 * envelope * degradation.pink_noise(n_samples, RATE, random)).astype(np.float32)


VOICED = slice(RATE // 4, 2 * RATE - RATE // 4)


def power(waveform: np.ndarray) -> float:
    return float(np.square(waveform, dtype=np.float64).mean())


def lag(waveform: np.ndarray, reference: np.ndarray) -> int:
    """Return by how many samples a waveform comes later than a reference."""
    n = 2 * len(reference)
    found = np.fft.irfft(np.fft.rfft(waveform, n) * np.conj(np.fft.rfft(reference, n)))
    place = int(found.argmax())
    return place if place < n // 2 else place - n


def band_db(waveform: np.ndarray, rate: int, low_hz: float, high_hz: float) -> float:
    spectrum, hz = np.abs(np.fft.rfft(waveform)) ** 2, np.fft.rfftfreq(len(waveform), 1 / rate)
    return float(10 * np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-20))


def decay_s(response: np.ndarray, rate: int) -> float:
    """RT60 by a line through the backward integral from -5 to -25 dB: another way than the module's own."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    places = np.flatnonzero((level < -5) & (level > -25))
    return -60 / float(np.polyfit(places / rate, level[places], 1)[0])


@pytest.mark.parametrize("codec", degradation.CODECS)
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_a_codec_keeps_length_and_time(codec, rate):
    n = 2 * rate + 17
    voice = np.interp(np.arange(n) / rate, np.arange(2 * RATE) / RATE, speech()).astype(np.float32)
    coded = degradation.code(voice, rate, codec)
    assert coded.shape == voice.shape
    assert coded.dtype == np.float32
    assert abs(lag(coded, voice)) <= max(1, rate // 8_000)
    assert not np.array_equal(coded, voice)
    assert band_db(coded, rate, 400, 3_000) == pytest.approx(band_db(voice, rate, 400, 3_000), abs=3.0)
    np.testing.assert_array_equal(degradation.code(voice, rate, codec), coded)


def test_the_wrong_codec_is_refused_with_the_allowed_ones():
    with pytest.raises(SettingError, match=r"'opus-16'.*Did you mean 'opus-16k'.*g711"):
        degradation.code(speech(), RATE, "opus-16")


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_telephone_passes_its_band_alone(rate):
    random = np.random.default_rng(1)
    noise = 0.05 * random.standard_normal(rate).astype(np.float32)
    received = degradation.telephone(noise, rate)
    assert received.shape == noise.shape
    assert lag(received, noise) == 0
    change = [band_db(received, rate, *band) - band_db(noise, rate, *band) for band in ((300, 3400), (20, 150))]
    assert abs(change[0]) < 0.5
    assert change[1] < -20.0
    if rate > 8_000:
        assert band_db(received, rate, 4_200, rate / 2) < band_db(noise, rate, 4_200, rate / 2) - 25.0


def test_noise_has_the_asked_ratio_over_the_voice_alone():
    voice, random = speech(), np.random.default_rng(2)
    for snr_db in (20.0, 5.0):
        noisy = degradation.add_noise(voice, degradation.pink_noise(len(voice), RATE, random), snr_db, VOICED)
        added = (noisy - voice)[VOICED]
        assert 10 * np.log10(power(voice[VOICED]) / power(added)) == pytest.approx(snr_db, abs=0.01)


def test_noise_is_added_to_silence_without_a_warning():
    silence = np.zeros(1000, np.float32)
    noise = degradation.pink_noise(1000, RATE, np.random.default_rng(0))
    assert not degradation.add_noise(silence, noise, 10.0, slice(0, 1000)).any()
    np.testing.assert_array_equal(degradation.add_noise(noise, silence, 10.0, slice(0, 1000)), noise)


def test_pink_noise_has_the_same_power_in_each_octave():
    noise = degradation.pink_noise(10 * RATE, RATE, np.random.default_rng(3))
    octaves = [band_db(noise, RATE, hz, 2 * hz) for hz in (125, 250, 500, 1000, 2000, 4000)]
    assert max(octaves) - min(octaves) < 1.5


def test_babble_has_all_voices_at_one_level():
    tones = [np.sin(np.arange(RATE) / RATE * 2 * np.pi * hz) for hz in (500, 1000, 2000)]
    voices = [np.float32(gain) * tone.astype(np.float32) for gain, tone in zip((1.0, 0.01, 0.1), tones, strict=True)]
    together = degradation.babble([*voices, np.zeros(50, np.float32)], 2 * RATE, np.random.default_rng(0))
    levels = [band_db(together, RATE, hz - 20, hz + 20) for hz in (500, 1000, 2000)]
    assert max(levels) - min(levels) < 0.1
    with pytest.raises(ValueError, match="all silent"):
        degradation.babble([np.zeros(10, np.float32)], 100, np.random.default_rng(0))


def test_a_cafe_has_at_most_eight_voices_and_a_floor():
    tones = [np.sin(np.arange(RATE) / RATE * 2 * np.pi * hz).astype(np.float32) for hz in range(1000, 3000, 100)]
    noise = degradation.cafe(tones, 2 * RATE, RATE, np.random.default_rng(0))
    levels = np.array([band_db(noise, RATE, hz - 5, hz + 5) for hz in range(1000, 3000, 100)])
    assert int((levels > levels.max() - 3.0).sum()) == 8
    assert power(noise) == pytest.approx(1.0, abs=1e-4)
    tones_out = band_db(noise, RATE, 4_000, 8_000)
    assert levels.max() - 40.0 < tones_out < levels.max()


@pytest.mark.parametrize("size_m", [(4.0, 3.5, 2.6), (9.0, 7.0, 3.5)])
@pytest.mark.parametrize("rt60_s", [0.2, 0.4, 0.7])
def test_a_room_decays_in_the_asked_time(size_m, rt60_s):
    random = np.random.default_rng(4)
    room = degradation.draw_room(random, size_m, rt60_s, 1.5)
    response, direct = rooms.impulse_response(room, RATE, random)
    assert decay_s(response, RATE) == pytest.approx(rt60_s, rel=0.12)
    assert direct == pytest.approx(1.5 / 343.0 * RATE, abs=0.51)
    before = response[: direct - RATE // 500]
    assert np.abs(before).max() < 0.1 * response[direct]  # nothing comes before the direct sound


def test_a_place_is_found_even_if_few_are_possible():
    for seed in range(40):  # most first draws fail
        room = degradation.draw_room(np.random.default_rng(seed), (2.1, 1.9, 2.4), 0.3, 1.6)
        assert np.linalg.norm(np.subtract(room.source_m, room.microphone_m)) == pytest.approx(1.6)
    with pytest.raises(ValueError, match="a larger room"):
        degradation.draw_room(np.random.default_rng(0), (1.5, 1.5, 1.5), 0.3, 1.6)


def test_a_room_keeps_length_time_and_level_and_blurs():
    voice, random = speech(), np.random.default_rng(5)
    room = degradation.draw_room(random, (4.0, 3.5, 2.6), 0.4, 1.0)
    echoed = degradation.reverberate(voice, RATE, room, np.random.default_rng(6))
    assert echoed.shape == voice.shape
    assert echoed.dtype == np.float32
    assert power(echoed) == pytest.approx(power(voice), rel=1e-4)
    assert lag(echoed, voice) == 0
    pause = slice(2 * RATE - RATE // 4, 2 * RATE - RATE // 8)
    assert power(voice[pause]) == 0.0
    assert power(echoed[pause]) > 1e-3 * power(echoed)
    np.testing.assert_array_equal(degradation.reverberate(voice, RATE, room, np.random.default_rng(6)), echoed)
    assert not degradation.reverberate(np.zeros(100, np.float32), RATE, room, random).any()


def test_the_first_echoes_come_when_the_mirrored_paths_are_that_long():
    """The floor's echo: source and microphone at 1 m height, 2 m apart, so the path is sqrt(2² + 2²) m long."""
    room = rooms.Room((50.0, 50.0, 50.0), (24.0, 25.0, 1.0), (26.0, 25.0, 1.0), 0.1)
    response, direct = rooms.impulse_response(room, RATE, np.random.default_rng(0))
    later = np.abs(response[direct + 20 :])
    delay = int(later.argmax()) + 20
    slack = rooms._JITTER_M / 343.0 * RATE + 1.0
    assert delay == pytest.approx((np.sqrt(8.0) - 2.0) / 343.0 * RATE, abs=slack)


def test_voice_and_microphone_stand_apart_and_inside():
    for seed in range(20):
        room = degradation.draw_room(np.random.default_rng(seed), (3.5, 3.0, 2.4), 0.3, 2.0)
        places = np.array([room.source_m, room.microphone_m])
        assert np.linalg.norm(places[0] - places[1]) == pytest.approx(2.0)
        assert (places >= 0.4 - 1e-9).all()
        assert (places <= np.array(room.size_m) - 0.4 + 1e-9).all()
    with pytest.raises(ValueError, match="larger room"):
        degradation.draw_room(np.random.default_rng(0), (2.0, 2.0, 2.0), 0.3, 5.0)


def test_level_and_clipping():
    voice = speech()
    assert power(degradation.amplify(voice, -20.0)) == pytest.approx(power(voice) / 100.0, rel=1e-4)
    clipped = degradation.clip(voice, 12.0)
    assert np.abs(clipped).max() == np.abs(voice).max()
    assert power(clipped) > 3.0 * power(voice)
    np.testing.assert_array_equal(degradation.clip(voice, 0.0), voice)


def test_a_cut_lies_in_the_voice():
    voice, random = np.arange(2 * RATE, dtype=np.float32), np.random.default_rng(7)
    starts = set()
    for _ in range(50):
        part = degradation.cut(voice, RATE, VOICED, random)
        assert len(part) == RATE
        assert VOICED.start <= part[0] <= part[-1] < VOICED.stop
        starts.add(float(part[0]))
    assert len(starts) > 20
    assert len(degradation.cut(voice, 5 * RATE, VOICED, random)) == VOICED.stop - VOICED.start


def test_the_same_seed_makes_the_same_noise_and_rooms():
    def everything(seed: int) -> list[np.ndarray]:
        random, voice = np.random.default_rng(seed), speech()
        room = degradation.draw_room(random, (5.0, 4.0, 2.7), 0.3, 1.2)
        return [
            degradation.cafe([voice, voice[::-1]], len(voice), RATE, random),
            degradation.reverberate(voice, RATE, room, random),
            degradation.cut(voice, 8_000, VOICED, random),
        ]

    for first, again, other in zip(everything(0), everything(0), everything(1), strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
