import os
from pathlib import Path

import pytest

from emocatcher.corpora import places


def test_the_environment_variable_overrides_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOCATCHER_CACHE", str(tmp_path / "mine"))
    assert places.cache_dir() == tmp_path / "mine"
    assert places.corpus_dir("x").is_relative_to(tmp_path / "mine")
    monkeypatch.setenv("EMOCATCHER_CACHE", "")
    assert "emocatcher" in places.cache_dir().parts
    monkeypatch.setenv("EMOCATCHER_CACHE", "~/here")
    assert places.cache_dir() == Path.home() / "here"


def test_the_corpora_folder_of_the_environment_precedes_the_cache(monkeypatch, tmp_path):
    assert places.find_corpus("x") is None
    places.corpus_dir("x").mkdir(parents=True)
    assert places.find_corpus("x") == places.corpus_dir("x")
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path / "elsewhere"))
    assert places.find_corpus("x") == places.corpus_dir("x")
    (tmp_path / "elsewhere" / "x").mkdir(parents=True)
    assert places.find_corpus("x") == tmp_path / "elsewhere" / "x"


@pytest.mark.parametrize("empty_target", [False, True])
def test_staged_creates_the_folder_atomically(tmp_path, empty_target):
    target = tmp_path / "deep" / "target"
    if empty_target:
        target.mkdir(parents=True)
    with places.staged(target) as staging:
        (staging / "a").write_text("1")
        assert not (target / "a").exists()
    assert [p.name for p in target.iterdir()] == ["a"]
    assert list(target.parent.iterdir()) == [target]


def test_staged_leaves_nothing_after_a_failure(tmp_path):
    def fail() -> None:
        with places.staged(tmp_path / "target") as staging:
            (staging / "a").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_staged_never_replaces_an_existing_folder(tmp_path):
    def fill_twice() -> None:
        with places.staged(tmp_path / "target") as staging:
            (staging / "mine").write_text("1")
            (tmp_path / "target").mkdir()  # as another process would meanwhile
            (tmp_path / "target" / "theirs").write_text("2")

    with pytest.raises(OSError, match="target"):
        fill_twice()
    assert [p.name for p in tmp_path.rglob("*")] == ["target", "theirs"]


def test_staged_removes_leftovers_of_killed_processes(tmp_path):
    old, young, other = (tmp_path / name for name in (".target.partial-1", ".target.partial-2", ".else.partial-1"))
    for folder in (old, young, other):
        folder.mkdir()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    with places.staged(tmp_path / "target"):
        pass
    assert not old.exists()
    assert young.exists()
    assert other.exists()
