"""The self-contained graph says what the `Recognizer` says, and runs where only ONNX's own operators do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocatcher import audio, corpora
from emocatcher.features import extraction
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_graphs import as_onnx
from emocatcher.recognition.parity.answers import compare, difference, python_path, waveform_graph
from emocatcher.recognition.parity.clips import Clips
from emocatcher.recognition.recognizer import Recognizer

CABG = load_preset("cabg")
NAMES = ["probabilities", "attention", "voiced_start_s", "voiced_end_s"]


class Ours(NamedTuple):
    """What the recogniser's front end and network answer."""

    emotion: str
    voiced_start_s: float
    voiced_end_s: float
    duration_s: float


Hear = Callable[[np.ndarray], list[Any]]


def assert_same(graph: Hear, recognizer: Recognizer, waveform: np.ndarray, tolerance: float = 1e-4) -> Ours:
    probabilities, attention, start_s, end_s = graph(waveform)
    # Not `predict`, which runs the network only on speech.
    config = recognizer.config
    clip = extraction.extract(audio.remove_offset(waveform), config.settings.front_end, config.settings.vad)
    logits, (weights,), _ = recognizer.run([clip.channels])
    expected = recognizer.probabilities(logits)[0]
    ours = Ours(config.labels[int(expected.argmax())], clip.voiced_start_s, clip.voiced_end_s, clip.duration_s)
    assert all(output.dtype == np.float32 for output in (probabilities, attention, start_s, end_s))
    assert probabilities.shape == expected.shape
    assert np.abs(probabilities - expected).max() <= tolerance
    if np.diff(np.sort(expected))[-1] > 0.01:
        assert recognizer.config.labels[int(probabilities.argmax())] == ours.emotion
    assert (start_s.shape, end_s.shape) == ((), ())
    assert float(start_s) == pytest.approx(ours.voiced_start_s, abs=1e-5)
    assert float(end_s) == pytest.approx(ours.voiced_end_s, abs=1e-5)
    assert attention.shape == weights.shape
    assert np.abs(attention - weights).max() <= tolerance
    assert attention.sum() == pytest.approx(1.0, abs=1e-5)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    return ours


def hear_of(opened: Any, payload: bytes) -> Hear:
    run = opened(payload)
    return lambda waveform: list(run(waveform=waveform))


@pytest.fixture(scope="module")
def graph(opened: Any, made_model: Bundle) -> Hear:
    return hear_of(opened, as_onnx(made_model, waveform=True))


@pytest.fixture(scope="module")
def recognizer(made_model: Bundle) -> Recognizer:
    return Recognizer(made_model)


def test_on_made_clips_it_says_what_the_recogniser_says(
    graph: Hear, recognizer: Recognizer, made_clips: list[np.ndarray]
) -> None:
    said = [assert_same(graph, recognizer, waveform) for waveform in made_clips]
    # Else the same would be no surprise.
    assert len({prediction.emotion for prediction in said}) > 1
    assert any(prediction.voiced_start_s > 0 for prediction in said)
    assert any(prediction.voiced_end_s < prediction.duration_s for prediction in said)


def test_the_bundled_model_does_so(opened: Any, bundled: Bundle, made_clips: list[np.ndarray]) -> None:
    graph, recognizer = hear_of(opened, as_onnx(bundled, waveform=True)), Recognizer(bundled)
    for waveform in made_clips:
        assert_same(graph, recognizer, waveform)


@given(seed=st.integers(0, 2**16), n_samples=st.integers(1, 40_000), level_db=st.floats(-90, 0))
@settings(max_examples=25, deadline=None)
def test_whatever_the_length(graph: Hear, recognizer: Recognizer, seed: int, n_samples: int, level_db: float) -> None:
    random = np.random.default_rng(seed)
    noise = random.normal(size=n_samples) * np.geomspace(0.05, 1.0, n_samples) * 10.0 ** (level_db / 20.0)
    assert_same(graph, recognizer, np.clip(noise, -1, 1).astype(np.float32))


@pytest.mark.parametrize("n_samples", [1, 2, 1363, 1364, 22_050])
def test_silence_and_next_to_nothing(graph: Hear, recognizer: Recognizer, n_samples: int) -> None:
    ours = assert_same(graph, recognizer, np.zeros(n_samples, np.float32))
    assert (ours.voiced_start_s, ours.voiced_end_s) == (0.0, pytest.approx(ours.duration_s))
    assert_same(graph, recognizer, np.eye(1, n_samples, dtype=np.float32)[0])


