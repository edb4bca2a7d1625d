"""The recogniser gives one consistent prediction per recording, without PyTorch."""

import copy
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.evaluation.scoring import faithfulness
from emocatcher.features import extraction
from emocatcher.foundation.errors import AudioError, ModelError
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.recognizer import Recognizer, load


@pytest.fixture(scope="module")
def recognizer(small_run: Any) -> Recognizer:
    return load(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def clip(small_run: Any) -> Path:
    path: Path = small_run.corpus.utterances[5].path
    return path


def test_samples_without_a_sample_rate_are_refused(recognizer: Recognizer) -> None:
    with pytest.raises(TypeError, match=r"ndarray is not a recording.*\(samples, sample_rate\)"):
        recognizer.predict(np.zeros(100))  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_value_that_is_no_recording_fails_alone(recognizer: Recognizer, clip: Path, workers: int) -> None:
    with clip.open("rb") as closed:
        pass
    samples = np.zeros(100)
    unusable: list[Any] = [
        None, float("nan"), 3, closed, lambda: None, [str(clip)], {}, samples, bytearray(clip.read_bytes()), (),
        (samples,), (samples, 8_000, 1), (samples, None), (samples, "8000"), (None, 8_000), (closed, 8_000),
        ([[0.0], [0.0, 0.0]], 8_000), ([closed], 8_000), b"", "", "\0.wav", clip.parent,
    ]  # fmt: skip
    outcomes = list(recognizer.predict_many([clip, *unusable, str(clip)], workers=workers))
    assert isinstance(outcomes[0], Prediction)
    assert isinstance(outcomes[-1], Prediction)
    assert len(outcomes) == len(unusable) + 2
    for source, outcome in zip(unusable, outcomes[1:-1], strict=True):
        assert isinstance(outcome, Failure), source
        assert outcome.message
    assert outcomes[1] == Failure(
        path="",
        error="TypeError",
        message="NoneType is not a recording. Give a path, a URI, an encoded file's bytes, or (samples, sample_rate)",
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("workers", [1, 2])
def test_pipes_are_recognised_among_files(recognizer: Recognizer, clip: Path, tmp_path: Path, workers: int) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()), daemon=True)
    writer.start()
    first, second = recognizer.predict_many([clip, pipe], workers=workers)
    writer.join(timeout=10)
    assert isinstance(first, Prediction)
    assert isinstance(second, Prediction)
    assert second.path == str(pipe)
    assert second.probabilities == pytest.approx(first.probabilities)


def test_a_prediction_is_consistent(recognizer: Recognizer, clip: Path) -> None:
    prediction = recognizer.predict(clip)
    assert prediction.path == str(clip)
    assert prediction.emotion == max(prediction.probabilities, key=lambda emotion: prediction.probabilities[emotion])
    assert prediction.probability == prediction.probabilities[prediction.emotion]
    assert tuple(prediction.probabilities) == recognizer.config.labels
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
    times, weights = zip(*prediction.attention, strict=True)
    assert sum(weights) == pytest.approx(1.0, abs=1e-5)
    assert np.diff(times) == pytest.approx(2 * 1364 / 22050, abs=2e-6)
    assert times[0] == pytest.approx(prediction.voiced_start_s, abs=1e-6)
    assert 0 <= prediction.voiced_start_s < prediction.voiced_end_s <= prediction.duration_s
    assert prediction.voiced == (prediction.voiced_start_s, prediction.voiced_end_s)
    assert times[-1] < prediction.voiced_end_s
    assert prediction.duration_s == pytest.approx(soundfile.info(clip).duration, abs=1e-3)


def test_path_bytes_and_array_give_the_same_prediction(recognizer: Recognizer, clip: Path) -> None:
    samples, rate = soundfile.read(clip, dtype="float32")
    answers = [recognizer.predict(source) for source in (clip, str(clip), clip.read_bytes(), (samples, rate))]
    assert answers[2].path == answers[3].path == ""
    for answer in answers[1:]:
        assert answer.probabilities == pytest.approx(answers[0].probabilities, abs=1e-5)


def test_predictions_agree_with_those_of_the_run(recognizer: Recognizer, small_run: Any) -> None:
    import csv

    by_id = {utterance.id: utterance.path for utterance in small_run.corpus}
    with (small_run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "0"]
    for row in rows[::10]:
        prediction = recognizer.predict(by_id[row["utterance"]])
        assert prediction.emotion == row["predicted"]
        for label, probability in prediction.probabilities.items():
            assert probability == pytest.approx(float(row[f"probability_{label}"]), abs=1e-4)


