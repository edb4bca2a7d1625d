"""The graph's voiced span is the package's, frame by frame: one more or less is another clip to the network."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emocatcher.features import extraction, voiced_span
from emocatcher.foundation.settings import VoiceActivity, load_preset
from emocatcher.models.onnx_graphs.graph import BOOL, FLOAT, INT64, Graph
from emocatcher.models.onnx_graphs.voiced_span import add_clicks, add_span

CABG = load_preset("cabg")
SpanOf = Callable[[np.ndarray, VoiceActivity], tuple[int, int]]


@pytest.fixture(scope="module")
def span_of(opened: Any) -> SpanOf:
    @cache
    def graph_of(chosen: VoiceActivity) -> Any:
        graph = Graph({})
        for name, edge in zip(("first", "last"), add_span(graph, chosen, "log_mel"), strict=True):
            graph.add("Identity", [edge], outputs=[name])
        shape = ["n_frames", "n_mels"]
        return opened(
            graph.serialise({"log_mel": (FLOAT, shape)}, {"first": (INT64, []), "last": (INT64, [])}, {}),
        )

    def span_of(log_mel: np.ndarray, chosen: VoiceActivity) -> tuple[int, int]:
        first, last = graph_of(chosen)(log_mel=np.ascontiguousarray(log_mel.T))
        return int(first), int(last)

    return span_of


ClicksOf = Callable[[np.ndarray, np.ndarray, str], tuple[np.ndarray, tuple[int, int]]]


@pytest.fixture(scope="module")
def clicks_of(opened: Any) -> ClicksOf:
    @cache
    def graph_of(preset: str) -> Any:
        graph, chosen = Graph({}), load_preset(preset)
        clicked = add_clicks(graph, chosen.front_end, "waveform", "log_mel")
        names = ("clicked", "first", "last")
        for name, value in zip(names, (clicked, *add_span(graph, chosen.vad, "log_mel", clicked)), strict=True):
            graph.add("Identity", [value], outputs=[name])
        inputs = {"waveform": (FLOAT, ["n_samples"]), "log_mel": (FLOAT, ["n_frames", "n_mels"])}
        return opened(
            graph.serialise(inputs, {"clicked": (BOOL, ["n_frames"]), "first": (INT64, []), "last": (INT64, [])}, {})
        )

    def clicks_of(waveform: np.ndarray, log_mel: np.ndarray, preset: str) -> tuple[np.ndarray, tuple[int, int]]:
        clicked, first, last = graph_of(preset)(waveform=waveform, log_mel=np.ascontiguousarray(log_mel.T))
        return clicked, (int(first), int(last))

    return clicks_of


def settings_of(sigma: float = 10.0, margin: int = 3, floor_db: float = 80.0) -> VoiceActivity:
    return VoiceActivity(smoothing_sigma=sigma, margin_frames=margin, floor_db=floor_db)


def decision_gap(log_mel: np.ndarray, chosen: VoiceActivity) -> float:
    """How far the detector's answer is from another: by rounding alone, the order of a sum decides between ties."""
    doubled = np.maximum(2.0 * log_mel.astype(np.float64), -100.0)
    lowest, highest = max(doubled.min(), doubled.max() - chosen.floor_db), doubled.max()
    if log_mel.shape[1] < 2 or not lowest < highest:
        return np.inf
    loudness = (np.maximum(doubled, lowest) - lowest).sum(axis=0) / (highest - lowest)
    if loudness.min() == loudness.max():
        return np.inf
    curve = voiced_span._smooth(np.sort(loudness), chosen.smoothing_sigma)
    slopes = np.sort(np.gradient(curve))
    threshold = curve[int(np.gradient(curve).argmax())]
    return float(min(slopes[-1] - slopes[-2], np.abs(loudness - threshold).min()))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_mels=st.integers(1, 80),
    n_frames=st.integers(2, 150),
    sigma=st.sampled_from([0.5, 1.0, 3.3, 10.0, 25.0]),
    margin=st.integers(0, 5),
    floor_db=st.sampled_from([20.0, 80.0, 300.0]),
    loudest=st.sampled_from([-90.0, -40.0, 0.0, 30.0]),
)
def test_it_is_the_packages_own(
    span_of: SpanOf, seed: int, n_mels: int, n_frames: int, sigma: float, margin: int, floor_db: float, loudest: float
) -> None:
    steps = np.random.default_rng(seed).normal(0, 8, (n_mels, n_frames)).cumsum(axis=1)
    log_mel = (loudest + np.maximum(steps - steps.max(), -80)).astype(np.float32)
    chosen = settings_of(sigma, margin, floor_db)
    if n_frames > 2 and decision_gap(log_mel, chosen) < 1e-9:
        return
    assert span_of(log_mel, chosen) == voiced_span.detect(log_mel, chosen)[:2]


