"""`--help` and `--version` of every command."""

from collections.abc import Callable
from typing import Any

import pytest

import emocatcher

COMMANDS = ("demo", "corpora", "fetch", "check", "train", "evaluate", "report", "convert", "predict")


@pytest.mark.parametrize("command", COMMANDS)
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
    for command in COMMANDS:
        assert command in said.out


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
