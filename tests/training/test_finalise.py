"""A final model: trained on all recordings, calibrated and scored by the held-out folds of a run."""

import msgspec
import numpy as np
import pytest

from emocatcher import audio
from emocatcher.evaluation.scoring import calibration
from emocatcher.features import extraction
from emocatcher.foundation.errors import RunError
from emocatcher.models import model_folder
from emocatcher.recognition import recognizer
from emocatcher.reports import run_report
from emocatcher.training import experiment, finalise, held_out_decisions


@pytest.fixture(scope="module")
def final(small_run, train_here, crowded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("final") / "model"
    with pytest.MonkeyPatch.context() as patch:
        # The replacement by `train_here`, which starts no process.
        patch.setattr(finalise, "TrainingPool", experiment.TrainingPool)
        return finalise.finalise(
            small_run.folder, crowded(small_run.corpus), folder, name="mine", licence="CC0", abstain_below=0.3
        )


def test_the_final_model_has_the_recipe_of_the_run(final, small_run):
    config = model_folder.read(final.path).config
    assert (config.name, config.settings) == ("mine", small_run.settings)
    assert (config.training.protocol, config.training.fold, config.training.seed) == ("all", None, 0)
    assert config.abstain_below == 0.3
    assert "stratified-2" in (final.path / "README.md").read_text()
    assert "| Device of the training | cpu |" in (final.path / "README.md").read_text()
    prediction = recognizer.load(final.path).predict(small_run.corpus.utterances[0].path)
    assert prediction.model == "mine"


def test_with_int8_only_the_graph_for_recognition_is_smaller(final, small_run, train_here, monkeypatch, tmp_path):
    monkeypatch.setattr(finalise, "TrainingPool", experiment.TrainingPool)
    small = finalise.finalise(
        small_run.folder, small_run.corpus, tmp_path, name="mine", licence="CC0", abstain_below=0.3, int8=True
    )
    sizes = [(model.path / "model.onnx").stat().st_size for model in (small, final)]
    assert sizes[0] < 0.6 * sizes[1]
    assert (small.path / "model.safetensors").read_bytes() == (final.path / "model.safetensors").read_bytes()
    recording = small_run.corpus.utterances[0].path
    expected = recognizer.load(final.path).predict(recording).probabilities
    assert recognizer.load(small.path).predict(recording).probabilities == pytest.approx(expected, abs=0.05)


def test_the_final_model_has_the_longest_voiced_span_of_its_recordings(final, small_run):
    front_end, vad = small_run.settings.front_end, small_run.settings.vad
    clips = [
        extraction.extract(audio.load(one.path, front_end.sample_rate)[0], front_end, vad) for one in small_run.corpus
    ]
    longest_s = max(clip.log_mel.shape[1] for clip in clips) * front_end.frame_period_s
    assert model_folder.read(final.path).config.longest_voiced_s == pytest.approx(longest_s, abs=1e-6)


def test_the_licence_is_the_given_one(final):
    assert final.config.training.licence == "CC0"
    assert "CC0" in (final.path / "README.md").read_text(encoding="utf-8")


def test_the_final_model_differs_from_the_folds_models(final, small_run):
    folds = [model_folder.read(small_run.folder / f"fold_{number}" / "last").weights() for number in (0, 1)]
    ours = final.weights()
    assert all(not np.array_equal(ours["hidden.weight"], fold["hidden.weight"]) for fold in folds)


def test_scores_and_temperature_come_from_held_out_answers(final, small_run):
    run = run_report.read(small_run.folder)
    probabilities, true, folds = run.predictions.probabilities, run.predictions.emotion, run.predictions.fold
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), run.predictions.predicted)
    found = calibration.calibrate(probabilities, true, folds)
    gain = calibration.temperature_gain(probabilities, true, folds, found, run.predictions.speaker.tolist())
    expected = found.temperature if gain.beyond_chance else 1.0
    assert final.config.temperature == pytest.approx(expected, abs=1e-6)
    scores = final.config.training.scores
    assert scores["accuracy"] == run.result.mean.accuracy.last
    assert 0 <= scores["expected_calibration_error"] <= 1


def test_the_card_has_calibration_and_faithfulness(final, small_run):
    result = run_report.read(small_run.folder).result
    scores, card = final.config.training.scores, (final.path / "README.md").read_text()
    assert scores["drop_without_most_attended"] == result.faithfulness.attended.mean
    assert scores["drop_without_random"] == result.faithfulness.random.mean
    for words in (
        "expected calibration error before", "share not abstained", "accuracy where not abstained", "Abstains below",
        "drop without most important by occlusion", "log loss of other folds",
        run_report.verdict(run_report.read(small_run.folder)),
    ):  # fmt: skip
        assert words in card


def test_the_card_states_that_calm_counted_as_neutral_in_the_folds(final, across):
    run, seeds, by_teachers = finalise.check(across.folder)
    held_out, gain = held_out_decisions.calibrate(run, None)
    assert "calm counted as neutral" in finalise._note(run, held_out, gain, seeds, by_teachers)
    assert "calm" not in final.config.training.note


def test_the_card_has_the_held_out_scores_of_each_group_of_speakers(final, small_run, crowded):
    answers = run_report.read(small_run.folder).predictions
    men = np.array([u.gender == "male" for u in crowded(small_run.corpus).select(answers.utterance.tolist())])
    women, of_men = final.config.training.speaker_groups
    assert (women.name, of_men.name, of_men.n_speakers, of_men.n_utterances) == ("female", "male", 5, men.sum())
    recalls = [answers.correct[men & (answers.emotion == label)].mean() for label in np.unique(answers.emotion)]
    assert of_men.unweighted_average_recall.mean == pytest.approx(np.mean(recalls))
    shares = [one.share_answered.mean * one.n_utterances for one in (women, of_men)]
    assert sum(shares) / len(men) == pytest.approx(final.config.training.scores["share_not_abstained"])
    card = (final.path / "README.md").read_text(encoding="utf-8")
    assert "## For whom it works" in card
    low, high = of_men.unweighted_average_recall.interval
    row = f"| synthetic | sex | male | 5 | {of_men.unweighted_average_recall.mean:.3f} ({low:.3f} to {high:.3f}) |"
    assert row in card


def test_one_fold_or_another_corpus_is_refused(small_run, tmp_path, monkeypatch):
    other = msgspec.structs.replace(small_run.corpus, name="another")
    with pytest.raises(RunError, match="not on this 'another'"):
        finalise.finalise(small_run.folder, other, tmp_path, name="mine")
    first, *rest = small_run.corpus.utterances
    with_votes = (msgspec.structs.replace(first, votes=((first.emotion, 1.0),)), *rest)
    voted = msgspec.structs.replace(small_run.corpus, utterances=with_votes)
    with pytest.raises(RunError, match="a run with other votes"):
        finalise.finalise(small_run.folder, voted, tmp_path, name="mine")
    run = run_report.read(small_run.folder)
    single = msgspec.structs.replace(run.result, folds=run.result.folds[:1])
    monkeypatch.setattr(finalise.run_report, "read", lambda _: type(run)(**{**vars(run), "result": single}))
    with pytest.raises(RunError, match="one fold"):
        finalise.finalise(small_run.folder, small_run.corpus, tmp_path, name="mine")
    assert not (tmp_path / "config.json").exists()
