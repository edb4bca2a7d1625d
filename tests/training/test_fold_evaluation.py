"""Evaluation of a model folder: its scores equal those of the run, for any batch size."""

import json
from typing import Any

import msgspec
import pytest

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import ModelError, ProtocolError
from emocatcher.models.model_folder import ALL_RECORDINGS
from emocatcher.recognition.recognizer import load
from emocatcher.training import fold_evaluation


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_scores_equal_those_of_the_run(small_run: Any, fold: int, batch_size: int) -> None:
    recognizer = load(small_run.folder / f"fold_{fold}" / "last")
    found = fold_evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, fold, batch_size=batch_size)
    selected = json.loads((small_run.folder / "result.json").read_text())["folds"][fold]["selected"]
    assert found.accuracy == selected["accuracy"]
    assert found.unweighted_average_recall == selected["unweighted_average_recall"]
    assert found.macro_f1 == selected["macro_f1"]
    assert found.recall == selected["recall"]
    assert found.n_utterances == len(small_run.protocol.folds[fold].test)
    assert found.n_correct == round(found.accuracy * found.n_utterances)
    assert (found.protocol, found.fold, found.speakers_shared) == ("stratified-2", fold, True)
    assert found.warnings == ()


def test_a_corpus_with_other_spellings_than_the_model_gets_the_same_scores(small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    shouted = msgspec.structs.replace(
        small_run.corpus,
        utterances=tuple(msgspec.structs.replace(one, emotion=one.emotion.upper()) for one in small_run.corpus),
        labels=tuple(label.upper() for label in small_run.corpus.labels),
    )
    found, same = (
        fold_evaluation.evaluate(recognizer, corpus, small_run.protocol, 0) for corpus in (shouted, small_run.corpus)
    )
    assert found == same


def test_groups_of_speakers_are_scored(small_run: Any, crowded: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    corpus = crowded(small_run.corpus)

    def women(threshold: float) -> Any:
        recognizer.config = msgspec.structs.replace(recognizer.config, abstain_below=threshold)
        return fold_evaluation.evaluate(recognizer, corpus, small_run.protocol, 0).speaker_groups[0]

    never = women(0.0)
    assert (never.corpus, never.trait, never.name, never.n_speakers) == ("synthetic", "sex", "female", 5)
    low, high = never.unweighted_average_recall.interval
    assert low <= never.unweighted_average_recall.mean <= high
    assert never.share_answered is None  # without a threshold, the model does not abstain
    shares = [women(threshold).share_answered.mean for threshold in (0.01, 0.4, 1.0)]
    assert shares[0] == 1 > shares[1] > shares[2] == 0


def test_the_known_training_recordings_are_stated(small_run: Any) -> None:
    recognizer, corpus = load(small_run.folder / "fold_0" / "last"), small_run.corpus
    trained = set(small_run.protocol.folds[0].train)

    def check(protocol: Any, fold: int, phrase: str, seed: int = 0) -> None:
        found = fold_evaluation.evaluate(recognizer, corpus, protocol, fold, seed=seed)
        n_trained = len(trained & set(protocol.folds[fold].test))
        assert found.trained_on.startswith(phrase)
        assert found.n_test_trained_on == n_trained
        assert bool(found.warnings) == (n_trained > 0)
        if n_trained:
            assert found.warnings[0].endswith(f"trained on {n_trained} of these {found.n_utterances} recordings")
            assert found.speakers_shared

    check(small_run.protocol, 0, "the training part of this fold")
    check(small_run.protocol, 1, "another fold, stratified-2, fold 0")
    check(protocols.load("speakers-2", corpus), 0, "another protocol, stratified-2, fold 0")
    # Another seed gives another split under the same name.
    check(protocols.load("stratified-2", corpus, 9), 0, "another fold", seed=9)


def test_a_model_of_another_corpus_was_trained_on_no_recording_of_the_fold(small_run: Any) -> None:
    elsewhere = msgspec.structs.replace(small_run.corpus, name="elsewhere")
    recognizer = load(small_run.folder / "fold_0" / "last")
    found = fold_evaluation.evaluate(recognizer, elsewhere, small_run.protocol, 0)
    assert (found.trained_on, found.n_test_trained_on) == ("another corpus, 'synthetic'", 0)
    assert not found.speakers_shared
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("change", "phrase", "shares_all"),
    [
        ({"protocol": ALL_RECORDINGS, "fold": None}, "all recordings of this corpus", True),
        ({"protocol": "somebody-elses"}, "unknown recordings of this corpus (somebody-elses)", None),
        ({"fold": None}, "unknown recordings of this corpus (stratified-2)", None),
        ({"protocol": "speakers-2", "seed": None}, "unknown recordings of this corpus (speakers-2)", None),
        (
            {"corpus": "other+synthetic", "protocol": ALL_RECORDINGS, "fold": None},
            "all recordings of 'other+synthetic'",
            True,
        ),
        ({"corpus": "other+synthetic"}, "unknown recordings of 'other+synthetic' (stratified-2)", None),
    ],
)
def test_unknown_training_and_training_on_all_recordings_are_stated(
    small_run: Any, change: dict[str, Any], phrase: str, shares_all: bool | None
) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    training = msgspec.structs.replace(recognizer.config.training, **change)
    recognizer.config = msgspec.structs.replace(recognizer.config, training=training)
    found = fold_evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, 0)
    assert found.trained_on == phrase
    assert found.n_test_trained_on == (found.n_utterances if shares_all else None)
    assert found.speakers_shared
    assert len(found.warnings) == 1


