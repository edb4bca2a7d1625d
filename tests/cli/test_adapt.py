"""`emocatcher adapt`: from the included model, to labelled recordings and to recordings without labels."""

import csv
import json

import pytest

from emocatcher.models import model_folder

pytest.importorskip("torch", reason="needs the extra 'train'")


@pytest.fixture(scope="module")
def table(voices, tmp_path_factory):
    """Some 30 clips of four voices and two emotions."""
    path = tmp_path_factory.mktemp("adapt") / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker"])
        rows.writerows([one.path, one.emotion, one.speaker] for one in voices if one.emotion in ("sad", "disgust"))
    return path


@pytest.mark.slow
def test_the_included_model_is_adapted_and_its_folder_is_used(process, table, tmp_path):
    to = tmp_path / "mine"
    done = process(["adapt", str(table), "--to", str(to)])
    assert done.code == 0, done.err
    assert "On speakers that it was not fitted to, the UAR rose" in done.out
    assert (to / "adaptation.html").is_file()
    clip = table.read_text(encoding="utf-8").splitlines()[1].partition(",")[0]
    found = json.loads(process(["predict", clip, "--model", str(to), "--format", "jsonl"]).out)
    assert found["probabilities"].keys() == {"sad", "disgust"}
    assert "Adapted from" in (to / model_folder.CARD).read_text(encoding="utf-8")
    again = process(["adapt", str(table), "--to", str(to)])
    assert again.code == 2
    assert "--overwrite" in again.err


@pytest.mark.slow
def test_recordings_without_labels_are_enough(process, table, voices, tmp_path):
    to, clips = tmp_path / "room", [str(one.path) for one in voices.utterances[::20]]
    done = process(["adapt", *clips, "--unlabelled", "--to", str(to)])
    assert done.code == 0, done.err
    assert model_folder.read(to).config.adaptation.n_recordings <= len(clips)
    labels = model_folder.read(to).config.labels
    assert labels == model_folder.read(model_folder.bundled()).config.labels


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["{0},sad,a", "{1},disgust,b", "{2},sad,a"], "3 recordings are too few to adapt to; 8 a label"),
        (["{0},sad,a"], "1 recording, and all have the label 'sad'"),
        (["{0},sad,a", "gone.wav,disgust,b"], "row 3: no such recording: 'gone.wav'"),
        ([], "has no rows"),
        (["{0},sad,a", "{1},,b"], "1 recording, and all have the label 'sad'"),
        (["{0},,a", "{1},,b"], "all labels are empty (2 rows). Adapt a model to recordings without labels: emocatcher"),
        (["{0},sad,a,", "{1},disgust,b,sad=lots"], "row 3: the votes for 'sad' are 'lots', not a number of 0 or more"),
    ],
)
def test_a_table_that_does_not_suffice_is_refused_in_a_line_and_nothing_is_written(call, voices, tmp_path, rows, words):
    clips = [one.path for one in voices]
    lines = ["path,label,speaker,votes", *(row.format(*clips) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    done = call("adapt", tmp_path / "t.csv", "--to", tmp_path / "mine")
    assert done.code == 2
    assert words in done.err
    assert done.err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--labels", "sad,disgust", "--unlabelled"], "--labels needs labelled recordings"),
        (["other.csv"], "one table or one folder"),
        (["--model", "cabg"], "has no encoder"),
        (["--model", "cabg", "--unlabelled"], "has no encoder"),
        (["--labels", "sad"], "all have the label 'sad'"),
        (["--labels", "sad,disgust,bored"], "'bored' has 0 recordings"),
        (["--name", "a" * 301], "cannot be that of a model. Give 1 to 300 characters"),
        (["--unlabelled", "--name", "a\nb"], "cannot be that of a model"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_a_line_and_nothing_is_written(call, table, tmp_path, given, words):
    done = call("adapt", table, "--to", tmp_path / "mine", *given)
    assert done.code == 2
    assert words in done.err
    assert done.err.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("label", ["a" * 101, "a\x1b[31mb"])
def test_a_label_that_no_model_can_have_is_refused_before_anything_is_written(call, voices, tmp_path, label):
    table = tmp_path / "t.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        clips = [one.path for one in voices.utterances[:16]]
        rows = [(clip, label if i % 2 else "sad") for i, clip in enumerate(clips)]
        csv.writer(file).writerows([("path", "label"), *rows])
    done = call("adapt", table, "--to", tmp_path / "mine")
    assert done.code == 2
    assert "The label 'a" in done.err
    assert not (tmp_path / "mine").exists()


def test_a_readme_that_is_there_is_not_replaced_unasked(call, table, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    done = call("adapt", table, "--to", tmp_path)
    assert done.code == 2
    assert "README.md would be replaced" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
