"""Each reason to doubt an answer is found where it is, and not where it is not."""

import io

import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher import audio
from emocatcher.features.training_conditions import Judge
from emocatcher.foundation.errors import AudioError
from emocatcher.recognition.prediction import CODES
from emocatcher.recognition.recognizer import LONGEST_S, Recognizer

RATE = 22_050


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return emocatcher.load()


@pytest.fixture(scope="module")
def clip(ravdess_dir):
    samples, rate = audio.load(ravdess_dir / "Actor_01" / "03-01-05-02-01-01-01.flac", RATE)
    return samples, rate


def codes(recognizer, samples, rate=RATE):
    return {caution.code for caution in recognizer.predict((samples, rate)).warnings}


@pytest.mark.corpus
def test_a_good_clip_is_not_doubted(recognizer, clip):
    assert codes(recognizer, *clip) == set()


@pytest.mark.corpus
def test_what_is_wrong_is_said(recognizer, clip):
    samples, rate = clip
    payload = io.BytesIO()
    soundfile.write(payload, samples, rate, format="FLAC")
    half = payload.getvalue()[: len(payload.getvalue()) // 2]
    assert "truncated" in {caution.code for caution in recognizer.predict(half).warnings}
    assert "clipped" in codes(recognizer, np.clip(20 * samples, -0.9, 0.9))
    telephone = audio.resample(samples, rate, 8_000)
    assert "narrow-band" in codes(recognizer, telephone, 8_000)
    assert "narrow-band" in codes(recognizer, audio.resample(telephone, 8_000, 48_000), 48_000)
    assert "very-quiet" in codes(recognizer, samples * 0.002)
    assert "too-long" in codes(recognizer, np.tile(samples, 3))


@pytest.mark.corpus
def test_few_real_clips_are_doubted(recognizer, ravdess_dir):
    found = [recognizer.predict(path) for path in sorted(ravdess_dir.rglob("*.flac"))[::48]]
    doubted = [code for heard in found for code in (caution.code for caution in heard.warnings)]
    assert len(found) == 30
    assert {"narrow-band", "too-short", "too-long", "truncated", "no-voiced-span"}.isdisjoint(doubted)
    assert doubted.count("no-speech") + doubted.count("outside-training-conditions") <= 1


def test_sounds_that_are_no_speech_are_said_to_be_none(recognizer):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    assert "no-speech" in codes(recognizer, noise)
    assert "outside-training-conditions" in codes(recognizer, noise)
    assert "no-speech" in codes(recognizer, np.zeros(2 * RATE))
    assert "too-short" in codes(recognizer, 0.1 * noise[:2_000])


def test_where_nobody_speaks_there_is_no_answer_however_sure(recognizer):
    heard = recognizer.predict((np.zeros(2 * RATE), RATE), abstain_below=0.0)
    assert heard.probability > 0.0
    assert heard.abstain


def test_every_code_is_in_the_schema_and_every_message_is_for_people(recognizer):
    for caution in recognizer.predict((np.zeros(100), RATE)).warnings:
        assert caution.code in CODES
        assert str(caution) == caution.message
        assert len(caution.message.split()) > 3


def test_an_hour_is_no_utterance(recognizer):
    with pytest.raises(AudioError, match="timeline"):
        recognizer.predict((np.zeros(int(LONGEST_S + 2) * 1_000, np.float32), 1_000))


def test_the_model_in_the_package_knows_its_conditions(recognizer):
    assert recognizer.config.conditions is not None
    # RAVDESS's longest voiced span, in frames of the model's own.
    longest_s = Judge(recognizer.config.conditions).longest_voiced_s
    assert longest_s == pytest.approx(3.28, abs=recognizer.config.settings.front_end.frame_period_s)
    assert recognizer.config.training.protocol == "all"
    assert 0.5 < recognizer.config.temperature < 2.0
    scores = recognizer.config.training.scores
    assert scores["expected_calibration_error"] <= 0.05
    assert scores["accuracy_where_not_abstained"] > scores["accuracy"]
    assert "CC BY-NC-SA 4.0" in (recognizer.path / "README.md").read_text()