def test_of_a_joined_corpus_the_recordings_of_the_models_own_are_counted(several: Corpus, small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    training = msgspec.structs.replace(recognizer.config.training, corpus="larger", protocol=ALL_RECORDINGS, fold=None)
    recognizer.config = msgspec.structs.replace(recognizer.config, training=training)
    protocol = protocols.load("leave-one-corpus-out", several)
    counts = {
        protocol.folds[fold].between.tested_on: fold_evaluation.evaluate(recognizer, several, protocol, fold)
        for fold in range(3)
    }
    assert {names: found.n_test_trained_on for names, found in counts.items()} == {
        ("with-calm",): 0,
        ("lacking",): 0,
        ("larger",): counts["larger",].n_utterances,
    }
    assert [found.speakers_shared for found in counts.values()] == [False, False, True]


def test_a_model_of_another_corpus_with_the_same_people_shares_speakers(small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")

    def shared(model: str, tested: str) -> bool:
        training = msgspec.structs.replace(recognizer.config.training, corpus=model)
        recognizer.config = msgspec.structs.replace(recognizer.config, training=training)
        corpus = msgspec.structs.replace(small_run.corpus, name=tested)
        found = fold_evaluation.evaluate(recognizer, corpus, small_run.protocol, 0)
        assert (found.n_test_trained_on, found.warnings) == (0, ())
        return found.speakers_shared

    assert shared("tess+ravdess", "ravdess-song")
    assert shared("ravdess-song", "ravdess")
    assert not shared("tess", "ravdess-song")


@pytest.mark.parametrize("fold", [-1, 2])
def test_an_unknown_fold_is_refused(small_run: Any, fold: int) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    with pytest.raises(ProtocolError, match=r"no fold .*0 to 1"):
        fold_evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, fold)


def test_an_emotion_without_a_label_in_the_model_is_named(small_run: Any) -> None:
    corpus = small_run.corpus
    bored = tuple(msgspec.structs.replace(u, emotion="bored") if u.emotion == "sad" else u for u in corpus.utterances)
    corpus = msgspec.structs.replace(corpus, utterances=bored, labels=(*corpus.labels, "bored"))
    recognizer = load(small_run.folder / "fold_0" / "last")
    with pytest.raises(ModelError, match=r"'bored'.*Its labels: neutral, calm"):
        fold_evaluation.evaluate(recognizer, corpus, small_run.protocol, 0)


def test_an_emotion_without_a_recording_has_no_recall(small_run: Any) -> None:
    corpus = small_run.corpus
    some = msgspec.structs.replace(corpus, utterances=tuple(u for u in corpus if u.emotion in {"sad", "angry"}))
    recognizer = load(small_run.folder / "fold_0" / "last")
    found = fold_evaluation.evaluate(recognizer, some, protocols.load("stratified-2", some), 0)
    assert found.recall["happy"] is None
    assert found.recall["sad"] is not None
    assert found.unweighted_average_recall == pytest.approx((found.recall["sad"] + (found.recall["angry"] or 0.0)) / 2)
