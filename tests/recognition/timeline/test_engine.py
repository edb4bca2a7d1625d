"""Windows and their results, compared with the simple way: cut out every window and recognise it alone."""

import io
import math
import re
import time
import tracemalloc

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher import audio
from emocatcher.features import extraction, speech_gate
from emocatcher.foundation.errors import EmptyAudioError, SettingError
from emocatcher.recognition import timeline
from emocatcher.recognition.timeline.engine import Engine
from emocatcher.recognition.timeline.windows import Windows

from .conftest import RATE, MadeNetwork, is_loud, talk

NETWORK = MadeNetwork()
FRONT_END, VAD = NETWORK.config.settings.front_end, NETWORK.config.settings.vad


def recognise(waveform, **options):
    return timeline.recognise(NETWORK, is_loud, (waveform, RATE), **options)


@pytest.mark.parametrize("seconds", [0.7, 1.0, 2.0, 2.95, 3.0])
def test_a_clip_no_longer_than_a_window_gives_the_result_of_predict(seconds):
    waveform = talk(seconds)
    clip = extraction.extract(waveform, FRONT_END, VAD)
    expected = NETWORK.probabilities(NETWORK.run([clip.log_mel])[0])[0]
    found = recognise(waveform)
    (window,) = found.windows
    assert list(window.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    assert (window.start_s, window.end_s) == (0.0, len(waveform) / RATE)
    assert (window.voiced_start_s, window.voiced_end_s) == (clip.voiced_start_s, clip.voiced_end_s)
    assert found.duration_s == len(waveform) / RATE
    assert [(s.start_s, s.end_s, s.emotion) for s in found.segments] == [(0.0, found.duration_s, window.emotion)]


def test_a_window_gives_the_result_of_its_own_clip():
    """Its frames come from the whole waveform, because the outer ones also cover samples around the window."""
    waveform = talk(20.0)
    mel = extraction.measure(waveform, FRONT_END)
    for window in recognise(waveform, hop_s=0.7).windows:
        first = round(min(window.start_s * RATE / 1364, len(mel) - 49))
        if window.end_s == 20.0:
            first = len(mel) - 49
        channels = extraction.combine_frames(extraction.convert_frames(mel[first : first + 49], FRONT_END), FRONT_END)
        clip = extraction.cut_voiced_span(channels, waveform[first * 1364 :][: 3 * RATE], FRONT_END, VAD)
        if window.speech:
            expected = NETWORK.probabilities(NETWORK.run([clip.log_mel])[0])[0]
            assert list(window.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-6)
            assert window.voiced_start_s == pytest.approx(window.start_s + clip.voiced_start_s, abs=0.04)


@settings(deadline=None, max_examples=40)
@given(
    seconds=st.floats(0.001, 12.0),
    window_s=st.floats(0.5, 4.0),
    hop_share=st.floats(0.0, 1.0),
)
def test_windows_and_segments_cover_the_recording(seconds, window_s, hop_share):
    n_samples = math.ceil(seconds * RATE)
    hop_s = max(0.2 + hop_share * (window_s - 0.2), 0.2)
    found = recognise(talk(13.0)[:n_samples], window_s=window_s, hop_s=hop_s)
    starts = np.array([window.start_s for window in found.windows])
    ends = np.array([window.end_s for window in found.windows])
    assert found.duration_s == n_samples / RATE
    assert starts[0] == 0.0
    assert (np.diff(starts) > 0).all()
    assert starts[:-1] == pytest.approx(np.arange(len(starts) - 1) * hop_s)
    assert ends - starts == pytest.approx(min(window_s, found.duration_s), abs=1e-4)
    # Up to one frame may remain, because the analysis window of the last frame reaches beyond it.
    assert found.duration_s - ends[-1] <= 1.5 * FRONT_END.frame_period_s
    assert ends[-1] <= found.duration_s + 1e-4
    for window in found.windows:
        assert window.start_s <= window.voiced_start_s <= window.voiced_end_s <= window.end_s
        assert window.time_s == pytest.approx((window.start_s + window.end_s) / 2)
    assert found.segments[0].start_s == 0.0
    assert found.segments[-1].end_s == found.duration_s
    for before, after in zip(found.segments, found.segments[1:], strict=False):
        assert before.end_s == after.start_s
        assert before.emotion != after.emotion


def test_windows_without_speech_have_no_emotion():
    quiet = np.random.default_rng(0).normal(0, 1e-4, 8 * RATE).astype(np.float32)
    found = recognise(np.concatenate([talk(6.0), quiet, talk(6.0)]))
    silent = [window for window in found.windows if window.start_s >= 6.2 and window.end_s <= 13.8]
    assert len(silent) > 5
    for window in silent:
        assert (window.speech, window.emotion, window.probability, window.probabilities) == (False, None, None, {})
    (gap,) = [segment for segment in found.segments if segment.emotion is None]
    assert gap.probability is None
    assert gap.start_s == pytest.approx(7.0, abs=1.0)
    assert gap.end_s == pytest.approx(13.0, abs=1.0)


def test_windows_and_segments_below_the_threshold_abstain():
    """For a stream and for a recording; nothing else changes."""
    plain = recognise(talk(40.0))
    middle = float(np.median([segment.probability for segment in plain.segments if segment.emotion]))
    found = timeline.recognise(NETWORK, is_loud, (talk(40.0), RATE), abstain_below=middle)
    assert (plain.abstain_below, found.abstain_below) == (0.0, middle)
    for before, after in ((plain.windows, found.windows), (plain.segments, found.segments)):
        for one, was in zip(after, before, strict=True):
            assert (one.emotion, one.probability) == (was.emotion, was.probability)
            assert one.abstain == (one.probability is None or one.probability < middle)
            assert was.abstain == (was.emotion is None)
        assert {one.abstain for one in after if one.emotion} == {True, False}
    stream = timeline.Stream(NETWORK, is_loud, RATE, abstain_below=middle)
    pushed = [*stream.push(talk(40.0)), *stream.finish()]
    assert [window.abstain for window in pushed] == [window.abstain for window in found.windows]
    assert Windows.of(found.labels, list(found.windows)) == found.windows


@pytest.mark.parametrize("n_samples", [1, 100, RATE, 10 * RATE])
def test_digital_silence_is_not_passed_to_the_speech_gate(n_samples):
    def fail(*_):
        raise AssertionError

    found = timeline.recognise(NETWORK, fail, (np.zeros(n_samples, np.float32), RATE))
    assert not any(window.speech for window in found.windows)
    assert [segment.emotion for segment in found.segments] == [None]


def test_digital_silence_takes_a_fraction_of_the_time_of_sound():
    network = MadeNetwork(preset="emocatcher-2")  # with pitch

    def seconds(waveform):
        engine = Engine(network, lambda *_: False, 3.0, 0.5)
        started = time.process_time()
        for _ in range(4):
            engine.push(waveform)
        return time.process_time() - started

    silence, sound = np.zeros(20 * RATE, np.float32), talk(20.0)
    seconds(sound)
    assert min(seconds(silence) for _ in range(2)) < 0.3 * seconds(sound)


def test_the_speech_gate_runs_once_per_window():
    gate_inputs = []

    def count(waveform, rate, log_mel, front_end):
        gate_inputs.append(len(waveform))
        return False

    found = timeline.recognise(NETWORK, count, (talk(30.0), RATE))
    assert len(gate_inputs) == len(found.windows) == 55
    assert set(gate_inputs) <= {3 * RATE, 3 * RATE - 1, 3 * RATE + 1}


@pytest.mark.parametrize("block", [1000, 30_001, 10 * RATE])
@pytest.mark.parametrize(("window_s", "hop_s"), [(3.0, 0.5), (0.7, 0.31)])
def test_the_gates_own_spectrogram_covers_each_window(block, window_s, hop_s):
    """It is computed once for all windows, and does not depend on the blocks."""
    waveform, gate_inputs = talk(9.3), []

    def has_speech(part, rate, log_mel, front_end):
        gate_inputs.append(log_mel)
        assert front_end == speech_gate.front_end()
        return len(gate_inputs) % 2 == 0

    engine = Engine(MadeNetwork(preset="emocatcher-2"), has_speech, window_s, hop_s)
    parts = [engine.push(waveform[start : start + block]) for start in range(0, len(waveform), block)]
    windows = Windows.join(("glad", "low", "cross"), [*parts, engine.finish()])
    searched = speech_gate.front_end()
    frames = extraction.convert_frames(extraction.measure(waveform, searched), searched)
    assert len(gate_inputs) == len(windows)
    for window, log_mel in zip(windows, gate_inputs, strict=True):
        first, n = int(window.start_s * RATE / 1364), int(window_s * RATE / 1364)
        last = len(frames) if window.end_s == len(waveform) / RATE else first + n
        np.testing.assert_allclose(log_mel, extraction.combine_frames(frames[first:last], searched), atol=1e-3)


@pytest.mark.parametrize(("preset", "n_beyond"), [("cabg", 1), ("emocatcher-2", 0)])
def test_a_spectrogram_that_the_gate_was_fitted_to_is_not_computed_twice(preset, n_beyond):
    """The model's frames reach half a frame beyond a window; the gate's own frames do not."""
    shapes = []

    def has_speech(part, rate, log_mel, front_end):
        shapes.append(log_mel.shape)
        assert speech_gate.was_fitted_to(front_end)
        return False

    Engine(MadeNetwork(preset=preset), has_speech, 3.0, 0.5).push(talk(3.2))
    assert shapes == [(speech_gate.N_MELS, 3 * RATE // 1364 + n_beyond)]


@pytest.mark.parametrize("changes", [{}, {"f_max": 9000.0}, {"sample_rate": 16_000}])
def test_a_spectrogram_comes_with_the_front_end_that_computed_it(changes):
    """Then the gate never treats the same number of bands, of another width or rate, as its own."""
    network, front_ends = MadeNetwork(), []
    front_end = msgspec.structs.replace(network.config.settings.front_end, **changes)
    network.config = network.config._replace(
        settings=msgspec.structs.replace(network.config.settings, front_end=front_end)
    )

    def has_speech(part, rate, log_mel, made_by):
        front_ends.append(made_by)
        inner = np.s_[:, 2:30]  # frames at the edges also cover samples beyond the window
        np.testing.assert_allclose(log_mel[inner], extraction.log_mel_spectrogram(part, made_by)[inner], atol=0.1)
        return False

    waveform = audio.resample(talk(3.2), RATE, front_end.sample_rate)
    Engine(network, has_speech, 3.0, 0.5).push(waveform)
    assert front_ends == [speech_gate.front_end(front_end.sample_rate) if changes else front_end]


def test_neighbouring_windows_of_one_emotion_form_one_segment():
    found = recognise(talk(40.0))
    assert len(found.segments) < len(found.windows)
    for segment in found.segments:
        if segment.emotion is None:
            continue
        within = [w for w in found.windows if segment.start_s <= w.time_s <= segment.end_s]
        assert {window.emotion for window in within} == {segment.emotion}
        assert segment.probability == pytest.approx(np.mean([window.probability for window in within]))


@pytest.mark.parametrize(
    ("window_s", "hop_s", "message"),
    [
        (0.4, 0.1, "window is 0.4 s"),
        (math.nan, 0.5, "window is nan s"),
        (math.inf, 0.5, "window is inf s"),
        (1e9, 0.5, "0.5 to 600 s"),
        (-3.0, 0.5, "window is -3 s"),
        (3.0, 0.0, "hop is 0 s"),
        (3.0, -1.0, "hop is -1 s"),
        (3.0, 3.1, "0.062 s .* to 3 s"),
        (3.0, math.nan, "hop is nan s"),
        (3.0, 1e-9, "one frame of this model"),
    ],
)
def test_window_and_hop_out_of_range_are_refused(window_s, hop_s, message):
    with pytest.raises(SettingError, match=message):
        recognise(talk(1.0), window_s=window_s, hop_s=hop_s)


def test_a_recording_without_samples_is_refused():
    with pytest.raises(EmptyAudioError):
        recognise(np.zeros(0, np.float32))


def test_on_block_receives_every_block():
    seen = []
    found = timeline.recognise(NETWORK, is_loud, (talk(150.0), RATE), hop_s=3.0, on_block=seen.append)
    assert [len(block) / RATE for block in seen] == [30.0] * 5
    assert found.duration_s == 150.0


def test_memory_does_not_grow_with_the_duration():
    def peak(n_blocks):
        engine = timeline.engine.Engine(NETWORK, lambda *_: False, 3.0, 1.0)
        block = talk(5.0)
        engine.push(block)
        tracemalloc.start()
        for _ in range(n_blocks):
            engine.push(block)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(40) < 1.2 * peak(4)


def test_windows_behave_as_a_sequence():
    windows = recognise(talk(20.0)).windows
    assert windows[0].start_s == 0.0
    assert windows[-1] == windows[len(windows) - 1] == list(windows)[-1]
    assert windows[2:6:2] == [windows[2], windows[4]]
    assert windows == list(windows)
    assert timeline.Windows.of(NETWORK.config.labels, list(windows)) == windows
    assert windows != list(windows)[1:]
    with pytest.raises(IndexError):
        windows[len(windows)]


def test_a_timeline_warns_of_a_missing_end_and_of_damage():
    payload = io.BytesIO()
    soundfile.write(payload, talk(20.0), RATE, format="FLAC")
    whole = payload.getvalue()
    half = timeline.recognise(NETWORK, is_loud, whole[: len(whole) // 2])
    assert ("truncated", f"the file breaks off: only the first {half.duration_s:.2f} s were used") in {
        (caution.code, caution.message) for caution in half.warnings
    }
    first = len(whole) // 2
    damaged = timeline.recognise(NETWORK, is_loud, whole[:first] + bytes(500) + whole[first + 500 :])
    assert damaged.duration_s == 20.0
    (caution,) = (caution for caution in damaged.warnings if caution.code == "damaged")
    assert re.fullmatch(r"damaged: 0\.\d\d s could not be decoded, at \d+\.\d\d s", caution.message)
    codes = {caution.code for caution in timeline.recognise(NETWORK, is_loud, whole).warnings}
    assert codes.isdisjoint({"truncated", "damaged", "unread"})
    joined = io.BytesIO()
    soundfile.write(joined, talk(20.0), RATE, format="AU")
    n_bytes = len(joined.getvalue())
    warnings = timeline.recognise(NETWORK, is_loud, 2 * joined.getvalue()).warnings
    (caution,) = (caution for caution in warnings if caution.code == "unread")
    assert caution.message.startswith(f"the last {n_bytes:,} bytes were not read")
