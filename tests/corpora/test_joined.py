from pathlib import Path

import pytest

from emocatcher import corpora
from emocatcher.corpora import joined
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.foundation.errors import CorpusError


def corpus(name, *emotions, speaker="1", **fields):
    utterances = tuple(
        Utterance(id=f"clip{n}", path=Path(f"{name}{n}"), emotion=emotion, speaker=speaker)
        for n, emotion in enumerate(emotions)
    )
    return Corpus(name=name, utterances=utterances, labels=tuple(dict.fromkeys(emotions)), **fields)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    for name in (
        *(f"ravdess/Actor_{a:02d}/03-01-{e:02d}-01-01-01-{a:02d}.wav" for a in range(1, 7) for e in (1, 5, 8)),
        *(f"ravdess-song/Actor_{a:02d}/03-02-{e:02d}-01-01-01-{a:02d}.wav" for a in range(1, 7) for e in (1, 5)),
        *(f"turev/{emotion}/{speaker}_{emotion[0]}.wav" for emotion in ("Angry", "Calm") for speaker in (1, 2)),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_ids_and_speakers_name_the_corpus():
    both = joined.join([corpus("a", "sad", licence="CC0"), corpus("b", "happy", licence="MIT", notes=("one",))], {})
    assert [(u.corpus, u.id, u.speaker) for u in both] == [("a", "a/clip0", "a:1"), ("b", "b/clip0", "b:1")]
    assert (both.name, both.labels, both.licence) == ("a+b", ("happy", "sad"), "a: CC0; b: MIT")
    assert both.notes == ("b: one",)
    assert not both.synthetic


def test_speakers_stay_unknown_and_synthetic_voices_stay_stamped():
    both = joined.join([corpus("a", "sad", speaker=None), corpus("b", "sad", synthetic=True)], {})
    assert [u.speaker for u in both] == [None, "b:1"]
    assert both.synthetic


def test_labels_are_joined_under_their_canonical_names():
    both = joined.join([corpus("a", "ANGER", "bored", "calm"), corpus("b", "angry", "neutrality")], {})
    assert both.labels == ("neutral", "calm", "angry", "bored")
    assert [u.emotion for u in both] == ["angry", "bored", "calm", "angry", "neutral"]


def test_one_name_twice_is_refused():
    with pytest.raises(CorpusError, match="named 'a'"):
        joined.join([corpus("a", "sad"), corpus("a", "happy")], {})


def test_names_with_commas_load_one_corpus_whose_shared_speakers_stay_together(shelf):
    found = corpora.load(f"ravdess, ravdess-song,turev={shelf / 'turev'}")
    assert found.name == "ravdess+ravdess-song+turev"
    assert found.labels == ("neutral", "calm", "angry", "surprised")
    assert {u.corpus: sum(v.corpus == u.corpus for v in found) for u in found} == {
        "ravdess": 18,
        "ravdess-song": 12,
        "turev": 4,
    }
    assert set(found.speakers) == {f"ravdess:{a:02d}" for a in range(1, 7)} | {"turev:1", "turev:2"}
    protocol = protocols.load("speakers-2", found, 0)
    by_id = {utterance.id: utterance.speaker for utterance in found}
    for fold in protocol.folds:
        assert not {by_id[id_] for id_ in fold.train} & {by_id[id_] for id_ in fold.test}


def test_a_single_corpus_is_unchanged(shelf):
    alone = corpora.load("ravdess")
    assert {u.corpus for u in alone} == {None}
    assert (alone.name, alone.utterances[0].id, alone.utterances[0].speaker) == (
        "ravdess",
        "03-01-01-01-01-01-01",
        "01",
    )


def test_a_table_whose_name_has_a_comma_is_one_corpus(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "x,y.csv").write_text("path,label\na.wav,sad\n")
    assert corpora.load(str(tmp_path / "x,y.csv")).name == "x,y"


def test_the_name_of_a_joined_corpus_loads_it_again(shelf):
    found = corpora.load("ravdess,turev")
    assert corpora.load(found.name) == found
