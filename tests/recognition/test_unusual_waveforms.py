"""What cannot be heard in a recording does not change its answer: in predictions, timelines, streams and features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_graphs import as_onnx
from emocatcher.recognition.parity.answers import waveform_graph
from emocatcher.recognition.recognizer import Recognizer, load
from emocatcher.training.dataset import load_features

RATE = 48_000
Samples = NDArray[np.float32]
Ask = Callable[[Samples], NDArray[np.float64]]  # from samples to every number of the answer


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load()


@pytest.fixture(scope="module")
def voice(voices_dir: Path) -> Samples:
    path = sorted(voices_dir.rglob("03-01-*.wav"))[7]
    samples, rate = soundfile.read(path, dtype="float32")
    time_s = np.arange(round(len(samples) / rate * RATE)) / RATE
    return np.interp(time_s, np.arange(len(samples)) / rate, samples).astype(np.float32)


@pytest.fixture(scope="module", params=["predict", "timeline", "stream", "features", "graph"])
def ask(
    request: pytest.FixtureRequest, recognizer: Recognizer, bundled: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Ask:
    settings, folder = recognizer.config.settings, tmp_path_factory.mktemp("clips")
    graph = waveform_graph(as_onnx(bundled, waveform=True)) if request.param == "graph" else None

    def predict(samples: Samples) -> NDArray[np.float64]:
        answer = recognizer.predict((samples, RATE))
        return np.array([*answer.probabilities.values(), answer.voiced_start_s or -1, answer.voiced_end_s or -1])

    def timeline(samples: Samples) -> NDArray[np.float64]:
        windows = recognizer.timeline((samples, RATE), 1.0, 0.25).windows
        return np.array([(p or 0.0) for window in windows for p in (*window.probabilities.values(), window.speech)])

    def stream(samples: Samples) -> NDArray[np.float64]:
        opened = recognizer.stream(RATE, 1.0, 0.25)
        windows = [window for start in range(0, len(samples), 7_000) for window in opened.push(samples[start:][:7_000])]
        windows += opened.finish()
        return np.array([(p or 0.0) for window in windows for p in (*window.probabilities.values(), window.speech)])

    def features(samples: Samples) -> NDArray[np.float64]:
        path = folder / "clip.wav"
        soundfile.write(path, samples, RATE, subtype="FLOAT")
        corpus = Corpus(name="mine", utterances=(Utterance(id="clip", path=path, emotion="sad"),), labels=("sad",))
        table = load_features(corpus, settings, folder=folder)
        return np.asarray(table.clip("clip"), np.float64).ravel() / 10.0  # 0.01 dB is close

    def in_graph(samples: Samples) -> NDArray[np.float64]:
        assert graph is not None
        answer = graph(samples[::2].copy())
        return np.array([*answer.probabilities, answer.voiced_start_s, answer.voiced_end_s])

    asks: dict[str, Ask] = {
        "predict": predict, "timeline": timeline, "stream": stream, "features": features, "graph": in_graph
    }  # fmt: skip
    return asks[request.param]


@pytest.mark.parametrize("offset", [1e-3, -1e-2, 0.2])
def test_an_offset_changes_nothing(ask: Ask, voice: Samples, offset: float) -> None:
    np.testing.assert_allclose(ask(voice + np.float32(offset)), ask(voice), atol=1e-3)


@pytest.mark.parametrize("other", [-1.0, -0.8, 0.0], ids=["opposite phase", "partly cancelling", "silent"])
def test_a_second_channel_that_cancels_or_is_silent_changes_nothing(
    request: pytest.FixtureRequest, ask: Ask, voice: Samples, other: float
) -> None:
    if "graph" in request.node.callspec.id:
        pytest.skip("a graph takes one channel")
    pair = np.stack([voice, np.float32(0.99 * other) * voice], axis=1)
    np.testing.assert_allclose(ask(pair), ask(voice), atol=1e-3)


def test_predictions_and_timelines_report_the_change(recognizer: Recognizer, voice: Samples) -> None:
    pair = np.stack([voice, -voice], axis=1) * np.float32(30_000)
    for recognise in (recognizer.predict, recognizer.timeline):
        codes = [caution.code for caution in recognise((pair, RATE)).warnings]
        assert [code for code in codes if code in ("rescaled", "channels-cancel")] == ["rescaled", "channels-cancel"]


@pytest.mark.parametrize("start_s", [0.05, -0.1], ids=["at the start", "at the end"])
def test_a_pop_in_the_silence_changes_no_answer(recognizer: Recognizer, voice: Samples, start_s: float) -> None:
    silence = np.random.default_rng(0).normal(0, 1e-4, RATE // 2).astype(np.float32)
    quiet = np.concatenate([silence, voice, silence])
    popped = quiet.copy()
    start = round(start_s * RATE) % len(popped)
    popped[start : start + RATE // 200] += np.float32(0.1)
    expected, found = recognizer.predict((quiet, RATE)), recognizer.predict((popped, RATE))
    assert found.voiced_start_s == pytest.approx(expected.voiced_start_s, abs=0.03)
    assert found.voiced_end_s == pytest.approx(expected.voiced_end_s, abs=0.03)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=0.02)
