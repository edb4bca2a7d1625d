from pathlib import Path

import pytest

from emocatcher.corpora import ravdess
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import EMOTIONS


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_parse_reads_all_labels_from_the_file_name():
    clip = ravdess.parse(Path("03-01-08-02-02-01-09.wav"))
    assert (clip.emotion, clip.intensity, clip.statement, clip.repetition) == ("surprised", "strong", "02", "01")
    assert (clip.speaker, clip.gender) == ("09", "male")


def test_parse_reads_all_published_names():
    clips = [ravdess.parse(Path(f"{id_}.flac")) for id_ in ravdess.clip_ids()]
    assert len({clip.id for clip in clips}) == 1440
    assert {e: sum(c.emotion == e for c in clips) for e in EMOTIONS} == {"neutral": 96} | dict.fromkeys(
        EMOTIONS[1:], 192
    )
    assert {sum(c.speaker == speaker for c in clips) for speaker in {c.speaker for c in clips}} == {60}
    assert not any(c.emotion == "neutral" and c.intensity == "strong" for c in clips)
    assert sum(c.gender == "female" for c in clips) == 720


def test_read_finds_recordings_anywhere_and_sorts_by_actor(tmp_path):
    touch(
        tmp_path,
        "03-01-05-01-01-01-02.FLAC",
        "a/b/03-01-08-01-01-01-01.wav",
        "a/03-01-02-01-01-01-01.Wav",
        "a/03-02-02-01-01-01-01.wav",  # a song
        "a/._03-01-02-01-01-01-01.wav",
        "03-01-notes.txt",
    )
    corpus = ravdess.read(tmp_path)
    assert [u.id for u in corpus] == ["03-01-02-01-01-01-01", "03-01-08-01-01-01-01", "03-01-05-01-01-01-02"]
    assert all(u.path.is_file() for u in corpus)
    assert (corpus.name, corpus.labels, corpus.licence) == ("ravdess", EMOTIONS, "CC BY-NC-SA 4.0")
    assert not corpus.synthetic


@pytest.mark.parametrize(
    "stem",
    [
        "03-01-05-01-01-01",  # six fields
        "03-01-05-01-01-01-02-01",
        "03-01-5-01-01-01-02",
        "03-01-09-01-01-01-02",
        "03-01-00-01-01-01-02",
        "03-01-05-03-01-01-02",
        "03-01-05-01-01-01-25",
        "03-01-05-01-01-01-00",
        "03-01-01-02-01-01-02",  # strong neutral
        "03-01-05-01-01-01-02 (copy)",
    ],
)
def test_an_invalid_file_name_is_refused_and_named(tmp_path, stem):
    touch(tmp_path, "03-01-05-01-01-01-02.wav", f"{stem}.wav")
    with pytest.raises(CorpusError) as caught:
        ravdess.read(tmp_path)
    assert f"{stem}.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clip_that_occurs_twice_is_refused(tmp_path):
    touch(tmp_path, "03-01-05-01-01-01-02.wav", "03-01-05-01-01-01-02.flac")
    with pytest.raises(CorpusError, match="03-01-05-01-01-01-02"):
        ravdess.read(tmp_path)


def test_an_empty_folder_error_names_the_fetch_command(tmp_path):
    with pytest.raises(CorpusError, match="emocatcher fetch ravdess"):
        ravdess.read(tmp_path)


@pytest.mark.corpus
def test_the_real_corpus_is_complete(ravdess_dir):
    assert tuple(u.id for u in ravdess.read(ravdess_dir)) == ravdess.clip_ids()
