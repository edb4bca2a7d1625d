import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter1d

from emocatcher import audio
from emocatcher.corpora import synthetic
from emocatcher.features import extraction, voiced_span
from emocatcher.foundation.settings import VoiceActivity, load_preset
from synthetic_truth import read_truth

CABG = load_preset("cabg")


def published_span(log_mel, settings):
    """The published rule in float64, with librosa and SciPy."""
    power = librosa.db_to_amplitude(log_mel.astype(np.float64)) ** 2
    doubled = librosa.amplitude_to_db(power, amin=1e-5, top_db=settings.floor_db)
    loudness = ((doubled - doubled.min()) / (doubled.max() - doubled.min())).sum(axis=0)
    curve = gaussian_filter1d(np.sort(loudness), settings.smoothing_sigma)
    above = np.flatnonzero(loudness > curve[np.argmax(np.gradient(curve))])
    margin = settings.margin_frames
    return max(above[0] - margin, 0), min(above[-1] + margin, log_mel.shape[1])


def settings_of(sigma=10.0, margin=3, floor_db=80.0):
    return VoiceActivity(smoothing_sigma=sigma, margin_frames=margin, floor_db=floor_db)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_mels=st.integers(1, 80),
    n_frames=st.integers(2, 120),
    sigma=st.sampled_from([0.5, 1.0, 3.3, 10.0, 25.0]),
    margin=st.integers(0, 5),
    loudest=st.sampled_from([-40.0, -20.0, 0.0, 30.0]),
)
def test_equals_the_published_rule_on_random_matrices(seed, n_mels, n_frames, sigma, margin, loudest):
    random = np.random.default_rng(seed)
    steps = random.normal(0, 8, (n_mels, n_frames)).cumsum(axis=1)
    log_mel = (loudest + np.maximum(steps - steps.max(), -80)).astype(np.float32)
    chosen = settings_of(sigma, margin)
    span = voiced_span.detect(log_mel, chosen)
    first, last = published_span(log_mel, chosen)
    assert (span.first, span.last, span.found) == ((first, last, True) if first < last else (0, n_frames, False))


cells = st.floats(-200, 100, width=32) | st.sampled_from([0.0, -80.0, -100.0])


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 60)), elements=cells),
    st.sampled_from([0.1, 1.0, 10.0, 60.0]),
    st.integers(0, 9),
)
def test_the_span_lies_within_any_clip(log_mel, sigma, margin):
    before = log_mel.copy()
    span = voiced_span.detect(log_mel, settings_of(sigma, margin))
    assert 0 <= span.first < span.last <= log_mel.shape[1]
    assert span.n_frames == span.last - span.first >= 1
    assert span.found or (span.first, span.last) == (0, log_mel.shape[1])
    assert all(type(value) is int for value in (span.first, span.last))
    np.testing.assert_array_equal(log_mel, before)


