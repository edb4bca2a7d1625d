"""Every card reads a made tree: at least two names each, one of them with a trap."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from emocatcher import corpora
from emocatcher.corpora import card_reader, cards
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError


class Tree(NamedTuple):
    """Recordings with the fields that are expected of them, or the reason why they are left out; and tables."""

    recordings: dict[str, dict[str, str | None] | str]
    tables: Mapping[str, str | bytes] = MappingProxyType({})


def of(emotion, speaker=None, **fields):
    return {"emotion": emotion, "speaker": speaker, **fields}


TREES = {
    "ased": Tree(
        {
            "04Sad/S4-04-02-01-29.wav": of("sad", "29", gender="female"),  # a capital letter
            "02Fearful/f2-06-02-02-63.opus": of("fearful", "63", gender="male", statement="06", repetition="02"),
        }
    ),
    "crema-d": Tree(
        {
            "AudioWAV/1001_DFA_ANG_XX.wav": of("angry", "1001", gender="male", statement="DFA", intensity=None),
            "AudioWAV/1002_IEO_FEA_LO.opus": of("fearful", "1002", gender=None, intensity="low"),
            "AudioWAV/1040_ITH_SAD_X.wav": of("sad", "1040"),  # one X
            "AudioWAV/1076_MTI_SAD_XX.wav": "silent",
            "AudioWAV/1006_TIE_HAP_XX.wav": "identical",
            "AudioMP3/1001_DFA_ANG_XX.mp3": "does not describe",
        },
        {"VideoDemographics.csv": '"ActorID","Age","Sex"\n1001,51,"Male"\n'},
    ),
    "emo-db": Tree(
        {
            "wav/03a01Fa.wav": of("happy", "03", gender="male", statement="a01", repetition="a"),
            "wav/16b10Wb.wav": of("angry", "16", gender="female"),  # W is no emotion's first letter in English
            "wav/08a02Tc.wav": of("sad", "08"),
            "wav/08a02La.wav": "boredom",
        }
    ),
    "emo-db-2": Tree(
        {"emodb/wav/15a05Na.wav": of("neutral", "15", gender="male"), "wav/15a05Ab.wav": of("fearful", "15")}
    ),
    "emotiontts-ko": Tree(
        {
            f"Emotional/plain-to-emotional/{speaker}/wav/{speaker}{number}.wav": of(emotion, speaker, statement=number)
            for speaker, number, emotion in (
                ("ema", "00001", "neutral"),
                ("nea", "00100", "neutral"),
                ("nea", "00101", "happy"),
                ("nea", "00200", "happy"),
                ("nea", "00201", "sad"),  # the README has sad and angry the other way round
                ("nea", "00300", "sad"),
                ("nea", "00301", "angry"),
                ("nea", "00400", "angry"),
            )
        }
        | {"nea00401.wav": "'00401' is not on the card"}
    ),
    "nemo": Tree(
        {
            "samples/EB0_anger_12.wav": of("angry", "EB0", gender="female", statement="12"),
            "samples/KS0_surprised_1.opus": of("surprised", "KS0", gender=None),  # no row: the table is optional
        },
        {"data.tsv": "file_id\temotion\tgender\tage\nEB0_anger_12.wav\tanger\tfemale\t27\n"},
    ),
    "ravdess-song": Tree(
        {
            "Actor_01/03-02-02-02-01-02-01.wav": of("calm", "01", gender="male", intensity="strong", repetition="02"),
            "Actor_24/03-02-06-01-02-01-24.wav": of("fearful", "24", gender="female", intensity="normal"),
            "Actor_24/03-01-06-01-02-01-24.wav": "does not describe",  # speech
        }
    ),
    "savee": Tree(
        {
            "AudioData/DC/sa01.wav": of("sad", "DC", gender="male", statement="01"),
            "AudioData/JE/su15.wav": of("surprised", "JE"),
            "ALL/JK_n30.wav": of("neutral", "JK"),  # a copy without folders
        }
    ),
    "tess": Tree(
        {
            "OAF_pleasant_surprise/OAF_back_ps.wav": of("surprised", "OAF", gender="female", statement="back"),
            "YAF_fear/YAF_death_fear.wav": of("fearful", "YAF"),
            "OAF_neutral/OA_bite_neutral.wav": of("neutral", "OAF"),  # as published
        }
    ),
    "turev": Tree(
        {
            "Sound Source/Calm/1984_sk_kagit.wav": of("calm", "1984", statement="sk_kagit"),
            "Sound Source/Angry/1358_kz_senlik.opus": of("angry", "1358"),
            "1358_kz_senlik.wav": "does not describe",  # the emotion is the folder's name
        }
    ),
}


def make(root, tree):
    for name in tree.recordings:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, content in tree.tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def test_every_card_has_a_tree():
    read_otherwise = {"ravdess", "synthetic", "cameo"}
    assert set(TREES) == {card.name for card in corpora.known()} - read_otherwise
    assert all(len(tree.recordings) >= 2 for tree in TREES.values())


@pytest.mark.parametrize("name", TREES)
def test_a_card_reads_its_corpus(tmp_path, name):
    tree, card = TREES[name], cards.find(name)
    corpus = card_reader.read(card, make(tmp_path, tree))
    by_path = {utterance.path.relative_to(tmp_path).as_posix(): utterance for utterance in corpus}
    for path, expected in tree.recordings.items():
        if isinstance(expected, str):
            assert path not in by_path
            assert any(expected in note for note in corpus.notes), (expected, corpus.notes)
        else:
            found = by_path[path]
            assert {field: getattr(found, field) for field in expected} == expected, path
    used = {fields["emotion"] for fields in tree.recordings.values() if isinstance(fields, dict)}
    assert set(corpus.labels) == used <= set(card.emotions)
    assert corpus.labels == tuple(emotion for emotion in card.emotions if emotion in used)
    assert (corpus.name, corpus.licence, corpus.synthetic) == (name, card.licence, False)
    assert len(corpus) == sum(isinstance(expected, dict) for expected in tree.recordings.values())


def test_a_corpus_is_found_by_its_name_and_by_a_given_folder(tmp_path, monkeypatch):
    make(tmp_path / "shelf" / "turev", TREES["turev"])
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path / "shelf"))
    assert corpora.locate("turev") == tmp_path / "shelf" / "turev"
    assert len(corpora.load("turev")) == 2
    monkeypatch.delenv("EMOCATCHER_CORPORA")
    assert corpora.locate("turev") is None
    with pytest.raises(
        CorpusNotFoundError, match=r"turev was not found in \$EMOCATCHER_CORPORA/turev .*github.*turev=FOLDER"
    ):
        corpora.load("turev")
    assert len(corpora.load(f"turev={tmp_path / 'shelf' / 'turev'}")) == 2
    with pytest.raises(CorpusNotFoundError, match="is not a folder"):
        corpora.load(f"turev={tmp_path / 'nowhere'}")


def test_a_folder_with_other_recordings_is_refused_with_the_expected_names(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(CorpusError, match=r"no recording with a name of .*CREMA-D.*github"):
        card_reader.read(cards.find("crema-d"), tmp_path)


def test_notes_count_a_part_of_a_corpus_and_what_is_left_out(tmp_path):
    tree = Tree({f"wav/08a0{n}La.wav": "boredom" for n in range(1, 6)} | {"wav/08a01Na.wav": of("neutral", "08")})
    part, boredom = card_reader.read(cards.find("emo-db"), make(tmp_path, tree)).notes
    assert part == "6 of the 535 published recordings are here"
    assert boredom.startswith(
        "5 recordings are left out ('L': boredom is none of the eight emotions): 08a01La, 08a02La,"
    )


def test_the_same_recording_twice_is_refused(tmp_path):
    make(tmp_path, Tree({"a/OAF_back_ps.wav": "", "b/OAF_back_ps.flac": ""}))
    with pytest.raises(CorpusError, match="keep one copy"):
        card_reader.read(cards.find("tess"), tmp_path)


REAL = {  # clips, speakers, and clips of each label, as counted in the published files, without those that are excluded
    "crema-d": (
        7435,
        91,
        {"neutral": 1086, "happy": 1270, "sad": 1269, "angry": 1270, "fearful": 1270, "disgust": 1270},
    ),
    "ravdess-song": (1012, 23, {"neutral": 92} | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful"), 184)),
    "tess": (700, 2, dict.fromkeys(("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 100)),
    "nemo": (4481, 9, {"neutral": 809, "happy": 749, "sad": 769, "angry": 749, "fearful": 736, "surprised": 669}),
    "ased": (2474, 65, {"neutral": 522, "happy": 486, "sad": 470, "angry": 486, "fearful": 510}),
    "turev": (1735, 6, {"calm": 408, "happy": 357, "sad": 483, "angry": 487}),
    "emotiontts-ko": (100, 5, dict.fromkeys(("neutral", "happy", "sad", "angry"), 25)),
    "ravdess": (
        1440,
        24,
        {"neutral": 96} | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
    ),
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_a_real_corpus_has_the_published_counts(real_corpora, name):
    if not (real_corpora / name).is_dir():
        pytest.skip(f"no {name} in EMOCATCHER_CORPORA")
    corpus = corpora.load(f"{name}={real_corpora / name}")
    counts = {label: sum(u.emotion == label for u in corpus) for label in corpus.labels}
    assert (len(corpus), len(corpus.speakers), counts) == REAL[name]
    assert not [note for note in corpus.notes if "does not describe" in note or "not on the card" in note]
