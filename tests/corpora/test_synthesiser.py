import numpy as np
import pytest

from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise

VOICE = Voice(pitch_hz=120.0, formant_scale=1.0, tilt_db=0.0, breath_db=0.0, tempo=1.0, level_db=0.0)
FLAT = Delivery(0.0, 0.0, 0.0, 1.0, -20.0, 0.0, -60.0, 0.0, 0.0, 0.0)
SYLLABLES = ("ba", "d@", "do")


def speak(voice=VOICE, syllables=SYLLABLES, **changes):
    return synthesise(syllables, voice, FLAT._replace(**changes), np.random.default_rng(1))


def spectrum_db(waveform):
    return 10 * np.log10(np.abs(np.fft.rfft(waveform, SAMPLE_RATE)) ** 2 + 1e-12)  # 1 Hz per bin, for up to 1 s


def pitch_of(waveform):
    waveform = waveform[:8000] - waveform[:8000].mean()
    similarity = np.fft.irfft(np.abs(np.fft.rfft(waveform, 2 * waveform.size)) ** 2)
    lags = np.arange(SAMPLE_RATE // 500, SAMPLE_RATE // 60)
    return SAMPLE_RATE / lags[np.argmax(similarity[lags])]


@pytest.mark.parametrize("semitones", [-3.0, 0.0, 7.0])
def test_pitch_follows_the_voice_and_the_delivery(semitones):
    assert pitch_of(speak(pitch_st=semitones)) == pytest.approx(120 * 2 ** (semitones / 12), rel=0.02)


def test_a_final_rise_changes_the_last_syllable_only():
    plain, rising = speak(), speak(final_st=6.0)
    middle = slice(1000, 4000)
    np.testing.assert_allclose(rising[middle] / rising[middle].std(), plain[middle] / plain[middle].std(), atol=0.05)
    assert pitch_of(rising[-2000:]) > 1.15 * pitch_of(plain[-2000:])


def test_level_sets_the_rms():
    assert 20 * np.log10(speak(level_db=-31.0).std()) == pytest.approx(-31.0, abs=0.01)
    assert 20 * np.log10(speak(VOICE._replace(level_db=4.0)).std()) == pytest.approx(-16.0, abs=0.01)


def test_a_higher_tempo_shortens_the_sentence():
    assert speak(tempo=2.0).size == pytest.approx(speak().size / 2, abs=2)


def test_a_higher_tilt_brightens_the_spectrum():
    def brightness(waveform):
        spectrum = np.abs(np.fft.rfft(waveform)) ** 2
        return spectrum[spectrum.size // 4 :].sum() / spectrum.sum()

    assert brightness(speak(tilt_db=-3.0)) < brightness(speak()) < brightness(speak(tilt_db=3.0))


def test_breath_raises_the_level_between_harmonics():
    vowel = slice(4000, 4000 + 1600)  # steady: a tenth of a second, twelve periods
    between = np.arange(180, 2000, 120)

    def depth(waveform):
        spectrum = spectrum_db(waveform[vowel] * np.hanning(1600))
        return (spectrum[between - 60] - spectrum[between]).mean()

    syllables = ("da", "da")
    assert depth(speak(syllables=syllables)) > depth(speak(syllables=syllables, breath_db=0.0)) + 5


def test_formants_are_at_the_vowels_frequencies():
    # The harmonic nearest to F1 + F2 of "a" (730, 1090 Hz) is far above the harmonic in the gap above F2.
    spectrum = spectrum_db(speak(syllables=("ba", "ba")))

    def harmonic(hz):
        return spectrum[int(hz) - 40 : int(hz) + 40].max()

    assert harmonic(1080) > harmonic(1800) + 10
    high = spectrum_db(speak(syllables=("bi", "bi")))
    assert high[1960:2040].max() > high[1160:1240].max()


def test_the_waveform_is_band_limited_and_finite():
    waveform = speak(VOICE._replace(pitch_hz=400.0), pitch_st=12.0, tilt_db=6.0)
    assert np.isfinite(waveform).all()
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    assert spectrum[-spectrum.size // 50 :].mean() < 1e-3 * spectrum.mean()


def test_the_waveform_starts_and_ends_at_zero_without_silence():
    waveform = speak()
    assert waveform[0] == waveform[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.abs(waveform[-800:]).max() > 0.02


def test_the_same_seed_gives_the_same_samples():
    noisy = {"jitter_st": 0.4, "breath_db": -20.0}
    np.testing.assert_array_equal(speak(**noisy), speak(**noisy))
