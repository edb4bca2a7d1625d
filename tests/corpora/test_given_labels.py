"""Spellings of one label are joined, in tables, folders and joined corpora; labels of their own stay apart."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocatcher import corpora
from emocatcher.corpora import given_labels
from emocatcher.corpora.table import Utterance
from emocatcher.foundation.labels import ALIASES, EMOTIONS

NFD = unicodedata.normalize("NFD", "gelöst")


def table(folder, *labels, name="t.csv"):
    lines = ["path,label,id"]
    for number, label in enumerate(labels):
        (folder / f"{number}.wav").touch()
        lines.append(f'{number}.wav,"{label}",{number}')
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return str(folder / name)


def test_names_of_an_emotion_get_the_name_that_the_models_have(tmp_path):
    found = corpora.load(table(tmp_path, "anger", "HAPPY", "ps", "angry", "Pleasant  Surprise", "annoyed"))
    assert [one.emotion for one in found] == ["angry", "happy", "surprised", "angry", "surprised", "annoyed"]
    assert found.labels == ("happy", "angry", "surprised", "annoyed")
    assert found.notes == (
        (
            "spellings of one label are joined: 'anger' (1 recording) into 'angry'; 'HAPPY' (1 recording) into "
            "'happy'; 'ps' (1 recording), 'Pleasant  Surprise' (1 recording) into 'surprised'"
        ),
    )


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        (["Annoyed", "annoyed", "Annoyed"], "Annoyed"),  # the most frequent
        (["Annoyed", "annoyed"], "annoyed"),
        (["very annoyed", "very  annoyed", "very\u00a0annoyed"], "very annoyed"),
        ([NFD, "gelöst", "GELÖST", NFD], "gelöst"),
        (["STRASSE", "straße", "straße"], "straße"),
    ],
)
def test_a_label_of_the_user_gets_its_most_frequent_spelling(tmp_path, labels, chosen):
    found = corpora.load(table(tmp_path, *labels))
    assert found.labels == (chosen,)
    assert f"into '{chosen}'" in found.notes[0]


def test_a_spelling_that_looks_the_same_is_described(tmp_path):
    found = corpora.load(table(tmp_path, NFD, "gelöst"))
    assert f"'{NFD}' in another Unicode form (1 recording) into 'gelöst'" in found.notes[0]


@pytest.mark.parametrize("kept", [("calm", "neutral"), ("excited", "happy"), ("annoyed", "angry"), ("sad", "saddened")])
def test_labels_that_mean_different_things_stay_apart(tmp_path, kept):
    found = corpora.load(table(tmp_path, *kept))
    assert set(found.labels) == set(kept)
    assert found.notes == ()


def test_no_name_of_an_emotion_is_a_name_of_another():
    names = [name for emotion in EMOTIONS for name in (emotion, *ALIASES[emotion])]
    assert len(set(names)) == len(names)


def test_folders_are_joined_like_labels(tmp_path):
    for name in ("Happiness/1.wav", "happy/2.wav", "annoyed/3.wav", "Annoyed/4.wav", "annoyed/5.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = corpora.load(str(tmp_path))
    assert {one.id: one.emotion for one in found} == {
        "Happiness/1.wav": "happy", "happy/2.wav": "happy",
        "annoyed/3.wav": "annoyed", "Annoyed/4.wav": "annoyed", "annoyed/5.wav": "annoyed",
    }  # fmt: skip
    assert "'Happiness' (1 recording) into 'happy'" in " ".join(found.notes)


def test_tables_that_are_joined_have_one_spelling(tmp_path):
    names = (table(tmp_path, "Annoyed", "sad", name="a.csv"), table(tmp_path, "annoyed", "annoyed", name="b.csv"))
    found = corpora.load(",".join(names))
    assert found.labels == ("sad", "annoyed")
    assert found.notes == ("spellings of one label are joined: 'Annoyed' (1 recording) into 'annoyed'",)


def test_parquet_files_with_sound_are_joined_too(tmp_path):
    sound = [{"bytes": b"x", "path": "x.wav"}] * 3
    pq.write_table(pa.table({"audio": sound, "emotion": ["Anger", "bored", "BORED"]}), tmp_path / "clips.parquet")
    found = corpora.load(str(tmp_path / "clips.parquet"))
    assert [one.emotion for one in found] == ["angry", "bored", "bored"]
    assert "'Anger' (1 recording) into 'angry'; 'BORED' (1 recording) into 'bored'" in found.notes[0]


def test_a_note_on_very_many_spellings_is_short(tmp_path):
    made = [
        Utterance(id=f"{number}{spelling}", path=tmp_path, emotion=spelling)
        for number in range(200)
        for spelling in (f"label {number}", f"LABEL {number}")
    ]
    joined, (note,) = given_labels.join(made)
    assert len({one.emotion for one in joined}) == 200
    assert len(note) < 500
    assert note.endswith("and 192 more labels")
