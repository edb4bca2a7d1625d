from pathlib import Path

import pytest

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.protocols import Fold, Protocol, check, speakers_shared
from emocatcher.foundation.errors import ProtocolError

SPEAKERS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c", "x1": None}


def corpus(emotions=None):
    emotions = emotions or {}
    return Corpus(
        name="small",
        utterances=tuple(
            Utterance(id=id_, path=Path(id_), emotion=emotions.get(id_, "sad"), speaker=speaker)
            for id_, speaker in SPEAKERS.items()
        ),
        labels=("sad", "happy"),
    )


def protocol(*folds, separates_speakers=False):
    return Protocol(
        name="p",
        title="",
        corpus="small",
        separates_speakers=separates_speakers,
        folds=folds,
        command="",
        cannot_claim="",
    )


@pytest.mark.parametrize(
    ("train", "valid", "test", "shared"),
    [
        (("a1", "a2"), (), ("b1",), False),
        (("a1",), ("b1",), ("c1",), False),
        (("a1",), (), ("a2",), True),
        (("a1",), ("b1",), ("b2",), True),
        (("a1",), (), ("x1",), True),
        (("a1", "x1"), (), ("b1",), True),
    ],
)
def test_speakers_shared_compares_all_parts_and_check_enforces_the_promise(train, valid, test, shared):
    fold = Fold(train, valid, test)
    assert speakers_shared(fold, corpus()) is shared
    check(protocol(fold), corpus())
    if shared:
        with pytest.raises(ProtocolError, match="Fold 0 of protocol 'p' promises to separate speakers"):
            check(protocol(fold, separates_speakers=True), corpus())
    else:
        check(protocol(fold, separates_speakers=True), corpus())


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "'p' has no fold"),
        ([Fold(("a1",), (), ("b1",)), Fold(("a1",), (), ("a1",))], "Fold 1 .*'a1' twice"),
        ([Fold(("a1", "a2"), ("a2",), ("b1",))], "Fold 0 .*'a2' twice"),
        ([Fold(("a1", "a1"), (), ("b1",))], "Fold 0 .*'a1' twice"),
        ([Fold((), (), ("b1",))], "empty train part"),
        ([Fold(("a1",), (), ())], "empty test part"),
        ([Fold(("a1", "z8"), ("z9",), ("b1",))], "needs 2 utterances that corpus 'small' lacks, e.g. z8, z9"),
    ],
)
def test_an_invalid_protocol_is_refused(folds, message):
    with pytest.raises(ProtocolError, match=message):
        check(protocol(*folds), corpus())


def test_a_test_emotion_missing_from_training_is_refused():
    happy = corpus({"b1": "happy", "b2": "happy"})
    with pytest.raises(ProtocolError, match="tests 'happy', which no utterance of its training part has"):
        check(protocol(Fold(("a1",), ("b2",), ("b1",))), happy)
    check(protocol(Fold(("a1", "b2"), (), ("b1",))), happy)
    check(protocol(Fold(("a1", "b2"), (), ("a2",))), happy)  # in training but not in test: allowed
