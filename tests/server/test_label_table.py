"""The table of labels, the clips to label, and the agreement with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emocatcher.audio import folder_search
from emocatcher.corpora import manifest
from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import AudioError, ManifestError, OutputError, SettingError
from emocatcher.server.labelling import Clip, LabelSession, LabelTable, agreement, find_clips, parse_labels, shuffle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for name in ("a.wav", "b.wav", "=c, d.wav"):
        (tmp_path / "clips" / name).touch()
    return tmp_path


def rows(path: Path) -> list[list[str]]:
    return list(csv_cells.read_rows(path.read_text().splitlines()))


def test_rows_and_columns_of_an_earlier_table_are_kept(folder: Path) -> None:
    out = folder / "my.csv"
    out.write_text('Path;Room;label;speaker;arousal[1:7]\nclips/b.wav;"hall, north";;s1;2\n.\\e.wav;attic;sad;s2;3\n')
    with LabelTable(out) as table:
        table.write(Clip(folder / "clips/b.wav", "other"), "happy", note="n")
        table.write(Clip(folder / "clips/=c, d.wav", "s3"), "sad")
    found = rows(out)
    assert found[0][:5] == ["Path", "Room", "label", "speaker", "arousal[1:7]"]
    assert [row[:5] for row in found[1:]] == [
        ["clips/b.wav", "hall, north", "happy", "s1", "2"],
        [".\\e.wav", "attic", "sad", "s2", "3"],
        ["clips/=c, d.wav", "", "sad", "s3", ""],
    ]
    assert found[1][found[0].index("note")] == "n"


def test_a_note_that_a_clip_had_before_it_was_asked_stays(folder: Path) -> None:
    out = folder / "my.csv"
    out.write_text("path,label,note\nclips/a.wav,,in the kitchen\nclips/b.wav,,in the hall\n")
    with LabelTable(out) as table:
        session = LabelSession(find_clips([str(out)], print), table, ("happy", "sad"), "my.csv")
        for number, (label, note) in enumerate((("happy", ""), (None, "two voices"))):
            session.decide(number, label, note)
            session.decide(number, label, note)  # the same request again
        assert [row[2] for row in rows(out)[1:]] == ["in the kitchen", "two voices"]
        for number in (0, 1):
            session.undo(number)
        assert [row[:3] for row in rows(out)[1:]] == [
            ["clips/a.wav", "", "in the kitchen"],
            ["clips/b.wav", "", "in the hall"],
        ]


def test_a_table_with_the_column_emotion_is_continued_in_it(folder: Path) -> None:
    out = folder / "my.csv"
    out.write_text("path,emotion\nclips/a.wav,sad\n")
    with LabelTable(out) as table:
        table.write(Clip(folder / "clips/b.wav"), "happy")
    assert [one.emotion for one in manifest.read(out)] == ["sad", "happy"]


def test_paths_start_at_the_tables_folder_also_through_links(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "clips")
    (folder / "tables").mkdir()
    out = folder / "tables" / "my.csv"
    with LabelTable(out) as table:
        table.write(Clip(folder / "link/a.wav"), "happy")
        assert table.row(Clip(folder / "clips/a.wav")) is not None
    (utterance,) = manifest.read(out)
    assert utterance.path.samefile(folder / "clips/a.wav")


def test_a_table_that_is_a_link_stays_one(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "my.csv").symlink_to(folder / "real/my.csv")
    with LabelTable(folder / "my.csv") as table:
        table.write(Clip(folder / "clips/a.wav"), "happy")
        with pytest.raises(OutputError, match="open in another"), LabelTable(folder / "real/my.csv"):
            pass
    assert (folder / "my.csv").is_symlink()
    assert len(manifest.read(folder / "real/my.csv")) == 1


def test_a_table_is_open_once_at_a_time(folder: Path) -> None:
    out = folder / "new" / "my.csv"
    with LabelTable(out), pytest.raises(OutputError, match="open in another `emocatcher label`"):
        LabelTable(out)
    with LabelTable(out):  # the first one is closed
        pass
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "listener", "error", "words"),
    [
        ("my.json", "", "", SettingError, "does not end in .csv"),
        ("my.csv", "file,label\na.wav,sad\n", "", ManifestError, "no column 'path'"),
        ("my.csv", "path,,label\na.wav,1,sad\n", "", ManifestError, "column without a name"),
        ("my.csv", "path,label\na.wav,sad\n./a.wav,happy\n", "", ManifestError, "a second row of ./a.wav"),
        ("my.csv", "path,label,start_s\na.wav,sad,1.5\n", "", ManifestError, "part of a recording"),
        ("my.csv", "path,label,listener\na.wav,sad,anna\n", "ben", OutputError, "has labels of anna. Give ben"),
    ],
)
def test_a_table_that_cannot_be_continued_is_left_as_it_is(
    folder: Path, name: str, content: str, listener: str, error: type[Exception], words: str
) -> None:
    (folder / name).write_text(content)
    for _ in range(2):  # the second time, because a refused table is not left open
        with pytest.raises(error, match=words):
            LabelTable(folder / name, listener)
    assert (folder / name).read_text() == content


def test_clips_are_found_once_in_the_order_of_the_names(folder: Path) -> None:
    (folder / "list.csv").write_text("path,speaker\nclips/b.wav,s1\nclips/a.wav,s2\n")
    (folder / "clips" / "readme.txt").touch()
    notes: list[str] = []
    found = find_clips([str(folder / "list.csv"), str(folder / "list.csv")], notes.append)
    assert [(clip.path.name, clip.speaker) for clip in found] == [("b.wav", "s1"), ("a.wav", "s2")]
    found = find_clips([str(folder / "clips" / "b.wav"), str(folder / "list.csv"), str(folder / "clips")], notes.append)
    assert [clip.path.name for clip in found] == ["b.wav", "a.wav", "=c, d.wav"]
    assert {clip.speaker for clip in found} == {None}
    assert any("speakers are left out" in note for note in notes)
    assert any("readme.txt" in note for note in notes)


def test_sub_folders_can_name_the_speakers(folder: Path) -> None:
    for name in ("people/ann/monday/1.wav", "people/bob/2.wav"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    found = find_clips([f"{folder}/people/"], print, speaker_folders=True)
    assert [(clip.path.name, clip.speaker) for clip in found] == [("1.wav", "ann"), ("2.wav", "bob")]
    assert {clip.speaker for clip in find_clips([str(folder / "people")], print)} == {None}
    (folder / "people" / "loose.wav").touch()
    notes: list[str] = []
    found = find_clips([str(folder / "people")], notes.append, speaker_folders=True)
    assert [clip.speaker for clip in found] == [None] * 3
    assert any("have no speaker" in note for note in notes)


def test_clips_that_a_table_cannot_name_are_left_out_with_a_note(folder: Path) -> None:
    (folder / "clips" / "caf\udce9.wav").touch()
    notes: list[str] = []
    found = find_clips([str(folder / "clips")], notes.append)
    assert len(found) == len(folder_search.search(folder / "clips").recordings) - 1 == 3
    assert any("not UTF-8" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file\na.wav\n", "no column 'path'"),
        ("path\n", "names no recording"),
        ("path,start_s\na.wav,1\n", "only whole recordings"),
        ("path,speaker\n,s1\n", "the path is empty"),
    ],
)
def test_a_list_of_clips_that_cannot_be_used_is_refused(folder: Path, content: str, words: str) -> None:
    (folder / "list.csv").write_text(content)
    with pytest.raises(ManifestError, match=words):
        find_clips([str(folder / "list.csv")], print)
    (folder / "empty").mkdir()
    with pytest.raises(AudioError):
        find_clips([str(folder / "empty")], print)


def test_a_shuffle_repeats_and_asks_each_clip_once(folder: Path) -> None:
    clips = [Clip(folder / f"{i}.wav") for i in range(30)]
    assert shuffle(clips, 1) == shuffle(clips[::-1], 1) != shuffle(clips, 2) != clips
    assert sorted(shuffle(clips, 1)) == sorted(clips)


@pytest.mark.parametrize("text", ["one", ",", "a,b,A", "angry,sad,anger", ",".join("abcdefghij")])
def test_labels_without_a_key_each_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="Give 2 to 9 different labels"):
        parse_labels(text)


def test_kappa_is_one_minus_the_disagreement_over_that_by_chance() -> None:
    table = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert agreement.compare(table, ["yes", "no"], ["yes", "no"]).kappa == pytest.approx(0.4)
    rng = np.random.default_rng(0)
    labels = ["neutral", "happy", "sad"]
    for n in (2, 9, 200):
        theirs, ours = rng.choice(labels, n), rng.choice(labels, n)
        ours[: n // 2] = theirs[: n // 2]
        found = agreement.compare(list(zip(theirs.tolist(), ours.tolist(), strict=True)), labels, labels)
        by_chance = np.mean(theirs[:, None] != ours[None, :])  # each answer beside each of the other's
        assert found.kappa == pytest.approx(1 - np.mean(theirs != ours) / by_chance)
        assert found.share == pytest.approx(float(np.mean(theirs == ours)))
        assert np.array(found.counts).sum() == n


def test_labels_that_the_model_does_not_know_are_counted_apart() -> None:
    pairs = [("bored", "sad"), ("HAPPY", "happy"), ("anger", "angry"), ("happy", "sad")]
    found = agreement.compare(pairs, ["anger", "bored", "happy"], ["happy", "sad", "angry"])
    assert (found.n, found.n_same, found.n_other) == (3, 2, 1)
    assert found.labels == ["anger", "bored", "happy", "HAPPY"]
    assert found.guesses == ["happy", "sad", "angry"]
    assert found.same == [2, None, 0, 0]
    assert found.counts[1] == [0, 1, 0]
    nothing = agreement.compare([("bored", "sad")], ["bored"], ["happy", "sad"])
    assert (nothing.share, nothing.kappa, nothing.n_other) == (None, None, 1)
    assert agreement.compare([("sad", "sad")] * 3, ["sad"], ["sad"]).kappa is None
