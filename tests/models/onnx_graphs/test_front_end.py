"""The graph's spectrogram is the package's, whatever the settings and the length."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emocatcher.features.extraction import compute_channels, log_mel_spectrogram
from emocatcher.foundation.settings import FrontEnd, Pitch, load_preset
from emocatcher.models.onnx_graphs.front_end import add_front_end
from emocatcher.models.onnx_graphs.graph import FLOAT, Graph

CABG = load_preset("cabg").front_end
FINE = load_preset("emocatcher-2").front_end
SIGNALS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "noise": lambda random, n: 0.1 * random.normal(size=n),
    "faint noise": lambda random, n: 1e-5 * random.normal(size=n),
    "loud": lambda random, n: np.sign(random.normal(size=n)),
    "burst": lambda random, n: random.normal(size=n) * np.geomspace(1e-4, 0.3, n),
    "voice": lambda random, n: (
        sum(np.sin(np.arange(n) * k * 0.04) / k for k in range(1, 20)) / 3.0 + 0.003 * random.normal(size=n)
    ),
}
OTHERS: dict[str, dict[str, float]] = {
    "odd n_fft": {"n_fft": 4097},
    "prime n_fft": {"n_fft": 1021, "win_length": 1021},
    "odd window in an even transform": {"win_length": 1001},
    "even window in an odd transform": {"n_fft": 2047, "win_length": 1000},
    "n_fft is the window": {"n_fft": 2048},
    "window not a whole number of rows": {"n_fft": 4096, "win_length": 2000},
    "hop beyond the window": {"n_fft": 512, "win_length": 400, "hop_length": 700, "n_mels": 20},
    "hop beyond n_fft": {"n_fft": 512, "win_length": 512, "hop_length": 3000, "n_mels": 20},
    "up to Nyquist": {"f_max": 11_025.0},
    "odd n_fft, up to Nyquist": {"n_fft": 2047, "win_length": 2047, "f_max": 11_025.0},
    "from 300 Hz": {"f_min": 300.0},
    "one band": {"n_mels": 1},
    "more bands than bins": {"n_mels": 128, "n_fft": 512, "win_length": 400},
    "another rate": {"sample_rate": 16_000, "n_fft": 512, "win_length": 400, "hop_length": 160, "f_max": 8000.0,
                     "n_mels": 40},
    "a lower floor": {"floor_db": 40.0, "amin": 1e-6},
}  # fmt: skip


@pytest.fixture(scope="module")
def log_mel_of(opened: Any) -> Callable[[FrontEnd], Callable[[np.ndarray], np.ndarray]]:
    @cache
    def of(front_end: FrontEnd) -> Callable[[np.ndarray], np.ndarray]:
        graph = Graph({})
        graph.add("Identity", [add_front_end(graph, front_end, "waveform")[0]], outputs=["log_mel"])
        shape = ["n_frames", front_end.n_mels]
        run = opened(graph.serialise({"waveform": (FLOAT, ["n_samples"])}, {"log_mel": (FLOAT, shape)}, {}))
        return lambda waveform: np.asarray(run(waveform=waveform)[0].T)

    return of


def signal(kind: str, n_samples: int, seed: int) -> np.ndarray:
    made = SIGNALS[kind](np.random.default_rng(seed), n_samples)
    return np.asarray(np.clip(made, -1.0, 1.0), np.float32)


def assert_same(theirs: np.ndarray, ours: np.ndarray, front_end: FrontEnd) -> None:
    assert theirs.shape == ours.shape
    assert theirs.dtype == np.float32
    heard = ours > ours.max() - front_end.floor_db
    assert np.abs(theirs - ours)[heard].max() <= 0.01
    # At the floor one may lie above it by a hair where the other does not.
    assert np.abs(theirs - ours).max() <= 0.1


@given(kind=st.sampled_from(sorted(SIGNALS)), n_samples=st.integers(1, 60_000), seed=st.integers(0, 1000))
@example(kind="noise", n_samples=1, seed=0)
@example(kind="noise", n_samples=CABG.hop_length - 1, seed=0)
@example(kind="noise", n_samples=CABG.hop_length, seed=0)
@example(kind="voice", n_samples=132_300, seed=0)
@settings(max_examples=40, deadline=None)
def test_it_is_the_packages_own(log_mel_of: Any, kind: str, n_samples: int, seed: int) -> None:
    waveform = signal(kind, n_samples, seed)
    assert_same(log_mel_of(CABG)(waveform), log_mel_spectrogram(waveform, CABG), CABG)


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS.keys())
def test_it_is_so_for_other_settings(log_mel_of: Any, changes: dict[str, float]) -> None:
    front_end = msgspec.convert(msgspec.to_builtins(CABG) | changes, FrontEnd)
    run = log_mel_of(front_end)
    for kind, n_samples in (("noise", 1), ("loud", 2), ("noise", 999), ("voice", 22_050), ("burst", 30_001)):
        waveform = signal(kind, n_samples, n_samples)
        assert_same(run(waveform), log_mel_spectrogram(waveform, front_end), front_end)


@given(
    n_fft=st.integers(2, 700),
    window=st.floats(0.01, 1.0),
    hop_length=st.integers(20, 900),
    f_max=st.floats(0.2, 1.0),
    n_mels=st.integers(1, 30),
)
@settings(max_examples=30, deadline=None)
def test_it_is_so_for_any_settings(
    log_mel_of: Any, n_fft: int, window: float, hop_length: int, f_max: float, n_mels: int
) -> None:
    win_length = max(2, round(window * n_fft))
    front_end = FrontEnd(8000, n_fft, win_length, hop_length, n_mels, 0.0, 4000.0 * f_max, 1e-10, 80.0)
    waveform = signal("noise", 3000, n_fft)
    assert_same(log_mel_of(front_end)(waveform), log_mel_spectrogram(waveform, front_end), front_end)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("n_samples", [1, 1364, 10_000])
def test_a_level_waveform_is_no_hurdle(log_mel_of: Any, value: float, n_samples: int) -> None:
    waveform = np.full(n_samples, value, np.float32)
    theirs, ours = log_mel_of(CABG)(waveform), log_mel_spectrogram(waveform, CABG)
    assert theirs.shape == ours.shape
    assert np.isfinite(theirs).all()
    # A level's spectrum is zero but for rounding nearly everywhere: only what stands out can be compared.
    heard = ours > ours.max() - 60.0
    assert np.abs(theirs - ours)[heard].max() <= 0.01


@pytest.mark.parametrize(
    "changes",
    [{}, {"frames_per_step": 1, "reach": 3}, {"frames_per_step": 3}, {"reach": 0}, {"n_candidates": 7, "f_max": 400.0}],
)
@pytest.mark.parametrize("n_fft", [512, 1024])
def test_the_pitch_is_the_packages_own(opened: Any, changes: dict[str, Any], n_fft: int) -> None:
    followed = msgspec.structs.replace(Pitch(f_min=90.0), **changes)
    front_end = msgspec.structs.replace(FINE, pitch=followed, n_fft=n_fft)
    graph = Graph({})
    _, tracks = add_front_end(graph, front_end, "waveform")
    assert tracks is not None
    graph.add("Identity", [tracks], outputs=["tracks"])
    run = opened(graph.serialise({"waveform": (FLOAT, ["n_samples"])}, {"tracks": (FLOAT, ["n_frames", 2])}, {}))
    for kind, n_samples in (("noise", 1), ("loud", 255), ("noise", 256), ("voice", 22_050), ("burst", 30_001)):
        waveform = signal(kind, n_samples, n_samples)
        ours = compute_channels(waveform, front_end)[front_end.n_mels :]
        theirs = run(waveform=waveform)[0].T
        assert theirs.shape == ours.shape
        np.testing.assert_allclose(theirs, ours, atol=1e-3)


def test_the_transform_is_small() -> None:
    graph = Graph({})
    add_front_end(graph, CABG, "waveform")
    n_bytes = sum(len(constant.SerializeToString()) for constant in graph.constants.values())
    assert n_bytes < 120_000  # one whole matrix, of windowed samples to bins, would take 18 MB