@settings(deadline=None)
@given(arrays.arrays(np.float32, (3, 20), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_extreme_values_still_give_a_valid_span(log_mel):
    with np.errstate(over="ignore", invalid="ignore"):
        span = voiced_span.detect(log_mel, CABG.vad)
    assert 0 <= span.first < span.last <= 20


def single(frame, n_frames=40, level=-10.0):
    log_mel = np.full((64, n_frames), -80.0, np.float32)
    log_mel[:, frame] = level
    return log_mel


@pytest.mark.parametrize(
    "log_mel",
    [
        np.full((64, 40), -100.0, np.float32),  # digital silence
        np.full((64, 40), -20.0, np.float32),  # all equal
        np.repeat(np.linspace(-80, 0, 64, dtype=np.float32)[:, None], 40, axis=1),  # a constant tone
        np.linspace(-80, 0, 64, dtype=np.float32)[:, None],  # one frame
        np.zeros((1, 1), np.float32),
        np.zeros((64, 2), np.float32),
    ],
    ids=["silence", "equal", "tone", "one frame", "one cell", "two equal frames"],
)
def test_without_a_louder_frame_the_span_is_the_whole_clip(log_mel):
    assert voiced_span.detect(log_mel, CABG.vad) == (0, log_mel.shape[1], False)


def test_rounding_never_finds_a_span_in_equal_frames():
    random = np.random.default_rng(0)
    for n_frames in random.integers(1, 120, 2000):  # with the smoothed curve alone, one in 400 would
        spectrum = random.normal(-40, 10, (64, 1)).astype(np.float32)
        assert voiced_span.detect(np.repeat(spectrum, n_frames, axis=1), CABG.vad) == (0, n_frames, False)


@pytest.mark.parametrize("frame", [0, 1, 20, 38, 39])
def test_a_single_loud_frame_is_found(frame):
    span = voiced_span.detect(single(frame), CABG.vad)
    assert span == (max(frame - 3, 0), min(frame + 3, 40), True)
    assert span.first <= frame < span.last


@pytest.mark.parametrize("frame", [0, 1])
def test_the_span_of_two_frames_is_both(frame):
    span = voiced_span.detect(single(frame, 2), CABG.vad)
    assert (span.first, span.last) == (0, 2)


@pytest.mark.parametrize("margin", [0, 1, 3, 8])
def test_the_margin_is_added_before_the_first_and_from_the_last_voiced_frame(margin):
    log_mel = single(slice(20, 30), 60)
    span = voiced_span.detect(log_mel, settings_of(margin=margin))
    # The last voiced frame is 29; the end, 29 + margin, is exclusive.
    assert (span.first, span.last) == (20 - margin, 29 + margin)


def test_an_empty_span_becomes_the_whole_clip():
    assert voiced_span.detect(single(20), settings_of(margin=0)) == (0, 40, False)


def test_a_pause_stays_inside_the_span():
    log_mel = np.minimum(single(slice(20, 30), 80) + single(slice(45, 55), 80) + 80, -10)
    assert voiced_span.detect(log_mel, CABG.vad)[:2] == (17, 57)


def test_a_louder_copy_has_the_same_span():
    log_mel = np.random.default_rng(0).normal(-40, 10, (64, 90)).astype(np.float32)
    log_mel[:, 30:60] += 20
    span = voiced_span.detect(log_mel, CABG.vad)
    assert span.found
    for gain_db in (-10, -3.0, 7.5, 20):
        assert voiced_span.detect(log_mel + np.float32(gain_db), CABG.vad) == span


def test_a_reversed_clip_has_the_mirrored_span():
    log_mel = np.random.default_rng(1).normal(-60, 5, (64, 90)).astype(np.float32)
    log_mel[:, 20:50] += 30
    forward, backward = (voiced_span.detect(x, settings_of(margin=5)) for x in (log_mel, log_mel[:, ::-1]))
    # first = f - 5, last = l + 5; mirrored: 89 - l - 5 and 89 - f + 5.
    assert (backward.first, backward.last) == (89 - forward.last, 89 - forward.first)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5,), (1, 5, 5)])
def test_an_empty_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="at least one cell"):
        voiced_span.detect(np.zeros(shape, np.float32), CABG.vad)


def test_the_span_covers_the_voice_of_synthetic_clips(tmp_path):
    """And little else, in nearly every clip."""
    synthetic.generate(tmp_path / "made", n_voices=2)
    truth = read_truth(tmp_path / "made")
    covered, silence_kept = [], []
    for utterance in synthetic.read(tmp_path / "made"):
        waveform, _ = audio.load(utterance.path, CABG.front_end.sample_rate)
        clip = extraction.extract(waveform, CABG.front_end, CABG.vad)
        start, end = truth[utterance.id]
        inside = max(0.0, min(end, clip.voiced_end_s) - max(start, clip.voiced_start_s))
        covered.append(inside / (end - start))
        silence = clip.duration_s - (end - start)
        silence_kept.append((clip.voiced_end_s - clip.voiced_start_s - inside) / silence)
        assert clip.span.found
    assert np.mean(np.array(covered) >= 0.8) >= 0.9, np.percentile(covered, [0, 5, 10, 50])
    assert np.mean(np.array(silence_kept) < 0.5) >= 0.9, np.percentile(silence_kept, [50, 90, 95, 100])


