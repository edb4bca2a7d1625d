"""The recogniser: one recording in, a consistent answer out, and no PyTorch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.evaluation.scoring import faithfulness
from emocatcher.features import extraction
from emocatcher.foundation.errors import AudioError, ModelError
from emocatcher.recognition.recognizer import Recognizer, load


@pytest.fixture(scope="module")
def recognizer(small_run: Any) -> Recognizer:
    return load(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def clip(small_run: Any) -> Path:
    path: Path = small_run.corpus.utterances[5].path
    return path


def test_samples_without_their_rate_are_no_recording(recognizer: Recognizer) -> None:
    with pytest.raises(TypeError, match=r"ndarray is not a recording.*\(samples, sample_rate\)"):
        recognizer.predict(np.zeros(100))  # type: ignore[arg-type]


def test_a_prediction_is_consistent(recognizer: Recognizer, clip: Path) -> None:
    heard = recognizer.predict(clip)
    assert heard.path == str(clip)
    assert heard.emotion == max(heard.probabilities, key=lambda emotion: heard.probabilities[emotion])
    assert heard.probability == heard.probabilities[heard.emotion]
    assert tuple(heard.probabilities) == recognizer.config.labels
    assert sum(heard.probabilities.values()) == pytest.approx(1.0)
    times, weights = zip(*heard.attention, strict=True)
    assert sum(weights) == pytest.approx(1.0, abs=1e-5)
    assert np.diff(times) == pytest.approx(2 * 1364 / 22050, abs=2e-6)
    assert times[0] == pytest.approx(heard.voiced_start_s, abs=1e-6)
    assert 0 <= heard.voiced_start_s < heard.voiced_end_s <= heard.duration_s
    assert heard.voiced == (heard.voiced_start_s, heard.voiced_end_s)
    assert times[-1] < heard.voiced_end_s
    assert heard.duration_s == pytest.approx(soundfile.info(clip).duration, abs=1e-3)


def test_path_bytes_and_array_are_heard_alike(recognizer: Recognizer, clip: Path) -> None:
    samples, rate = soundfile.read(clip, dtype="float32")
    answers = [recognizer.predict(source) for source in (clip, str(clip), clip.read_bytes(), (samples, rate))]
    assert answers[2].path == answers[3].path == ""
    for answer in answers[1:]:
        assert answer.probabilities == pytest.approx(answers[0].probabilities, abs=1e-5)


def test_it_agrees_with_the_predictions_of_the_run(recognizer: Recognizer, small_run: Any) -> None:
    import csv

    by_id = {utterance.id: utterance.path for utterance in small_run.corpus}
    with (small_run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "0"]
    for row in rows[::10]:
        heard = recognizer.predict(by_id[row["utterance"]])
        assert heard.emotion == row["predicted"]
        for label, probability in heard.probabilities.items():
            assert probability == pytest.approx(float(row[f"p_{label}"]), abs=1e-4)


def test_batches_do_not_change_the_answer(recognizer: Recognizer, small_run: Any) -> None:
    settings = recognizer.config.settings
    log_mels = [
        extraction.extract(
            audio.load(u.path, settings.front_end.sample_rate)[0], settings.front_end, settings.vad
        ).log_mel
        for u in small_run.corpus.utterances[:13]
    ]
    alone, alone_attention = recognizer.run(log_mels, 1)
    for batch_size in (2, 5, 13, 64):
        logits, attention = recognizer.run(log_mels, batch_size)
        np.testing.assert_allclose(logits, alone, atol=1e-5)
        for ours, theirs in zip(attention, alone_attention, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_temperature_softens_probabilities_and_keeps_their_order(recognizer: Recognizer, tmp_path: Path) -> None:
    import msgspec

    logits = np.array([[3.0, 1.0, -2.0, 0.0, 0.5, 1000.0, 0.1, 0.2], np.arange(8.0)], np.float32)
    plain = recognizer.probabilities(logits)
    assert np.isfinite(plain).all()
    assert plain.sum(axis=1) == pytest.approx(1.0)
    np.testing.assert_allclose(plain[1], np.exp(np.arange(8.0)) / np.exp(np.arange(8.0)).sum())
    softened = Recognizer.__new__(Recognizer)
    softened.config = msgspec.structs.replace(recognizer.config, temperature=2.0)
    np.testing.assert_allclose(softened.probabilities(2 * logits), plain)


def test_occlusion_stands_beside_attention_step_for_step(recognizer: Recognizer, clip: Path) -> None:
    heard, found = recognizer.predict(clip), recognizer.occlusion(clip)
    assert [time_s for time_s, _ in found] == [time_s for time_s, _ in heard.attention]
    falls = np.array([fall for _, fall in found])
    assert (np.abs(falls) <= 1).all()
    assert falls.any()
    # A public function gives the same, and the first step is what its spans are worth.
    settings = recognizer.config.settings
    log_mel = extraction.extract(
        audio.load(clip, settings.front_end.sample_rate)[0], settings.front_end, settings.vad
    ).log_mel
    again = faithfulness.occlusion(lambda clips: recognizer.run(clips)[0], log_mel, settings)
    np.testing.assert_allclose(falls, again, atol=1e-6)
    shortened = [log_mel[:, 2:], log_mel[:, 4:]]  # spans of two steps, two frames each
    left = recognizer.probabilities(recognizer.run(shortened)[0])[:, recognizer.config.labels.index(heard.emotion)]
    assert falls[0] == pytest.approx((heard.probability - left).mean(), abs=1e-5)


def test_a_recording_too_short_to_lose_anything_has_no_occlusion(recognizer: Recognizer) -> None:
    assert recognizer.occlusion((np.zeros(100, np.float32), 16_000)) == ()


@pytest.mark.parametrize("n_samples", [1, 100, 2048, 16_000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_odd_recordings_have_an_answer(recognizer: Recognizer, n_samples: int, level: float) -> None:
    tone = (level * np.sin(np.arange(n_samples) / 20)).astype(np.float32)
    heard = recognizer.predict((tone, 16_000))
    assert np.isfinite(list(heard.probabilities.values())).all()
    assert sum(weight for _, weight in heard.attention) == pytest.approx(1.0, abs=1e-5)
    if level == 0.0:
        assert heard.warnings


@pytest.mark.parametrize("source", [b"", b"text", (np.array([], np.float32), 16_000), (np.array([np.nan]), 16_000)])
def test_what_cannot_be_heard_is_an_audio_error(recognizer: Recognizer, source: Any) -> None:
    with pytest.raises(AudioError):
        recognizer.predict(source)


def test_no_model_no_recogniser(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        load(tmp_path)


def test_it_prints_as_a_card(recognizer: Recognizer) -> None:
    assert repr(recognizer).startswith("Recognizer('cabg-synthetic-stratified-2-fold0-last', 22050 Hz, labels: neutral")


def test_it_needs_nothing_of_training(small_run: Any, clip: Path) -> None:
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
