"""Inner folds for validation: cut from the training part, without any test utterance."""

from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import Fold
from emocatcher.foundation.errors import ProtocolError
from emocatcher.training.sweep import inner_folds

LABELS = ("sad", "happy", "calm")
TABLE = Corpus(
    name="table",
    labels=LABELS,
    utterances=tuple(
        Utterance(id=f"{speaker}-{emotion}-{n}", path=Path("x"), emotion=emotion, speaker=f"{speaker:02}")
        for speaker in range(12)
        for emotion in LABELS
        for n in range(4)
    ),
)


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["speakers", "stratified"]),
    n_folds=st.integers(3, 6),
    folds=st.sets(st.integers(0, 5), min_size=1, max_size=2),
    n_inner=st.integers(2, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_inner_folds_exclude_test_utterances_and_validate_the_others_once(kind, n_folds, folds, n_inner, seed):
    protocol = protocols.load(f"{kind}-{n_folds}", TABLE, seed)
    chosen = tuple(sorted(number % n_folds for number in folds))
    chosen = tuple(dict.fromkeys(chosen))
    inner = inner_folds.cut(TABLE, protocol, chosen, n_inner)
    tested = {id_ for number in chosen for id_ in protocol.folds[number].test}
    assert [(one.fold, one.split) for one in inner] == [(f, s) for f in chosen for s in range(n_inner)]
    for one in inner:
        assert not tested & {*one.train, *one.valid}
        assert not set(one.train) & set(one.valid)
        assert one.parts.test == ()
        if protocol.separates_speakers:
            train, valid = ({u.speaker for u in TABLE.select(ids)} for ids in (one.train, one.valid))
            assert not train & valid
    for number in chosen:
        counts = Counter(id_ for one in inner if one.fold == number for id_ in one.valid)
        assert set(counts) == {u.id for u in TABLE} - tested
        assert set(counts.values()) == {1}
    assert {u.id for u in inner_folds.corpus_of(inner, TABLE)} == {u.id for u in TABLE} - tested
    assert inner_folds.cut(TABLE, protocol, chosen, n_inner) == inner


def test_the_validation_part_of_a_fold_is_used():
    ids = [u.id for u in TABLE]
    one = Fold(train=tuple(ids[:100]), valid=tuple(ids[100:120]), test=tuple(ids[120:]))
    protocol = msgspec.structs.replace(protocols.load("speakers-2", TABLE), folds=(one,))
    (inner,) = inner_folds.cut(TABLE, protocol, (0,), 5)
    assert (inner.train, inner.valid) == (one.train, one.valid)


def test_inner_folds_are_stratified_if_the_protocol_shares_speakers():
    by_clip = inner_folds.cut(TABLE, protocols.load("stratified-3", TABLE), (0,), 4)
    for one in by_clip:
        counts = Counter(u.emotion for u in TABLE.select(one.valid))
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(
    ("name", "folds", "n_inner", "words"),
    [
        ("speakers-3", (3,), 2, "no fold 3. It has 0 to 2"),
        ("speakers-3", (0,), 9, "fold 0 cannot be cut.*9 folds.*allowed are 2 to 8"),
        ("stratified-2", (0,), 40, "fold 0 cannot be cut.*allowed are 2 to 24"),
        ("speakers-3", (0, 1, 2), 2, "Every utterance .* Name fewer folds"),
    ],
)
def test_impossible_cuts_are_refused(name, folds, n_inner, words):
    with pytest.raises(ProtocolError, match=words):
        inner_folds.cut(TABLE, protocols.load(name, TABLE), folds, n_inner)
