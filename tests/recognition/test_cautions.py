"""Each caution is found in recordings with its cause, and not in others."""

import io

import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher import audio
from emocatcher.recognition.prediction import CODES, Prediction
from emocatcher.recognition.recognizer import Recognizer

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
def test_a_good_clip_has_no_caution(recognizer, clip):
    assert codes(recognizer, *clip) == set()


@pytest.mark.corpus
def test_each_defect_gives_its_caution(recognizer, clip):
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
    assert "too-long" in codes(recognizer, np.tile(samples, 2))


@pytest.mark.corpus
def test_timelines_have_the_same_cautions_except_those_about_one_voiced_span(recognizer, clip):
    long, rate = np.tile(clip[0], 6), clip[1]
    payload = io.BytesIO()
    soundfile.write(payload, long, rate, format="FLAC")
    noise = np.random.default_rng(0).normal(0, 0.1, 12 * rate).astype(np.float32)
    telephone = audio.resample(long, rate, 8_000)
    for source, expected in (
        ((long, rate), set()),
        (payload.getvalue()[: 4 * len(payload.getvalue()) // 5], {"truncated"}),
        ((np.clip(20 * long, -0.9, 0.9), rate), {"clipped"}),
        ((telephone, 8_000), {"narrow-band"}),
        ((audio.resample(telephone, 8_000, 48_000), 48_000), {"narrow-band"}),
        ((0.002 * long, rate), {"very-quiet"}),
        ((noise, rate), {"no-speech"}),
        ((np.zeros_like(noise), rate), {"no-speech"}),
    ):
        found = recognizer.timeline(source).warnings
        assert {caution.code for caution in found} == expected
        assert recognizer.predict(source).warnings == found


@pytest.mark.corpus
def test_few_real_clips_have_a_caution(recognizer, ravdess_dir):
    found = [recognizer.predict(path) for path in sorted(ravdess_dir.rglob("*.flac"))[::48]]
    doubted = [caution.code for prediction in found for caution in prediction.warnings]
    assert len(found) == 30
    assert {"narrow-band", "too-short", "too-long", "truncated", "no-voiced-span"}.isdisjoint(doubted)
    assert doubted.count("no-speech") <= 1


def test_noise_and_silence_give_the_no_speech_caution(recognizer):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    telephone = audio.resample(noise.astype(np.float32), RATE, 8_000)
    for samples, rate in ((noise, RATE), (np.zeros(2 * RATE), RATE), (0.1 * noise[:2_000], RATE), (telephone, 8_000)):
        # No other caution: each of the others is about a voice.
        assert codes(recognizer, samples, rate) == {"no-speech"}


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.1])
def test_predictions_without_speech_have_no_emotion_and_no_number_about_one(recognizer, level):
    noise = np.random.default_rng(0).normal(0, level, 2 * RATE)
    prediction = recognizer.predict((noise, RATE), abstain_below=0.0)
    assert prediction == Prediction(
        path="",
        abstain=True,
        duration_s=2.0,
        model=recognizer.config.name,
        model_version=recognizer.config.version,
        warnings=prediction.warnings,
    )
    assert prediction.emotion is prediction.probability is prediction.margin is prediction.entropy is None
    assert prediction.voiced is prediction.voiced_start_s is prediction.voiced_end_s is None
    assert (prediction.probabilities, prediction.shares, prediction.attention) == ({}, {}, ())


def test_every_code_is_in_the_schema_and_has_a_message_in_words(recognizer):
    for caution in recognizer.predict((np.zeros(100), RATE)).warnings:
        assert caution.code in CODES
        assert str(caution) == caution.message
        assert len(caution.message.split()) > 3


def test_the_default_model_has_a_longest_voiced_span_and_calibration(recognizer):
    # Of its corpora, in frames of the model's own.
    longest_s = recognizer.config.longest_voiced_s
    assert longest_s == pytest.approx(5.23, abs=recognizer.config.settings.front_end.frame_period_s)
    assert recognizer.config.training.protocol == "all"
    assert recognizer.config.temperature > 1.0
    scores = recognizer.config.training.scores
    assert scores["expected_calibration_error"] <= min(0.05, scores["expected_calibration_error_before"])
    assert scores["accuracy_where_not_abstained"] > scores["accuracy"]
    assert "CC BY-NC-SA 4.0" in (recognizer.path / "README.md").read_text()
