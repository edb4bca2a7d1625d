import re
from pathlib import Path

import pytest

from emocatcher import corpora
from emocatcher.cli import completion
from emocatcher.corpora import card_reader, cards
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import ALIASES, EMOTIONS, canonical

CARDS = corpora.known()
MINIMAL = (
    'name = "mine"\ntitle = "t"\nlanguage = "l"\nlicence = "x"\npermits = "p"\ncitation = "c"\naddress = "a"\n'
    "sources = []\n"
)
SPECIAL = {"ravdess", "synthetic"}  # read by modules of their own


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_complete(card):
    for text in (card.title, card.language, card.licence, card.permits, card.citation, card.address, *card.sources):
        assert text.strip()
    assert card.permits.endswith(".")
    assert card.verified or card.unsure, "what was not checked must be stated"
    assert card.parquet or card.emotions
    assert card.name in SPECIAL or card.parquet or re.compile(card.pattern)
    translated = {"speaker", "gender", "age", "race", "ethnicity", "intensity", "statement", "repetition", "split"}
    assert set(card.fields) <= {"id", "emotion", *translated}
    assert set(card.values) <= translated
    assert set(card.values.get("gender", {}).values()) <= {"female", "male"}
    assert set(card.values.get("split", {}).values()) <= {"train", "valid", "test"}
    assert not card.same_speakers_as or cards.find(card.same_speakers_as)
    folded = {code.casefold() for code in card.emotion_of}
    assert len(folded) == len(card.emotion_of), "codes are compared whatever their case"
    assert not folded & {code.casefold() for code in card.left_out}


def test_every_alias_names_one_emotion_in_any_case():
    assert set(ALIASES) == set(EMOTIONS)
    for emotion, aliases in ALIASES.items():
        for alias in (emotion, *aliases):
            assert canonical(alias) == canonical(f" {alias.upper()} ") == emotion
    assert canonical("calm") == "calm"  # never neutral: that is a protocol's choice
    assert canonical("excited") is None


def test_exact_codes_come_before_wildcards_whatever_the_order_and_the_case():
    assert cards.look_up("B", {"*": "any", "b": "exact"}) == "exact"
    assert cards.look_up("c", {"*": "any", "b": "exact"}) == "any"
    assert cards.look_up("x[1]", {"X[1]": "exact"}) == "exact"
    assert cards.look_up("c", {"b": "exact"}) is None


def test_a_card_in_the_users_folder_of_corpora_is_known_and_replaces_the_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    (tmp_path / "mine.toml").write_text(f"{MINIMAL}pattern = '(?P<emotion>[a-z]+)-\\d+'\nlabels = ['joy', 'anger']\n")
    (tmp_path / "tess.toml").write_text(MINIMAL.replace("mine", "tess"))
    (tmp_path / "mine").mkdir()
    for name in ("joy-1.wav", "anger-2.wav"):
        (tmp_path / "mine" / name).touch()
    assert [(u.id, u.emotion) for u in corpora.load("mine")] == [("anger-2", "angry"), ("joy-1", "happy")]
    assert cards.find("tess").title == "t"
    assert len(corpora.known()) == len(CARDS) + 1


def test_a_file_that_is_no_card_disturbs_only_who_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    (tmp_path / "sweep.toml").write_text("protocol = 'speakers-5'")
    (tmp_path / "turev" / "Calm").mkdir(parents=True)
    (tmp_path / "turev" / "Calm" / "1984_sk_kagit.wav").touch()
    assert len(corpora.load("turev")) == 1
    assert completion.corpora("sw") == ["sweep"]
    with pytest.raises(CorpusError, match=r"sweep\.toml is not a card"):
        corpora.load("sweep")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "not a card"),
        (MINIMAL.replace("licence", "license"), "license"),
        (f"{MINIMAL}labels = ['joy', 'bored']", "'bored' is not an emotion"),
        (f"{MINIMAL}labels = {{ X = 'joyous' }}", "'joyous' is not an emotion"),
        (f"{MINIMAL}pattern = '('", "regular expression"),
        (MINIMAL.replace("mine", "other"), r"other\.toml"),
    ],
)
def test_a_wrong_card_is_refused_with_its_file_and_the_reason(tmp_path, text, problem):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(CorpusError, match=problem) as caught:
        cards.read(tmp_path / "mine.toml")
    assert str(tmp_path / "mine.toml") in str(caught.value)


def test_the_example_in_the_documents_is_a_card(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
    (tmp_path / "example.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    for name in ("03b01Fa.wav", "03a01La.wav", "03a01Fa.wav"):
        (tmp_path / name).touch()
    corpus = card_reader.read(cards.read(tmp_path / "example.toml"), tmp_path)
    assert [(u.id, u.emotion, u.speaker) for u in corpus] == [("03b01Fa", "happy", "03")]
    assert [note.partition("(")[2].partition(")")[0] for note in corpus.notes[1:]] == [
        "silent",
        "'L': boredom is none of the eight emotions",
    ]
