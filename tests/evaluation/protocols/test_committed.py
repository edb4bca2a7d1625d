from collections import Counter
from importlib import resources

import pytest

from emocatcher.evaluation.protocols import load, speakers_shared
from emocatcher.evaluation.protocols.committed import COMMITTED, Header, read
from make_protocols import write


def test_every_file_is_listed_and_every_listed_protocol_has_its_two_files():
    files = {entry.name for entry in (resources.files("emocatcher.evaluation.protocols") / "files").iterdir()}
    assert files == {f"{name}{suffix}" for name in COMMITTED for suffix in (".toml", ".csv")}


def test_the_holdout_tests_a_fifth_of_every_emotion(ravdess_table):
    (fold,) = load("reference-holdout", ravdess_table).folds
    assert (len(fold.train), len(fold.valid), len(fold.test)) == (1152, 0, 288)
    counts = Counter(utterance.emotion for utterance in ravdess_table.select(fold.test))
    assert counts.pop("neutral") in (19, 20)
    assert set(counts.values()) <= {38, 39}


def test_the_five_folds_test_every_clip_once(ravdess_table):
    folds = load("reference-cv5", ravdess_table).folds
    assert [len(fold.test) for fold in folds] == [288] * 5
    assert Counter(id_ for fold in folds for id_ in fold.test) == Counter({u.id: 1 for u in ravdess_table})
    assert all(set(fold.train).isdisjoint(fold.test) and len(fold.train) == 1152 for fold in folds)


ACTORS = {"emobox-6": [4] * 6, "luna-5": [5, 5, 5, 5, 4], "loso-24": [1] * 24}


@pytest.mark.parametrize("name", ACTORS)
def test_speaker_separated_protocols_test_every_actor_once_and_share_none(ravdess_table, name):
    protocol = load(name, ravdess_table)
    tested = [{u.speaker for u in ravdess_table.select(fold.test)} for fold in protocol.folds]
    assert [len(actors) for actors in tested] == ACTORS[name]
    assert set().union(*tested) == set(ravdess_table.speakers)
    assert Counter(id_ for fold in protocol.folds for id_ in fold.test) == Counter({u.id: 1 for u in ravdess_table})
    assert protocol.separates_speakers
    assert not any(speakers_shared(fold, ravdess_table) for fold in protocol.folds)
    assert "other words" in protocol.cannot_claim


def test_the_first_fold_of_emobox_tests_the_published_actors(ravdess_table):
    first = load("emobox-6", ravdess_table).folds[0]
    assert {u.speaker for u in ravdess_table.select(first.test)} == {"01", "11", "20", "21"}


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_protocols_give_published_scores_and_selection_and_share_sentences(ravdess_table, name):
    protocol = load(name, ravdess_table)
    assert "%" in protocol.published
    assert protocol.selection
    assert not protocol.separates_statements
    for fold in protocol.folds:
        statements = [{u.statement for u in ravdess_table.select(ids)} for ids in (fold.train, fold.test)]
        assert statements[0] & statements[1]


@pytest.mark.parametrize("name", [name for name in COMMITTED if name not in ACTORS])
def test_protocols_that_share_speakers_state_their_limits(ravdess_table, name):
    protocol = load(name, ravdess_table)
    assert not protocol.separates_speakers
    assert all(speakers_shared(fold, ravdess_table) for fold in protocol.folds)
    assert "does not apply to unseen speakers" in protocol.cannot_claim
    identical = {"03-01-03-01-02-01-07", "03-01-03-01-02-02-07"}
    leaking = [str(i) for i, fold in enumerate(protocol.folds) if len(identical & set(fold.test)) == 1]
    if leaking:
        assert f"the test part of folds {' and '.join(leaking)} (counted from 0)" in protocol.cannot_claim
    else:
        assert "byte-identical" not in protocol.cannot_claim


def test_write_then_read_gives_the_same_protocol(tmp_path, monkeypatch):
    header = Header(
        title="t",
        corpus="c",
        separates_speakers=True,
        separates_statements=True,
        selection="last",
        published="",
        command="make",
        source='a "quoted" source',
        cannot_claim="",
    )
    write("mine", header, ["u3", "u1", "u2"], [1, None, 0], tmp_path / "new" / "files")
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "new")
    protocol = read("mine")
    assert (protocol.name, protocol.source, protocol.separates_speakers) == ("mine", 'a "quoted" source', True)
    assert [(fold.train, fold.test) for fold in protocol.folds] == [(("u3", "u1"), ("u2",)), (("u1", "u2"), ("u3",))]