# Clicks


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Synthetic clips with half a second of quiet noise before and after."""
    folder = tmp_path_factory.mktemp("clicks") / "made"
    synthetic.generate(folder, n_voices=1)
    random, found = np.random.default_rng(0), []
    for path in sorted(folder.rglob("*.wav"))[::12]:
        waveform, _ = audio.load(path, CABG.front_end.sample_rate)
        padded = random.normal(0, 1e-4, len(waveform) + 22_050).astype(np.float32)
        padded[11_025:-11_025] += waveform
        found.append(audio.remove_offset(padded))
    return found


def burst(kind, n, level):
    return (
        level
        * {"noise": np.random.default_rng(0).uniform(-1, 1, n), "pulse": np.ones(n), "thump": np.hanning(n + 2)[1:-1]}[
            kind
        ]
    )


@pytest.mark.parametrize("preset", ["cabg", "emocatcher-2"])
@pytest.mark.parametrize("length_ms", [1, 5, 20])
@pytest.mark.parametrize("kind", ["noise", "pulse", "thump"])
@pytest.mark.parametrize("where", ["at the start", "0.1 s before", "0.3 s before", "0.1 s after", "at the end"])
def test_a_click_outside_the_speech_does_not_move_the_span(voices, preset, length_ms, kind, where):
    chosen = load_preset(preset)
    front_end, n = chosen.front_end, round(length_ms * 22.05)
    moved_s = []
    for waveform in voices:
        clean = extraction.extract(waveform, front_end, chosen.vad)
        margin = chosen.vad.margin_frames * front_end.hop_length
        first, last = clean.span.first * front_end.hop_length + margin, clean.span.last * front_end.hop_length - margin
        start = {
            "at the start": 0,
            "0.1 s before": first - 2205 - n,
            "0.3 s before": first - 6615 - n,
            "0.1 s after": last + 2205,
            "at the end": len(waveform) - n,
        }[where]
        for level in (0.1, 0.8):
            clicked = waveform.copy()
            clicked[start : start + n] += burst(kind, n, level).astype(np.float32)
            span = extraction.extract(clicked, front_end, chosen.vad).span
            frames = max(abs(span.first - clean.span.first), abs(span.last - clean.span.last))
            moved_s.append(frames * front_end.frame_period_s)
    assert np.mean(np.array(moved_s) < 0.07) >= 0.9, moved_s


def plain_clicks(waveform, n_frames, front_end):
    """The definition: a block is a click if it exceeds all blocks from 5 to 12 before and after it by 12 dB."""
    size = voiced_span.click_block(front_end)
    padded = np.concatenate([waveform, np.zeros(-len(waveform) % size, np.float32)]).reshape(-1, size)
    level = 10.0 * np.log10(np.maximum(np.square(padded).mean(axis=1), np.float32(1e-10)))
    found = np.zeros(n_frames, bool)
    for k in range(len(level)):
        others = [*level[max(k - 12, 0) : max(k - 4, 0)], *level[k + 5 : k + 13], np.float32(-100.0)]
        if level[k] - max(others) > 12.0:
            for t in range(n_frames):
                first, last = t * front_end.hop_length - front_end.win_length // 2, front_end.win_length // 2
                last += t * front_end.hop_length
                found[t] |= max(first, 0) // size <= k < -(-last // size)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_clicks_equal_the_plain_definition(seed):
    random = np.random.default_rng(seed)
    front_end = load_preset(("cabg", "emocatcher-2")[seed % 2]).front_end
    waveform = random.normal(0, 0.01, random.integers(1, 20_000)).astype(np.float32)
    waveform *= np.repeat(random.random(50).astype(np.float32) ** 4, 400)[: len(waveform)]
    for _ in range(random.integers(0, 6)):
        first = random.integers(0, len(waveform))
        waveform[first : first + random.integers(1, 600)] += np.float32(random.choice([0.03, 0.3]))
    n_frames = 1 + len(waveform) // front_end.hop_length
    np.testing.assert_array_equal(
        voiced_span.clicks(waveform, n_frames, front_end), plain_clicks(waveform, n_frames, front_end)
    )


def test_without_clicks_every_frame_counts():
    speech = np.random.default_rng(0).normal(0, 0.1, 22_050).astype(np.float32)
    assert not voiced_span.clicks(speech, 17, CABG.front_end).any()
    log_mel = single(slice(20, 30), 60)
    clicked = np.zeros(60, bool)
    assert voiced_span.detect(log_mel, CABG.vad, clicked) == voiced_span.detect(log_mel, CABG.vad)
    assert voiced_span.detect(log_mel, CABG.vad, ~clicked) == voiced_span.detect(log_mel, CABG.vad)
    clicked[3], log_mel[:, 3] = True, 0.0
    assert voiced_span.detect(log_mel, CABG.vad, clicked)[:2] == (17, 32)


@pytest.mark.corpus
@pytest.mark.parametrize("preset", ["cabg", "emocatcher-2"])
def test_clean_recordings_keep_their_spans(ravdess_dir, preset):
    chosen, changed = load_preset(preset), []
    for path in sorted(ravdess_dir.rglob("03-01-*"))[::24]:
        waveform = audio.read(path, 22_050).waveform
        log_mel = extraction.log_mel_spectrogram(waveform, chosen.front_end)
        span = extraction.extract(waveform, chosen.front_end, chosen.vad).span
        changed.append(span != voiced_span.detect(log_mel, chosen.vad))
    assert len(changed) >= 60
    assert sum(changed) <= 2
