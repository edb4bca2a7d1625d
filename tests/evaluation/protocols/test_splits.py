import random
import sys
from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.protocols import load, speakers_shared, splits
from emocatcher.foundation.errors import MissingExtraError, ProtocolError

EMOTIONS = ("calm", "sad", "happy")


def corpus(rows):
    """One utterance for each (speaker, emotion, gender, split)."""
    return Corpus(
        name="small",
        utterances=tuple(
            Utterance(
                id=f"u{i:03}", path=Path(f"{i}.wav"), emotion=emotion, speaker=speaker, gender=gender, split=split
            )
            for i, (speaker, emotion, gender, split) in enumerate(rows)
        ),
        labels=EMOTIONS,
    )


# Unbalanced on purpose: speakers with one utterance or with many, emotions that only one speaker has.
ROWS = st.lists(
    st.tuples(
        st.sampled_from("aaaabbcdefg"),
        st.sampled_from(EMOTIONS),
        st.sampled_from([None, "female", "male"]),
        st.none(),
    ),
    min_size=2,
    max_size=60,
)


def ids(corpus_):
    return {utterance.id for utterance in corpus_}


def partitions(folds, corpus_):
    tested = Counter(id_ for fold in folds for id_ in fold.test)
    return (
        set(tested) == ids(corpus_)
        and set(tested.values()) == {1}
        and all(set(fold.train) == ids(corpus_) - set(fold.test) and not fold.valid for fold in folds)
    )


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_speaker_folds_partition_any_corpus_and_share_no_speaker(rows, n_folds, seed):
    small = corpus(rows)
    if n_folds > len(small.speakers):
        with pytest.raises(ProtocolError, match=rf"has {n_folds} folds.* has {len(small.speakers)} speaker"):
            splits.speakers(small, n_folds, seed)
        return
    protocol = splits.speakers(small, n_folds, seed)
    assert len(protocol.folds) == n_folds
    assert protocol.separates_speakers
    assert all(fold.test for fold in protocol.folds)
    assert partitions(protocol.folds, small)
    assert not any(speakers_shared(fold, small) for fold in protocol.folds)


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_stratified_folds_partition_any_corpus_and_differ_by_one_at_most(rows, n_folds, seed):
    small = corpus(rows)
    counts = Counter(utterance.emotion for utterance in small)
    if n_folds > min(counts.values()):
        with pytest.raises(ProtocolError, match=rf"has {n_folds} folds.* with {min(counts.values())} utterance"):
            splits.stratified(small, n_folds, seed)
        return
    protocol = splits.stratified(small, n_folds, seed)
    assert len(protocol.folds) == n_folds
    assert partitions(protocol.folds, small)
    for emotion in counts:
        in_fold = [sum(u.emotion == emotion for u in small.select(fold.test)) for fold in protocol.folds]
        assert max(in_fold) - min(in_fold) <= 1


