from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.protocols import Fold, carve_validation, load
from emocatcher.foundation.errors import ProtocolError


def speakers(corpus, part):
    return {utterance.speaker for utterance in corpus.select(part)}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["reference-holdout", "reference-cv5", "speakers-5", "speakers-8"]),
    st.floats(0.02, 0.5),
    st.integers(0, 2**32 - 1),
)
def test_carving_only_moves_utterances_out_of_training(ravdess_table, name, fraction, seed):
    protocol = load(name, ravdess_table)
    before = protocol.folds[0]
    separates = protocol.separates_speakers
    after, again = (
        carve_validation(before, ravdess_table, separates_speakers=separates, fraction=fraction, seed=seed)
        for _ in range(2)
    )
    assert after == again
    assert after.test == before.test
    valid = set(after.valid)
    assert after.valid == tuple(id_ for id_ in before.train if id_ in valid)
    assert after.train == tuple(id_ for id_ in before.train if id_ not in valid)
    if separates:
        n_speakers = len(speakers(ravdess_table, before.train))
        assert speakers(ravdess_table, after.train).isdisjoint(speakers(ravdess_table, after.valid))
        n_parts = min(n_speakers, round(1 / fraction))
        assert len(speakers(ravdess_table, after.valid)) in (n_speakers // n_parts, -(-n_speakers // n_parts))
    else:
        assert len(after.valid) == round(fraction * 1152)
        share = len(after.valid) / 1152
        total = Counter(utterance.emotion for utterance in ravdess_table.select(before.train))
        carved = Counter(utterance.emotion for utterance in ravdess_table.select(after.valid))
        assert all(abs(carved[emotion] - share * n) <= 1 for emotion, n in total.items())


@pytest.mark.parametrize("separates", [True, False])
def test_carving_depends_on_the_seed_and_not_on_the_order_of_rows(ravdess_table, separates):
    fold = load("speakers-5", ravdess_table).folds[0]
    reversed_fold = Fold(train=fold.train[::-1], valid=(), test=fold.test)
    first, other_order, other_seed = (
        carve_validation(f, ravdess_table, separates_speakers=separates, fraction=0.1, seed=seed)
        for f, seed in ((fold, 0), (reversed_fold, 0), (fold, 1))
    )
    assert set(first.valid) == set(other_order.valid) != set(other_seed.valid)


def test_a_fold_with_a_validation_part_is_returned_unchanged(ravdess_table):
    fold = Fold(("a",), ("b",), ("c",))
    assert carve_validation(fold, ravdess_table, separates_speakers=True, fraction=0.1, seed=0) is fold


def small(rows):
    return Corpus(
        name="small",
        utterances=tuple(
            Utterance(id=str(i), path=Path(str(i)), emotion=emotion, speaker=speaker)
            for i, (speaker, emotion) in enumerate(rows)
        ),
        labels=("sad", "happy"),
    )


@pytest.mark.parametrize(
    ("rows", "separates", "fraction", "message"),
    [
        ([("a", "sad")] * 8, False, 0.0, "fraction is 0.0"),
        ([("a", "sad")] * 8, False, 0.6, "fraction is 0.6"),
        ([("a", "sad")] * 8, True, 0.1, "1 known speakers and no unknown"),
        ([("a", "sad"), ("b", "sad"), (None, "sad")], True, 0.1, "2 known speakers and unknown"),
        ([("a", "sad"), ("b", "happy")], True, 0.5, "would take every '(sad|happy)'"),
        ([("a", "sad")] * 8 + [("a", "happy")], False, 0.1, "1 of them 'happy'"),
        ([("a", "sad")], False, 0.1, "1 utterances, 1 of them 'sad'"),
    ],
)
def test_a_training_part_that_is_too_small_is_refused(rows, separates, fraction, message):
    corpus = small(rows)
    fold = Fold(tuple(u.id for u in corpus), (), ())
    with pytest.raises(ProtocolError, match=message):
        carve_validation(fold, corpus, separates_speakers=separates, fraction=fraction, seed=0)


def test_a_small_training_part_gives_validation_one_utterance_of_each_emotion():
    corpus = small([("a", "sad"), ("a", "happy")] * 2)
    fold = Fold(tuple(u.id for u in corpus), (), ())
    carved = carve_validation(fold, corpus, separates_speakers=False, fraction=0.1, seed=0)
    assert sorted(u.emotion for u in corpus.select(carved.valid)) == ["happy", "sad"]
    assert sorted(u.emotion for u in corpus.select(carved.train)) == ["happy", "sad"]


def test_carving_by_speaker_takes_both_genders(ravdess_table):
    fold = load("speakers-6", ravdess_table).folds[0]
    carved = carve_validation(fold, ravdess_table, separates_speakers=True, fraction=0.1, seed=0)
    assert {u.gender for u in ravdess_table.select(carved.valid)} == {"female", "male"}
    renamed = msgspec.structs.replace(ravdess_table, name="other")
    assert carve_validation(fold, renamed, separates_speakers=True, fraction=0.1, seed=0) == carved
