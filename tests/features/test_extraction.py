from concurrent.futures import ThreadPoolExecutor

import librosa
import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from emocatcher import audio
from emocatcher.features import extraction, mel, voiced_span
from emocatcher.foundation.settings import FrontEnd, load_preset

CABG = load_preset("cabg")
RATE, HOP = CABG.front_end.sample_rate, CABG.front_end.hop_length


def log_mel_of_librosa(waveform, front_end: FrontEnd):
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        win_length=front_end.win_length,
        hop_length=front_end.hop_length,
        n_mels=front_end.n_mels,
        fmin=front_end.f_min,
        fmax=front_end.f_max,
        pad_mode="constant",
    )
    return librosa.power_to_db(power, amin=front_end.amin, top_db=front_end.floor_db)


def span_of_the_published_code(log_mel):
    """Apply the published detector as it was written; the upper end is clipped, as by slicing."""
    doubled = librosa.amplitude_to_db(librosa.db_to_amplitude(log_mel) ** 2)
    loudness = ((doubled - doubled.min()) / (doubled.max() - doubled.min())).sum(axis=0)
    curve = gaussian_filter1d(np.sort(loudness), sigma=10)
    above = np.flatnonzero(loudness > curve[np.argmax(np.gradient(curve))])
    return max(above[0] - 3, 0), min(above[-1] + 3, log_mel.shape[1])


def tone(hz, seconds=1.0, level=0.3):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def noise(n_samples=2 * RATE, level=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, level, n_samples).astype(np.float32)


