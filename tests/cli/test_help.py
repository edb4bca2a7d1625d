"""`--help` and `--version` of every command."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import emocatcher
from emocatcher.cli import app
from emocatcher.cli.app import NAMES


@pytest.mark.parametrize("command", NAMES)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself_with_an_example(call: Callable[..., Any], command: str, flag: str) -> None:
    said = call(command, flag)
    assert said.code == 0
    assert "For example" in said.out
    assert f"emocatcher {command}" in said.out.partition("For example")[2]
    assert said.err == ""


def test_all_commands_are_listed(call: Callable[..., Any]) -> None:
    said = call("--help")
    assert said.code == 0
    listed = [line.split()[0] for line in said.out.splitlines() if line.startswith("  ")]
    assert set(NAMES) <= set(listed)


def test_every_command_is_a_module_of_its_name() -> None:
    doors = {path.stem for path in Path(app.__file__).parent.glob("*.py")} - {"__init__", "app", "card", "screen"}
    assert doors == set(NAMES)
    for name in NAMES:
        assert getattr(import_module(f"emocatcher.cli.{name}"), name).__doc__.partition("\n")[0].endswith("."), name


def test_a_slip_is_answered_with_the_nearest_command(call: Callable[..., Any]) -> None:
    said = call("trian")
    assert said.code == 2
    assert "Did you mean 'train'?" in said.err


def test_without_arguments_the_overview_is_shown(call: Callable[..., Any]) -> None:
    said = call()
    assert said.code == 2
    assert said.err.startswith("Usage: ")
    assert all(name in said.err for name in NAMES)


def test_on_a_narrow_terminal_it_still_fits(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((60, 24)))
    assert max(map(len, call("--help").out.splitlines())) <= 60


def test_completion_knows_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EMOCATCHER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "emocatcher ev")
    monkeypatch.setenv("COMP_CWORD", "1")
    command = [sys.executable, "-c", "import sys; sys.argv = ['emocatcher']; from emocatcher.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["evaluate"], done.stderr


def test_defaults_and_units_are_told(call: Callable[..., Any]) -> None:
    said = call("train", "--help")
    for default in ("default: ravdess", "default: cabg", "default: 0"):
        assert default in said.out
    for flag in ("--preset", "--corpus", "--protocol", "--out", "--seed", "--epochs", "--resume", "--set"):
        assert flag in said.out


def test_the_version(call: Callable[..., Any]) -> None:
    said = call("--version")
    assert (said.code, said.out.strip()) == (0, f"emocatcher {emocatcher.__version__}")


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["predict"], ["evaluate", "--fold", "x"], ["--no-such"]])
def test_wrong_usage_is_told(call: Callable[..., Any], arguments: list[str]) -> None:
    said = call(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