def changed(changes: dict[str, dict[str, Any]]) -> Settings:
    raw = msgspec.to_builtins(CABG)
    return msgspec.convert({name: raw[name] | changes.get(name, {}) if isinstance(raw[name], dict) else raw[name]
                            for name in raw}, Settings)  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"pool_size": 3, "kernel_size": 5}, "vad": {"margin_frames": 0, "smoothing_sigma": 2.0}},
        {"front_end": {"sample_rate": 16_000, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40,
                       "f_max": 8000.0}, "network": {"pool_size": 1, "conv_channels": [7], "gru_units": 3}},
    ],
    ids=["other pools and margins", "another front end"],
)  # fmt: skip
def test_other_models_too(
    opened: Any, make_model: Any, changes: dict[str, dict[str, Any]], made_clips: list[np.ndarray]
) -> None:
    model = make_model(changed(changes))
    graph, recognizer = hear_of(opened, as_onnx(model, waveform=True)), Recognizer(model)
    for waveform in (*made_clips[::3], np.zeros(500, np.float32), np.ones(1, np.float32)):
        assert_same(graph, recognizer, waveform)


@pytest.mark.slow
@pytest.mark.corpus
def test_on_real_clips_it_says_what_the_recogniser_says(opened: Any, bundled: Bundle, ravdess_dir: Path) -> None:
    graph, recognizer = hear_of(opened, as_onnx(bundled, waveform=True)), Recognizer(bundled)
    clips = [audio.load(clip.path, 22_050)[0] for clip in corpora.load(str(ravdess_dir)).utterances[::24]]
    said = [assert_same(graph, recognizer, waveform, tolerance=1e-3) for waveform in clips]
    assert len({prediction.emotion for prediction in said}) >= 4


@pytest.mark.slow
@pytest.mark.corpus
def test_on_ravdess_no_clear_label_changes(bundled: Bundle, ravdess_dir: Path) -> None:
    """On every 13th clip, with all speakers and emotions; `benchmarks/parity.py` takes every clip."""
    clips = Clips(what="some", utterances=corpora.load(str(ravdess_dir)).utterances[::13])
    pipelines = {
        "python": python_path(Recognizer(bundled)),
        "exported": waveform_graph(as_onnx(bundled, waveform=True)),
    }
    said = compare(pipelines, clips.waveforms(bundled.config.settings.front_end.sample_rate))
    found = difference(said["python"], said["exported"])
    assert found.largest <= 1e-3
    assert (found.n_clear_changed, found.n_spans_changed) == (0, 0)
    assert len(said["python"].labels) == 111


@pytest.mark.parametrize("int8", [False, True])
def test_browsers_and_phones_know_every_operator(made_model: Bundle, int8: bool) -> None:
    model = onnx.load_from_string(as_onnx(made_model, waveform=True, int8=int8))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]  # ONNX Runtime 1.12, mid 2022
    assert model.ir_version <= 8
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"STFT", "DFT", "MelWeightMatrix", "Loop", "If", "Scan"}
    complex_types = {onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    inferred = onnx.shape_inference.infer_shapes(model)
    assert not {value.type.tensor_type.elem_type for value in inferred.graph.value_info} & complex_types
    assert not {constant.data_type for constant in model.graph.initializer} & complex_types
    assert not any(constant.external_data for constant in model.graph.initializer)  # one file


def test_the_file_says_what_it_is(made_model: Bundle) -> None:
    session = onnxruntime.InferenceSession(as_onnx(made_model, waveform=True), providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["labels"]) == list(made_model.config.labels)
    assert json.loads(said["sample_rate"]) == 22_050
    assert json.loads(said["temperature"]) == 1.7
    assert (said["licence"], said["name"], said["version"]) == ("CC BY 4.0 (someone)", "made-up", "1.2.3")
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("waveform", ["n_samples"])]
    assert [value.name for value in session.get_outputs()] == NAMES
    assert session.get_outputs()[0].shape == [4]
    assert session.get_outputs()[2].shape == []


def test_the_same_model_gives_the_same_bytes(made_model: Bundle) -> None:
    assert as_onnx(made_model, waveform=True) == as_onnx(made_model, waveform=True)
