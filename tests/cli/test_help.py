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
def test_the_help_of_every_command_has_an_example(call: Callable[..., Any], command: str, flag: str) -> None:
    outcome = call(command, flag)
    assert outcome.code == 0
    assert "For example" in outcome.out
    assert f"emocatcher {command}" in outcome.out.partition("For example")[2]
    assert outcome.err == ""


def test_all_commands_are_listed(call: Callable[..., Any]) -> None:
    outcome = call("--help")
    assert outcome.code == 0
    listed = [line.split()[0] for line in outcome.out.splitlines() if line.startswith("  ")]
    assert set(NAMES) <= set(listed)


def test_every_command_is_a_module_of_its_name() -> None:
    shared = {
        "__init__",
        "app",
        "card",
        "completion",
        "loading",
        "options",
        "safe_console",
        "screen",
        "server_options",
        "settling_options",
        "speaker_card",
        "streams",
    }
    shared |= {"ray_options", "table_options", "training_engine", "training_screen"}
    modules = {path.stem for path in Path(app.__file__).parent.glob("*.py")} - shared
    assert modules == set(NAMES)
    for name in NAMES:
        assert getattr(import_module(f"emocatcher.cli.{name}"), name).__doc__.partition("\n")[0].endswith("."), name


def test_a_misspelt_command_gets_a_suggestion(call: Callable[..., Any]) -> None:
    outcome = call("trian")
    assert outcome.code == 2
    assert "Did you mean 'train'?" in outcome.err


def test_without_arguments_the_overview_is_shown(call: Callable[..., Any]) -> None:
    outcome = call()
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: ")
    assert all(name in outcome.err for name in NAMES)


def test_the_overview_fits_a_narrow_terminal(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((60, 24)))
    assert max(map(len, call("--help").out.splitlines())) <= 60


def test_shell_completion_offers_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EMOCATCHER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "emocatcher ev")
    monkeypatch.setenv("COMP_CWORD", "1")
    command = [sys.executable, "-c", "import sys; sys.argv = ['emocatcher']; from emocatcher.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["evaluate"], done.stderr


def test_help_shows_flags_and_defaults(call: Callable[..., Any]) -> None:
    outcome = call("train", "--help")
    for default in ("default: ravdess", "default: cabg", "default: 0"):
        assert default in outcome.out
    for flag in ("--preset", "--corpus", "--protocol", "--out", "--seed", "--epochs", "--resume", "--set"):
        assert flag in outcome.out


def test_version_is_printed(call: Callable[..., Any]) -> None:
    outcome = call("--version")
    assert (outcome.code, outcome.out.strip()) == (0, f"emocatcher {emocatcher.__version__}")


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["predict"], ["evaluate", "--fold", "x"], ["--no-such"]])
def test_wrong_usage_exits_with_2_without_a_traceback(call: Callable[..., Any], arguments: list[str]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
