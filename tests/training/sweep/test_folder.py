"""The files of a sweep folder, and the folders that are refused."""

import json

import msgspec
import pytest

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import RunError
from emocatcher.training.sweep import folder
from emocatcher.training.sweep.trial import Finished

ONE, TWO = (
    Finished(setting=name, fold=0, split=0, seed=0, seconds=1.5, train_loss=0.5, predictions={"x": "sad"})
    for name in ("one", "two")
)


def test_complete_lines_are_read_and_a_cut_off_one_is_skipped(tmp_path):
    assert folder.read_trials(tmp_path) == []
    folder.append_trial(tmp_path, ONE)
    folder.append_trial(tmp_path, TWO)
    assert folder.read_trials(tmp_path) == [ONE, TWO]
    path = tmp_path / folder.TRIALS
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        read = folder.read_trials(tmp_path)
        assert read == ([ONE, TWO] if cut == 1 else [ONE])
        folder.write_trials(tmp_path, read)
        folder.append_trial(tmp_path, TWO)
        assert folder.read_trials(tmp_path)[-1] == TWO


def test_a_full_disk_is_an_error_that_names_resume(tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"cannot be written.*--resume"):
        folder.append_trial(tmp_path / "none", ONE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "write_bytes", full)
    with pytest.raises(RunError, match=r"No space left.*--resume"):
        folder.write_trials(tmp_path, [ONE])


def test_folders_with_something_else_are_refused(tmp_path):
    files = {"sweep.toml": "a", "config.toml": "b", "split.csv": "c"}
    folder.check(tmp_path / "none", files, resume=False)
    folder.check(tmp_path, files, resume=False)
    folder.write_start(tmp_path, files, ["f"], "table")
    folder.write_start(tmp_path, files, ["f"], "table")
    folder.check(tmp_path, files, resume=True)
    with pytest.raises(RunError, match="holds a sweep already"):
        folder.check(tmp_path, files, resume=False)
    for name in files:
        with pytest.raises(RunError, match=f"another sweep: its {name} differs"):
            folder.check(tmp_path, {**files, name: "x"}, resume=True)
    with pytest.raises(RunError, match="other recordings"):
        folder.write_start(tmp_path, files, ["g"], "table")
    with pytest.raises(RunError, match="is a file"):
        folder.check(tmp_path / "sweep.toml", files, resume=True)
    with pytest.raises(RunError, match="cannot be written"):
        folder.write_start(tmp_path / "sweep.toml" / "x", files, ["f"], "table")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(RunError, match="holds a run, not a sweep"):
        folder.check(tmp_path / "run", files, resume=True)


def test_a_finished_sweep_has_its_files(small_sweep):
    names = {path.name for path in small_sweep.folder.iterdir()}
    assert names == {
        "sweep.toml", "config.toml", "split.csv", "device.txt", "votes.sha256", "features.sha256", "trials.jsonl",
        "ranking.json",
    }  # fmt: skip
    assert (small_sweep.folder / "device.txt").read_text() == "cpu\n"
    ranking = json.loads((small_sweep.folder / "ranking.json").read_text())
    assert msgspec.convert(ranking, type(small_sweep.ranking)) == small_sweep.ranking
    lines = (small_sweep.folder / "trials.jsonl").read_text().splitlines()
    assert [tuple(json.loads(line)[key] for key in ("setting", "split")) for line in lines] == [
        ("baseline", 0), ("smoother", 0), ("baseline", 1), ("smoother", 1),
    ]  # fmt: skip
