"""Protocols between corpora: nobody on both sides, and only classes that both sides have."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from emocatcher.corpora import joined
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.evaluation.protocols import across_corpora, speakers_shared
from emocatcher.foundation.errors import ProtocolError

NAMES = list(across_corpora.NAMES)


def corpus(name, emotions, speakers=("1", "2", "3"), times=2):
    utterances = tuple(
        Utterance(id=f"{emotion}-{speaker}-{n}", path=Path("x.wav"), emotion=emotion, speaker=speaker)
        for emotion in emotions
        for speaker in speakers
        for n in range(times)
    )
    return Corpus(name=name, utterances=utterances, labels=tuple(dict.fromkeys(emotions)))


def join(*corpora, **people):
    return joined.join(corpora, people)


@pytest.fixture
def three():
    """One corpus with calm, one that lacks happy, and one with a class of its own."""
    return join(
        corpus("a", ("neutral", "calm", "happy", "sad", "disgust")),
        corpus("b", ("neutral", "sad", "angry"), times=5),
        corpus("c", ("neutral", "happy", "sad", "bored")),
    )


def sides(protocol, corpus):
    return [tuple({u.corpus for u in corpus.select(ids)} for ids in (fold.train, fold.test)) for fold in protocol.folds]


def test_each_corpus_is_tested_once_by_training_on_all_others(three):
    found = protocols.load("leave-one-corpus-out", three)
    assert sides(found, three) == [({"b", "c"}, {"a"}), ({"a", "c"}, {"b"}), ({"a", "b"}, {"c"})]
    assert [fold.between.tested_on for fold in found.folds] == [("a",), ("b",), ("c",)]
    assert found.separates_speakers


def test_each_ordered_pair_is_a_fold(three):
    found = protocols.load("cross-corpus", three)
    pairs = [(*fold.between.trained_on, *fold.between.tested_on) for fold in found.folds]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]
    assert sides(found, three) == [({trained}, {tested}) for trained, tested in pairs]


def test_corpora_that_share_speakers_are_left_out_together():
    both = join(
        corpus("speech", ("neutral", "sad")), corpus("other", ("neutral", "sad")), corpus("song", ("neutral", "sad")),
        song="speech",
    )  # fmt: skip
    for name in ("leave-one-corpus-out", "cross-corpus"):
        found = protocols.load(name, both)
        assert (
            sides(found, both)
            == [({"other"}, {"speech", "song"}), ({"speech", "song"}, {"other"})][
                :: 1 if name == "leave-one-corpus-out" else -1
            ]
        )


def test_units_join_over_a_third_corpus():
    def one(name, *speakers):
        return [Utterance(id=f"{name}{s}", path=Path("x"), emotion="sad", speaker=s, corpus=name) for s in speakers]

    clips = [*one("a", "1"), *one("b", "2"), *one("c", "9"), *one("d", "1", "2"), *one("e", None)]
    assert across_corpora.units(Corpus(name="all", utterances=tuple(clips), labels=("sad",))) == (
        ("a", "b", "d"), ("c",), ("e",),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(8))
def test_no_speaker_is_on_both_sides_and_only_shared_classes_are_scored(name, seed):
    random = np.random.default_rng(seed)
    emotions = ("neutral", "calm", "happy", "sad", "angry", "bored")
    corpora = [
        corpus(f"c{n}", ("sad", "angry", *random.permutation(emotions[:3])[: random.integers(4)]),
               speakers=tuple(map(str, range(random.integers(1, 5)))), times=int(random.integers(1, 4)))
        for n in range(5)
    ]  # fmt: skip
    whole = joined.join(corpora, {"c3": "c1", "c4": "c0"} if seed % 2 else {"c2": "c0"})
    found = protocols.load(name, whole)
    tested_ids = []
    for fold in found.folds:
        assert not speakers_shared(fold, whole)
        trained, tested = ({fold.emotion(u) for u in whole.select(ids)} for ids in (fold.train, fold.test))
        assert tested == set(fold.between.classes) <= trained
        assert fold.between.chance == pytest.approx(1 / len(tested))
        of_side = [u for u in whole if u.corpus in fold.between.tested_on]
        assert len(of_side) == len(fold.test) + sum(fold.between.not_scored.values())
        assert not set(fold.between.not_scored) & trained
        if fold.between.calm_as_neutral:
            assert "calm" not in trained | tested
        tested_ids += fold.test
    if name.startswith("leave-one"):
        assert len(tested_ids) == len(set(tested_ids))


def test_calm_counts_as_neutral_unless_every_corpus_has_both(three):
    found = protocols.load("leave-one-corpus-out", three)
    assert all(fold.between.calm_as_neutral for fold in found.folds)
    tested = three.select(found.folds[0].test)
    assert {u.emotion for u in tested} == {"neutral", "calm", "happy", "sad"}  # disgust is not trained
    assert found.folds[0].between.classes == ("neutral", "happy", "sad")
    assert found.folds[0].between.not_scored == {"disgust": 6}
    both = join(corpus("a", ("neutral", "calm", "sad")), corpus("b", ("neutral", "calm", "sad")))
    for fold in protocols.load("leave-one-corpus-out", both).folds:
        assert (fold.between.classes, fold.between.calm_as_neutral) == (("neutral", "calm", "sad"), False)
    calm_alone = join(corpus("a", ("calm", "sad")), corpus("b", ("neutral", "calm", "sad")))
    assert protocols.load("cross-corpus", calm_alone).folds[0].between.classes == ("neutral", "sad")


def test_with_calm_it_is_a_class_that_is_not_scored_where_a_side_lacks_it(three):
    found = protocols.load("leave-one-corpus-out-with-calm", three)
    assert found.folds[0].between.not_scored == {"calm": 6, "disgust": 6}
    assert not any(fold.between.calm_as_neutral for fold in found.folds)


def test_the_folds_do_not_depend_on_the_order_of_rows(three):
    turned = msgspec.structs.replace(
        three, utterances=tuple(sorted(three, key=lambda u: (u.corpus, u.path, u.id[::-1])))
    )
    assert protocols.load("leave-one-corpus-out", turned) == protocols.load("leave-one-corpus-out", three)


def test_validation_keeps_the_classes_of_the_fold(three):
    fold = protocols.load("leave-one-corpus-out", three).folds[1]
    carved = protocols.carve_validation(fold, three, separates_speakers=True, fraction=0.3, seed=0)
    assert carved.between == fold.between
    assert {carved.emotion(u) for u in three.select(carved.valid)} <= {
        fold.emotion(u) for u in three.select(fold.train)
    }


def test_unknown_speakers_are_not_promised_to_be_separate():
    found = protocols.load("cross-corpus", join(corpus("a", ("sad", "happy"), (None,)), corpus("b", ("sad", "happy"))))
    assert not found.separates_speakers
    assert "unknown" in found.cannot_claim


@pytest.mark.parametrize("name", NAMES)
def test_one_corpus_is_refused(name, ravdess_table):
    with pytest.raises(ProtocolError, match=r"is one corpus. Name several with commas"):
        protocols.load(name, ravdess_table)


def test_corpora_that_all_share_speakers_are_refused():
    with pytest.raises(ProtocolError, match=r"share speakers. Add a corpus"):
        protocols.load("cross-corpus", join(corpus("a", ("sad", "happy")), corpus("b", ("sad", "happy")), b="a"))


def test_sides_with_one_common_class_are_refused():
    with pytest.raises(ProtocolError, match=re.escape("cannot test a on what b trains: they share 1 class: sad")):
        protocols.load("leave-one-corpus-out", join(corpus("a", ("sad", "happy")), corpus("b", ("sad", "angry"))))


@pytest.mark.parametrize("name", ["emobox-6", "reference-cv5"])
def test_a_protocol_of_ravdess_is_refused_on_joined_corpora(name, three):
    with pytest.raises(ProtocolError, match=r"made for ravdess alone.*leave-one-corpus-out, cross-corpus"):
        protocols.load(name, three)