def speech_like(seconds=3.0, seed=0):
    """Return a gliding harmonic voice between two stretches of quiet noise."""
    n = round(seconds * RATE)
    time = np.arange(n) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 1.3 * time)) / RATE
    voice = sum(np.sin(k * phase) / k**1.5 for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * ((time > seconds * 0.3) & (time < seconds * 0.7))
    return (0.2 * voice * syllables + noise(n, 1e-4, seed)).astype(np.float32)


# Parity with librosa, which warns about clips shorter than a window

short_clips = pytest.mark.filterwarnings("ignore:n_fft=")


@short_clips
@pytest.mark.parametrize(
    "waveform",
    [speech_like(), speech_like(5.1, 1), noise(), noise(level=1e-4), tone(440.0), np.zeros(RATE, np.float32)]
    + [noise(n, seed=n) for n in (1, 2, HOP - 1, HOP, HOP + 1, 2 * HOP, 2048, 4096, 16 * HOP, 16 * HOP - 1)],
    ids=lambda waveform: f"{len(waveform)} samples",
)
def test_the_spectrogram_equals_librosas(waveform):
    ours = extraction.log_mel_spectrogram(waveform, CABG.front_end)
    theirs = log_mel_of_librosa(waveform, CABG.front_end)
    assert ours.shape == theirs.shape
    assert np.mean(np.abs(ours - theirs) <= 0.01) >= 0.999
    assert np.abs(ours - theirs).max() <= 0.05


@short_clips
@settings(deadline=None, max_examples=40)
@given(
    n_fft=st.integers(200, 800).map(lambda half: 2 * half),  # librosa counts frames differently if n_fft is odd
    window_share=st.floats(0.3, 1.0),
    hop_length=st.integers(60, 900),
    n_mels=st.integers(4, 24),
    f_min=st.floats(0, 300),
    f_max=st.floats(5000, 8000),
    floor_db=st.sampled_from([40.0, 80.0]),
    n_samples=st.integers(1, 9000),
)
def test_the_spectrogram_equals_librosas_with_any_settings(
    n_fft, window_share, hop_length, n_mels, f_min, f_max, floor_db, n_samples
):
    front_end = FrontEnd(
        sample_rate=16_000,
        n_fft=n_fft,
        win_length=max(1, int(n_fft * window_share)),
        hop_length=hop_length,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        amin=1e-10,
        floor_db=floor_db,
    )
    waveform = noise(n_samples, seed=n_samples)
    ours = extraction.log_mel_spectrogram(waveform, front_end)
    np.testing.assert_allclose(ours, log_mel_of_librosa(waveform, front_end), atol=0.02)
    np.testing.assert_allclose(
        mel.centres_hz(front_end),
        librosa.mel_frequencies(n_mels=n_mels + 2, fmin=f_min, fmax=f_max)[1:-1],
        rtol=1e-9,
    )


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_the_features_equal_the_published_pipelines_on_ravdess(ravdess_dir, every):
    paths = sorted(ravdess_dir.rglob("03-01-*.*"))[::every]
    assert len(paths) == 1440 // every

    def compare(path):
        waveform, _ = audio.load(path, RATE)
        ours = extraction.log_mel_spectrogram(waveform, CABG.front_end)
        # Equivalent to librosa.load, without its import of modules that Python 3.11 deprecates.
        samples, native_rate = soundfile.read(path, dtype="float32")
        resampled = librosa.resample(librosa.to_mono(samples.T), orig_sr=native_rate, target_sr=RATE)
        theirs = log_mel_of_librosa(resampled, CABG.front_end)
        span = voiced_span.detect(ours, CABG.vad)
        assert ours.shape == theirs.shape, path
        too_far = int((np.abs(ours - theirs) > 0.01).sum())
        return too_far, ours.size, span[:2] == span_of_the_published_code(theirs), span.n_frames

    with ThreadPoolExecutor() as pool:
        compared = list(pool.map(compare, paths))
    too_far, sizes, spans_equal, n_frames = zip(*compared, strict=True)
    assert sum(too_far) <= 0.001 * sum(sizes)
    assert np.mean(spans_equal) > 0.996
    if every == 1:
        assert (min(n_frames), max(n_frames)) == (17, 53)
        assert np.mean(n_frames) == pytest.approx(29.75, abs=0.01)


# Properties


@settings(deadline=None)
@given(st.integers(1, 60_000))
def test_shapes_and_times_are_consistent_for_any_length(n_samples):
    clip = extraction.extract(noise(n_samples), CABG.front_end, CABG.vad)
    whole = extraction.log_mel_spectrogram(noise(n_samples), CABG.front_end)
    assert whole.shape == (64, 1 + n_samples // HOP)
    assert whole.dtype == clip.log_mel.dtype == np.float32
    assert clip.log_mel.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(clip.log_mel, whole[:, clip.span.first : clip.span.last])
    assert clip.duration_s == n_samples / RATE
    assert 0 <= clip.voiced_start_s <= clip.voiced_end_s <= clip.duration_s
    assert clip.voiced_start_s == min(clip.span.first * HOP / RATE, clip.duration_s)
    assert clip.span.found or (clip.voiced_start_s, clip.voiced_end_s) == (0.0, clip.duration_s)


def test_the_floor_is_80_db_below_the_loudest_cell():
    log_mel = extraction.log_mel_spectrogram(tone(440.0), CABG.front_end)
    assert log_mel.max() - log_mel.min() == pytest.approx(80.0, abs=1e-4)
    assert (log_mel == log_mel.min()).mean() > 0.2


def test_digital_silence_gives_the_smallest_power_everywhere():
    clip = extraction.extract(np.zeros(RATE, np.float32), CABG.front_end, CABG.vad)
    # Some processors' vectorised logarithm differs in the last bit.
    np.testing.assert_allclose(clip.log_mel, -100.0, rtol=1e-6)
    assert np.ptp(clip.log_mel) == 0.0
    assert clip.span == (0, 17, False)
    assert (clip.voiced_start_s, clip.voiced_end_s, clip.duration_s) == (0.0, 1.0, 1.0)


def test_one_sample_gives_one_frame():
    clip = extraction.extract(np.array([0.5], np.float32), CABG.front_end, CABG.vad)
    assert clip.log_mel.shape == (64, 1)
    assert np.isfinite(clip.log_mel).all()
    assert clip.span == (0, 1, False)
    assert (clip.voiced_start_s, clip.voiced_end_s) == (0.0, 1 / RATE)


@pytest.mark.parametrize("hz", [100, 300, 1000, 2500, 5800])
def test_a_tone_is_loudest_in_its_band(hz):
    log_mel = extraction.log_mel_spectrogram(tone(hz), CABG.front_end)
    centres = mel.centres_hz(CABG.front_end)
    assert centres.shape == (64,)
    assert (np.diff(centres) > 0).all()
    loudest = np.unique(log_mel[:, 2:-2].argmax(axis=0))
    assert abs(centres[loudest] - hz).max() <= np.diff(centres).max()
    assert abs(loudest - np.abs(centres - hz).argmin()).max() <= 1


def test_tones_above_the_highest_band_have_no_effect():
    waveform = tone(9000, 2.0) + noise(2 * RATE, 1e-3)
    with_tone = extraction.log_mel_spectrogram(waveform, CABG.front_end)
    without = extraction.log_mel_spectrogram(noise(2 * RATE, 1e-3), CABG.front_end)
    assert np.abs(with_tone - without)[:, 2:-2].mean() < 0.1


@pytest.mark.parametrize("gain", [0.01, 0.5, 2.0, 1000.0])
def test_gain_shifts_every_cell_and_keeps_the_span(gain):
    # Loud enough to stay above amin, the detector's own floor, at the lowest gain.
    waveform = 30 * (speech_like() + noise(3 * RATE, 3e-3))
    quiet, loud = (extraction.extract(w, CABG.front_end, CABG.vad) for w in (waveform, np.float32(gain) * waveform))
    assert quiet.span == loud.span
    assert quiet.span.found
    np.testing.assert_allclose(loud.log_mel - quiet.log_mel, 20 * np.log10(gain), atol=1e-3)


def test_the_span_covers_the_sound():
    clip = extraction.extract(speech_like(6.0), CABG.front_end, CABG.vad)
    assert clip.span.found
    assert clip.log_mel.base is None  # a copy, so the frames outside the span can be freed
    assert clip.voiced_start_s == pytest.approx(6.0 * 0.3, abs=0.35)
    assert clip.voiced_end_s == pytest.approx(6.0 * 0.7, abs=0.35)


def test_a_delay_of_whole_frames_shifts_the_frames():
    waveform = speech_like()
    delayed = np.concatenate([np.zeros(3 * HOP, np.float32), waveform])
    plain, later = (extraction.log_mel_spectrogram(w, CABG.front_end) for w in (waveform, delayed))
    np.testing.assert_allclose(later[:, 4:], plain[:, 1:], atol=1e-3)


def test_float_type_and_stride_do_not_change_the_spectrogram():
    waveform = speech_like(1.0)
    expected = extraction.log_mel_spectrogram(waveform, CABG.front_end)
    for same in (waveform.astype(np.float64), np.repeat(waveform, 2)[::2]):
        np.testing.assert_array_equal(extraction.log_mel_spectrogram(same, CABG.front_end), expected)


def test_the_waveform_is_not_modified():
    waveform = speech_like(1.0)
    before = waveform.copy()
    extraction.extract(waveform, CABG.front_end, CABG.vad)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("shape", [(0,), (2, 100), ()])
def test_arrays_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="at least one sample"):
        extraction.extract(np.zeros(shape, np.float32), CABG.front_end, CABG.vad)


def test_results_do_not_depend_on_earlier_calls_or_threads():
    other = msgspec.structs.replace(CABG.front_end, n_mels=32, n_fft=2048, win_length=1024)
    jobs = [
        (noise(1 + 997 * i, seed=i) if i % 2 else speech_like(0.5 + i / 20, i), front_end)
        for i in range(24)
        for front_end in (CABG.front_end, other)
    ]
    expected = [extraction.log_mel_spectrogram(*job) for job in jobs]
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(jobs)), 6))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: extraction.log_mel_spectrogram(*jobs[i]), order))
    for i, result in zip(order, results, strict=True):
        np.testing.assert_array_equal(result, expected[i])


