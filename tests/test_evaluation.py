"""A model folder's scores: those its run noted, whatever the batches."""

import json
from typing import Any

import msgspec
import pytest

from emocatcher import evaluation, inference, protocols
from emocatcher.errors import ModelError, ProtocolError


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_it_agrees_with_the_run(small_run: Any, fold: int, batch_size: int) -> None:
    recognizer = inference.load(small_run.folder / f"fold_{fold}" / "last")
    found = evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, fold, batch_size=batch_size)
    selected = json.loads((small_run.folder / "result.json").read_text())["folds"][fold]["selected"]
    assert found.accuracy == selected["accuracy"]
    assert found.unweighted_average_recall == selected["unweighted_average_recall"]
    assert found.macro_f1 == selected["macro_f1"]
    assert found.recall == selected["recall"]
    assert found.n_utterances == len(small_run.protocol.folds[fold].test)
    assert found.n_correct == round(found.accuracy * found.n_utterances)
    assert (found.protocol, found.fold, found.speakers_shared) == ("stratified-2", fold, True)
    assert found.warnings == ()


def test_a_fold_the_model_may_have_been_trained_on_is_warned_of(small_run: Any) -> None:
    recognizer = inference.load(small_run.folder / "fold_0" / "last")
    found = evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, 1)
    assert "trained on" in found.warnings[0]
    # Of another protocol it is not known whom the model heard, so nothing is claimed.
    other = protocols.load("speakers-2", small_run.corpus)
    found = evaluation.evaluate(recognizer, small_run.corpus, other, 0)
    assert "trained on" in found.warnings[0]
    assert found.speakers_shared
    # The same name, dealt with another seed, is another protocol.
    dealt = protocols.load("stratified-2", small_run.corpus, 9)
    found = evaluation.evaluate(recognizer, small_run.corpus, dealt, 0, seed=9)
    assert "trained on" in found.warnings[0]
    assert found.speakers_shared


def test_a_corpus_the_model_never_met_shares_no_speaker(small_run: Any) -> None:
    elsewhere = msgspec.structs.replace(small_run.corpus, name="elsewhere")
    recognizer = inference.load(small_run.folder / "fold_0" / "last")
    found = evaluation.evaluate(recognizer, elsewhere, small_run.protocol, 0)
    assert not found.speakers_shared
    assert found.warnings == ()


@pytest.mark.parametrize("fold", [-1, 2])
def test_a_fold_that_is_not_there_is_refused(small_run: Any, fold: int) -> None:
    recognizer = inference.load(small_run.folder / "fold_0" / "last")
    with pytest.raises(ProtocolError, match=r"no fold .*0 to 1"):
        evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, fold)


def test_an_emotion_the_model_does_not_know_is_named(small_run: Any) -> None:
    corpus = small_run.corpus
    bored = tuple(msgspec.structs.replace(u, emotion="bored") if u.emotion == "sad" else u for u in corpus.utterances)
    corpus = msgspec.structs.replace(corpus, utterances=bored, labels=(*corpus.labels, "bored"))
    recognizer = inference.load(small_run.folder / "fold_0" / "last")
    with pytest.raises(ModelError, match=r"'bored'.*It knows: neutral, calm"):
        evaluation.evaluate(recognizer, corpus, small_run.protocol, 0)


def test_an_emotion_without_a_recording_has_no_recall(small_run: Any) -> None:
    corpus = small_run.corpus
    some = msgspec.structs.replace(corpus, utterances=tuple(u for u in corpus if u.emotion in {"sad", "angry"}))
    recognizer = inference.load(small_run.folder / "fold_0" / "last")
    found = evaluation.evaluate(recognizer, some, protocols.load("stratified-2", some), 0)
    assert found.recall["happy"] is None
    assert found.recall["sad"] is not None
    assert found.unweighted_average_recall == pytest.approx((found.recall["sad"] + (found.recall["angry"] or 0.0)) / 2)