@pytest.mark.parametrize("n_folds", [2, 3, 4, 5, 6, 7, 8, 12, 24])
@pytest.mark.parametrize("seed", [0, 1, 999])
def test_speaker_folds_of_ravdess_are_balanced_in_speakers_and_genders(ravdess_table, n_folds, seed):
    for fold in load(f"speakers-{n_folds}", ravdess_table, seed).folds:
        tested = ravdess_table.select(fold.test)
        genders = {u.speaker: u.gender for u in tested}
        assert len(genders) in (24 // n_folds, -(-24 // n_folds))
        assert abs(Counter(genders.values())["female"] * 2 - len(genders)) <= 1
        assert Counter(u.emotion for u in tested)["neutral"] == 4 * len(genders)


@pytest.mark.parametrize("name", ["speakers-5", "stratified-5"])
def test_folds_depend_on_the_seed_and_not_on_the_order_of_rows(ravdess_table, name):
    shuffled = list(ravdess_table)
    random.Random(1).shuffle(shuffled)
    other_order = msgspec.structs.replace(ravdess_table, utterances=tuple(shuffled))
    first = load(name, ravdess_table, seed=3)
    assert first == load(name, ravdess_table, seed=3) == load(name, other_order, seed=3)
    assert {frozenset(fold.test) for fold in first.folds} != {
        frozenset(fold.test) for fold in load(name, ravdess_table, seed=4).folds
    }


def test_stratified_folds_of_ravdess_share_speakers_and_state_it(ravdess_table):
    protocol = load("stratified-5", ravdess_table)
    assert not protocol.separates_speakers
    assert all(speakers_shared(fold, ravdess_table) for fold in protocol.folds)
    assert protocol.cannot_claim.startswith("The test speakers also occur in the training part")
    anonymous = msgspec.structs.replace(
        ravdess_table, utterances=tuple(msgspec.structs.replace(u, speaker=None) for u in ravdess_table)
    )
    assert load("stratified-5", anonymous).cannot_claim.startswith("Speakers are unknown")
    assert load("speakers-6", ravdess_table).cannot_claim == ""


def test_unknown_speakers_cannot_be_separated():
    small = corpus([("a", "sad", None, None), (None, "sad", None, None), ("b", "sad", None, None)])
    with pytest.raises(ProtocolError, match=r"1 of the 3 utterances of corpus 'small' have none.*stratified-2"):
        load("speakers-2", small)


@pytest.mark.parametrize("n_folds", [0, 1, 25])
def test_an_invalid_number_of_folds_is_refused(ravdess_table, n_folds):
    with pytest.raises(ProtocolError, match=rf"has {n_folds} folds.*allowed are 2 to 24"):
        load(f"speakers-{n_folds}", ravdess_table)
    n_utterances = n_folds if n_folds < 2 else 97
    with pytest.raises(ProtocolError, match=r"rarest emotion.*'neutral' with 96 utterances: allowed are 2 to 96"):
        load(f"stratified-{n_utterances}", ravdess_table)


def test_an_emotion_of_one_speaker_cannot_be_tested_on_another():
    rows = [(speaker, "sad", None, None) for speaker in "abc"] + [("a", "happy", None, None)]
    with pytest.raises(ProtocolError, match="tests 'happy', which no utterance of its training part has"):
        load("speakers-3", corpus(rows))


def test_an_empty_corpus_is_refused():
    for name in ("speakers-2", "stratified-2", "manifest"):
        with pytest.raises(ProtocolError):
            load(name, corpus([]))


def test_the_manifest_protocol_uses_the_split_column():
    parts = {"a": "train", "b": "valid", "c": "test"}
    small = corpus([(speaker, emotion, None, parts[speaker]) for emotion in EMOTIONS for speaker in "abc"])
    protocol = load("manifest", small)
    (fold,) = protocol.folds
    assert (fold.train, fold.valid, fold.test) == (
        ("u000", "u003", "u006"),
        ("u001", "u004", "u007"),
        ("u002", "u005", "u008"),
    )
    assert protocol.separates_speakers
    assert protocol.cannot_claim == ""
    shared = load("manifest", corpus([("a", "sad", None, "train"), ("a", "sad", None, "test")]))
    assert not shared.separates_speakers
    assert shared.cannot_claim


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("train", None), "'u001' of corpus 'small' has none"),
        (("train", "tset"), "the split 'tset'. Allowed: train, valid, test"),
        (("train", "train"), "empty test part"),
        (("test", "valid"), "empty train part"),
    ],
)
def test_a_manifest_with_an_incomplete_split_is_refused(parts, message):
    with pytest.raises(ProtocolError, match=message):
        load("manifest", corpus([("a", "sad", None, part) for part in parts]))


def test_only_protocols_made_on_the_fly_need_scikit_learn(monkeypatch, ravdess_table):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(MissingExtraError, match="needs the extra 'train'"):
        load("stratified-5", ravdess_table)
    assert len(load("reference-cv5", ravdess_table).folds) == 5  # committed protocols do not need it