# Streams


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=6).filter(any), n_samples=st.integers(1, 40_000))
def test_a_stream_gives_the_frames_of_the_whole(sizes, n_samples):
    waveform = noise(n_samples)
    expected = extraction.measure(waveform, CABG.front_end)
    in_blocks, at_once = (measure_blocks(waveform, by, CABG.front_end) for by in (sizes, [n_samples]))
    np.testing.assert_array_equal(in_blocks, at_once)
    np.testing.assert_allclose(in_blocks, expected, rtol=1e-5)
    np.testing.assert_allclose(
        extraction.combine_frames(extraction.convert_frames(in_blocks, CABG.front_end), CABG.front_end),
        extraction.log_mel_spectrogram(waveform, CABG.front_end),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length"), [(512, 100, 700), (400, 400, 400), (401, 33, 10), (2, 1, 30)]
)
def test_a_stream_gives_the_frames_of_the_whole_with_any_settings(n_fft, win_length, hop_length):
    front_end = msgspec.structs.replace(
        CABG.front_end, n_fft=n_fft, win_length=win_length, hop_length=hop_length, n_mels=16
    )
    for n_samples in (1, 5, 699, 700, 701, 2100, 3000):
        found = measure_blocks(noise(n_samples), [7, 0, 650, 1], front_end)
        np.testing.assert_allclose(found, extraction.measure(noise(n_samples), front_end), rtol=1e-5, atol=1e-12)


def test_a_stream_without_samples_has_no_frames():
    assert extraction.FrameStream(CABG.front_end).finish().shape == (0, 64)


def test_a_frame_is_returned_as_soon_as_it_is_complete():
    stream = extraction.FrameStream(CABG.front_end)
    assert len(stream.push(noise(1023))) == 0
    assert len(stream.push(noise(1))) == 1
    assert len(stream.push(noise(HOP - 1))) == 0
    assert len(stream.push(noise(1))) == 1


def measure_blocks(waveform, sizes, front_end):
    stream, parts, start, turn = extraction.FrameStream(front_end), [], 0, 0
    while start < len(waveform):
        parts.append(stream.push(waveform[start : start + sizes[turn % len(sizes)]]))
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    return np.concatenate([*parts, stream.finish()])