def test_batches_do_not_change_logits_or_attention(recognizer: Recognizer, small_run: Any) -> None:
    settings = recognizer.config.settings
    channels = [
        extraction.extract(
            audio.load(u.path, settings.front_end.sample_rate)[0], settings.front_end, settings.vad
        ).channels
        for u in small_run.corpus.utterances[:13]
    ]
    alone, alone_attention, _ = recognizer.run(channels, 1)
    for batch_size in (2, 5, 13, 64):
        logits, attention, _ = recognizer.run(channels, batch_size)
        np.testing.assert_allclose(logits, alone, atol=1e-5)
        for ours, theirs in zip(attention, alone_attention, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_temperature_divides_the_logits(recognizer: Recognizer, tmp_path: Path) -> None:
    import msgspec

    logits = np.array([[3.0, 1.0, -2.0, 0.0, 0.5, 1000.0, 0.1, 0.2], np.arange(8.0)], np.float32)
    plain = recognizer.probabilities(logits)
    assert np.isfinite(plain).all()
    assert plain.sum(axis=1) == pytest.approx(1.0)
    np.testing.assert_allclose(plain[1], np.exp(np.arange(8.0)) / np.exp(np.arange(8.0)).sum())
    softened = copy.copy(recognizer)
    softened.config = msgspec.structs.replace(recognizer.config, temperature=2.0)
    np.testing.assert_allclose(softened.probabilities(2 * logits), plain)


def test_occlusion_has_a_value_for_each_attention_step(recognizer: Recognizer, clip: Path) -> None:
    prediction, found = recognizer.predict(clip), recognizer.occlusion(clip)
    assert [time_s for time_s, _ in found] == [time_s for time_s, _ in prediction.attention]
    falls = np.array([fall for _, fall in found])
    assert (np.abs(falls) <= 1).all()
    assert falls.any()
    # The public function gives the same, and the first step's value is the mean fall of its spans.
    settings = recognizer.config.settings
    waveform = audio.read(clip, settings.front_end.sample_rate).waveform
    channels = extraction.extract(waveform, settings.front_end, settings.vad).channels
    again = faithfulness.occlusion(lambda clips: recognizer.run(clips)[0], channels, settings)
    np.testing.assert_allclose(falls, again, atol=1e-6)
    shortened = [channels[:, 2:], channels[:, 4:]]  # spans of two steps, two frames each
    left = recognizer.probabilities(recognizer.run(shortened)[0])[:, recognizer.config.labels.index(prediction.emotion)]
    assert falls[0] == pytest.approx((prediction.probability - left).mean(), abs=1e-5)


def test_a_recording_too_short_to_remove_anything_has_no_occlusion(recognizer: Recognizer) -> None:
    assert recognizer.occlusion((np.zeros(100, np.float32), 16_000)) == ()


@pytest.mark.parametrize("n_samples", [1, 100, 2048, 16_000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_very_short_recordings_without_speech_give_a_prediction(
    recognizer: Recognizer, n_samples: int, level: float
) -> None:
    tone = (level * np.sin(np.arange(n_samples) / 20)).astype(np.float32)
    prediction = recognizer.predict((tone, 16_000))
    assert [caution.code for caution in prediction.warnings] == ["no-speech"]
    assert prediction.duration_s == pytest.approx(n_samples / 16_000, abs=1e-4)


@pytest.mark.parametrize("source", [b"", b"text", (np.array([], np.float32), 16_000), (np.array([np.nan]), 16_000)])
def test_unusable_recordings_raise_audio_errors(recognizer: Recognizer, source: Any) -> None:
    with pytest.raises(AudioError):
        recognizer.predict(source)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        load(tmp_path)


def test_repr_shows_name_sample_rate_and_labels(recognizer: Recognizer) -> None:
    assert repr(recognizer).startswith("Recognizer('cabg-synthetic-stratified-2-fold0-last', 22050 Hz, labels: neutral")


def test_recognition_does_not_import_training_dependencies(small_run: Any, clip: Path) -> None:
    """The base install has no torch, scikit-learn, onnx, matplotlib, jinja2, pyarrow or pooch."""
    program = (
        "import sys\n"
        "for name in ('torch', 'sklearn', 'onnx', 'matplotlib', 'jinja2', 'pyarrow', 'pooch', 'scipy', 'librosa'):\n"
        "    sys.modules[name] = None\n"
        "from emocatcher import load\n"
        "print(load(sys.argv[1]).predict(sys.argv[2]).emotion)\n"
    )
    command = [sys.executable, "-c", program, str(small_run.folder / "fold_0" / "last"), str(clip)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() in small_run.corpus.labels
