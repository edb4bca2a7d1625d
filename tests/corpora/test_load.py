import os
import shutil
import subprocess
import sys

import pytest

from emocatcher import corpora
from emocatcher.corpora import places, ravdess, synthetic
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError, ManifestError
from emocatcher.foundation.labels import EMOTIONS


@pytest.fixture
def small_synthesis(monkeypatch):
    """Generate one voice instead of 24; the fixture lists the generated folders."""
    generated = []
    generate = synthetic.generate

    def generate_one(root):
        generated.append(root)
        generate(root, n_voices=1)

    monkeypatch.setattr(synthetic, "generate", generate_one)
    return generated


def test_the_cards_agree_with_the_corpora():
    cards = {card.name: card for card in corpora.known()}
    assert list(cards) == sorted(cards)
    for name in ("ravdess", "synthetic"):
        assert (cards[name].clips, cards[name].speakers) == (len(ravdess.clip_ids()), 24)
        assert cards[name].emotions == EMOTIONS
    assert cards["ravdess"].licence == ravdess.LICENCE
    assert cards["synthetic"].licence == synthetic.LICENCE


def test_a_missing_ravdess_error_names_the_fetch_command():
    assert corpora.locate("ravdess") is None
    with pytest.raises(CorpusNotFoundError, match="emocatcher fetch ravdess"):
        corpora.load("ravdess")


@pytest.mark.parametrize("in_cache", [True, False])
def test_ravdess_is_found_in_the_environment_folder_and_in_the_cache(tmp_path, monkeypatch, in_cache):
    root = places.corpus_dir("ravdess") if in_cache else tmp_path / "shelf" / "ravdess"
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path / "shelf"))
    root.mkdir(parents=True)
    (root / "03-01-05-01-01-01-02.wav").touch()
    assert corpora.locate("ravdess") == root
    assert [u.path.parent for u in corpora.load("ravdess")] == [root]


def test_synthetic_is_generated_once(small_synthesis):
    assert corpora.locate("synthetic") is None
    first, second = corpora.load("synthetic"), corpora.load("synthetic")
    assert first == second
    assert first.synthetic
    assert len(small_synthesis) == 1
    assert corpora.locate("synthetic") == small_synthesis[0]
    assert small_synthesis[0].is_relative_to(corpora.cache_dir())


def test_synthetic_generated_by_another_process_meanwhile_is_used(made_dir, monkeypatch):
    def lose_the_race(root):
        shutil.copytree(made_dir, root)
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(synthetic, "generate", lose_the_race)
    assert corpora.load("synthetic").synthetic


def test_an_unwritable_cache_error_names_the_environment_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match="EMOCATCHER_CACHE"):
        corpora.load("synthetic")


def test_the_synthetic_corpus_is_recognised_by_its_truth_file(made_dir, tmp_path, monkeypatch):
    assert corpora.load(str(made_dir)).synthetic
    assert corpora.load(str(made_dir.parent)).synthetic
    assert corpora.load(str(made_dir / "Actor_01")).synthetic
    shutil.copytree(made_dir, tmp_path / "ravdess")
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    assert corpora.load("ravdess").synthetic


def test_a_path_is_read_according_to_its_content(tmp_path):
    (tmp_path / "people" / "deep").mkdir(parents=True)
    (tmp_path / "people" / "deep" / "03-01-05-01-01-01-02.flac").touch()
    assert corpora.load(str(tmp_path / "people")).name == "ravdess"

    (tmp_path / "mine" / "happy").mkdir(parents=True)
    (tmp_path / "mine" / "happy" / "03-01-2024.wav").touch()  # a date, not RAVDESS
    assert [u.emotion for u in corpora.load(str(tmp_path / "mine"))] == ["happy"]

    for number in range(3):
        (tmp_path / "mine" / "sad").mkdir(exist_ok=True)
        (tmp_path / "mine" / "sad" / f"{number}.wav").touch()
    (tmp_path / "mine" / "happy" / "03-01-05-01-01-01-02.wav").touch()  # one name of RAVDESS among one's own
    own = corpora.load(str(tmp_path / "mine"))
    assert [u.emotion for u in own] == ["happy", "happy", "sad", "sad", "sad"]
    assert own.notes == ()

    (tmp_path / "table.CSV").write_text("path,label\nmine/happy/03-01-2024.wav,sad\n")
    assert corpora.locate(str(tmp_path / "table.CSV")) == tmp_path / "table.CSV"
    assert corpora.load(str(tmp_path / "table.CSV")).labels == ("sad",)


