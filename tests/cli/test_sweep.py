"""`sweep`: table, JSON, errors, and resuming."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emocatcher.training.sweep import folder

from .conftest import kill_at_lines, without_notes

Call = Callable[..., Any]


@pytest.fixture
def write(tmp_path: Path, voices_dir: Path, small_network: tuple[str, ...]) -> Callable[..., Path]:
    def write(n_epochs: int = 1, extra: str = "", corpus: str = "") -> Path:
        settings = json.dumps([*small_network, f"training.n_epochs={n_epochs}"])
        path = tmp_path / "sweep.toml"
        path.write_text(
            f'corpus = "{corpus or voices_dir}"\nprotocol = "speakers-2"\ninner = 2\nset = {settings}\n{extra}\n'
            '[[setting]]\nname = "baseline"\n[[setting]]\nname = "[red]smooth"\n'
            'set = ["training.label_smoothing=0.3"]\n'
        )
        return path

    return write


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, train_here: Any) -> None:
    """Train in this process, without workers."""
    from emocatcher.training import experiment
    from emocatcher.training.sweep import engine

    monkeypatch.setattr(engine, "TrainingPool", experiment.TrainingPool)


def test_the_ranking_is_printed_as_a_table_with_its_conditions(
    here: None, call: Call, write: Any, tmp_path: Path
) -> None:
    outcome = call("sweep", write(), "--out", tmp_path / "s")
    assert outcome.code == 0, outcome.err
    for text in ("rank", "setting", "what differs", "accuracy", "UAR", "difference", "s/trial"):
        assert text in outcome.out.splitlines()[1]
    rows = [line for line in outcome.out.splitlines() if "baseline " in line or "[red]smooth" in line]
    assert len(rows) == 2
    assert all(re.search(r"\d+\.\d% \[\d+\.\d, \d+\.\d\]", row) for row in rows)
    (other,) = (row for row in rows if "[red]smooth" in row)
    assert "training.label_smoothing=0.3" in other
    assert re.search(r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]", other)
    assert "Validation inside the training part of speakers-2, fold 0" in outcome.out
    assert "no clip of the test part was touched" in outcome.out
    assert "trials 4/4" in outcome.err
    for text in (outcome.out, outcome.err):
        assert "\x1b" not in text
        assert "\r" not in text

    again = call("sweep", tmp_path / "sweep.toml", "--out", tmp_path / "s", "--resume", "--json")
    assert again.code == 0
    assert again.out.count("\n") == 1
    assert json.loads(again.out) == json.loads((tmp_path / "s" / "ranking.json").read_text())
    # The resolved sweep.toml can be used again.
    once_more = call("sweep", tmp_path / "s" / "sweep.toml", "--out", tmp_path / "s", "--resume", "--json")
    assert once_more.out == again.out


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(
    here: None, call: Call, write: Any, tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from emocatcher.cli import screen

    monkeypatch.setattr(screen, "console", lambda stderr=False: Console(stderr=stderr, width=columns, highlight=False))
    outcome = call("sweep", write(), "--out", tmp_path / "s")
    assert outcome.code == 0
    assert max(map(len, outcome.out.replace(str(tmp_path), "").splitlines())) <= columns
    assert len(re.findall(r" \d+\.\d\N{EN DASH}\d+\.\d\b", outcome.out)) == 4
    assert len(re.findall(r"[+-]\d+\.\d to [+-]\d+\.\d\b", outcome.out)) == 1
    assert re.search(r"\bbaseline\b", outcome.out)
    assert (" label_smoothing=0.3 " if columns == 80 else " training.label_smoothing=0.3 ") in outcome.out


@pytest.mark.parametrize(
    ("extra", "corpus", "words"),
    [
        ("inner_folds = 3", "", "Did you mean 'inner'?"),
        ("folds = [7]", "", "no fold 7"),
        ("seeds = []", "", "seeds"),
        ("", "ravdes", "Did you mean 'ravdess'?"),
    ],
)
def test_an_error_is_one_line(call: Call, write: Any, tmp_path: Path, extra: str, corpus: str, words: str) -> None:
    outcome = call("sweep", write(extra=extra, corpus=corpus), "--out", tmp_path / "s")
    assert (outcome.code, outcome.out) == (2, "")
    assert without_notes(outcome.err)[0].startswith("Error: ")
    assert len(without_notes(outcome.err)) == 1
    assert words in outcome.err
    assert not (tmp_path / "s").exists()


def test_a_folder_with_another_sweep_is_refused(here: None, call: Call, write: Any, tmp_path: Path) -> None:
    assert call("sweep", write(), "--out", tmp_path / "s").code == 0
    for arguments, words in (((), "holds a sweep already"), (("--resume",), "holds another sweep")):
        path = write(n_epochs=2) if arguments else write()
        outcome = call("sweep", path, "--out", tmp_path / "s", *arguments)
        assert outcome.code == 2
        assert words in outcome.err
        assert len(without_notes(outcome.err)) == 1


def test_an_interrupt_names_the_flags_to_resume(
    here: None, call: Call, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = folder.append_trial

    def append_then_interrupt(out: Path, one: Any) -> None:
        append(out, one)
        raise KeyboardInterrupt

    path = write()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "append_trial", append_then_interrupt)
        outcome = call("sweep", path, "--out", tmp_path / "s")
    assert outcome.code == 130
    assert outcome.out == ""
    assert "Trials finished and kept: 1 of 4. Resume with --resume --out" in outcome.err
    assert "Traceback" not in outcome.err
    assert len(folder.read_trials(tmp_path / "s")) == 1
    assert call("sweep", path, "--out", tmp_path / "s", "--resume").code == 0


@pytest.mark.slow
def test_a_killed_and_resumed_sweep_gives_the_same_ranking(process: Call, write: Any, tmp_path: Path) -> None:
    path = write(n_epochs=20)
    done = process(["sweep", str(path), "--out", str(tmp_path / "unbroken")])
    assert done.code == 0, done.err
    command = [sys.executable, "-m", "emocatcher", "sweep", str(path), "--out", str(tmp_path / "broken"), "--resume"]
    for n_trials in (1, 3):  # of 4
        kill_at_lines(command, tmp_path / "broken" / "trials.jsonl", n_trials)
    done = process([*command[3:]])
    assert done.code == 0, done.err
    for name in ("ranking.json", "split.csv", "sweep.toml", "config.toml"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
    answers = [
        [(one.trial, one.train_loss, one.predictions) for one in folder.read_trials(tmp_path / out)]
        for out in ("broken", "unbroken")
    ]
    assert answers[0] == answers[1]
