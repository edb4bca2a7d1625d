"""The comparison of two pipelines counts what it documents."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher import audio
from emocatcher.corpora.table import Corpus
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_graphs import as_onnx
from emocatcher.recognition.parity.answers import (
    CLEAR_MARGIN,
    PARITY_ERROR,
    Answer,
    Answers,
    Difference,
    compare,
    difference,
    log_mel_graph,
    python_path,
    waveform_graph,
)
from emocatcher.recognition.recognizer import Recognizer


def answers(*rows: list[float], voiced_s: list[list[float]] | None = None) -> Answers:
    return Answers(np.array(rows), np.array(voiced_s or [[0.0, 1.0]] * len(rows)), 1.0)


def test_the_margin_is_between_the_two_largest() -> None:
    three = answers([0.2, 0.7, 0.1], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0])
    assert three.margin == pytest.approx([0.5, 0.0, 1.0])
    assert three.labels.tolist() == [1, 0, 2]
    assert answers([1.0]).margin.tolist() == [1.0]  # of one class


def test_each_kind_of_difference_is_counted_separately() -> None:
    ours = answers([0.9, 0.1], [0.502, 0.498], [0.6, 0.4], [0.3, 0.7], voiced_s=[[0, 1], [0, 2], [1, 2], [0.5, 1]])
    theirs = answers(
        [0.9, 0.1],  # the same
        [0.498, 0.502],  # another label, without a clear margin
        [0.45, 0.55],  # another label, with a clear margin
        [0.2, 0.8],  # another probability, the same label
        voiced_s=[[0, 1], [0, 2.06], [1, 2.00001], [0.44, 1.06]],
    )
    found = difference(ours, theirs)
    assert found == (pytest.approx(0.15), 2, 1, 2)
    assert difference(ours, ours) == (0.0, 4, 0, 0)


def test_the_margin_of_the_first_pipeline_decides_whether_a_label_is_clear() -> None:
    near, clear = answers([0.501, 0.499]), answers([0.1, 0.9])
    assert difference(near, clear).n_clear_changed == 0
    assert difference(clear, near).n_clear_changed == 1


@given(
    largest=st.floats(0, 1) | st.just(PARITY_ERROR) | st.just(float("nan")),
    n_clear_changed=st.integers(0, 2),
    n_same_label=st.integers(0, 5),
)
def test_parity_allows_small_differences_and_no_changed_clear_label(
    largest: float, n_clear_changed: int, n_same_label: int
) -> None:
    found = Difference(largest, n_same_label, n_clear_changed, 0)
    assert found.is_parity == (largest <= 1e-3 and n_clear_changed == 0)  # a label that was not clear may change


def test_nan_is_not_parity() -> None:
    assert not difference(answers([0.9, 0.1]), answers([float("nan"), 0.1])).is_parity


def test_the_tolerances_are_as_specified() -> None:
    assert (PARITY_ERROR, CLEAR_MARGIN) == (1e-3, 0.01)


def test_every_pipeline_processes_every_clip_in_order() -> None:
    calls: list[tuple[str, int]] = []

    def pipeline(name: str) -> Any:
        def recognise(waveform: Any) -> Answer:
            calls.append((name, len(waveform)))
            return Answer(np.array([len(waveform), 0.0], np.float32), 0.25, len(waveform) / 10)

        return recognise

    done: list[int] = []
    clips = (np.zeros(n, np.float32) for n in (3, 1, 2))  # a generator: never all in memory
    found = compare({"a": pipeline("a"), "b": pipeline("b")}, clips, done.append)
    assert calls == [(name, n) for n in (3, 1, 2) for name in "ab"]
    assert done == [1, 2, 3]
    for theirs in found.values():
        assert theirs.probabilities[:, 0].tolist() == [3.0, 1.0, 2.0]
        assert theirs.probabilities.dtype == np.float64
        assert theirs.voiced_s.tolist() == [[0.25, 0.3], [0.25, 0.1], [0.25, 0.2]]
        assert theirs.ms_per_clip >= 0


def test_the_three_pipelines_agree_with_predict(made_model: Bundle, voices: Corpus) -> None:
    recognizer = Recognizer(made_model)
    clips = [audio.load(utterance.path, 22_050)[0] for utterance in voices.utterances[::30]]
    found = compare(
        {
            "python": python_path(recognizer),
            "log_mel": log_mel_graph(as_onnx(made_model), recognizer),
            "waveform": waveform_graph(as_onnx(made_model, waveform=True)),
        },
        clips,
    )
    predictions = [recognizer.predict((clip, 22_050)) for clip in clips]
    expected = [list(prediction.probabilities.values()) for prediction in predictions]
    np.testing.assert_array_equal(found["python"].probabilities, expected)
    np.testing.assert_array_equal(found["python"].voiced_s, [prediction.voiced for prediction in predictions])
    for theirs in found.values():
        assert difference(found["python"], theirs).is_parity
        assert difference(found["python"], theirs).n_spans_changed == 0