def test_an_unknown_corpus_is_refused_with_suggestions(tmp_path):
    assert corpora.locate("ravdes") is None
    with pytest.raises(CorpusNotFoundError, match="Did you mean 'ravdess'"):
        corpora.load("ravdes")
    (tmp_path / "clip.wav").touch()
    with pytest.raises(CorpusNotFoundError, match=r"clip\.wav.*\.parquet"):
        corpora.load(str(tmp_path / "clip.wav"))
    for name in ("no.csv", "no.jsonl", "folder"):
        with pytest.raises(CorpusNotFoundError, match=rf"{name}: no such file or folder"):
            corpora.load(str(tmp_path / name))
    with pytest.raises(CorpusNotFoundError, match=r"^missing\.csv: no such file"):
        corpora.load("missing.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError):
        corpora.load(str(tmp_path / "empty"))


def test_recordings_that_ravdess_has_beside_its_speech_are_counted(tmp_path):
    for name in ("Actor_01/03-01-05-01-01-01-01.MP3", "song/03-02-05-01-01-01-01.wav", "film/01-01-05-01-01-01-01.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "Actor_01" / "noise.wav").touch()
    found = corpora.load(str(tmp_path))
    assert (found.name, [u.id for u in found]) == ("ravdess", ["03-01-05-01-01-01-01"])
    (note,) = found.notes
    assert note.startswith("3 recordings are not RAVDESS's speech (03-01-*), and are left out: ")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("happy/03-01-03-01-01-01-01.wav", "happy/a.wav", "bored/03-01-01-01-01-01-01.wav"), {"happy", "bored"}),
        (("sad/03-01-04-01-01-01-01.wav", "sad/03-01-04-01-02-01-01.wav", "bored/b.wav"), {"sad", "bored"}),
    ],
)
def test_clips_of_ravdess_that_are_sorted_beside_others_have_the_folders_labels(tmp_path, names, labels):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = corpora.load(str(tmp_path))
    assert {u.id for u in found} == set(names)
    assert set(found.labels) == labels


def test_recordings_beside_the_folders_of_ravdess_are_not_lost(tmp_path):
    names = [f"Actor_{n:02d}/03-01-05-01-01-01-{n:02d}.wav" for n in range(1, 9)]
    for name in (*names, "mine/happy/a.m4a", "mine/sad/b.m4a", "Actor_01/hidden/.x.wav", "Actor_02/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    with pytest.raises(CorpusError, match=r"2 other recordings, such as mine/happy/a\.m4a\. .* ravdess=") as caught:
        corpora.load(str(tmp_path))
    alone = corpora.load(str(caught.value).rpartition(": ")[2])
    assert len(alone) == 8
    assert sum(int(note.split()[0]) for note in alone.notes) == 4, alone.notes


def test_folders_of_ravdess_clips_by_own_labels_are_noted(tmp_path):
    for label, emotion in (("good", "03"), ("bad", "05")):
        (tmp_path / label).mkdir()
        (tmp_path / label / f"03-01-{emotion}-01-01-01-01.wav").touch()
    found = corpora.load(str(tmp_path))
    assert {u.emotion for u in found} == {"happy", "angry"}
    (note,) = found.notes
    assert note.startswith("the emotions are those of RAVDESS's file names, not the folders' names (bad, good)")


def test_importing_corpora_imports_no_heavy_package():
    script = (
        "import sys, emocatcher.corpora, emocatcher.corpora.download\n"
        "print([m for m in ('torch', 'requests', 'pooch', 'pyarrow', 'av', 'sklearn', 'scipy') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", script], check=True, env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
