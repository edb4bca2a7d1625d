"""Evaluation of a model folder: its scores equal those of the run, for any batch size."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import AudioError, ModelError, ProtocolError, SettingError
from emocatcher.models.model_folder import ALL_RECORDINGS
from emocatcher.recognition.recognizer import load
from emocatcher.training import fold_evaluation, long_recordings


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
    assert found.speakers_shared is shares_all
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


@pytest.fixture(scope="module")
def calls(small_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Calls of 12 s, one of them a part of a file, each labelled with `predict`'s answer for its left channel."""
    recognizer, folder = load(small_run.folder / "fold_0" / "last"), tmp_path_factory.mktemp("calls")
    voices = [soundfile.read(one.path)[0] for one in small_run.corpus.utterances[::7]]
    rate = soundfile.info(small_run.corpus.utterances[0].path).samplerate
    calls = []
    for number in range(4):
        left, right = (np.concatenate(voices[start : start + 7])[: 12 * rate] for start in (number, number + 20))
        samples = np.stack([left, right[: len(left)]], axis=1)
        whole = folder / f"{number}.wav"
        soundfile.write(whole, samples, rate)
        emotion = recognizer.predict(whole, channels="left").emotion
        assert emotion is not None
        path, start_s = whole, None
        if number == 3:
            path, start_s = folder / "part.flac", 5.0
            soundfile.write(path, np.concatenate([samples[: 5 * rate, ::-1], samples]), rate)
        calls.append(Utterance(id=str(number), path=path, emotion=emotion, start_s=start_s))
    return Corpus(name="calls", utterances=tuple(calls), labels=recognizer.config.labels)


def test_a_long_recording_gets_the_answer_of_predict_for_the_same_channel(small_run: Any, calls: Corpus) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    found = fold_evaluation.evaluate(recognizer, calls, protocols.whole(calls), 0, channels="left")
    assert (found.n_correct, found.n_long, found.n_silent) == (4, 4, 0)
    assert found.warnings == ("4 recordings are longer than 10 s, and judged window by window, as by `predict`",)
    noted = long_recordings.note(calls.utterances, "is adapted to as one utterance")
    assert noted is not None
    assert noted.startswith("4 recordings are longer than 10 s. Such a recording is adapted to as one utterance")
    assert long_recordings.note(small_run.corpus.utterances[:9], "") is None
    emotions = tuple(label for label in calls.labels if label != calls.utterances[0].emotion)[:2]
    labelled = tuple(msgspec.structs.replace(one, emotion=emotions[0]) for one in calls)
    other = msgspec.structs.replace(calls, utterances=labelled)
    few = fold_evaluation.evaluate(recognizer, other, protocols.whole(other), 0, channels=2, emotions=emotions)
    answers = [recognizer.only(emotions).predict(one.path, channels="right").emotion for one in calls.utterances[:3]]
    assert few.recall.keys() == set(emotions)
    assert few.n_correct - answers.count(emotions[0]) in (0, 1)  # the part is not predicted here


def test_a_long_recording_without_speech_has_no_answer_and_a_short_one_has(small_run: Any, tmp_path: Path) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    for name, duration_s in (("short.wav", 2), ("long.wav", 11)):
        soundfile.write(tmp_path / name, np.zeros(duration_s * 22_050), 22_050)
    silent = tuple(
        Utterance(id=f"{name} {label}", path=tmp_path / name, emotion=label)
        for name in ("short.wav", "long.wav")
        for label in recognizer.config.labels
    )
    corpus = Corpus(name="silent", utterances=silent, labels=recognizer.config.labels)
    found = fold_evaluation.evaluate(recognizer, corpus, protocols.whole(corpus), 0)
    assert (found.n_correct, found.n_utterances, found.n_silent) == (1, 16, 8)
    assert found.unweighted_average_recall == pytest.approx(1 / 16)  # one answer of the short ones is right by chance
    assert found.macro_f1 == pytest.approx((2 / 10) / 8)  # that class: two recordings, and eight answers
    assert "8 recordings have no speech" in found.warnings[1]


def test_emotions_restrict_the_answers_and_refuse_other_labels(small_run: Any) -> None:
    recognizer, corpus = load(small_run.folder / "fold_0" / "last"), small_run.corpus
    some = tuple(one for one in corpus if one.emotion in {"sad", "angry"})
    two = msgspec.structs.replace(corpus, utterances=some)
    found = fold_evaluation.evaluate(recognizer, two, protocols.whole(two), 0, emotions=["anger", "sad"])
    restricted = recognizer.only(["sad", "angry"])
    answers = [restricted.predict(one.path) for one in some]
    with_speech = [(one.emotion, answer.emotion) for one, answer in zip(some, answers, strict=True) if answer.emotion]
    right = sum(label == answer for label, answer in with_speech)
    assert right <= found.n_correct <= right + len(some) - len(with_speech)
    assert list(found.recall) == ["sad", "angry"]
    with pytest.raises(SettingError, match=r"\d+ recordings are labelled sad.*restricted to happy, angry"):
        fold_evaluation.evaluate(recognizer, two, protocols.whole(two), 0, emotions=["happy", "angry"])


def test_without_speakers_it_is_not_known_whether_they_are_shared(small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    nameless = tuple(msgspec.structs.replace(one, speaker=None) for one in small_run.corpus)
    corpus = msgspec.structs.replace(small_run.corpus, utterances=nameless, name="elsewhere")
    found = fold_evaluation.evaluate(recognizer, corpus, small_run.protocol, 0)
    assert found.speakers_shared is None
    own = msgspec.structs.replace(corpus, name=small_run.corpus.name)
    assert fold_evaluation.evaluate(recognizer, own, small_run.protocol, 0).speakers_shared is None
    assert fold_evaluation.evaluate(recognizer, own, small_run.protocol, 1).speakers_shared  # it has its recordings


def test_a_missing_channel_is_refused_with_the_recording(small_run: Any) -> None:
    recognizer = load(small_run.folder / "fold_0" / "last")
    with pytest.raises(AudioError, match=r"\.wav.*so there is no channel 2"):
        fold_evaluation.evaluate(recognizer, small_run.corpus, small_run.protocol, 0, channels="right")