@pytest.mark.parametrize("level", [-200.0, -100.0, -50.0, -49.0, -20.0, 0.0, 40.0])
@pytest.mark.parametrize("shape", [(1, 1), (64, 1), (1, 2), (64, 2), (63, 40), (64, 81), (64, 200)])
def test_where_all_is_the_same_it_is_the_whole_clip(span_of: SpanOf, level: float, shape: tuple[int, int]) -> None:
    assert span_of(np.full(shape, level, np.float32), CABG.vad) == (0, shape[1])


def test_equal_frames_never_stand_out_by_rounding(span_of: SpanOf) -> None:
    random = np.random.default_rng(0)
    for n_frames, n_mels in zip(random.integers(1, 120, 300), random.integers(1, 90, 300), strict=True):
        spectrum = random.normal(-40, 10, (n_mels, 1)).astype(np.float32)
        # Without a margin, which would hide a last frame that is lost.
        assert span_of(np.repeat(spectrum, n_frames, axis=1), settings_of(margin=0)) == (0, n_frames)


@given(spectrum=arrays.arrays(np.float32, 64, elements=st.floats(-150, 50, width=32)))
@settings(max_examples=25, deadline=None)
def test_one_frame_is_the_clip(span_of: SpanOf, spectrum: np.ndarray) -> None:
    assert span_of(spectrum[:, None], CABG.vad) == (0, 1)


@given(
    frames=arrays.arrays(np.float32, (8, 2), elements=st.floats(-60, 10, width=32)),
    margin=st.integers(0, 2),
    sigma=st.sampled_from([1.0, 10.0]),
)
@settings(deadline=None)
def test_two_frames(span_of: SpanOf, frames: np.ndarray, margin: int, sigma: float) -> None:
    chosen = settings_of(sigma, margin)
    assert span_of(frames, chosen) == voiced_span.detect(frames, chosen)[:2]


@pytest.mark.parametrize("margin", [0, 1, 3, 50])
@pytest.mark.parametrize("loud", [slice(0, 1), slice(1, 2), slice(20, 30), slice(59, 60), slice(10, 60), slice(0, 60)])
def test_the_margin_is_the_same(span_of: SpanOf, loud: slice, margin: int) -> None:
    log_mel = np.full((64, 60), -80.0, np.float32)
    log_mel[:, loud] = -10.0
    chosen = settings_of(margin=margin)
    assert span_of(log_mel, chosen) == voiced_span.detect(log_mel, chosen)[:2]


cells = st.floats(-200, 100, width=32) | st.sampled_from([0.0, -80.0, -100.0])


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 60)), elements=cells),
    st.sampled_from([0.1, 1.0, 10.0, 60.0]),
    st.integers(0, 9),
)
@example(np.array([[0.0, 1.0, 2.0]], np.float32), 10.0, 3)
def test_whatever_the_clip_the_span_lies_in_it(span_of: SpanOf, log_mel: np.ndarray, sigma: float, margin: int) -> None:
    chosen = settings_of(sigma, margin)
    first, last = span_of(log_mel, chosen)
    assert 0 <= first < last <= log_mel.shape[1]
    if decision_gap(log_mel, chosen) > 1e-9:
        assert (first, last) == voiced_span.detect(log_mel, chosen)[:2]


def test_on_what_stands_for_recordings(span_of: SpanOf, made_clips: list[np.ndarray]) -> None:
    spans = set()
    for waveform in made_clips:
        log_mel = extraction.log_mel_spectrogram(waveform, CABG.front_end)
        span = voiced_span.detect(log_mel, CABG.vad)
        assert span_of(log_mel, CABG.vad) == span[:2]
        spans.add(span.n_frames < log_mel.shape[1])
    assert True in spans, "no clip has a span of its own: nothing was tested"


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(1, 30_000),
    n_pops=st.integers(0, 6),
    preset=st.sampled_from(["cabg", "emocatcher-2"]),
)
def test_it_leaves_out_the_frames_with_a_click_as_the_package_does(
    clicks_of: ClicksOf, seed: int, n_samples: int, n_pops: int, preset: str
) -> None:
    random, chosen = np.random.default_rng(seed), load_preset(preset)
    waveform = random.normal(0, 1e-3, n_samples).astype(np.float32)
    for start in random.integers(0, n_samples, n_pops):
        waveform[start : start + random.integers(1, 700)] += np.float32(random.uniform(0.01, 0.5))
    log_mel = extraction.log_mel_spectrogram(waveform, chosen.front_end)
    clicked = voiced_span.clicks(waveform, log_mel.shape[1], chosen.front_end)
    expected = voiced_span.detect(log_mel, chosen.vad, clicked)
    found, span = clicks_of(waveform, log_mel, preset)
    np.testing.assert_array_equal(found, clicked)
    counted = log_mel if clicked.all() else log_mel[:, ~clicked]
    if decision_gap(counted, chosen.vad) > 1e-9:
        assert span == expected[:2]
